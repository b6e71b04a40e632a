"""Elements written at places of a flattened tensor, under a mask, or at indices under a mask."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from ..core import TensorBase, mode, wrap
from ..device import add_at, address, array_module
from ..inplace import inplace
from ..out import resize, takes_out
from ..primitive import derivative, primitive
from .indexing import _key
from .scatter import nonzero
from .strided import flat_memory, memory_of, restrided, strided_from

__all__ = [
    "fill_diagonal_", "put", "put_", "masked_scatter", "masked_scatter_", "as_strided_scatter",
    "nonzero_static", "unravel_index", "resize_", "resize_as_", "unsafe_masked_index",
    "unsafe_masked_index_put_accumulate"]


# --- at places of the flattened tensor -----------------------------------------------------------

@primitive(promote="exact", name="put")
def _put(xp, input, index, source, *, accumulate):
    result = input.copy(order="C")
    flat, places = result.reshape(-1), index.reshape(-1)
    if accumulate:
        add_at(xp, flat, places, source.reshape(-1))
    else:
        flat[places] = source.reshape(-1)
    return result


derivative(_put,
    input=lambda g, index, source_shape, accumulate: g if accumulate else _put(
        g, index, g.new_zeros(source_shape), accumulate=False),
    source=lambda g, index, source_shape: g.take(index).reshape(source_shape))


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """A copy of `input` with `source` written (or added) at positions of the flattened tensor."""
    places, size = index._data, input._data.size
    if index.dtype.scalar_name != "Long":
        raise RuntimeError("put_(): Expected a long tensor for index, but got "
                           f"{index.dtype.scalar_name}")
    if input.dtype != source.dtype:
        raise RuntimeError("put_(): self and source expected to have the same dtype, but got "
                           f"self.dtype = {input.dtype.scalar_name} and source.dtype = "
                           f"{source.dtype.scalar_name}")
    if source._data.size != places.size:
        raise IndexError("put_(): Expected source and index to have the same number of elements, "
                         f"but got source.numel() = {source._data.size}, index.numel() = "
                         f"{places.size}")
    if places.size and not size:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    if places.size and (places.min() < -size or places.max() >= size):
        wrong = places[(places < -size) | (places >= size)].ravel()[0]
        raise IndexError(f"out of range: tried to access index {wrong} on a tensor of {size} "
                         "elements.")
    return _put(input, index, source, accumulate=accumulate)


# --- under a mask --------------------------------------------------------------------------------

@primitive(promote="exact", name="masked_scatter")
def _masked_scatter(xp, input, mask, source):
    result, mask = xp.broadcast_arrays(input, mask)
    result = result.copy(order="C")
    count = int(mask.sum())
    if count > source.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    result[mask] = source.reshape(-1)[:count]
    return result


@primitive(promote="exact")
def masked_scatter_backward(xp, g, mask, *, shape):
    """The elements of `g` under the mask in the front of zeros of `shape`."""
    result = xp.zeros(math.prod(shape), g.dtype)
    chosen = g[xp.broadcast_to(mask, g.shape)]
    result[:chosen.size] = chosen
    return result.reshape(shape)


derivative(_masked_scatter,
    input=lambda g, mask: g.masked_fill(mask, 0),
    source=lambda g, mask, source_shape: masked_scatter_backward(g, mask, shape=source_shape))
derivative(masked_scatter_backward,
    g=lambda g, mask, g_shape: _masked_scatter(g.new_zeros(g_shape), mask, g))


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """A copy of `input` with the elements of `source`, one after the other, where `mask` is True.
    """
    if input.dtype != source.dtype:
        raise RuntimeError("masked_scatter: expected self and source to have same dtypes but got"
                           f"{input.dtype.scalar_name} and {source.dtype.scalar_name}")
    if mask._data.dtype.kind != "b":
        raise RuntimeError("masked_scatter_ only supports boolean masks, but got mask with dtype "
                           f"{mask.dtype.scalar_name}")
    return _masked_scatter(input, mask, source)


# --- at indices that are only right where a mask says so -----------------------------------------

def _clamped(xp, shape, places):
    """The key of `places`, wrong ones moved to the nearest right one."""
    return _key(tuple([None if each is None else xp.clip(each, -size, size - 1)
                       for each, size in zip(places, shape, strict=False)]))


@primitive(promote="exact", name="unsafe_masked_index")
def _unsafe_masked_index(xp, input, mask, *, places, fill):
    if not input.size:
        return xp.full(mask.shape, fill, input.dtype)
    found = xp.ascontiguousarray(input[_clamped(xp, input.shape, places)])
    found[xp.broadcast_to(~mask, found.shape)] = fill
    return found


@primitive(promote="exact", name="unsafe_masked_index_put_accumulate")
def _unsafe_masked_add(xp, input, mask, values, *, places):
    result = input.copy()
    if result.size:
        add_at(xp, result, _clamped(xp, input.shape, places),
               xp.where(mask, values, input.dtype.type(0)))
    return result


derivative(_unsafe_masked_index, input=lambda g, mask, input_shape, places: _unsafe_masked_add(
    g.new_zeros(input_shape), mask, g, places=places))
derivative(_unsafe_masked_add,
    input=lambda g: g,
    values=lambda g, mask, places: _unsafe_masked_index(g, mask, places=places, fill=0))


def _arrays(indices: Sequence[Any]) -> tuple:
    return tuple([None if each is None else each._data for each in indices])


def unsafe_masked_index(input: Any, mask: Any, indices: Sequence[Any], fill: Any) -> Any:
    """`input[indices]` where `mask` is True, `fill` elsewhere, whatever the indices are there."""
    return _unsafe_masked_index(input, mask, places=_arrays(indices), fill=fill)


def unsafe_masked_index_put_accumulate(input: Any, mask: Any, indices: Sequence[Any],
                                       values: Any) -> Any:
    """A copy of `input` with `values` added at `indices` where `mask` is True."""
    return _unsafe_masked_add(input, mask, values, places=_arrays(indices))


# --- through other strides -----------------------------------------------------------------------

@primitive(promote="exact", name="as_strided_scatter")
def _as_strided_scatter(xp, input, src, *, size, stride, offset):
    item = input.dtype.itemsize
    start = (address(input) - address(memory_of(input))) // item
    memory = flat_memory(xp, input, -start).copy()
    seen = strided_from.op.kernel(xp, memory, size=size, stride=stride, offset=offset)
    if seen.shape != src.shape:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = "
                           f"{list(src.shape)}, slice size = {list(seen.shape)}")
    seen[...] = src
    return restrided(xp, memory, input.shape, input.strides, start * item)


# torch lets through to the input what comes from the slice, not what comes from around it.
derivative(_as_strided_scatter,
    input=lambda g, input_shape, size, stride, offset: _as_strided_scatter(
        g.new_zeros(input_shape), _seen(g, size, stride, offset), size=size, stride=stride,
        offset=offset),
    src=lambda g, size, stride, offset: _seen(g, size, stride, offset))


def _seen(g: Any, size: tuple, stride: tuple, offset: int) -> Any:
    return strided_from(g.contiguous(), size=size, stride=stride, offset=offset)


def as_strided_scatter(input: Any, src: Any, size: Any, stride: Any,
                       storage_offset: int | None = None) -> Any:
    """A copy of `input` with `src` where `as_strided` with these arguments looks."""
    if input.requires_grad and not input.is_contiguous():
        raise RuntimeError("as_strided_scatter is currently only supported for contiguous inputs")
    offset = input.storage_offset() if storage_offset is None else storage_offset
    return _as_strided_scatter(input, src, size=tuple(size), stride=tuple(stride), offset=offset)


# --- places --------------------------------------------------------------------------------------

@takes_out
def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """`nonzero(input)` cut off, or filled up with `fill_value`, to `size` rows."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = nonzero(input)._data[:size]
    result = array_module(found).full((size, found.shape[1]), fill_value, found.dtype)
    result[:len(found)] = found
    return wrap(result)


def unravel_index(indices: Any, shape: Any) -> tuple:
    """The places that positions of the flattened tensor have in a tensor of this shape: one tensor
    of indices per dimension."""
    if indices._data.dtype.kind not in "biu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if not isinstance(shape, int | Sequence):
        raise TypeError("expected 'shape' to be int or sequence of ints, but got "
                        f"{_torch_type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError("expected 'shape' sequence to only contain ints, but got "
                            f"{_torch_type(size)}")
    if builtins.any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    indices = indices.long()
    steps = [math.prod(sizes[i + 1:]) for i in builtins.range(len(sizes))]
    return tuple([indices.div(step, rounding_mode="floor") % size
                  for step, size in zip(steps, sizes, strict=True)])


def _torch_type(value: Any) -> str:
    return "<class 'torch.Tensor'>" if isinstance(value, TensorBase) else str(type(value))


def fill_diagonal_(self: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Write a number along the main diagonal; with `wrap` a matrix that is taller than wide gets
    further diagonals below, with one empty row between them."""
    shape, stride = self._data.shape, self.stride()
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step, start = sum(stride), self.storage_offset()
    self.as_strided([min(shape)], [step], start).fill_(fill_value)
    rows, columns = shape[:2]
    if wrap and len(shape) == 2 and rows > columns + 1:
        below = columns * stride[0] + stride[0]
        left = [min(rows - top, columns) for top in builtins.range(columns + 1, rows, columns + 1)]
        for i, length in enumerate(left, 1):
            self.as_strided([length], [step], start + i * below).fill_(fill_value)
    return self


# --- another size over the same memory -----------------------------------------------------------

def resize_(self: Any, *size: Any, memory_format: Any = None) -> Any:
    """Give the tensor this size over its own memory; what is new in it has no set value."""
    if mode.grad is True and self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    wanted = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    if builtins.any(n < 0 for n in wanted):
        raise RuntimeError("numel: integer multiplication overflow")
    if tuple(wanted) != self._data.shape:
        resize(self, tuple(wanted))
    return self


def resize_as_(self: Any, the_template: Any, *, memory_format: Any = None) -> Any:
    """`resize_` to the size of another tensor."""
    return resize_(self, the_template._data.shape)


put_, masked_scatter_ = inplace(put), inplace(masked_scatter)
