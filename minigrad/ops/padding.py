"""Padding: more (or fewer) elements at the ends of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, primitive
from .creation import element

__all__ = ["constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
           "replication_pad1d", "replication_pad2d", "replication_pad3d"]


# --- with a value --------------------------------------------------------------------------------

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


def constant_pad_nd(input: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """Pad with `value`: `pad` has (before, after) of the last dimension, of the one before, ..."""
    shape = tuple(input._data.shape)
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) // 2 > len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad "
            f"length is {len(pad)}while the input has {len(shape)}dimensions.")
    widths = _widths(pad, len(shape))
    for dim, (size, (before, after)) in enumerate(zip(shape, widths, strict=True)):
        if min(before, 0) + min(after, 0) + size < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if size + before + after < 0:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after} resulted in a "
                f"negative output size, which is invalid. Check dimension {dim} of your input.")
    return _constant_pad(input, widths=widths, value=element(value, input._data.dtype).item())


def _widths(pad: Sequence[int], ndim: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each dimension, first dimension first."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return ((0, 0),) * (ndim - len(pairs)) + tuple(pairs)


# --- with what is there already ------------------------------------------------------------------
# Note [The place where a padded element comes from]
# ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
# An output index stands for a place from -before to size + after - 1 of the input. A place inside
# is that element; for one outside the mode says which. So padding reads through a list of sources,
# one dimension after the other, and its transpose adds each end to its sources. The ends of a
# reflection have distinct sources, so that they can be added at once; the ends of a replication all
# have the same one, so that they are summed first.

def _reflected(places: np.ndarray, size: int) -> np.ndarray:
    return size - 1 - np.abs(size - 1 - np.abs(places))


def _nearest(places: np.ndarray, size: int) -> np.ndarray:
    return np.clip(places, 0, size - 1)


def _sources(places_of: Any, size: int, before: int, after: int) -> np.ndarray:
    return places_of(np.arange(-before, size + after), size)


def _along(axis: int, ndim: int, index: Any) -> tuple:
    """The index tuple for `index` in one dimension, all of the others."""
    return (slice(None),) * (axis % ndim) + (index,)


def _add_ends(xp: Any, g: Any, axis: int, size: int, width: tuple[int, int],
              places_of: Any) -> Any:
    """The transpose of one dimension's padding: `g` cut to `size`, its ends added to sources."""
    before, after = width
    sources = _sources(places_of, size, before, after)
    first, stop = max(before, 0), min(before + size, g.shape[axis])  # of the middle, in g
    result = xp.zeros((*g.shape[:axis], size, *g.shape[axis + 1:]), g.dtype)
    result[_along(axis, g.ndim, slice(first - before, stop - before))] = (
        g[_along(axis, g.ndim, slice(first, stop))])
    for end in (slice(0, first), slice(max(stop, 0), None)):
        added, to = g[_along(axis, g.ndim, end)], sources[end]
        if len(to) and places_of is _nearest:
            added, to = added.sum(axis=axis, keepdims=True), to[:1]
        if len(to):
            result[_along(axis, g.ndim, xp.asarray(to))] += added
    return result


def _pads(kind: str, count: int, places_of: Any) -> Any:
    """torch's `{kind}_pad{count}d`: a function, its primitive and the primitive of its gradient."""
    name = f"{kind}_pad{count}d"
    node = f"{kind.capitalize()}Pad{count}DBackward"

    @primitive(promote="exact", name=name, node_name=f"{node}0", refuses={"b": name})
    def padded(xp, input, *, padding):
        for axis, (before, after) in enumerate(_widths(padding, input.ndim)):
            if axis >= input.ndim - count:
                sources = _sources(places_of, input.shape[axis], before, after)
                input = input.take(xp.asarray(sources), axis=axis)
        return input

    @primitive(name=f"{name}_backward", node_name=f"{node}Backward0")
    def padded_backward(xp, grad_output, input, *, padding):
        widths = _widths(padding, input.ndim)
        for axis in range(input.ndim - count, input.ndim):
            grad_output = _add_ends(xp, grad_output, axis, input.shape[axis], widths[axis],
                                    places_of)
        return grad_output

    derivative(padded, input=lambda g, input, padding: padded_backward(g, input, padding=padding))
    derivative(padded_backward,
        grad_output=lambda g, padding: padded(g, padding=padding),
        input=lambda g, input: input.zeros_like())

    @takes_out(name=name)
    def pad_ends(input: Any, padding: Any) -> Any:
        padding = (padding,) * (2 * count) if isinstance(padding, int) else tuple(padding)
        _check_ends(input._data.shape, padding, count, kind)
        return padded(input, padding=padding)

    pad_ends.__name__ = pad_ends.__qualname__ = name
    pad_ends.__doc__ = f"The last {count} dimensions padded by {kind}: (before, after) of the last."
    return autocasts(pad_ends)


def _check_ends(shape: tuple[int, ...], padding: tuple[int, ...], count: int, kind: str) -> None:
    if len(padding) != 2 * count:
        found = f", but got: {len(padding)}" if kind == "reflection" else ""
        raise RuntimeError(f"padding size is expected to be {2 * count}{found}")
    batched = len(shape) == count + 2
    if not (batched or len(shape) == count + 1) or 0 in shape[batched:]:
        raise RuntimeError(
            f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with possibly 0 batch size "
            f"and other non-zero dimensions for input, but got: {list(shape)}")
    widths = list(zip(padding[::2], padding[1::2], strict=True))  # the last dimension's first
    sizes = shape[-count:][::-1]
    for i, (size, (before, after)) in enumerate(zip(sizes, widths, strict=True)):
        if kind == "reflection" and max(before, after) >= size:
            raise RuntimeError(
                f"Argument #{4 + 2 * i}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding ({before}, {after}) at dimension "
                f"{len(shape) - 1 - i} of input {list(shape)}")
    new = [size + before + after for size, (before, after) in zip(sizes, widths, strict=True)]
    if all(size < 1 for size in new):
        letters = "WHD"[:count][::-1]
        words = [" ".join(f"{letter}: {size}" for letter, size in zip(letters, each[::-1],
                                                                     strict=True))
                 for each in (sizes, new)]
        raise RuntimeError(f"input ({words[0]}) is too small. Calculated output {words[1]}")


reflection_pad1d, reflection_pad2d, reflection_pad3d = (
    _pads("reflection", count, _reflected) for count in (1, 2, 3))
replication_pad1d, replication_pad2d, replication_pad3d = (
    _pads("replication", count, _nearest) for count in (1, 2, 3))


def _circular(input: Any, pad: Sequence[int]) -> Any:
    """Around: the middle is written first, then each end, dimension by dimension, from the other
    end of what is there by then."""
    shape, count = input._data.shape, len(pad) // 2
    widths = _widths(pad, len(shape))
    for size, (before, after) in zip(shape, widths, strict=True):
        if max(before, after) > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if size + before + after < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
    new = [size + before + after for size, (before, after) in zip(shape, widths, strict=True)]
    result = input.new_empty(new)
    target, source = result, input
    for dim in range(len(shape) - count, len(shape)):
        before, after = widths[dim]
        target = target.narrow(dim, max(before, 0), new[dim] - max(before, 0) - max(after, 0))
        source = source.narrow(dim, max(-before, 0),
                               shape[dim] - max(-before, 0) - max(-after, 0))
    target.copy_(source)
    for dim in reversed(range(len(shape) - count, len(shape))):
        before, after = widths[dim]
        if before > 0:
            found = result.narrow(dim, new[dim] - before - max(after, 0), before)
            result.narrow(dim, 0, before).copy_(found)
        if after > 0:
            found = result.narrow(dim, max(before, 0), after)
            result.narrow(dim, new[dim] - after, after).copy_(found)
    return result


_MODES = {
    "reflect": (reflection_pad1d, reflection_pad2d, reflection_pad3d),
    "replicate": (replication_pad1d, replication_pad2d, replication_pad3d),
    "circular": (_circular,) * 3,
}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Pad the last dimensions: with `value`, with their mirror image, their ends, or around.

    `pad` has (before, after) of the last dimension, then of the one before, and so on.
    """
    pad, ndim = tuple(pad), input._data.ndim
    for position, width in enumerate(pad):
        if not hasattr(width, "__index__"):
            raise TypeError("pad(): argument 'pad' (position 2) must be tuple of ints, but found "
                            f"element of type {type(width).__name__} at pos {position}")
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) // 2 > ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {ndim}")
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
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    return _MODES[mode][len(pad) // 2 - 1](input, pad)
