"""Convolution of sequences that lie as (time, batch, channels)."""

from __future__ import annotations

from typing import Any

from ..autocast_rules import autocasts
from ..primitive import joint_derivative, primitive
from .convolution import conv_transpose1d
from .joining import stack
from .padding import constant_pad_nd

__all__ = ["conv_tbc"]


@primitive(name="conv_tbc")
def _conv_tbc(xp, input, weight, bias, *, pad):
    r"""$y_t = b + \sum_k x_{t + k - p}\,w_k$: a product for each place of the kernel."""
    time, batch, channels = input.shape
    if pad < 0:  # the ends are left out
        padded = input[-pad:time + pad]
    else:
        padded = xp.zeros((time + 2 * pad, batch, channels), input.dtype)
        padded[pad:pad + time] = input
    count = len(padded) - len(weight) + 1
    result = xp.empty((count, batch, weight.shape[2]), input.dtype)
    result[...] = bias
    for k, matrix in enumerate(weight):
        result += padded[k:k + count] @ matrix
    return result


def _rule(g, input, weight, pad, needs):
    r"""$\bar x$ is a transposed convolution, and $\bar w_k = \sum_t x_{t + k - p}^\mathsf{T}
    \bar y_t$."""
    dx = dw = db = None
    if needs[0]:
        dx = conv_transpose1d(g.permute(1, 2, 0), weight.permute(2, 1, 0), padding=max(pad, 0))
        dx = dx.permute(2, 0, 1)
        if pad < 0:
            dx = constant_pad_nd(dx, (0, 0, 0, 0, -pad, -pad))
    if needs[1]:
        padded = constant_pad_nd(input, (0, 0, 0, 0, pad, pad))
        flat = g.flatten(0, 1)
        dw = stack([padded.narrow(0, k, len(g)).flatten(0, 1).t().mm(flat)
                    for k in range(len(weight))])
    if needs[2]:
        db = g.sum((0, 1))
    return dx, dw, db


joint_derivative(_conv_tbc, ("input", "weight", "bias"), _rule)


@autocasts
def conv_tbc(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """The convolution of sequences (time, batch, channels) with a kernel (width, channels in,
    channels out), `pad` zeros before and after."""
    if input._data.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight._data.ndim != 3:
        raise RuntimeError("Weight tensor must have 3 dims: kernel_width, in_channels, "
                           "out_channels.")
    if bias._data.ndim != 1:
        raise RuntimeError("Bias must be 1-D")
    (time, _, channels), (width, into, out) = input._data.shape, weight._data.shape
    if channels != into:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if bias._data.shape != (out,):
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    count = time + 2 * pad - width + 1
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: "
                           f"[{count}, {input._data.shape[1]}, {out}]")
    if input._data.dtype is not weight._data.dtype:
        raise RuntimeError("self and mat2 must have the same dtype, but got "
                           f"{input.dtype.scalar_name} and {weight.dtype.scalar_name}")
    return _conv_tbc(input, weight, bias, pad=pad)
