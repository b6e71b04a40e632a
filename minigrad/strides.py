"""How results lie in memory, where torch and NumPy do not agree of themselves.

Note [The order of dimensions]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The result of an elementwise op has no gaps, and its dimensions lie in the order of the operands':
adding 1 to a transposed matrix makes a transposed matrix, so that both are walked through as they
lie in memory. The order is no part of the values, but it is seen: `view` and `reshape` ask for it,
and so does whether a graph has a copy in it. NumPy and torch agree about one operand without gaps.
They part where operands contradict one another (torch follows the first, NumPy prefers rows), where
elements overlap, and about dimensions of size 1.

torch sorts the dimensions by insertion, starting from the last as the fastest. Two of them are
compared by their strides in the first operand that has a stride for both (one that is broadcast has
none), equal strides by their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .overlap import is_dense

Strides = tuple[int, ...]


def laid_out(xp: Any, data: Any, lies: str, operands: Sequence[Any]) -> Any:
    """What a kernel has made (an array or several), lying as `primitive` was told."""
    if type(data) is tuple:
        return tuple([laid_out(xp, each, lies, operands) for each in data])
    if lies == "rows":
        return data if data.flags.c_contiguous else xp.ascontiguousarray(data)
    return as_operands_lie(xp, data, operands if lies == "operands" else operands[:1])


def as_operands_lie(xp: Any, data: Any, operands: Sequence[Any]) -> Any:
    """The result `data` of an elementwise op, moved if torch has it lie in another order."""
    if data.ndim < 2 or not data.size:
        return data
    first = operands[0]
    if first.flags.c_contiguous and first.shape == data.shape and data.flags.c_contiguous:
        return data  # the first has told the order of all dimensions
    strides = _strides_of_result(data, [each for each in operands if each is not None])
    if data.strides == strides:
        return data
    moved = _with_strides(xp, data.shape, strides, data.dtype)
    moved[...] = data
    return moved


def has_channels_last(data: Any) -> bool:
    """Whether the strides of images or volumes (N, C, ...) grow in the order of channels, width,
    height, depth, batch: then torch makes results in that order."""
    if data.ndim not in (4, 5) or 0 in data.shape or data.strides[1] == 0:
        return False
    least = 0
    for dim in (1, *range(data.ndim - 1, 1, -1), 0):
        stride = data.strides[dim]
        if stride < least or dim == 0 and least == data.strides[1]:
            return False
        least = stride * data.shape[dim]
    return True


def as_images_lie(xp: Any, result: Any, input: Any) -> Any:
    """`result` in the order of the images `input`: channels last where they are, else in rows."""
    if has_channels_last(input):
        return xp.moveaxis(xp.ascontiguousarray(xp.moveaxis(result, 1, -1)), -1, 1)
    return xp.ascontiguousarray(result)


def strides_of_view(view: Any, input: Any) -> Strides:
    """The strides of `view`, which is `input` in another shape: no element tells those of
    dimensions of size 1. torch makes them a step over all that lies behind."""
    if 1 not in view.shape or not view.size:
        return view.strides
    strides, step = list(view.strides), input.strides[-1] if input.ndim else input.itemsize
    for dim in range(view.ndim - 1, -1, -1):
        if view.shape[dim] == 1:
            strides[dim] = step
        step = view.shape[dim] * strides[dim]
    return tuple(strides)


def memory_like(xp: Any, model: Any, dtype: Any) -> Any:
    """Memory without gaps for an array that lies as `model` does."""
    if model.flags.c_contiguous:
        return xp.empty(model.shape, dtype)
    strides = _strides_of_result(model, [model])
    return _with_strides(xp, model.shape, strides, dtype)


def _with_strides(xp: Any, shape: tuple[int, ...], strides: Strides, dtype: Any) -> Any:
    """Memory without gaps whose dimensions lie in the order of `strides`."""
    slowest_first = sorted(range(len(shape)), key=lambda dim: (-strides[dim], shape[dim] == 1))
    memory = xp.empty([shape[dim] for dim in slowest_first], dtype)
    return memory.transpose(np.argsort(slowest_first))


def _strides_of_result(data: Any, operands: Sequence[Any]) -> Strides:
    shape = data.shape
    if all(operand.shape == shape for operand in operands):
        if all(operand.flags.c_contiguous for operand in operands):
            return _without_gaps(data, range(data.ndim - 1, -1, -1))
        if data.ndim == 4 and all(operand.transpose(0, 2, 3, 1).flags.c_contiguous
                                  for operand in operands):
            return _without_gaps(data, (1, 3, 2, 0))
        first = operands[0].strides
        if is_dense(operands[0]) and all(operand.strides == first for operand in operands):
            return first
    return _without_gaps(data, _sorted_dimensions(shape, [_as_broadcast(operand, shape)
                                                          for operand in operands]))


def _as_broadcast(operand: Any, shape: tuple[int, ...]) -> Strides:
    """The operand's strides for the result's dimensions, 0 where it is broadcast."""
    lead = len(shape) - operand.ndim
    return (0,) * lead + tuple(
        0 if size == 1 != whole else stride
        for size, whole, stride in zip(operand.shape, shape[lead:], operand.strides, strict=True))


def _sorted_dimensions(shape: tuple[int, ...], operands: list[Strides]) -> list[int]:
    """The dimensions from the fastest to the slowest (see Note [The order of dimensions])."""
    order: list[int] = []
    for dim in range(len(shape) - 1, -1, -1):
        place = at = len(order)
        order.append(dim)
        while at > 0:
            at -= 1
            faster = _compare(order[at], dim, shape, operands)
            if faster < 0:
                break
            if faster > 0:
                order[at], order[place] = dim, order[at]
                place = at
    return order


def _compare(one: int, other: int, shape: tuple[int, ...], operands: list[Strides]) -> int:
    """-1 if dimension `one` is the faster of the two, 1 if it is the slower, 0 if none can tell."""
    for strides in operands:
        a, b = strides[one], strides[other]
        if a and b:
            if a != b:
                return -1 if a < b else 1
            if shape[one] > shape[other]:
                return 1
    return 0


def _without_gaps(data: Any, order: Sequence[int]) -> Strides:
    strides, step = [0] * data.ndim, data.dtype.itemsize
    for dim in order:
        strides[dim] = step
        step *= data.shape[dim]
    return tuple(strides)
