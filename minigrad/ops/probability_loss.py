"""Losses between probabilities or distributions. The shared parts are in loss.py."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..primitive import derivative, primitive
from .activation import logsigmoid
from .arithmetic import add_number, mul_number
from .loss import add_double, reduce_loss, reduced, reduction_name, share
from .pointwise import logit, xlogy

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div",
    "poisson_nll_loss"]


@primitive(name="binary_cross_entropy", lies="input")
def _binary_cross_entropy(xp, input, target, weight=None, *, reduction):
    r"""$\ell = -w(y \ln x + (1 - y)\ln(1 - x))$, the logarithms not below -100."""
    least = input.dtype.type(-100)
    loss = ((target - 1) * xp.maximum(xp.log1p(-input), least)
            - target * xp.maximum(xp.log(input), least))
    return reduced(loss if weight is None else loss * weight, reduction)


_LEAST = float(np.float32(1e-12))  # a float in torch's C++, also where the input is float64


@primitive(name="binary_cross_entropy_backward")
def _slope(xp, grad_output, input, target, weight=None, *, reduction):
    r"""$\bar x = \bar\ell\,w\,\frac{x - y}{x(1 - x)}$; torch keeps the denominator above 0 here,
    and in the derivatives of this by another small number, which the rules copy."""
    slope = (input - target) / xp.maximum((1 - input) * input, input.dtype.type(_LEAST))
    slope = grad_output * (slope if weight is None else slope * weight)
    return slope / input.dtype.type(input.size) if reduction == "mean" else slope


def _room(input: Any) -> Any:
    """$x(1 - x)$, kept above 0."""
    return (input + 1e-12) * (1 - input + 1e-12)


def _weigh(g, weight):
    return g if weight is None else g * weight


derivative(_slope,
    grad_output=lambda g, input, target, weight, input_shape, reduction: _weigh(
        share(g, input_shape, reduction), weight) * (input - target) / _room(input),
    input=lambda g, grad_output, input, target, weight, input_shape, reduction: _weigh(
        share(g, input_shape, reduction), weight) * grad_output * (
            input * input - 2 * input * target + target) / _room(input) ** 2,
    target=lambda g, grad_output, input, weight, input_shape, reduction: _weigh(
        share(g, input_shape, reduction), weight) * -grad_output / (
            (1 - input) * input).clamp_min(1e-12))

derivative(_binary_cross_entropy,
    input=lambda g, input, target, weight, reduction: _slope(
        g, input, target, weight, reduction=reduction),
    target=lambda g, input, weight, input_shape, reduction: share(
        _weigh(-logit(input) * g, weight), input_shape, reduction))


@autocasts
def binary_cross_entropy(input: Any, target: Any, weight: Any = None,
                         size_average: bool | None = None, reduce: bool | None = None,
                         reduction: str = "mean") -> Any:
    r"""$-(y \ln x + (1 - y)\ln(1 - x))$ for probabilities $x$."""
    reduction = reduction_name(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Using a target size ({target.size()}) that is different to the input "
                         f"size ({input.size()}) is deprecated. Please ensure they have the same "
                         "size.")
    if weight is not None:
        weight = weight.expand(_common_shape(target._data.shape, weight._data.shape))
    data = input._data
    if not ((data >= 0) & (data <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    if not ((target._data >= 0) & (target._data <= 1)).all():
        raise RuntimeError("all elements of target should be between 0 and 1")
    return _binary_cross_entropy(input, target, weight, reduction=reduction)


def _common_shape(a: tuple, b: tuple) -> tuple:
    for back in range(1, min(len(a), len(b)) + 1):
        if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
            raise RuntimeError(
                f"Attempting to broadcast a dimension of length {b[-back]} at {-back}! Mismatching "
                f"argument at index 1 had torch.Size({list(b)}); but expected shape should be "
                f"broadcastable to {list(a)}")
    return np.broadcast_shapes(a, b)


@primitive(name="binary_cross_entropy_with_logits", promote="default")
def _binary_cross_entropy_with_logits(xp, input, target, weight=None, pos_weight=None, *,
                                      reduction):
    r"""$\ell = w\,((1 - y)x + (1 + (p - 1)y)\ln(1 + e^{-x}))$, so written that none overflows."""
    softplus = xp.log1p(xp.exp(-xp.abs(input))) + xp.maximum(-input, input.dtype.type(0))
    if pos_weight is not None:
        softplus = softplus * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * input + softplus
    return reduced(loss if weight is None else loss * weight, reduction)


def _logits_rule(g, input, target, weight, pos_weight, input_shape, reduction):
    if pos_weight is None:
        slope = (input.sigmoid() - target) * g
    else:
        positive = pos_weight * target
        slope = ((add_number(positive, other=1) - target) * input.sigmoid() - positive) * g
    return share(_weigh(slope, weight), input_shape, reduction)


def _logits_target_rule(g, input, weight, pos_weight, input_shape, reduction):
    if pos_weight is None:
        slope = -input * g
    else:
        slope = (logsigmoid(-input) - logsigmoid(input) * pos_weight) * g
    return share(_weigh(slope, weight), input_shape, reduction)


derivative(_binary_cross_entropy_with_logits, input=_logits_rule, target=_logits_target_rule)


@autocasts
def binary_cross_entropy_with_logits(
        input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
        reduce: bool | None = None, reduction: str = "mean", pos_weight: Any = None) -> Any:
    r"""`binary_cross_entropy` of $\sigma(x)$; `pos_weight` weighs the positive class."""
    reduction = reduction_name(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Target size ({target.size()}) must be the same as input size "
                         f"({input.size()})")
    return _binary_cross_entropy_with_logits(input, target, weight, pos_weight,
                                             reduction=reduction)


@autocasts
def kl_div(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Any:
    r"""$y(\ln y - x)$ for log probabilities $x$; "batchmean" sums and divides by the batch size."""
    batchmean = reduction == "batchmean"
    name = reduction_name(size_average, reduce, "sum" if batchmean else reduction)
    if name == "mean":
        warnings.warn("reduction: 'mean' divides the total loss by both the batch size and the "
                      "support size.'batchmean' divides only by the batch size, and aligns with "
                      "the KL div math definition.'mean' will be changed to behave the same as "
                      "'batchmean' in the next major release.", stacklevel=2)
    if log_target:
        difference = target - input  # before exp: as torch records them
        loss = target.exp() * difference
    else:
        product = target * input  # before xlogy: as torch records them
        loss = xlogy(target, target) - product
    loss = reduce_loss(loss, name)
    return loss / input._data.shape[0] if batchmean and input._data.ndim else loss


@autocasts
def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8,
                     reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$e^x - yx$ for the logarithm $x$ of a rate; else $x - y\ln(x + \epsilon)$."""
    reduction = reduction_name(size_average, reduce, reduction)
    if log_input:
        product = target * input  # before exp: as torch records them
        loss = input.exp() - product
    else:
        loss = input - target * add_double(input, eps).log()
    if full:
        rest = mul_number(mul_number(target, other=2 * math.pi).log(), other=0.5)
        stirling = target * target.log() - target + rest
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduce_loss(loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Any:
    r"""$\tfrac12(\ln v + (x - y)^2 / v)$ for the variance $v$, at least `eps`."""
    if not isinstance(var, TensorBase):
        var = input.new_full(input._data.shape, var)
    if var._data.shape != input._data.shape:
        if input._data.shape[:-1] == var._data.shape:
            var = var.unsqueeze(-1)
        elif var._data.ndim != input._data.ndim or sum(v for n, v in zip(
                input._data.shape, var._data.shape, strict=True) if n != v) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if (var._data < 0).any():
        raise ValueError("var has negative entry/entries")
    var = _clamped(var, eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    return reduce_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _clamped(var: Any, eps: float) -> Any:
    """`var` at least `eps`, with the gradient of `var` everywhere."""
    result = var.clone()
    result.detach().copy_(var.detach().clamp(min=eps))
    return result
