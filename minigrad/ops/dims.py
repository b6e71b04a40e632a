"""Dimension arguments: negative ones count from the end; wrong ones get torch's words."""

from __future__ import annotations

from collections.abc import Iterable


def wrap_dim(dim: int, ndim: int) -> int:
    """`dim` as an index from the front. A 0-d tensor accepts -1 and 0, as in torch."""
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, "
                         f"{span - 1}], but got {dim})")
    return dim % span


def wrap_dims(dims: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """One dim, several, or None for all, as distinct indices from the front."""
    if dims is None:
        return tuple(range(ndim))
    chosen = (dims,) if isinstance(dims, int) else tuple(dims)
    wrapped = tuple([wrap_dim(dim, ndim) for dim in chosen])
    for dim in wrapped:
        if wrapped.count(dim) > 1:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return wrapped
