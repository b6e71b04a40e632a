"""Normalisation: layer, batch, group, instance, root mean square.

Note [Fused once, composed twice]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The first derivative of a normalisation has a short closed form that touches each big array a few
times only, so it is computed on arrays. Whoever wants the second derivative (backward with
create_graph=True) gets the same first derivative from Tensor ops on the input instead, which the
engine can differentiate like anything else.
"""

from __future__ import annotations

import math
from typing import Any

from ..autocast_rules import autocasts
from ..core import mode, wrap
from ..device import array_module
from ..out import takes_out
from ..primitive import joint_derivative, primitive
from ..type_info import finfo
from .arithmetic import add_number
from .softmax import dots_along, row_sums
from .vector_norm import (
    vector_norm,
)

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "normalize", "rms_norm"]

# --- rows: mean 0 and variance 1 in each ---------------------------------------------------------


def _normalised_rows(xp, rows, eps):
    """(x - mean) / std for each row; mean and 1/std as columns."""
    number = rows.dtype.type
    count = number(rows.shape[-1])
    mean = row_sums(xp, rows) / count
    result = rows - mean
    rstd = 1 / xp.sqrt(dots_along(xp, result, result, 1) / count + number(eps))
    result *= rstd
    return result, mean, rstd


def _rows_gradient(xp, g, rows, mean, rstd):
    r"""The gradient of `_normalised_rows`: with $\hat x$ the result and n columns,
    $\bar x = (\bar y - \tfrac1n\sum\bar y - \tfrac1n\hat x\sum\bar y\hat x)/\sigma$, arranged so
    that only three passes write. Overwrites `g`."""
    count = g.dtype.type(g.shape[-1])
    total, dot = row_sums(xp, g), dots_along(xp, g, rows, 1)
    slope = (total * mean - dot) * rstd ** 3 / count
    g *= rstd
    g += rows * slope
    g -= slope * mean + total * rstd / count
    return g


# --- layer_norm ----------------------------------------------------------------------------------

@primitive(name="native_layer_norm", outputs=("result", "mean", "rstd"))
def _layer_norm(xp, input, weight=None, bias=None, *, axes, eps):
    r"""$y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\,w + b$ over the last `axes` dimensions."""
    shape = input.shape
    rows = input.reshape(-1, math.prod(shape[len(shape) - axes:]))
    result, mean, rstd = _normalised_rows(xp, xp.ascontiguousarray(rows), eps)
    if weight is not None:
        result *= weight.reshape(-1)
    if bias is not None:
        result += bias.reshape(-1)
    lead = (*shape[:len(shape) - axes], *[1] * axes)
    return result.reshape(shape), mean.reshape(lead), rstd.reshape(lead)


def _layer_norm_rule(grads, input, weight, mean, rstd, bias_shape, axes, eps, needs):
    g = grads[0]
    if mode.grad:
        dims = tuple(range(-axes, 0))
        centred = input - input.mean(dims, True)
        scale = (centred * centred).mean(dims, True).add(eps).rsqrt()
        x_hat = centred * scale
        gw = g if weight is None else g * weight
        return _composed(g, gw, x_hat, scale, dims, dims, needs)
    xp = array_module(g._data)
    width = math.prod(input._data.shape[input._data.ndim - axes:])
    rows = xp.ascontiguousarray(input._data.reshape(-1, width))
    flat = g._data.reshape(-1, width)
    mean, rstd = mean._data.reshape(-1, 1), rstd._data.reshape(-1, 1)
    dx = dw = db = None
    if needs[1]:
        dw = (rstd.T @ (flat * rows) - (rstd * mean).T @ flat).reshape(weight._data.shape)
    if needs[2]:
        db = (xp.ones((1, len(flat)), flat.dtype) @ flat).reshape(bias_shape)
    if needs[0]:
        gw = flat.copy() if weight is None else flat * weight._data.reshape(-1)
        dx = _rows_gradient(xp, gw, rows, mean, rstd).reshape(input._data.shape)
    return [None if each is None else wrap(each) for each in (dx, dw, db)]


def _composed(g, gw, x_hat, scale, dims, outside, needs):
    r"""The gradients of $y = \hat x w + b$ in Tensor ops: those of x, w and b.

    `dims` are the dimensions that mean and variance go over; those of `outside` are the rest's
    complement: the engine sums w's and b's gradients to their shapes.
    """
    dx = scale * (gw - gw.mean(dims, True) - x_hat * (gw * x_hat).mean(dims, True))
    return [dx if needs[0] else None, g * x_hat if needs[1] else None, g if needs[2] else None]


joint_derivative(_layer_norm, ("input", "weight", "bias"), _layer_norm_rule)


@autocasts
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None,
               eps: float = 1e-5, cudnn_enable: bool = True) -> Any:
    """Mean 0 and variance 1 over the last dimensions, whose sizes are `normalized_shape`."""
    shape = _checked_shape("layer_norm", input, normalized_shape, "[*, {}]")
    _check_parameters(shape, weight=weight, bias=bias)
    _check_dtypes("LayerNormKernelImpl", input, weight, bias)
    return _layer_norm(input, weight, bias, axes=len(shape), eps=eps)[0]


def _checked_shape(name: str, input: Any, normalized_shape: Any, words: str) -> tuple:
    if isinstance(normalized_shape, int):
        raise TypeError(f"{name}(): argument 'normalized_shape' (position 2) must be tuple of "
                        "ints, not int")
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional, i.e., "
                           "containing at least one element, but got normalized_shape = []")
    own = input._data.shape
    if own[len(own) - len(shape):] != shape:
        sizes = words.format(", ".join(map(str, shape)))
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape "
                           f"{sizes}, but got input of size{list(own)}")
    return shape


def _check_parameters(shape: tuple, **parameters: Any) -> None:
    for name, tensor in parameters.items():
        if tensor is not None and tensor._data.shape != shape:
            raise RuntimeError(f"Expected {name} to be of same shape as normalized_shape, but got "
                               f"{name} of shape {list(tensor._data.shape)} and normalized_shape ="
                               f" {list(shape)}")


def _check_dtypes(kernel: str, input: Any, *parameters: Any) -> None:
    """All of one dtype, or a 16-bit input with float32 parameters."""
    own = input.dtype
    found = [each.dtype for each in parameters if each is not None]
    if found and found[0] is not own:
        if any(dtype.name != "float32" for dtype in found):
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        if own.name not in ("float16", "bfloat16"):
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    elif not own.is_floating_point:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{own.scalar_name}'")
    else:
        for dtype in found:
            if dtype is not own:
                raise RuntimeError(f"expected scalar type {own.scalar_name} but found "
                                   f"{dtype.scalar_name}")


@autocasts
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None,
             eps: float | None = None) -> Any:
    r"""$y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}\,w$ over the last dimensions."""
    shape = _checked_shape("rms_norm", input, normalized_shape, "[*{}]")
    _check_parameters(shape, weight=weight)
    if input._data.dtype.kind in "biu":
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{input.dtype.scalar_name}'")
    dims = tuple(range(-len(shape), 0))
    wide = input.float() if input._data.dtype.itemsize == 2 else input
    eps = finfo(input.dtype).eps if eps is None else eps
    result = wide * add_number(wide.pow(2).mean(dims, True), other=eps).rsqrt()
    result = result if weight is None else result * weight
    return result.to(input.dtype)


# --- group_norm ----------------------------------------------------------------------------------

@primitive(name="native_group_norm", outputs=("result", "mean", "rstd"))
def _group_norm(xp, input, weight=None, bias=None, *, groups, eps):
    r"""`layer_norm` of each group of channels; w and b have one number per channel."""
    rows = input.reshape(input.shape[0] * groups, math.prod(input.shape[1:]) // groups)
    result, mean, rstd = _normalised_rows(xp, xp.ascontiguousarray(rows), eps)
    result = result.reshape(input.shape)
    along = (input.shape[1], *[1] * (input.ndim - 2))
    if weight is not None:
        result *= weight.reshape(along)
    if bias is not None:
        result += bias.reshape(along)
    return result, mean.reshape(input.shape[0], groups), rstd.reshape(input.shape[0], groups)


@primitive(name="native_group_norm_backward", outputs=("grad_input", "grad_weight", "grad_bias"))
def _group_norm_backward(xp, grad_output, input, weight, mean, rstd, *, groups, output_mask):
    r"""With $s_c = \sum \bar y x$ and $b_c = \sum \bar y$ of each sample's channel all else is
    small: $\bar x$ is $\bar y$ and $x$, each times a number for its channel or group, plus one."""
    batch, channels = input.shape[:2]
    number = input.dtype.type
    rows = (batch, groups, channels // groups, math.prod(input.shape[2:]))
    g, x = (xp.ascontiguousarray(each).reshape(rows) for each in (grad_output, input))
    dots, sums = dots_along(xp, g, x, 3), row_sums(xp, g)
    mean, rstd = mean.reshape(batch, groups, 1, 1), rstd.reshape(batch, groups, 1, 1)
    dx = dw = db = xp.zeros(0, input.dtype)
    if output_mask[1]:
        dw = ((dots - sums * mean) * rstd).sum(axis=0).reshape(channels)
    if output_mask[2]:
        db = sums.sum(axis=0).reshape(channels)
    if output_mask[0]:
        slope = rstd
        if weight is not None:
            weight = weight.reshape(1, *rows[1:3], 1)
            slope = rstd * weight
            dots, sums = dots * weight, sums * weight
        count = number(rows[2] * rows[3])
        dots, sums = dots.sum(axis=2, keepdims=True), sums.sum(axis=2, keepdims=True)
        curve = (sums * mean - dots) * rstd ** 3 / count
        dx = g * slope
        dx += x * curve
        dx -= curve * mean + sums * rstd / count
        dx = dx.reshape(input.shape)
    return dx, dw, db


def _group_norm_rule(grads, input, weight, mean, rstd, groups, eps, needs):
    g, shape = grads[0], input._data.shape
    if _fused(input, weight):
        return _wanted(needs, _group_norm_backward(
            g, input, weight, mean, rstd, groups=groups, output_mask=needs))
    along = (shape[1], *[1] * (len(shape) - 2))
    rows = input.reshape(shape[0], groups, math.prod(shape[1:]) // groups)
    centred = rows - rows.mean(-1, True)
    scale = (centred * centred).mean(-1, True).add(eps).rsqrt()
    x_hat = centred * scale
    gw = (g if weight is None else g * weight.view(along)).reshape(rows.shape)
    others = [d for d in range(len(shape)) if d != 1]
    dx, dw, _ = _composed(g.reshape(rows.shape), gw, x_hat, scale, (-1,), (), needs)
    return [None if dx is None else dx.reshape(shape),
            None if dw is None else dw.reshape(shape).sum(others),
            g.sum(others) if needs[2] else None]


def _fused(input, weight):
    """Whether the closed form will do: nobody differentiates it, and one dtype holds all of it."""
    return not mode.grad and (weight is None or weight._data.dtype is input._data.dtype)


def _wanted(needs, gradients):
    return [gradient if need else None for need, gradient in zip(needs, gradients, strict=True)]


joint_derivative(_group_norm, ("input", "weight", "bias"), _group_norm_rule)


@autocasts
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None,
               eps: float = 1e-5) -> Any:
    """Mean 0 and variance 1 in each of `num_groups` groups of channels (dimension 1)."""
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received "
                           f"{len(shape)}")
    values = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if values[0] * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size "
                         f"{values}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={num_groups}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor._data.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(tensor._data.shape)} and input of shape "
                f"{list(shape)}")
    _check_dtypes("GroupNormKernelImpl", input, weight, bias)
    return _group_norm(input, weight, bias, groups=num_groups, eps=eps)[0]


# --- batch_norm ----------------------------------------------------------------------------------

@primitive(name="native_batch_norm", outputs=("result", "mean", "rstd", "variance"))
def _batch_norm(xp, input, weight=None, bias=None, running_mean=None, running_var=None, *,
                training, eps):
    r"""$y = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}\,w_c + b_c$ for each channel c, with the
    batch's own mean and variance in training, else the running ones."""
    along = (-1, *[1] * (input.ndim - 2))
    mean, variance = _moments(xp, input) if training else (running_mean, running_var)
    rstd = (1 / xp.sqrt(variance + variance.dtype.type(eps))).astype(input.dtype, copy=False)
    slope = rstd if weight is None else rstd * weight
    offset = -mean * slope if bias is None else bias - mean * slope
    result = input * slope.reshape(along)
    result += offset.reshape(along)
    return result, mean, rstd, variance


_EXACT = 1 << 14  # up to so many elements sums in float64, which torch always takes, cost nothing


def _moments(xp, input):
    """Mean and variance of each channel."""
    images = input.astype("d") if input.size <= _EXACT and input.dtype.char == "f" else input
    images = _as_images(xp, images)
    count = input.dtype.type(input.size // input.shape[1])
    mean = _channel_sums(xp, images) / count
    centred = images - mean[:, None]
    variance = _channel_dots(xp, centred, centred) / count
    return mean.astype(input.dtype, copy=False), variance.astype(input.dtype, copy=False)


def _as_images(xp, array):
    """(N, C, positions)."""
    return xp.ascontiguousarray(array).reshape(*array.shape[:2], math.prod(array.shape[2:]))


def _channel_sums(xp, images):
    """The sum of each channel over all samples and positions."""
    if images.shape[2] == 1:  # a product with ones is BLAS's work
        return xp.ones(len(images), images.dtype) @ images[:, :, 0]
    return row_sums(xp, images).sum(axis=0)[:, 0]


def _channel_dots(xp, a, b):
    """The sum of a b of each channel."""
    if a.shape[2] == 1:
        return _channel_sums(xp, a * b)
    return dots_along(xp, a, b, 2).sum(axis=0)[:, 0]


@primitive(name="native_batch_norm_backward", outputs=("grad_input", "grad_weight", "grad_bias"))
def _batch_norm_backward(xp, grad_output, input, weight, mean, rstd, *, training, output_mask):
    r"""$\bar x = \frac w\sigma(\bar y - \tfrac1n\sum\bar y - \tfrac1n\hat x\sum\bar y\hat x)$ for
    each channel; in evaluation only its first term."""
    g, x = _as_images(xp, grad_output), _as_images(xp, input)
    slope = (rstd if weight is None else rstd * weight)[:, None]
    dx = dw = db = xp.zeros(0, input.dtype)
    sums = _channel_sums(xp, g)
    if output_mask[2]:
        db = sums
    if output_mask[1] or training:
        dx = x - mean[:, None]
        dots = _channel_dots(xp, g, dx)
        dw = dots * rstd
    if output_mask[0] and training:
        count = input.dtype.type(input.size // input.shape[1])
        dx *= slope * (-dots * rstd * rstd / count)[:, None]
        dx -= slope * (sums / count)[:, None]
        dx += g * slope
    elif output_mask[0]:
        dx = g * slope
    return dx.reshape(input.shape) if output_mask[0] else dx, dw, db


def _batch_norm_rule(grads, input, weight, running_mean, running_var, mean, rstd, training, eps,
                     needs):
    g, ndim = grads[0], input._data.ndim
    axes, along = tuple([d for d in range(ndim) if d != 1]), (-1, *[1] * (ndim - 2))
    if _fused(input, weight) and rstd._data.dtype is input._data.dtype:
        if not training:
            mean = running_mean.to(input.dtype)
        return _wanted(needs, _batch_norm_backward(
            g, input, weight, mean, rstd, training=training, output_mask=needs))
    if training:
        centred = input - input.mean(axes, True)
        scale = (centred * centred).mean(axes, True).add(eps).rsqrt()
    else:
        centred = input - running_mean.view(along)
        scale = running_var.add(eps).rsqrt().view(along)
    x_hat = centred * scale
    gw = g if weight is None else g * weight.view(along)
    dx, dw, _ = _composed(g, gw, x_hat, scale, axes, (), needs)
    if dx is not None and not training:
        dx = gw * scale
    return [dx, None if dw is None else dw.sum(axes), g.sum(axes) if needs[2] else None]


joint_derivative(_batch_norm, ("input", "weight", "bias"), _batch_norm_rule)


def batch_norm(input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
               bias: Any = None, training: bool = False, momentum: float = 0.1,
               eps: float = 1e-5) -> Any:
    """Mean 0 and variance 1 for each channel (dimension 1) over all else.

    In training the running statistics move towards the batch's by `momentum`, in place.
    """
    shape = input._data.shape
    count = math.prod((*shape[:1], *shape[2:]))
    if training and count == 1:
        raise ValueError("Expected more than 1 value per channel when training, got input size "
                         f"{input.size()}")
    if eps < 0 or training and eps == 0:
        least, when = ("positive", " during training") if training else ("non-negative", "")
        raise ValueError(f"batch_norm eps must be {least}{when}, but got {eps}")
    if not input._data.size:
        result = input.clone()
        result = result if weight is None else result * weight[0]
        return result if bias is None else result + bias[0]
    if len(shape) < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    for name, tensor in (("running_mean", running_mean), ("running_var", running_var),
                         ("weight", weight), ("bias", bias)):
        if tensor is None:
            if name.startswith("running") and not training:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
        elif tensor._data.size != shape[1]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not "
                               f"{tensor._data.size}")
    _check_dtypes("batch_norm", input)  # before the parameters' dtypes, only here
    _check_dtypes("batch_norm", input, weight, bias, running_mean, running_var)
    running = (None, None) if training else (running_mean, running_var)
    result, mean, _, variance = _batch_norm(input, weight, bias, *running, training=training,
                                            eps=eps)
    if training and running_mean is not None:
        _move_towards(running_mean, mean._data, momentum)
        _move_towards(running_var, variance._data * (count / (count - 1)), momentum)
    return result


def _move_towards(running: Any, found: Any, momentum: float) -> None:
    running = running.detach()
    running.copy_(running * (1 - momentum) + wrap(found * found.dtype.type(momentum)))


def instance_norm(input: Any, running_mean: Any = None, running_var: Any = None,
                  weight: Any = None, bias: Any = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-5) -> Any:
    """`batch_norm` of each sample on its own: the samples' channels become channels of one."""
    batch, channels, *rest = input._data.shape
    if use_input_stats and math.prod(rest) == 1:
        raise ValueError("Expected more than 1 spatial element when training, got input size "
                         f"{input.size()}")
    means, variances, weights, biases = (
        None if each is None else each.repeat(batch)
        for each in (running_mean, running_var, weight, bias))
    result = batch_norm(input.contiguous().view(1, batch * channels, *rest), means, variances,
                        weights, biases, use_input_stats, momentum, eps)
    each: Any
    for running, each in ((running_mean, means), (running_var, variances)):
        if running is not None and use_input_stats:
            running.detach().copy_(each.view(batch, channels).mean(0))
    return result.view(input._data.shape)


@takes_out(casts=True)
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12,
              out: Any = None) -> Any:
    r"""$x / \max(\|x\|_p, \epsilon)$ along `dim`."""
    return input / vector_norm(input, p, dim, True).clamp_min(eps).expand_as(input)
