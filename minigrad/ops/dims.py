"""Dimension arguments: negative ones count from the end; wrong ones get torch's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import after_history


def wrap_dim(dim: int, ndim: int, input: Any = None) -> int:
    """`dim`, of a tensor `input`, as an index from the front. A 0-d one accepts -1 and 0."""
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise after_history(IndexError(f"Dimension out of range (expected to be in range of "
                                       f"[{-span}, {span - 1}], but got {dim})"), input)
    return dim % span


def wrap_dims(dims: int | Iterable[int] | None, ndim: int, input: Any = None) -> tuple[int, ...]:
    """One dim, several, or None for all, as distinct indices from the front."""
    if dims is None:
        return tuple(range(ndim))
    chosen = (dims,) if isinstance(dims, int) else tuple(dims)
    wrapped = tuple([wrap_dim(dim, ndim, input) for dim in chosen])
    for place, dim in enumerate(wrapped):
        if dim in wrapped[:place]:
            raise after_history(
                RuntimeError(f"dim {dim} appears multiple times in the list of dims"), input)
    return wrapped


def int_tuple(name: str, argument: str, position: int, value: Any) -> tuple[int, ...]:
    """One int or several, for the argument at `position` of the function `name`, as a tuple."""
    if type(value) is int:
        return (value,)
    if not isinstance(value, list | tuple):
        if not _is_index(value):
            raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be tuple "
                            f"of ints, not {type(value).__name__}")
        return (value.__index__(),)
    for place, each in enumerate(value):
        if not _is_index(each):
            kind = type(each).__name__
            raise TypeError(f"{name}(): argument '{argument}' " + (
                f'failed to unpack the object at pos {place + 1} with error "type must be tuple '
                f'of ints,but got {kind}"' if place else
                f"(position {position}) must be tuple of ints, but found element of type {kind} "
                "at pos 0"))
    return tuple([each.__index__() for each in value])


def _is_index(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
