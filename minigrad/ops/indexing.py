"""`x[index]` and `x[index] = value`: basic indices are views, tensors and masks copy.

Note [How an index is read]
~~~~~~~~~~~~~~~~~~~~~~~~~~~
The index is applied one item after the other, each as its own op, so that the graph has torch's
nodes: an int is `select`, a slice `slice`, None `unsqueeze`. What tensors, lists and masks index is
left for the end, and done by one `index` (or `index_put_`) over the dimensions they stand at. A
mask is the list of its true places. If tensors stand next to each other their dimensions stay
there, else they go to the front: NumPy and torch agree.
"""

from __future__ import annotations

import builtins
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase, look_at_histories, version_of, wrap
from ..device import add_at, array_module, host
from ..graph_errors import overwritten
from ..inplace import inplace
from ..primitive import derivative, primitive
from ..strides import as_operands_lie
from .convert import tolist, type_
from .creation import element
from .parts import _select, _slice
from .strided import restrided
from .views import alias, unsqueeze

__all__ = ["index_put", "index_put_"]


def getitem(self: Any, index: Any) -> Any:
    """`self[index]`."""
    if type(index) is slice and self._data.ndim:
        return _sliced(self, 0, index)
    part, advanced = _basic(self, index)
    if advanced is not None:
        return _index(part, places=advanced)
    return alias(part) if part is self else part


def setitem(self: Any, index: Any, value: Any) -> None:
    """`self[index] = value`: a copy into the view, or index_put_ where tensors index."""
    part, advanced = _basic(self, index)
    if not isinstance(value, TensorBase):
        if not isinstance(value, numbers.Number | np.bool_):
            raise TypeError(f"can't assign a {_type_name(value)} to a {type_(self)}")
        value = wrap(array_module(self._data).asarray(element(value, self._data.dtype)))
    if advanced is not None:
        _put_(part, value.to(self.device), places=advanced, accumulate=False)
        return
    shape, target = value._data.shape, part._data.shape
    if shape == target:
        part.copy_(value)
    elif not shape:
        part.fill_(value)
    else:
        while shape and shape[0] == 1:  # torch drops leading ones
            shape = shape[1:]
        value = value.view(shape)
        part.copy_(value if shape == target else value.expand(target))



def _basic(self: Any, index: Any) -> tuple[Any, tuple | None]:
    """The view that ints, slices and None give, and the tensors that remain to index it."""
    items = index if type(index) is tuple else (index,)
    used = builtins.sum(_dims_of(item) for item in items)
    ndim = self._data.ndim
    if used > ndim:
        if type(index) is slice:  # only this is refused by an op, which looks at the history first
            look_at_histories([self])
        raise IndexError(_OF_NOTHING.get(type(index)) or
                         f"too many indices for tensor of dimension {ndim}")
    result, dim, advanced = self, 0, {}
    for position, item in enumerate(items):
        kind = type(item)
        if kind is int or isinstance(item, np.integer):
            result = _at(result, dim, int(item), position)
        elif kind is slice:
            if not _is_whole(item, result._data.shape[dim]):
                result = _sliced(result, dim, item)
            dim += 1
        elif item is None:
            result = unsqueeze(result, dim)
            dim += 1
        elif item is Ellipsis:
            dim += ndim - used
        elif kind is bool:
            result = unsqueeze(result, dim)
            advanced[dim] = wrap(array_module(self._data).asarray([item]))
            dim += 1
        else:
            places = _as_tensor(item, self)
            if places._data.ndim == 0 and places._data.dtype.kind in "iu":
                result = _at(result, dim, int(places._data), position)
                continue
            if places._data.ndim == 0:
                result = unsqueeze(result, dim)
                places = places.reshape(1)
            advanced[dim] = places
            dim += max(places._data.ndim, 1) if places._data.dtype.kind == "b" else 1
    if advanced:
        return result, _places(result, advanced)
    return result, None


def _dims_of(item: Any) -> int:
    """How many dimensions an item of the index uses up."""
    if item is None or item is Ellipsis or type(item) is bool:
        return 0
    if isinstance(item, TensorBase) and item._data.dtype.kind == "b":
        return item._data.ndim
    if isinstance(item, np.ndarray) and item.dtype.kind == "b":
        return item.ndim
    return 1


# An index of a 0-d tensor that is not a tuple.
_OF_NOTHING = {
    int: "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in "
         "C++ to convert a 0-dim tensor to a number",
    slice: "slice() cannot be applied to a 0-dim tensor."}


def _at(tensor: Any, dim: int, index: int, position: int) -> Any:
    """One index of a dimension; torch's error counts the items of the index, not dimensions."""
    size = tensor._data.shape[dim]
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for dimension {position} with size "
                         f"{size}")
    return _select(tensor, dim=dim, index=index % size)


def _is_whole(item: slice, size: int) -> bool:
    """Whether it can be seen without counting from the end that the slice takes everything: then
    torch does not slice, if it is one of several items or is written to."""
    start, stop, step = item.start, item.stop, item.step
    if start is None and stop is None and step is None:
        return True
    item.indices(size)  # raises if they are no integers
    return ((start is None or start.__index__() == 0) and (step is None or step.__index__() == 1)
            and (stop is None or stop.__index__() >= size))


def _sliced(tensor: Any, dim: int, item: slice) -> Any:
    start, stop, step = item.indices(tensor._data.shape[dim])
    if step <= 0:
        raise ValueError("step must be greater than zero")
    return _slice(tensor, dim=dim, start=start, end=max(start, stop), step=step)


def _as_tensor(item: Any, self: Any) -> Any:
    """A tensor, list, range or array as the tensor of places it stands for."""
    if isinstance(item, TensorBase):
        array = item._data
        if array.dtype.kind in "bi" and type(array) is type(self._data):
            return item
    elif isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    elif not isinstance(item, Sequence | np.ndarray):
        raise IndexError("only integers, slices (`:`), ellipsis (`...`), None and long or byte "
                         f"Variables are valid indices (got {_type_name(item)})")
    else:
        array = np.asarray([tolist(each) if isinstance(each, TensorBase) else each
                            for each in item] if isinstance(item, list | tuple) else item)
        array = array.astype(np.int64) if array.size == 0 else array
    if array.dtype.kind not in "biu":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if array.dtype == np.uint8:
        array = array.astype(bool)
    return wrap(array_module(self._data).asarray(array))


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


class Places(tuple):
    """Index arrays, one per dimension (None: all of it), and the versions of the tensors that they
    belong to, as an index may be written over before backward uses it again."""

    seen: list[tuple[TensorBase, int]]

    def unchanged(self) -> Places:
        for tensor, version in self.seen:
            if tensor._version != version:
                raise RuntimeError(overwritten(
                    tensor, tensor._version, version, "it is the index of a tensor, needed in "
                    "backward. Write the later op out of place, or index with a clone."))
        return self


def _places(tensor: Any, advanced: dict[int, Any]) -> Places:
    """One index array per dimension (None: all of it), masks as the places where they are true."""
    shape = tensor._data.shape
    found: list[Any] = [None] * len(shape)
    for dim, places in advanced.items():
        array = places._data
        if array.dtype.kind != "b":
            found[dim] = array
            continue
        for i, (size, own) in enumerate(zip(array.shape, shape[dim:], strict=False)):
            if size != own:
                raise IndexError(f"The shape of the mask {list(array.shape)} at index {i} does not "
                                 f"match the shape of the indexed tensor {list(shape)} at index "
                                 f"{dim + i}")
        found[dim:dim + array.ndim] = array.nonzero()
    given = [(dim, array) for dim, array in enumerate(found) if array is not None]
    try:
        common = np.broadcast_shapes(*[array.shape for _, array in given])
    except ValueError:
        shapes = ", ".join(str(list(array.shape)) for _, array in given)
        raise IndexError("shape mismatch: indexing tensors could not be broadcast together with "
                         f"shapes {shapes}") from None
    if any(array.size and (array.min() < -shape[dim] or array.max() >= shape[dim])
           for dim, array in given):
        if tensor._data.size and 0 not in common:
            raise _out_of_bounds(given, shape, common)
        if 0 not in common and any(not shape[dim] for dim, _ in given):
            raise IndexError("index is out of bounds for dimension with size 0")
        for dim, array in given:  # nothing will be looked up
            found[dim] = array_module(array).zeros_like(array)
    result = Places(found)
    result.seen = [(places, version_of(places).count) for places in advanced.values()
                   if places._data.dtype.kind != "b"]
    return result


def _out_of_bounds(given: list, shape: tuple[int, ...], common: tuple[int, ...]) -> IndexError:
    """torch's words: for the first place that is wrong, then for the first index in it."""
    sizes = np.array([shape[dim] for dim, _ in given])
    table = np.stack([np.broadcast_to(host(array), common).ravel() for _, array in given], -1)
    place, number = np.argwhere((table < -sizes) | (table >= sizes))[0]
    return IndexError(f"index {table[place, number]} is out of bounds for dimension {number} with "
                      f"size {sizes[number]}")


def _key(places: tuple) -> tuple:
    return tuple([slice(None) if each is None else each for each in places])


# --- index and index_put -------------------------------------------------------------------------

@primitive(promote="exact", name="index")
def _index(xp, input, *, places):
    """The elements at `places`, one index array per dimension (None: the whole dimension)."""
    result = input[_key(places)]
    if input.flags.c_contiguous:
        return xp.ascontiguousarray(result)
    return as_operands_lie(xp, result, _in_places_of_result(xp, input, places))


def _in_places_of_result(xp, input, places):
    """The input and the index arrays with the dimensions of the result, as they are laid over one
    another there: the input has no steps (stride 0) along the dimensions of the indices."""
    dims = [dim for dim, each in enumerate(places) if each is not None]
    arrays = xp.broadcast_arrays(*[places[dim] for dim in dims])
    shape = arrays[0].shape
    start = dims[0] if dims[-1] - dims[0] < len(dims) else 0  # apart, they come first
    rest = [dim for dim in builtins.range(input.ndim) if dim not in dims]
    size = [input.shape[dim] for dim in rest]
    stride = [input.strides[dim] for dim in rest]
    whole = [*size[:start], *shape, *size[start:]]
    views = [restrided(xp, input, whole, [*stride[:start], *(0,) * len(shape), *stride[start:]])]
    for each in arrays:
        views.append(each.reshape(*(1,) * start, *shape, *(1,) * (len(size) - start)))
    return views


@primitive(promote="exact", name="index_put", lies="input")
def _put(xp, input, values, *, places, accumulate):
    """A copy of `input` with `values` written (or added) at `places`."""
    result = input.copy()
    values = values.astype(input.dtype, copy=False)
    key = _key(places)
    if not accumulate:
        target = result[key].shape
        if len(values.shape) > len(target):
            values = values.reshape(values.shape[len(values.shape) - len(target):])
        result[key] = values
    elif builtins.sum(each is not None for each in places) == 1 and places[0] is not None:
        rows, row = places[0], input.shape[1:]
        values = xp.broadcast_to(values, (*rows.shape, *row)).reshape(rows.size, *row)
        add_rows(xp, result, rows.reshape(-1), values)
    else:
        add_at(xp, result, key, values)
    return result


def add_rows(xp, target, rows, values):
    """`target[rows[i]] += values[i]`, in order. A sparse product is 20 times faster than add.at."""
    if xp is np and target.dtype in (np.float32, np.float64) and rows.size > 64:
        from scipy.sparse import csc_array
        count = rows.size
        one_hot = csc_array((np.ones(count, target.dtype), rows % len(target),
                             np.arange(count + 1)), shape=(len(target), count))
        target += (one_hot @ values.reshape(count, -1)).reshape(target.shape)
    else:
        add_at(xp, target, rows, values)


derivative(_index, input=lambda g, input_shape, places: _put(
    g.new_zeros(input_shape), g, places=places.unchanged(), accumulate=True))
derivative(_put,
    input=lambda g, values_shape, places, accumulate: g if accumulate else _put(
        g, g.new_zeros(()), places=places.unchanged(), accumulate=False),
    values=lambda g, places: _index(g, places=places.unchanged()))

_put_ = inplace(_put, overlap="never")


def _spread(input: Any, indices: Any) -> tuple:
    """The tensors of `indices` (None: the whole dimension) as one index array per dimension."""
    dim, advanced = 0, {}
    for item in indices:
        if item is not None:
            advanced[dim] = _as_tensor(item, input)
        dim += max(_dims_of(item), 1) if item is not None else 1
    if dim > input._data.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input._data.ndim} (got {dim})")
    return _places(input, advanced)


@autocasts
def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy of `input` with `values` written, or added, at `indices` (a tuple of tensors)."""
    if values.dtype != input.dtype:
        raise RuntimeError("Index put requires the source and destination dtypes match, got "
                           f"{input.dtype.scalar_name} for the destination and "
                           f"{values.dtype.scalar_name} for the source.")
    return _put(input, values, places=_spread(input, indices), accumulate=accumulate)


index_put_ = inplace(index_put, overlap="never")
