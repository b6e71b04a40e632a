"""Normalisation by neighbouring channels, and the older form of it."""

from __future__ import annotations

from typing import Any

from ..primitive import derivative, primitive
from .avg_pooling import avg_pool2d, avg_pool3d
from .padding import pad

__all__ = ["cross_map_lrn2d", "local_response_norm"]


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75,
                        k: float = 1.0) -> Any:
    r"""$x_c \,(k + \frac{\alpha}{n}\sum_{c'} x_{c'}^2)^{-\beta}$ over n = `size` neighbouring
    channels: an average pooling along the channels."""
    shape = input._data.shape
    if len(shape) < 3:
        raise ValueError("Expected 3D or higher dimensionality                          input "
                         f"(got {len(shape)} dimensions)")
    if not input._data.size:
        return input
    square = input.mul(input)
    ends = (size // 2, (size - 1) // 2)
    if len(shape) == 3:
        padded = pad(square.unsqueeze(1), (0, 0, *ends))
        mean = avg_pool2d(padded, (size, 1), stride=1).squeeze(1)
    else:
        padded = pad(square.view(shape[0], 1, *shape[1:3], -1), (0, 0, 0, 0, *ends))
        mean = avg_pool3d(padded, (size, 1, 1), stride=1).squeeze(1).view(shape)
    return input / mean.mul(alpha).add(k).pow(beta)


# Note [The old form's neighbours]
# torch's CrossMapLRN2d is a line-by-line translation of Lua, and the indices, which began at 1
# there, were not all moved. Forward, channel 0 stays in the sum for good; backward, the neighbours
# are those one place lower. So the "gradient" is not the derivative, in torch as here.

def _near(xp, channels, size):
    """(C, C): which channels are summed for each."""
    reach = int((size - 1) / 2 + 1)
    place = xp.arange(channels)
    ahead = place[None, :] - place[:, None]
    return (ahead < reach) & ((ahead > -reach) | (place[None, :] == 0))


def _near_backward(xp, channels, size):
    first = int(size - (size - 1) / 2)
    place = xp.arange(channels)
    ahead = place[None, :] - place[:, None]
    return (ahead >= -first) & (ahead < size - first)


def _summed(xp, near, images):
    """For each channel, the sum over its neighbours: one matrix product."""
    batch, channels = images.shape[:2]
    rows = images.reshape(batch, channels, -1)
    return xp.matmul(near.astype(images.dtype), rows).reshape(images.shape)


def _scale(xp, input, size, alpha, k):
    squares = _summed(xp, _near(xp, input.shape[1], size), input * input)
    squares *= input.dtype.type(alpha / size)
    squares += input.dtype.type(k)
    return squares


@primitive(node_name="CrossMapLRN2dBackward")
def _cross_map_lrn2d(xp, input, *, size, alpha, beta, k):
    r"""$y_c = x_c s_c^{-\beta}$ with $s_c = k + \frac\alpha n \sum_{c'} x_{c'}^2$."""
    return input * _scale(xp, input, size, alpha, k) ** input.dtype.type(-beta)


@primitive
def cross_map_lrn2d_backward(xp, grad_output, input, *, size, alpha, beta, k):
    r"""$\bar x_c = \bar y_c s_c^{-\beta} - \frac{2\alpha\beta}{n} x_c \sum_{c'} \bar y_{c'}
    y_{c'} / s_{c'}$, with neighbours of its own (Note [The old form's neighbours])."""
    scale = _scale(xp, input, size, alpha, k)
    power = scale ** input.dtype.type(-beta)
    ratio = grad_output * input * power / scale
    near = _summed(xp, _near_backward(xp, input.shape[1], size), ratio)
    return grad_output * power - input.dtype.type(2 * alpha * beta / size) * input * near


derivative(_cross_map_lrn2d, input=lambda g, input, size, alpha, beta, k: cross_map_lrn2d_backward(
    g, input, size=size, alpha=alpha, beta=beta, k=k))


def cross_map_lrn2d(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1
                    ) -> Any:
    """`local_response_norm` as it came from Lua, for (N, C, H, W)."""
    if input.dim() != 4:
        raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
    return _cross_map_lrn2d(input, size=size, alpha=alpha, beta=beta, k=k)
