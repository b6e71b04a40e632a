"""What an index or a source must be for gather, scatter and their relatives; in torch's words."""

from __future__ import annotations

from typing import Any


def check_index(index: Any, size: int, dim: int) -> None:
    data = index._data
    if data.dtype.kind not in "iu":
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if data.size and (data.min() < 0 or data.max() >= size):
        wrong = data[(data < 0) | (data >= size)].ravel()[0]
        raise RuntimeError(f"index {wrong} is out of bounds for dimension {dim} with size {size}")


def check_scatter(input: Any, dim: int, index: Any, src: Any = None) -> None:
    """torch's words for an index or a source that no scatter can use."""
    own, places = list(input._data.shape), list(index._data.shape)
    if index._data.dtype.kind not in "iu":
        raise RuntimeError("scatter(): Expected dtype int32/int64 for index")
    if src is not None and src.dtype != input.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if not index._data.size:
        return
    for name, tensor in (("self", input), ("src", src)):
        if tensor is not None and max(tensor._data.ndim, 1) != max(len(places), 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as "
                               f"{name} tensor")
    too_large = [n > size for n, size in zip(places, own, strict=False)]
    too_large[dim:dim + 1] = [False]
    if src is not None:
        too_large += [n > size for n, size in zip(places, src._data.shape, strict=False)]
    if any(too_large):
        beside = "" if src is None else (" and to be no larger size than src "
                                         f"{list(src._data.shape)}")
        raise RuntimeError(f"Expected index {places} to be no larger than self {own} apart from "
                           f"dimension {dim}{beside}")
    check_index(index, (own or [1])[dim], dim)


def check_rows(name: str, input: Any, dim: int, index: Any, source: Any) -> None:
    """torch's words for an index or a source that index_add and index_reduce cannot use."""
    places, own, given = index._data, list(input._data.shape), list(source._data.shape)
    if places.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {places.ndim} "
                         f"with type: {index.dtype.scalar_name} and size: {list(places.shape)}")
    if places.dtype.kind not in "iu" or places.dtype.itemsize < 4:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: "
                           f"{index.dtype.scalar_name}")
    if input.dtype != source.dtype:
        mine, other = input.dtype.scalar_name, source.dtype.scalar_name
        raise RuntimeError(
            f"{name}(): self ({mine}) and source ({other}) must have the same scalar type"
            if name == "index_reduce_" else f"{name}(): self and source expected to have the same "
            f"dtype, but got (self) {mine} and (source) {other}")
    count = given[dim] if dim < len(given) else 1
    if len(given) == len(own) and places.size != count:
        raise RuntimeError(f"{name}(): Number of indices ({places.size}) should be equal to "
                           f"source.size(dim): ({count}), for dim: {dim}")
    if own[:dim] + own[dim + 1:] != given[:dim] + given[dim + 1:] or len(own) != len(given) and own:
        raise RuntimeError("source tensor shape must match self tensor shape, excluding the "
                           f"specified dimension. Got self.shape = {own} source.shape = {given}")
    if places.size and (places.min() < 0 or places.max() >= (own[dim] if own else 1)):
        raise IndexError("index out of range in self")
