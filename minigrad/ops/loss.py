"""Losses. Each is one op where torch has one, and the same composite where torch has a composite.

A loss of one op reduces inside its kernel. Its rules scale the incoming gradient with `_share`: with
reduction "mean" each element has 1/n of it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..core import TensorBase, wrap
from ..primitive import derivative, primitive
from .arithmetic import add_number, div_number, mul_number, sub_number
from .pointwise import where, xlogy
from .reduction import norm_over
from .softmax import log_softmax
from .views import broadcast_tensors

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "gaussian_nll_loss", "hinge_embedding_loss",
    "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss", "nll_loss",
    "pairwise_distance", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
    "triplet_margin_loss"]

# --- reduction -----------------------------------------------------------------------------------


def _reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction's name, also from torch's two deprecated bools."""
    if size_average is not None or reduce is not None:
        mean = size_average is None or size_average
        reduction = "none" if reduce is False else "mean" if mean else "sum"
        warnings.warn("size_average and reduce args will be deprecated, please use "
                      f"reduction='{reduction}' instead.", stacklevel=3)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduced(value, reduction):
    """An array of losses, reduced."""
    if reduction == "none":
        return value
    total = value.sum()
    return total if reduction == "sum" else total / value.dtype.type(value.size)


def _reduce(loss: Any, reduction: str) -> Any:
    """A tensor of losses, reduced."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def _share(g: Any, shape: tuple, reduction: str) -> Any:
    """The gradient that each element's loss gets."""
    return g / math.prod(shape) if reduction == "mean" else g


def _broadcast(input: Any, target: Any) -> tuple:
    if input._data.shape == target._data.shape:
        return input, target
    warnings.warn(
        f"Using a target size ({target.size()}) that is different to the input size "
        f"({input.size()}). This will likely lead to incorrect results due to broadcasting. Please "
        "ensure they have the same size.", stacklevel=3)
    common = (input.detach() + target.detach())._data.shape  # raises where there is none
    return input.expand(common), target.expand(common)


# --- regression ----------------------------------------------------------------------------------

@primitive(promote="default", name="mse_loss")
def _mse_loss(xp, input, target, *, reduction):
    r"""$\ell = (x - y)^2$, so $\bar x = 2\bar\ell\,(x - y)$."""
    if input.dtype.kind not in "fcV":
        raise NotImplementedError("\"mse_cpu\" not implemented for 'Long'")
    difference = input - target
    if reduction == "none" or xp is not np:
        return _reduced(difference * difference, reduction)
    flat = difference.reshape(-1)
    total = np.dot(flat, flat)
    return total if reduction == "sum" else total / flat.dtype.type(flat.size)


derivative(_mse_loss,
    input=lambda g, input, target, input_shape, reduction: (
        (input - target) * (_share(g, input_shape, reduction) * 2)),
    target=lambda g, input, target, input_shape, reduction: (
        (target - input) * (_share(g, input_shape, reduction) * 2)))


def mse_loss(input: Any, target: Any, size_average: bool | None = None,
             reduce: bool | None = None, reduction: str = "mean", weight: Any = None) -> Any:
    """$(x - y)^2$."""
    reduction = _reduction(size_average, reduce, reduction)
    input, target = _broadcast(input, target)
    if weight is None:
        return _mse_loss(input, target, reduction=reduction)
    return _weighted((input - target).pow(2) * weight, weight, reduction)


def _weighted(loss: Any, weight: Any, reduction: str) -> Any:
    """Weighted losses; "mean" divides by the sum of the weights."""
    if reduction == "mean":
        return loss.sum() / weight.sum()
    return _reduce(loss, reduction)


def l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Any = None) -> Any:
    """$|x - y|$."""
    reduction = _reduction(size_average, reduce, reduction)
    input, target = _broadcast(input, target)
    loss = (input - target).abs()
    return _reduce(loss, reduction) if weight is None else _weighted(
        loss * weight, weight, reduction)


@primitive(promote="default", name="smooth_l1_loss")
def _smooth_l1_loss(xp, input, target, *, reduction, beta):
    r"""$\ell = d^2/2\beta$ for $d = |x - y| < \beta$, else $d - \beta/2$; the slope is
    $(x - y)/\beta$ clamped to $[-1, 1]$."""
    d = xp.abs(input - target)
    beta = d.dtype.type(beta)
    return _reduced(xp.where(d < beta, d * d * d.dtype.type(0.5) / beta,
                             d - d.dtype.type(0.5) * beta), reduction)


derivative(_smooth_l1_loss,
    input=lambda g, input, target, input_shape, reduction, beta: _share(
        g, input_shape, reduction) * ((input - target) / beta).clamp(-1, 1),
    target=lambda g, input, target, input_shape, reduction, beta: _share(
        g, input_shape, reduction) * ((target - input) / beta).clamp(-1, 1))


def smooth_l1_loss(input: Any, target: Any, size_average: bool | None = None,
                   reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0) -> Any:
    r"""$d^2/2\beta$ for $d = |x - y| < \beta$, else $d - \beta/2$."""
    reduction = _reduction(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _broadcast(input, target)
    if beta == 0:
        return _reduce((input - target).abs(), reduction)
    return _smooth_l1_loss(input, target, reduction=reduction, beta=beta)


@primitive(promote="default", name="huber_loss")
def _huber_loss(xp, input, target, *, reduction, delta):
    r"""$\ell = d^2/2$ for $d = |x - y| < \delta$, else $\delta(d - \delta/2)$; the slope is $x - y$
    clamped to $[-\delta, \delta]$."""
    d = xp.abs(input - target)
    delta = d.dtype.type(delta)
    half = d.dtype.type(0.5)
    return _reduced(xp.where(d < delta, half * d * d, delta * (d - half * delta)), reduction)


derivative(_huber_loss,
    input=lambda g, input, target, input_shape, reduction, delta: _share(
        g, input_shape, reduction) * (input - target).clamp(-delta, delta),
    target=lambda g, input, target, input_shape, reduction, delta: _share(
        g, input_shape, reduction) * (target - input).clamp(-delta, delta))


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0,
               weight: Any = None) -> Any:
    r"""$d^2/2$ for $d = |x - y| < \delta$, else $\delta(d - \delta/2)$."""
    _reduction(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    input, target = _broadcast(input, target)
    if weight is None:
        return _huber_loss(input, target, reduction=reduction, delta=delta)
    loss = _huber_loss(input, target, reduction="none", delta=delta)
    return _weighted(loss * weight, weight, reduction)


# --- classes by number ---------------------------------------------------------------------------

def _nll_kernel(xp, input, target, weight=None, *, reduction, ignore_index):
    r"""$\ell_n = -w_{y_n} x_{n, y_n}$, 0 where $y_n$ is ignored; "mean" divides by
    $\sum_n w_{y_n}$, which is the second result."""
    batched = input.ndim > 1
    if not batched:
        input, target = input[None], target.reshape(1)
    counted = target != ignore_index
    place = xp.where(counted, target, 0) if ignore_index >= 0 or not counted.all() else target
    if input.ndim == 2:
        picked = input[xp.arange(len(place)), place]
    else:
        picked = xp.take_along_axis(input, place[:, None], axis=1)[:, 0]
    weights = (xp.asarray(counted, dtype=input.dtype) if weight is None
               else xp.where(counted, weight[place], weight.dtype.type(0)))
    loss = -picked * weights
    loss = xp.where(counted, loss, loss.dtype.type(0))  # also where an ignored element is inf
    total = weights.sum()
    if reduction == "none":
        return (loss if batched else loss.reshape(())), total
    return (loss.sum() if reduction == "sum" else loss.sum() / total), total


def _nll_backward_kernel(xp, grad_output, target, weight, total_weight, *, shape, reduction,
                         ignore_index):
    r"""$\bar x_{n, y_n} = -w_{y_n} \bar\ell_n$, all others 0."""
    result = xp.zeros(shape if len(shape) > 1 else (1, *shape), grad_output.dtype)
    target = target if len(shape) > 1 else target.reshape(1)
    counted = target != ignore_index
    place = xp.where(counted, target, 0)
    weights = (xp.asarray(counted, dtype=result.dtype) if weight is None
               else xp.where(counted, weight[place], weight.dtype.type(0)))
    share = grad_output / total_weight if reduction == "mean" else grad_output
    values = xp.where(counted, -share * weights, result.dtype.type(0))
    if result.ndim == 2:
        result[xp.arange(len(place)), place] = values
    else:
        xp.put_along_axis(result, place[:, None], values[:, None], axis=1)
    return result.reshape(shape)


def _nll_pair(name: str, node_name: str) -> Any:
    """The op and its gradient, which are linear in `input` and in the incoming gradient, and so
    each other's derivative."""
    forward = primitive(_nll_kernel, name=name, node_name=node_name,
                        outputs=("result", "total_weight"))
    backward = primitive(_nll_backward_kernel, name=f"{name}_backward",
                         node_name=node_name.replace("Backward0", "BackwardBackward0"))

    derivative(forward, input=lambda grads, target, weight, total_weight, input_shape, reduction,
               ignore_index: backward(grads[0], target, weight, total_weight.detach(),
                                      shape=input_shape, reduction=reduction,
                                      ignore_index=ignore_index))
    derivative(backward, grad_output=lambda g, target, weight, reduction, ignore_index: forward(
        g, target, weight, reduction=reduction, ignore_index=ignore_index)[0])
    return forward


_nll_loss = _nll_pair("nll_loss", "NllLossBackward0")
_nll_loss2d = _nll_pair("nll_loss2d", "NllLoss2DBackward0")


def nll_loss(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
             ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean") -> Any:
    """$-w_y x_y$ for log probabilities `input` (N, C, ...) and classes `target` (N, ...)."""
    reduction = _reduction(size_average, reduce, reduction)
    shape, places = input._data.shape, target._data.shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) != 1 and shape[0] != (places[0] if places else 1):
        raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size "
                         f"({places[0] if places else 1}).")
    classes = shape[0] if len(shape) == 1 else shape[1]
    if len(shape) <= 2:
        if len(places) > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if len(shape) == 1 and target._data.size != 1:
            raise ValueError("For 1D input, 1D target must have size 1, but got target size: "
                             f"{target._data.size}")
    elif (shape[0], *shape[2:]) != places:
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(places)}")
    _check_classes(target, classes, ignore_index)
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(f"weight tensor should be defined either for all {classes} classes or "
                           "no classes but got weight tensor of shape: "
                           f"{list(weight._data.shape)}")
    options = {"reduction": reduction, "ignore_index": ignore_index}
    if len(shape) <= 2:
        return _nll_loss(input, target, weight, **options)[0]
    if len(shape) == 4:
        return _nll_loss2d(input, target, weight, **options)[0]
    loss = _nll_loss2d(input.contiguous().view(*shape[:2], 1, -1),
                       target.contiguous().view(shape[0], 1, -1), weight, **options)[0]
    return loss.view(shape[0], *shape[2:]) if reduction == "none" else loss


def _check_classes(target: Any, classes: int, ignore_index: int) -> None:
    data = target._data
    if target.dtype.name not in ("int64", "uint8"):
        raise RuntimeError("expected target dtype to be Long or Byte, but got "
                           f"{target.dtype.scalar_name}")
    if data.size and (int(data.min()) < 0 or int(data.max()) >= classes):
        wrong = data[((data < 0) | (data >= classes)) & (data != ignore_index)]
        if wrong.size:
            raise IndexError(f"Target {int(wrong.reshape(-1)[0])} is out of bounds.")


def cross_entropy(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
                  ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Any:
    """`nll_loss` of `log_softmax` for classes; for probabilities $-\\sum_c p_c \\ln\\mathrm{softmax}(x)_c$.

    `label_smoothing` s mixes each target with the uniform distribution: (1 - s) of it, s of that.
    """
    reduction = _reduction(size_average, reduce, reduction)
    dim = 0 if input._data.ndim == 1 else 1
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError("label_smoothing must be between 0.0 and 1.0. Got: "
                           f"{label_smoothing:g}")
    if weight is not None and weight._data.shape != (input._data.shape[dim],):
        raise RuntimeError(
            "cross_entropy: weight tensor should be defined either for all "
            f"{input._data.shape[dim]} classes or no classes but got weight tensor of shape: "
            f"{list(weight._data.shape)}")
    log_probability = log_softmax(input, dim)
    if input._data.shape == target._data.shape:
        if not target.dtype.is_floating_point:
            raise RuntimeError("Expected floating point type for target with class probabilities, "
                               f"got {target.dtype.scalar_name}")
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _with_probabilities(log_probability, target, weight, reduction, label_smoothing,
                                   dim)
    loss = nll_loss(log_probability, target, weight, ignore_index=ignore_index,
                    reduction=reduction)
    if label_smoothing == 0:
        return loss
    uniform = _uniform_part(log_probability, target, weight, ignore_index, reduction, dim)
    return (mul_number(loss, other=1 - label_smoothing)
            + mul_number(uniform, other=label_smoothing / input._data.shape[dim]))


def _along(weight: Any, ndim: int, dim: int) -> Any:
    shape = [1] * ndim
    shape[dim] = weight._data.size
    return weight.view(shape)


def _with_probabilities(log_probability, target, weight, reduction, label_smoothing, dim):
    classes = log_probability._data.shape[dim]
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = log_probability * target
    if weight is not None:
        terms = terms * _along(weight, terms._data.ndim, dim)
    if reduction == "none":
        return -terms.sum(dim)
    if reduction == "sum":
        return -terms.sum()
    return div_number(-terms.sum(), other=terms._data.size // classes)


def _uniform_part(log_probability, target, weight, ignore_index, reduction, dim):
    """What the loss would be for the uniform target, times the number of classes."""
    if weight is None:
        each = -log_probability.sum(dim)
    else:
        each = -(log_probability * _along(weight, log_probability._data.ndim, dim)).sum(dim)
    ignored = target == ignore_index
    each = each.masked_fill(ignored, 0)
    if reduction == "none":
        return each
    if reduction == "sum":
        return each.sum()
    if weight is None:
        return each.sum() / (~ignored).sum()
    counted = weight[target.masked_fill(ignored, 0)].masked_fill(ignored, 0)
    return each.sum() / counted.sum()


# --- probabilities -------------------------------------------------------------------------------

@primitive(name="binary_cross_entropy")
def _binary_cross_entropy(xp, input, target, weight=None, *, reduction):
    r"""$\ell = -w(y \ln x + (1 - y)\ln(1 - x))$, the logarithms not below -100."""
    least = input.dtype.type(-100)
    loss = ((target - 1) * xp.maximum(xp.log1p(-input), least)
            - target * xp.maximum(xp.log(input), least))
    return _reduced(loss if weight is None else loss * weight, reduction)


def _weigh(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


derivative(_binary_cross_entropy,
    input=lambda g, input, target, weight, input_shape, reduction: _weigh(
        _share(g, input_shape, reduction), weight) * (input - target) / (
            (1 - input) * input).clamp_min(1e-12),
    target=lambda g, input, weight, input_shape, reduction: _weigh(
        _share(g, input_shape, reduction), weight) * (
            (1 - input).log().clamp_min(-100) - input.log().clamp_min(-100)))


def binary_cross_entropy(input: Any, target: Any, weight: Any = None,
                         size_average: bool | None = None, reduce: bool | None = None,
                         reduction: str = "mean") -> Any:
    r"""$-(y \ln x + (1 - y)\ln(1 - x))$ for probabilities $x$."""
    reduction = _reduction(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Using a target size ({target.size()}) that is different to the input "
                         f"size ({input.size()}) is deprecated. Please ensure they have the same "
                         "size.")
    if weight is not None:
        weight = weight.expand(np.broadcast_shapes(target._data.shape, weight._data.shape))
    data = input._data
    if not ((data >= 0) & (data <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    if not ((target._data >= 0) & (target._data <= 1)).all():
        raise RuntimeError("all elements of target should be between 0 and 1")
    return _binary_cross_entropy(input, target, weight, reduction=reduction)


@primitive(name="binary_cross_entropy_with_logits", promote="default")
def _binary_cross_entropy_with_logits(xp, input, target, weight=None, pos_weight=None, *,
                                      reduction):
    r"""$\ell = w\,((1 - y)x + (1 + (p - 1)y)\ln(1 + e^{-x}))$, written so that nothing overflows."""
    softplus = xp.log1p(xp.exp(-xp.abs(input))) + xp.maximum(-input, input.dtype.type(0))
    if pos_weight is not None:
        softplus = softplus * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * input + softplus
    return _reduced(loss if weight is None else loss * weight, reduction)


def _logits_rule(g, input, target, weight, pos_weight, input_shape, reduction):
    if pos_weight is None:
        slope = input.sigmoid() - target
    else:
        positive = pos_weight * target
        slope = (positive + 1 - target) * input.sigmoid() - positive
    return slope * _weigh(_share(g, input_shape, reduction), weight)


def _logits_target_rule(g, input, weight, pos_weight, input_shape, reduction):
    if pos_weight is None:
        slope = -input
    else:
        slope = _log_sigmoid(-input) - pos_weight * _log_sigmoid(input)
    return slope * _weigh(_share(g, input_shape, reduction), weight)


def _log_sigmoid(input: Any) -> Any:
    from .activation import logsigmoid

    return logsigmoid(input)


derivative(_binary_cross_entropy_with_logits, input=_logits_rule, target=_logits_target_rule)


def binary_cross_entropy_with_logits(
        input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
        reduce: bool | None = None, reduction: str = "mean", pos_weight: Any = None) -> Any:
    r"""`binary_cross_entropy` of $\sigma(x)$; `pos_weight` weighs the positive class."""
    reduction = _reduction(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Target size ({target.size()}) must be the same as input size "
                         f"({input.size()})")
    return _binary_cross_entropy_with_logits(input, target, weight, pos_weight,
                                             reduction=reduction)


def kl_div(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Any:
    r"""$y(\ln y - x)$ for log probabilities $x$; "batchmean" sums and divides by the batch size."""
    batchmean = reduction == "batchmean"
    name = _reduction(size_average, reduce, "sum" if batchmean else reduction)
    if name == "mean":
        warnings.warn("reduction: 'mean' divides the total loss by both the batch size and the "
                      "support size.'batchmean' divides only by the batch size, and aligns with "
                      "the KL div math definition.'mean' will be changed to behave the same as "
                      "'batchmean' in the next major release.", stacklevel=2)
    if log_target:
        loss = target.exp() * (target - input)
    else:
        loss = xlogy(target, target) - target * input
    loss = _reduce(loss, name)
    return loss / input._data.shape[0] if batchmean and input._data.ndim else loss


def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8,
                     reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$e^x - yx$ for the logarithm $x$ of a rate; else $x - y\ln(x + \epsilon)$."""
    reduction = _reduction(size_average, reduce, reduction)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * add_number(input, other=eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduce(loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Any:
    r"""$\tfrac12(\ln v + (x - y)^2 / v)$ for the variance $v$, at least `eps`."""
    if not isinstance(var, TensorBase):
        var = input.new_full(input._data.shape, var)
    if var._data.shape != input._data.shape:
        if input._data.shape[:-1] == var._data.shape:
            var = var.unsqueeze(-1)
        elif input._data.shape[:-1] != var._data.shape[:-1] or var._data.shape[-1] != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if (var._data < 0).any():
        raise ValueError("var has negative entry/entries")
    var = wrap(var._data.clip(eps)) if not var.requires_grad else _clamped(var, eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    return _reduce(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _clamped(var: Any, eps: float) -> Any:
    """`var` at least `eps`, with the gradient of `var` everywhere."""
    result = var.clone()
    result.detach().copy_(var.detach().clamp(min=eps))
    return result


# --- margins and distances -----------------------------------------------------------------------

def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Any:
    r"""$\max(0, -y(a - b) + m)$."""
    reduction = _reduction(size_average, reduce, reduction)
    if not input1._data.ndim == input2._data.ndim == target._data.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} ")
    loss = add_number(-target * (input1 - input2), other=margin).clamp_min(0)
    return _reduce(loss, reduction)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0,
                         size_average: bool | None = None, reduce: bool | None = None,
                         reduction: str = "mean") -> Any:
    r"""$x$ where $y = 1$, $\max(0, m - x)$ where $y = -1$."""
    reduction = _reduction(size_average, reduce, reduction)
    zeros = input.detach().zeros_like()
    beyond = where(target != 1, (input.new_full((), margin) - input).clamp_min(0), zeros)
    within = where(target != -1, input, zeros)
    return _reduce(beyond + within, reduction)


@primitive(promote="default", name="soft_margin_loss")
def _soft_margin_loss(xp, input, target, *, reduction):
    r"""$\ell = \ln(1 + e^{-yx})$."""
    return _reduced(xp.log1p(xp.exp(-target * input)), reduction)


derivative(_soft_margin_loss, input=lambda g, input, target, input_shape, reduction: (
    -target * (-target * input).sigmoid() * _share(g, input_shape, reduction)))


def soft_margin_loss(input: Any, target: Any, size_average: bool | None = None,
                     reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$\ln(1 + e^{-yx})$ for $y = \pm 1$."""
    return _soft_margin_loss(input, target, reduction=_reduction(size_average, reduce, reduction))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6,
                      keepdim: bool = False) -> Any:
    r"""$\|a - b + \epsilon\|_p$ over the last dimension."""
    return norm_over(add_number(x1 - x2, other=eps), ord=p, dim=(-1,), keepdim=keepdim)


def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-6, swap: bool = False,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Any:
    r"""$\max(0, m + d(a, p) - d(a, n))$."""
    reduction = _reduction(size_average, reduce, reduction)
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return _reduce((add_number(near, other=margin) - far).clamp_min(0), reduction)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    r"""$a \cdot b / (\max(\|a\|, \epsilon)\max(\|b\|, \epsilon))$ along `dim`."""
    x1, x2 = broadcast_tensors(x1, x2) if x1._data.shape != x2._data.shape else (x1, x2)

    def unit(x: Any) -> Any:
        length = x.norm(2, dim, True).clone()
        length.detach().clamp_min_(eps)
        return x / length

    return (unit(x1) * unit(x2)).sum(dim)


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Any:
    r"""$1 - \cos(a, b)$ where $y = 1$, $\max(0, \cos(a, b) - m)$ where $y = -1$."""
    reduction = _reduction(size_average, reduce, reduction)
    eps, dim = 1e-12, target._data.ndim
    product = (input1 * input2).sum(dim)
    length1 = add_number((input1 * input1).sum(dim), other=eps)
    length2 = add_number((input2 * input2).sum(dim), other=eps)
    cosine = product / (length1 * length2).sqrt()
    zeros = cosine.detach().zeros_like()
    same = where(target == 1, zeros.ones_like() - cosine, zeros)
    other = where(target == -1, sub_number(cosine, other=margin).clamp_min(0), zeros)
    return _reduce(same + other, reduction)
