"""Losses. Each is one op where torch has one, and the same composite where torch has a composite.

A loss of one op reduces inside its kernel, and its gradient, a primitive of its own, gives each
element its share: 1/n of the incoming gradient with reduction "mean" (`share` in rules,
`shared` in kernels). Here are regression and classification; probability_loss.py and
margin_loss.py hold the others.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import mode
from ..dtypes import get_default_dtype
from ..primitive import derivative, primitive
from .arithmetic import add_number, div_number, mul_number
from .softmax import log_softmax

__all__ = ["cross_entropy", "huber_loss", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss"]

# --- reduction -----------------------------------------------------------------------------------


def reduction_name(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction's name, also from torch's two deprecated bools."""
    if size_average is not None or reduce is not None:
        mean = size_average is None or size_average
        reduction = "none" if reduce is False else "mean" if mean else "sum"
        warnings.warn("size_average and reduce args will be deprecated, please use "
                      f"reduction='{reduction}' instead.", stacklevel=3)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(value, reduction):
    """An array of losses, reduced."""
    if reduction == "none":
        return value
    total = value.sum()
    return total if reduction == "sum" else total / value.dtype.type(value.size)


def reduce_loss(loss: Any, reduction: str) -> Any:
    """A tensor of losses, reduced."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def share(g: Any, shape: tuple, reduction: str) -> Any:
    """The gradient that each element's loss gets."""
    return div_number(g, other=math.prod(shape)) if reduction == "mean" else g


def shared(g, array, reduction):
    """`share` of arrays: what the elements of `array` get of the gradient."""
    return g / g.dtype.type(array.size) if reduction == "mean" else g


def add_double(input: Any, number: float) -> Any:
    """`add_number` of a C++ double, which makes floats of integers."""
    if input._data.dtype.kind in "biu":
        input = input.to(get_default_dtype())
    return add_number(input, other=number)


def refuse_gradient(function: str, name: str, tensor: Any) -> None:
    """Some arguments of some losses have no derivative, and torch says so at once."""
    if tensor is not None and mode.grad is True and tensor.requires_grad:
        raise RuntimeError(f"The function '{function}' is not differentiable with respect to "
                           f"argument '{name}'. This input cannot have requires_grad True.")


# --- regression ----------------------------------------------------------------------------------

def _broadcast(input: Any, target: Any, weight: Any = None) -> tuple:
    """Both in their common shape; torch warns, because hardly anybody means this."""
    shape = input._data.shape
    if shape != target._data.shape:
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.", stacklevel=3)
        common = (input.detach() + target.detach())._data.shape  # raises where there is none
        input, target = (each if each._data.shape == common else each.expand(common)
                         for each in (input, target))
    if weight is not None and weight._data.shape != shape:
        raise ValueError("Weights and input must have the same size.")
    return input, target


@primitive(promote="default", name="mse_loss")
def _mse_loss(xp, input, target, *, reduction):
    r"""$\ell = (x - y)^2$, so $\bar x = 2\bar\ell\,(x - y)$."""
    if input.dtype.kind not in "fcV":
        raise NotImplementedError("\"mse_cpu\" not implemented for 'Long'")
    difference = input - target
    if reduction == "none" or xp is not np:
        return reduced(difference * difference, reduction)
    flat = difference.reshape(-1)
    total = np.dot(flat, flat)
    return total if reduction == "sum" else total / flat.dtype.type(flat.size)


@primitive(promote="default")
def mse_loss_backward(xp, grad_output, input, target, *, reduction):
    r"""$\bar x = 2\bar\ell\,(x - y)$."""
    g = shared(grad_output, input, reduction)
    return (input - target) * (g * g.dtype.type(2))


derivative(_mse_loss,
    input=lambda g, input, target, reduction: mse_loss_backward(
        g, input, target, reduction=reduction),
    target=lambda g, input, target, reduction: mse_loss_backward(
        g, target, input, reduction=reduction))


def _mse_curve(g, grad_output, input_shape, reduction):
    return share(mul_number(g * grad_output, other=2), input_shape, reduction)


derivative(mse_loss_backward,
    grad_output=lambda g, input, target, reduction: mse_loss_backward(
        g, input, target, reduction=reduction),
    input=_mse_curve,
    target=lambda g, grad_output, input_shape, reduction: -_mse_curve(
        g, grad_output, input_shape, reduction))


@autocasts
def mse_loss(input: Any, target: Any, size_average: bool | None = None,
             reduce: bool | None = None, reduction: str = "mean", weight: Any = None) -> Any:
    """$(x - y)^2$."""
    input, target = _broadcast(input, target, weight)
    reduction = reduction_name(size_average, reduce, reduction)
    if weight is None:
        return _mse_loss(input, target, reduction=reduction)
    return _weighted((input - target).pow(2) * weight, weight, reduction)


def _weighted(loss: Any, weight: Any, reduction: str) -> Any:
    """Weighted losses; "mean" divides by the sum of the weights."""
    if reduction == "mean":
        return loss.sum() / weight.sum()
    return reduce_loss(loss, reduction)


@autocasts
def l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Any = None) -> Any:
    """$|x - y|$."""
    input, target = _broadcast(input, target, weight)
    reduction = reduction_name(size_average, reduce, reduction)
    loss = (input - target).abs()
    return reduce_loss(loss, reduction) if weight is None else _weighted(
        loss * weight, weight, reduction)


@primitive(promote="default", name="smooth_l1_loss")
def _smooth_l1_loss(xp, input, target, *, reduction, beta):
    r"""$\ell = d^2/(2\beta)$ for $d = |x - y| < \beta$, else $d - \beta/2$; the slope is
    $(x - y)/\beta$ clamped to $[-1, 1]$."""
    d = xp.abs(input - target)
    beta = d.dtype.type(beta)
    return reduced(xp.where(d < beta, d * d * d.dtype.type(0.5) / beta,
                             d - d.dtype.type(0.5) * beta), reduction)


@primitive(promote="default")
def smooth_l1_loss_backward(xp, grad_output, input, target, *, reduction, beta):
    r"""$\bar x = \bar\ell\,\min(\max((x - y)/\beta, -1), 1)$."""
    slope = (input - target) / input.dtype.type(beta)
    return shared(grad_output, input, reduction) * xp.clip(slope, -1, 1)


derivative(_smooth_l1_loss,
    input=lambda g, input, target, reduction, beta: smooth_l1_loss_backward(
        g, input, target, reduction=reduction, beta=beta),
    target=lambda g, input, target, reduction, beta: smooth_l1_loss_backward(
        g, target, input, reduction=reduction, beta=beta))


def _smooth_l1_curve(g, grad_output, input, target, input_shape, reduction, beta):
    g = g * grad_output
    near = ((input - target).abs() < beta).type_as(g)
    return share(div_number(g * near, other=beta), input_shape, reduction)


derivative(smooth_l1_loss_backward,
    grad_output=lambda g, input, target, reduction, beta: smooth_l1_loss_backward(
        g, input, target, reduction=reduction, beta=beta),
    input=_smooth_l1_curve,
    target=lambda g, grad_output, input, target, input_shape, reduction, beta: -_smooth_l1_curve(
        g, grad_output, input, target, input_shape, reduction, beta))


@autocasts
def smooth_l1_loss(input: Any, target: Any, size_average: bool | None = None,
                   reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0) -> Any:
    r"""$d^2/2\beta$ for $d = |x - y| < \beta$, else $d - \beta/2$."""
    input, target = _broadcast(input, target)
    reduction = reduction_name(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return reduce_loss((input - target).abs(), reduction)
    return _smooth_l1_loss(input, target, reduction=reduction, beta=beta)


@primitive(promote="default", name="huber_loss", lies="input")
def _huber_loss(xp, input, target, *, reduction, delta):
    r"""$\ell = d^2/2$ for $d = |x - y| < \delta$, else $\delta(d - \delta/2)$; the slope is $x - y$
    clamped to $[-\delta, \delta]$."""
    d = xp.abs(input - target)
    delta = d.dtype.type(delta)
    half = d.dtype.type(0.5)
    return reduced(xp.where(d < delta, half * d * d, delta * (d - half * delta)), reduction)


@primitive(promote="default")
def huber_loss_backward(xp, grad_output, input, target, *, reduction, delta):
    r"""$\bar x = \bar\ell\,\min(\max(x - y, -\delta), \delta)$."""
    slope = input - target
    return shared(grad_output, input, reduction) * xp.clip(slope, -delta, delta)


derivative(_huber_loss,
    input=lambda g, input, target, reduction, delta: huber_loss_backward(
        g, input, target, reduction=reduction, delta=delta),
    target=lambda g, input, target, reduction, delta: huber_loss_backward(
        g, target, input, reduction=reduction, delta=delta))


def summed_over(backward: Any, g: Any, grad_output: Any, *inputs: Any, reduction: str,
                **values: Any) -> Any:
    """The derivative of a loss's backward in the incoming gradient: one number, if the loss was."""
    if reduction == "none":
        return backward(g, *inputs, reduction=reduction, **values)
    return (backward(grad_output.ones_like(), *inputs, reduction=reduction, **values) * g).sum()


def _huber_curve(g, grad_output, input, target, input_shape, reduction, delta):
    g = g * grad_output
    return share(g * ((input - target).abs() < delta), input_shape, reduction)


derivative(huber_loss_backward,
    grad_output=lambda g, grad_output, input, target, reduction, delta: summed_over(
        huber_loss_backward, g, grad_output, input, target, reduction=reduction, delta=delta),
    input=_huber_curve,
    target=lambda g, grad_output, input, target, input_shape, reduction, delta: -_huber_curve(
        g, grad_output, input, target, input_shape, reduction, delta))


@autocasts
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0,
               weight: Any = None) -> Any:
    r"""$d^2/2$ for $d = |x - y| < \delta$, else $\delta(d - \delta/2)$."""
    input, target = _broadcast(input, target, weight)
    reduction_name(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return _huber_loss(input, target, reduction=reduction, delta=delta)
    loss = _huber_loss(input, target, reduction="none", delta=delta)
    return reduce_loss(loss * weight, reduction)


# --- classes by number ---------------------------------------------------------------------------

def _nll_kernel(xp, input, target, weight=None, *, reduction, ignore_index):
    r"""$\ell_n = -w_{y_n} x_{n, y_n}$, so $\bar x_{n, y_n} = -w_{y_n} \bar\ell_n$ and all others
    are 0; $\ell_n$ is 0 where $y_n$ is ignored; "mean" divides by $\sum_n w_{y_n}$, which is the
    second result."""
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


def _nll_backward_kernel(xp, grad_output, input, target, weight, total_weight, *, reduction,
                         ignore_index):
    r"""$\bar x_{n, y_n} = -w_{y_n} \bar\ell_n$, all others 0: nothing is read of `input` but its
    shape."""
    shape = input.shape
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

    derivative(forward, input=lambda grads, input, target, weight, total_weight, reduction,
               ignore_index: backward(grads[0], input, target, weight, total_weight.detach(),
                                      reduction=reduction, ignore_index=ignore_index))
    derivative(backward,
        grad_output=lambda g, target, weight, reduction, ignore_index: forward(
            g, target, weight, reduction=reduction, ignore_index=ignore_index)[0],
        input=lambda g: g.zeros_like())
    return forward


_nll_loss = _nll_pair("nll_loss", "NllLossBackward0")
_nll_loss2d = _nll_pair("nll_loss2d", "NllLoss2DBackward0")


@autocasts
def nll_loss(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
             ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean") -> Any:
    """$-w_y x_y$ for log probabilities `input` (N, C, ...) and classes `target` (N, ...)."""
    reduction = reduction_name(size_average, reduce, reduction)
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
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(_wrong_weight(weight, classes) if len(shape) <= 2 else
                           "weight tensor should be defined either for all or no classes")
    refuse_gradient("nll_loss_forward" if len(shape) <= 2 else "nll_loss2d_forward", "weight",
                    weight)
    _check_classes(target, classes, ignore_index)
    options = {"reduction": reduction, "ignore_index": ignore_index}
    if len(shape) <= 2:
        return _nll_loss(input, target, weight, **options)[0]
    if len(shape) == 4:
        return _nll_loss2d(input, target, weight, **options)[0]
    loss = _nll_loss2d(input.contiguous().view(*shape[:2], 1, -1),
                       target.contiguous().view(shape[0], 1, -1), weight, **options)[0]
    return loss.view(shape[0], *shape[2:]) if reduction == "none" else loss


def _wrong_weight(weight: Any, classes: int) -> str:
    return (f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight._data.shape)}")


def _check_classes(target: Any, classes: int, ignore_index: int) -> None:
    data = target._data
    if target.dtype.name not in ("int64", "uint8"):
        raise RuntimeError("expected target dtype to be Long or Byte, but got "
                           f"{target.dtype.scalar_name}")
    if data.size and (int(data.min()) < 0 or int(data.max()) >= classes):
        wrong = data[((data < 0) | (data >= classes)) & (data != ignore_index)]
        if wrong.size:
            raise IndexError(f"Target {int(wrong.reshape(-1)[0])} is out of bounds.")


@autocasts
def cross_entropy(input: Any, target: Any, weight: Any = None, size_average: bool | None = None,
                  ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Any:
    r"""`nll_loss` of `log_softmax` for classes; for probabilities
    $-\sum_c p_c \ln\mathrm{softmax}(x)_c$.

    `label_smoothing` s mixes each target with the uniform distribution: (1 - s) of it, s of that.
    """
    reduction = reduction_name(size_average, reduce, reduction)
    if not input._data.ndim:
        raise IndexError("Dimension specified as 1 but tensor has no dimensions")
    dim = 0 if input._data.ndim == 1 else 1
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError("label_smoothing must be between 0.0 and 1.0. Got: "
                           f"{label_smoothing:g}")
    classes, log_probability = input._data.shape[dim], log_softmax(input, dim)
    if input._data.shape == target._data.shape:
        if not target.dtype.is_floating_point:
            raise RuntimeError("Expected floating point type for target with class probabilities, "
                               f"got {target.dtype.scalar_name}")
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        if weight is not None and weight._data.shape != (classes,):
            raise RuntimeError("cross_entropy: " + _wrong_weight(weight, classes))
        return _with_probabilities(log_probability, target, weight, reduction, label_smoothing,
                                   dim)
    loss = nll_loss(log_probability, target, weight, ignore_index=ignore_index,
                    reduction=reduction)
    if label_smoothing == 0:
        return loss
    uniform = _uniform_part(log_probability, target, weight, ignore_index, reduction, dim)
    return (mul_number(loss, other=1 - label_smoothing)
            + mul_number(uniform, other=label_smoothing / classes))


def _along(weight: Any, ndim: int, dim: int) -> Any:
    shape = [1] * ndim
    shape[dim] = weight._data.size
    return weight.view(shape)


def _with_probabilities(log_probability, target, weight, reduction, label_smoothing, dim):
    classes = log_probability._data.shape[dim]
    if label_smoothing > 0:
        target = add_number(mul_number(target, other=1 - label_smoothing),
                            other=label_smoothing / classes)
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
