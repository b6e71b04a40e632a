"""Normalisation of channels: over the batch, or over each sample. norm.py has the shared parts."""

from __future__ import annotations

import math
from typing import Any

from ..core import wrap
from ..primitive import joint_derivative, primitive
from ..strides import as_images_lie
from .norm import (
    check_dtypes,
    composed_gradients,
    fits_closed_form,
    second_gradients,
    standardised,
    wanted,
)
from .softmax import dots_along, row_sums

__all__ = ["batch_norm", "instance_norm"]

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
    return as_images_lie(xp, result, input), mean, rstd, variance


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
def _batch_norm_backward(xp, grad_output, input, weight, mean, rstd, *, training, eps,
                         output_mask):
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
    g = grads[0]
    if fits_closed_form(input, weight) and rstd._data.dtype is input._data.dtype:
        if not training:
            mean = running_mean.to(input.dtype)
        return wanted(needs, _batch_norm_backward(
            g, input, weight, mean.detach(), rstd.detach(), training=training, eps=eps,
            output_mask=needs))
    axes, along = _channels(input)
    if training:
        x_hat, scale = standardised(input, axes, eps)
    else:
        scale = running_var.add(eps).rsqrt().view(along)
        x_hat = (input - running_mean.view(along)) * scale
    gw = g if weight is None else g * weight.view(along)
    dx, dw, _ = composed_gradients(g, gw, x_hat, scale, axes, needs)
    if dx is not None and not training:
        dx = gw * scale
    return [dx, None if dw is None else dw.sum(axes), g.sum(axes) if needs[2] else None]


def _channels(input: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All dimensions but that of the channels, and the shape of a number per channel."""
    ndim = input._data.ndim
    return tuple([d for d in range(ndim) if d != 1]), (-1, *[1] * (ndim - 2))


def _batch_norm_second(grads, grad_output, input, weight, mean, rstd, training, eps, output_mask):
    axes, along = _channels(input)
    if training:
        x_hat, scale = standardised(input, axes, eps)
    else:
        scale = rstd.view(along)
        x_hat = (input - mean.view(along)) * scale
    u, v, t = wanted(output_mask, grads)
    v, t, wide = (None if each is None else each.view(along) for each in (v, t, weight))
    by_g, by_x, by_w = second_gradients((u, v, t), grad_output, wide, x_hat, scale, axes,
                                        constant=not training)
    return [by_g, by_x, None if by_w is None else by_w.sum(axes), None, None]


joint_derivative(_batch_norm, ("input", "weight", "bias"), _batch_norm_rule)
joint_derivative(_batch_norm_backward, ("grad_output", "input", "weight", "mean", "rstd"),
                 _batch_norm_second)


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
    check_dtypes("batch_norm", input)  # before the parameters' dtypes, only here
    check_dtypes("batch_norm", input, weight, bias, running_mean, running_var)
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
