"""Shuffles: channels dealt out to pixels, pixels gathered into channels, channels mixed."""

from __future__ import annotations

from typing import Any

from ..primitive import derivative, primitive

__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


@primitive(promote="exact", name="pixel_shuffle")
def _pixel_shuffle(xp, input, *, upscale_factor):
    """(*, C r r, H, W) to (*, C, H r, W r): each pixel's r r channels become a square of pixels."""
    *batch, channels, height, width = input.shape
    r = upscale_factor
    squares = input.reshape(*batch, channels // r ** 2, r, r, height, width)
    return xp.moveaxis(squares, (-4, -3), (-3, -1)).copy().reshape(
        *batch, channels // r ** 2, height * r, width * r)


@primitive(promote="exact", name="pixel_unshuffle")
def _pixel_unshuffle(xp, input, *, downscale_factor):
    """(*, C, H r, W r) to (*, C r r, H, W), the inverse; torch leaves an empty tensor as it is."""
    if not input.size:
        return input.copy()
    *batch, channels, height, width = input.shape
    r = downscale_factor
    squares = input.reshape(*batch, channels, height // r, r, width // r, r)
    return xp.moveaxis(squares, (-3, -1), (-4, -3)).copy().reshape(
        *batch, channels * r ** 2, height // r, width // r)


derivative(_pixel_shuffle, input=lambda g, upscale_factor: _pixel_unshuffle(
    g, downscale_factor=upscale_factor))
derivative(_pixel_unshuffle, input=lambda g, downscale_factor: _pixel_shuffle(
    g, upscale_factor=downscale_factor))


@primitive(promote="exact", name="channel_shuffle")
def _channel_shuffle(xp, input, *, groups):
    """Channels of g groups interleaved: 0, n/g, 2n/g, ..., 1, n/g + 1, ..."""
    batch, channels, *rest = input.shape
    dealt = input.reshape(batch, groups, channels // groups, *rest)
    return dealt.swapaxes(1, 2).copy().reshape(input.shape)


derivative(_channel_shuffle, input=lambda g, groups, input_shape: _channel_shuffle(
    g, groups=input_shape[1] // groups))


@primitive(promote="exact", name="native_channel_shuffle", node_name="NotImplemented")
def _native_channel_shuffle(xp, input, *, groups):
    return _channel_shuffle.op.kernel(xp, input, groups=groups)


def _no_derivative(g):
    raise RuntimeError("derivative for aten::native_channel_shuffle is not implemented")


derivative(_native_channel_shuffle, input=_no_derivative)


def _check_pixels(name: str, input: Any, factor: int, which: str) -> None:
    if input._data.ndim < 3:
        raise RuntimeError(f"{name} expects input to have at least 3 dimensions, but got input with"
                           f" {input._data.ndim} dimension(s)")
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {which}, but got {factor}")


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(*, C r r, H, W) to (*, C, H r, W r): a finer image out of more channels."""
    _check_pixels("pixel_shuffle", input, upscale_factor, "upscale_factor")
    channels = input._data.shape[-3]
    if channels % upscale_factor ** 2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by "
            f"{upscale_factor ** 2}")
    return _pixel_shuffle(input, upscale_factor=upscale_factor)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(*, C, H r, W r) to (*, C r r, H, W): the inverse of `pixel_shuffle`."""
    _check_pixels("pixel_unshuffle", input, downscale_factor, "downscale_factor")
    for dim, what in ((-2, "height"), (-1, "width")):
        size = input._data.shape[dim]
        if size % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({dim})={size} is not divisible by {downscale_factor}")
    return _pixel_unshuffle(input, downscale_factor=downscale_factor)


def _check_groups(input: Any, groups: int) -> None:
    shape = input._data.shape
    if len(shape) <= 2:
        raise RuntimeError("channel_shuffle expects input with > 2 dims, but got input with sizes "
                           f"{list(shape)}")
    if groups <= 0:
        raise RuntimeError("Number of groups to divide channels in must be positive. Value of "
                           f"groups:{groups}")
    if shape[1] % groups:
        raise RuntimeError("Number of channels must be divisible by groups. Got "
                           f"{shape[1]} channels and {groups} groups.")


def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels of `groups` groups interleaved, so that the next grouped layer mixes them."""
    _check_groups(input, groups)
    return _channel_shuffle(input, groups=groups)


def native_channel_shuffle(input: Any, groups: int) -> Any:
    """`channel_shuffle` as torch's own kernel does it: without a derivative."""
    _check_groups(input, groups)
    return _native_channel_shuffle(input, groups=groups)
