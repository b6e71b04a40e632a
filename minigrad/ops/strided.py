"""Memory seen through other strides: what a view is, whichever op made it.

Any view of a dense base is fully described by where it starts, its sizes and its strides. So one
op, `as_strided`, can rebuild every view of a base on another array of the same layout: that is how
in-place writes (inplace.py) find "the same slice" of a gradient, and how stale views catch up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import TensorBase, new_node
from ..device import add_at, address
from ..plan import Plan
from ..primitive import derivative, primitive, view


class Geometry(NamedTuple):
    """Where a tensor's elements lie, counted in elements from the start of its base."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    kind: str  # NumPy's letter for the dtype: a real view of a complex base is seen by it

    def laid_out(self, tensor: Any) -> Any:
        """A copy of `tensor` (of this size) with exactly these strides."""
        fresh = tensor.new_empty_strided(self.size, self.stride)
        return fresh.copy_(tensor)


def geometry(tensor: TensorBase, base: TensorBase) -> Geometry:
    """How `tensor` lies within the memory of `base`."""
    data, item = tensor._data, tensor._data.dtype.itemsize
    return Geometry(data.shape, tuple([s // item for s in data.strides]),
                    (address(data) - address(base._data)) // item, data.dtype.kind)


def strided_view(base: Any, where: Geometry) -> Any:
    """The view of `base` with this geometry, recorded as an AsStridedBackward0 of it."""
    if where.kind == "c" and base._data.dtype.kind != "c":
        pairs = strided_from(base, size=(base._data.size // 2, 2), stride=(2, 1), offset=0)
        base = pairs.view_as_complex()
    elif where.kind != "c" and base._data.dtype.kind == "c":
        base = base.view_as_real()
    return strided_from(base, size=where.size, stride=where.stride, offset=where.offset)


def same_view(base: Any, tensor: TensorBase) -> Any:
    """`tensor`, a view of `base`, as seen on the base now."""
    result = strided_view(base, geometry(tensor, base))
    if result._node is None:  # the base was detached: a view that had a history keeps an empty one
        op = strided_from.op
        result._node = new_node(op.node, [None], Plan(op, (False,)))
    return result



# --- as_strided and its transpose ----------------------------------------------------------------

def memory_of(array: Any) -> Any:
    """The array that owns the memory which `array` sees a part of."""
    owner, base = array, array.base
    while base is not None:
        if type(base) is type(array):
            owner = base
        base = getattr(base, "base", None)
    return owner


def in_memory_order(owner: Any) -> Any:
    """The elements as they lie in memory, as a flat view: dimensions of large strides first.

    `reshape(-1, order="A")` would do for C and for Fortran order, but ufuncs also make arrays of
    other orders (they keep that of their operands), and of those it makes a copy.
    """
    dims = sorted(range(owner.ndim), key=lambda dim: -owner.strides[dim])
    return owner.transpose(dims).reshape(-1)


def restrided(xp: Any, array: Any, size: Any, stride: Any, offset: int = 0) -> Any:
    """The memory from `offset` bytes after the array's first element on, with this size and
    these strides (in bytes)."""
    if xp is not np:
        return xp.lib.stride_tricks.as_strided(
            flat_memory(xp, array, offset // array.dtype.itemsize), size, stride)
    reach = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + array.itemsize
    if array.dtype.isbuiltin == 1 and array.flags.c_contiguous and reach <= array.nbytes:
        return np.ndarray(size, array.dtype, array, offset, stride)
    owner = memory_of(array)
    offset += address(array) - address(owner)
    memory = in_memory_order(owner).view(np.uint8)  # bytes: bfloat16 offers no buffer
    return np.ndarray(size, array.dtype, memory, offset, stride)


def flat_memory(xp: Any, array: Any, offset: int) -> Any:
    """The memory behind `array` as a flat array that begins `offset` elements after it."""
    root = memory_of(array)
    start = (address(array) - address(root)) // array.dtype.itemsize + offset
    flat = in_memory_order(root)
    if flat.dtype != array.dtype:
        flat = flat.view(array.dtype)
    if start < 0 or start > flat.size:
        raise RuntimeError(f"setStorage: storage offset {start} is out of bounds for storage of "
                           f"{flat.size} elements")
    return flat[start:]


@view(name="as_strided")
def strided_from(xp, input, *, size, stride, offset):
    """The elements at $offset + \\sum_k i_k\\,stride_k$ of the memory that `input` begins."""
    start = (address(input) - address(memory_of(input))) // input.dtype.itemsize
    flat = flat_memory(xp, input, -start)
    last = sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else -1
    if start + offset + last >= flat.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset "
            f"{start + offset}, and itemsize {flat.itemsize} requiring a storage size of "
            f"{(start + offset + last + 1) * flat.itemsize} are out of bounds for storage of size "
            f"{flat.size * flat.itemsize}")
    return restrided(xp, flat_memory(xp, input, offset), size,
                     [s * flat.itemsize for s in stride])


@primitive(promote="exact", name="as_strided_scatter")
def strided_add(xp, gradient, *, shape, own_stride, size, stride, offset):
    """The transpose of `strided_from`: add each element back to the place it was seen at."""
    item = gradient.dtype.itemsize
    first, own = max(offset, 0), max(-offset, 0)  # a view may begin before what it is a view of
    memory = xp.zeros(max(own + _span(shape, own_stride), first + _span(size, stride)),
                      gradient.dtype)
    if _overlapping(size, stride):
        places = xp.zeros((), dtype=xp.int64) + first
        for n, s in zip(size, stride, strict=True):
            places = places[..., None] + xp.arange(n) * s
        add_at(xp, memory, places.reshape(-1), gradient.reshape(-1))
    else:
        restrided(xp, memory, size, [s * item for s in stride], first * item)[...] = gradient
    result = restrided(xp, memory, shape, [s * item for s in own_stride], own * item)
    return result.copy() if _overlapping(shape, own_stride) else result


def _span(size, stride):
    """How many elements lie between the first and the last one, both counted."""
    return 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))


def _overlapping(size, stride):
    """Whether two indices may mean one place: a stride does not step over all smaller ones."""
    reach = 0
    for s, n in sorted((s, n) for n, s in zip(size, stride, strict=True) if n > 1):
        if s <= reach:
            return True
        reach += (n - 1) * s
    return False


derivative(strided_from, input=lambda g, input_layout, size, stride, offset: strided_add(
    g, shape=input_layout[0], own_stride=input_layout[1], size=size, stride=stride, offset=offset))
derivative(strided_add, gradient=lambda g, shape, own_stride, size, stride, offset: strided_add(
    g, shape=size, own_stride=stride, size=shape, stride=own_stride, offset=-offset))


def as_strided(input, size, stride, storage_offset=None):
    """A view of input's storage with the given sizes, strides and storage offset (in elements)."""
    offset = 0 if storage_offset is None else storage_offset - input.storage_offset()
    return strided_from(input, size=tuple(size), stride=tuple(stride), offset=offset)


# --- writing a whole tensor ----------------------------------------------------------------------

@primitive(promote="exact", node_name="CopyBackwards")
def copy(xp, input, src):
    """`src` in the shape and dtype of `input`, whose own values do not matter."""
    return xp.broadcast_to(src, input.shape).astype(input.dtype)


derivative(copy, input=lambda g: g.zeros_like(), src=lambda g: g)
