"""Padding: more (or fewer) elements at the ends of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import wrap
from ..device import move
from ..primitive import derivative, primitive

__all__ = ["constant_pad_nd", "pad"]


@primitive(promote="exact", name="constant_pad_nd")
def _constant_pad(xp, input, *, widths, value):
    """Ends of `value`; a negative width cuts off. It is its own transpose, with -widths."""
    shape = tuple(size + before + after
                  for size, (before, after) in zip(input.shape, widths, strict=True))
    output = xp.full(shape, value, input.dtype)
    target, source = [], []
    for size, new, (before, _) in zip(input.shape, shape, widths, strict=True):
        target.append(slice(max(before, 0), min(before + size, new)))
        source.append(slice(max(-before, 0), min(size, new - before)))
    output[tuple(target)] = input[tuple(source)]
    return output


derivative(_constant_pad, input=lambda g, widths: _constant_pad(
    g, widths=tuple((-before, -after) for before, after in widths), value=0))


def constant_pad_nd(input: Any, pad: Sequence[int], value: float = 0) -> Any:
    """Pad with `value`: `pad` has (before, after) of the last dimension, of the one before, ..."""
    shape = tuple(input._data.shape)
    _check_pad(pad, len(shape))
    widths = _widths(pad, len(shape))
    for dim, (size, (before, after)) in enumerate(zip(shape, widths, strict=True)):
        if min(before, 0) + min(after, 0) + size < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if size + before + after < 0:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after} resulted in a "
                f"negative output size, which is invalid. Check dimension {dim} of your input.")
    return _constant_pad(input, widths=widths, value=0 if value is None else value)


def _check_pad(pad: Sequence[int], ndim: int) -> None:
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) // 2 > ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {ndim}")


def _widths(pad: Sequence[int], ndim: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each dimension, first dimension first."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return ((0, 0),) * (ndim - len(pairs)) + tuple(pairs)


def _reflected(places: np.ndarray, size: int) -> np.ndarray:
    return size - 1 - np.abs(size - 1 - np.abs(places))


# From a place outside of 0 ... size - 1 to the place inside whose element stands there.
_SOURCES = {
    "reflect": _reflected,
    "replicate": lambda places, size: np.clip(places, 0, size - 1),
    "circular": lambda places, size: places % size,
}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Pad the last dimensions: with `value`, with their mirror image, their ends, or around.

    `pad` has (before, after) of the last dimension, then of the one before, and so on.
    """
    pad, ndim = tuple(pad), input._data.ndim
    _check_pad(pad, ndim)
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if len(pad) not in (2, 4, 6) or ndim - len(pad) // 2 not in (1, 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)")
    if mode not in _SOURCES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    for dim, (before, after) in enumerate(_widths(pad, ndim)):
        if before or after:
            size = input._data.shape[dim]
            _check_ends(input, dim, before, after, mode)
            source = _SOURCES[mode](np.arange(-before, size + after), size)
            input = input.index_select(dim, wrap(move(source, input.device)))
    return input


def _check_ends(input: Any, dim: int, before: int, after: int, mode: str) -> None:
    size = input._data.shape[dim]
    if mode == "reflect" and max(before, after) >= size:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but "
            f"got: padding ({before}, {after}) at dimension {dim} of input "
            f"{list(input._data.shape)}")
    if mode == "circular" and max(before, after) > size:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    if size + before + after < 1:
        raise RuntimeError(f"input (size: {size}) at dimension {dim} is too small for padding "
                           f"({before}, {after})")
