"""Sorting and what is built on it: the largest few, distinct values, bins, places in an order.

nan counts as greater than every number. Equal elements keep their order in `sort`, as in torch's
stable one; which of several equal ones `topk` and `kthvalue` report is nobody's promise: here it is
the first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import ARRAY_MODULES, add_at
from ..out import refusal, takes_out
from ..primitive import derivative, primitive
from .dims import wrap_dim
from .extremes import put_along, return_type

__all__ = [
    "argsort", "bincount", "bucketize", "isin", "kthvalue", "msort", "searchsorted", "sort", "topk",
    "unique", "unique_consecutive"]

SortResult = return_type("sort", "values", "indices")
TopkResult = return_type("topk", "values", "indices")
KthvalueResult = return_type("kthvalue", "values", "indices")


def _unsupported(kernel: str, input: Any) -> NotImplementedError:
    return NotImplementedError(f"\"{kernel}\" not implemented for '{input.dtype.scalar_name}'")


# --- in order ------------------------------------------------------------------------------------

def order_along(xp, array, dim, descending):
    """The indices that sort `array` along `dim`: equal elements in order, nan as the greatest."""
    if array.dtype in dtypes.HALF_TYPES:  # NumPy does not know where bfloat16's nan belongs
        array = array.astype(xp.float32)
    if not descending:
        return xp.argsort(array, axis=dim, kind="stable").astype(xp.int64, copy=False)
    # Mirrored, sorted, mirrored: that is descending, and equal elements are in order again.
    mirrored = xp.argsort(xp.flip(array, dim), axis=dim, kind="stable")
    return array.shape[dim] - 1 - xp.flip(mirrored, dim).astype(xp.int64, copy=False)


def _first_in_order(xp, input, dim, descending, part):
    """The elements at the places `part` of the sorted order, and their indices."""
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    places = (slice(None),) * dim + (part,)
    indices = order_along(xp, input, dim, descending)[places]
    return xp.take_along_axis(input, indices, axis=dim), indices


def _sort_op(overload: int) -> Any:
    @primitive(promote="exact", name="sort", overload=overload, outputs=("values", "indices"),
               lies="input")
    def op(xp, input, *, dim, descending):
        return _first_in_order(xp, input, dim, descending, slice(None))

    derivative(op, input=lambda g, input_shape, indices, dim: put_along(
        g, input_shape, indices, dim, True))
    return op


_sort, _sort_stable = _sort_op(0), _sort_op(1)


@takes_out
def sort(input: Any, dim: int = -1, descending: bool = False, **stable: bool) -> Any:
    r"""$y_i = a_{\pi(i)}$ along `dim`, with the $\pi$ that sorts, so $\bar a_{\pi(i)} = \bar y_i$.

    Always stable; `stable=` only chooses, as in torch, the name of the node.
    """
    if set(stable) - {"stable"}:
        raise TypeError(f"sort() got an unexpected keyword argument '{next(iter(stable))}'")
    _check_sortable("sort", input)
    dim = wrap_dim(dim, input._data.ndim)
    return SortResult(*(_sort_stable if stable else _sort)(input, dim=dim, descending=descending))


def _check_sortable(name: str, input: Any) -> None:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not "
                        f"{type(input).__name__}")
    if input._data.dtype.kind == "c":
        raise RuntimeError(f" {name.capitalize() if name == 'sort' else name} does not support "
                           "complex dtypes on CPU")


@takes_out
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The indices that sort `input` along `dim`."""
    return sort(input.detach(), dim, descending).indices


@takes_out
def msort(input: Any) -> Any:
    """`sort` along the first dimension: the values."""
    return sort(input, 0).values


@primitive(promote="exact", name="topk", outputs=("values", "indices"))
def _topk(xp, input, *, k, dim, largest):
    return _first_in_order(xp, input, dim, largest, slice(k))


derivative(_topk, input=lambda g, input_shape, indices, dim: put_along(
    g, input_shape, indices, dim, True))


@takes_out
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (or smallest) elements along `dim` and their indices, best first."""
    _check_sortable("topk", input)
    _check_count("topk", k)
    if input._data.dtype.kind == "b":
        raise RuntimeError("topk does not support bool dtypes on CPU")
    dim = wrap_dim(dim, input._data.ndim)
    if not 0 <= k <= (input._data.shape[dim] if input._data.ndim else 1):
        raise RuntimeError("selected index k out of range")
    return TopkResult(*_topk(input, k=k, dim=dim, largest=largest))


def _check_count(name: str, k: Any) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise TypeError(f"{name}(): argument 'k' (position 2) must be int, not "
                        f"{type(k).__name__}")


@primitive(promote="exact", name="kthvalue", outputs=("values", "indices"))
def _kthvalue(xp, input, *, k, dim, keepdim):
    values, indices = _first_in_order(xp, input, dim, False, slice(k - 1, k))
    if keepdim or not input.ndim:
        return values, indices
    return values.squeeze(dim), indices.squeeze(dim)


derivative(_kthvalue, input=lambda g, input_shape, indices, dim, keepdim: put_along(
    g, input_shape, indices, dim, keepdim))


@takes_out(check=(refusal("output values must be of same type as input"),
                  refusal("output indices must be of scalar type Long")), apart=True)
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along `dim`, counted from 1, and its index."""
    _check_count("kthvalue", k)
    dim = wrap_dim(dim, input._data.ndim)
    size = input._data.shape[dim] if input._data.ndim else 1
    if not size:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    if input._data.dtype.kind in "bc":
        raise _unsupported("kthvalue_cpu", input)
    return KthvalueResult(*_kthvalue(input, k=k, dim=dim, keepdim=keepdim))


# --- distinct values -----------------------------------------------------------------------------

def _runs(xp, starts, order):
    """Of items in `order`, where runs start at `starts`: each one's run, and the runs' lengths."""
    number = xp.cumsum(starts) - 1
    inverse = xp.empty(len(order), xp.int64)
    inverse[order] = number
    first = xp.append(xp.flatnonzero(starts), len(order))
    return inverse, (first[1:] - first[:-1]).astype(xp.int64)


def _starts(xp, items):
    """Where an item (one index of axis 0) differs from the one before it; nan differs from nan."""
    differs = items[1:] != items[:-1]
    if differs.ndim > 1:
        differs = differs.any(axis=tuple(range(1, differs.ndim)))
    return xp.concatenate([xp.ones(min(len(items), 1), bool), differs])


def _distinct(xp, input, dim, order_of):
    """Distinct items of neighbours in the order `order_of(items)`, with their places and counts."""
    items = input.reshape(-1) if dim is None else xp.moveaxis(input, dim, 0)
    order = order_of(items)
    items = items[order]
    starts = _starts(xp, items)
    inverse, counts = _runs(xp, starts, order)
    values = items[starts]
    if dim is None:
        return values, inverse.reshape(input.shape), counts
    return xp.moveaxis(values, 0, dim), inverse, counts


def _lexicographic(xp, items):
    """The order of the items as words of numbers: the first number counts most."""
    letters = items.reshape(len(items), math.prod(items.shape[1:]))
    if letters.dtype in dtypes.HALF_TYPES:
        letters = letters.astype(xp.float32)
    return xp.lexsort(xp.flip(letters, 1).T)


@primitive(promote="exact", name="_unique2", outputs=("values", "inverse", "counts"))
def _unique(xp, input):
    return _distinct(xp, input, None, lambda items: order_along(xp, items, 0, False))


@primitive(promote="exact", name="unique_dim", outputs=("values", "inverse", "counts"))
def _unique_dim(xp, input, *, dim):
    return _distinct(xp, input, dim, lambda items: _lexicographic(xp, items))


@primitive(promote="exact", name="unique_consecutive", outputs=("values", "inverse", "counts"))
def _unique_consecutive(xp, input, *, dim):
    return _distinct(xp, input, dim, lambda items: xp.arange(len(items)))


def _no_derivative(name: str) -> Any:
    def refuse(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")
    return refuse


for _op in (_unique, _unique_dim, _unique_consecutive):
    derivative(_op, input=_no_derivative(_op.op.name))


def _wanted(results: tuple, return_inverse: bool, return_counts: bool) -> Any:
    values, inverse, counts = results
    if not (return_inverse or return_counts):
        return values
    return (values, *[inverse] * return_inverse, *[counts] * return_counts)


def _check_distinguishable(name: str, input: Any, dim: int | None) -> int | None:
    if input._data.dtype.kind == "c":
        raise _unsupported(name, input)
    if dim is None:
        return None
    if not input._data.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, input._data.ndim)
    others = [size for d, size in enumerate(input._data.shape) if d != dim]
    if 0 in others:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique "
                           "cannot be applied")
    return dim


def unique(input: Any, sorted: bool = True, return_inverse: bool = False,
           return_counts: bool = False, dim: int | None = None) -> Any:
    """The distinct elements (slices along `dim`) in order, where each went, how often each was."""
    dim = _check_distinguishable("unique" if dim is None else "unique_dim", input, dim)
    results = _unique(input) if dim is None else _unique_dim(input, dim=dim)
    return _wanted(results, return_inverse, return_counts)


def unique_consecutive(input: Any, return_inverse: bool = False, return_counts: bool = False,
                       dim: int | None = None) -> Any:
    """`unique` without sorting first: each run of equal elements becomes one."""
    dim = _check_distinguishable("unique" if dim is None else "unique_dim", input, dim)
    return _wanted(_unique_consecutive(input, dim=dim), return_inverse, return_counts)


# --- places in an order --------------------------------------------------------------------------

@primitive(promote="default", name="searchsorted", lies="rows")
def _searchsorted(xp, boundaries, input, *, right, sorter):
    """Bisection, for all elements at once: the place is in [low, high] until the two meet."""
    count = boundaries.shape[-1]
    rows = boundaries.size // count if count else 1
    wanted = input.reshape(rows, -1)
    low = xp.zeros(wanted.shape, xp.int64)
    high = xp.full(wanted.shape, count)
    first = xp.arange(rows).reshape(-1, 1) * count
    flat = boundaries.reshape(-1)
    if sorter is not None:
        flat = flat[sorter.reshape(rows, -1) + first].reshape(-1)
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        found = flat[first + xp.minimum(middle, count - 1)]
        beyond = found > wanted if right else found >= wanted
        searching = low < high
        low = xp.where(searching & ~beyond, middle + 1, low)
        high = xp.where(searching & beyond, middle, high)
    return low.reshape(input.shape)


def _places_only(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise RuntimeError(
            "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or "
            "Long(int64) depending on whether out_int32 flag is True, but we got output tensor's "
            f"dtype {dtypes.of(wanted).scalar_name} and out_int32 flag is {found == np.int32}")


@takes_out(check=_places_only)
def searchsorted(sorted_sequence: Any, input: Any, *, out_int32: bool = False,
                 right: bool = False, side: str | None = None, sorter: Any = None) -> Any:
    """How many of the sorted boundaries are below each element (with `right`: not above it)."""
    _check_search(sorted_sequence, input, right, side, sorter)
    places = _searchsorted(sorted_sequence, input, right=right or side == "right",
                           sorter=None if sorter is None else sorter._data)
    return places.to(dtypes.int32) if out_int32 else places


def _check_search(boundaries: Any, input: Any, right: bool, side: str | None, sorter: Any) -> None:
    name = "torch.searchsorted(): "
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}side and right can't be set to opposites, got side of left "
                           "while right was True")
    shape = boundaries._data.shape
    wanted = input._data.shape if isinstance(input, TensorBase) else ()
    if sorter is not None:
        if sorter._data.shape != shape:
            raise RuntimeError(f"{name}boundary and sorter must have the same size, but got "
                               f"boundary tensor {list(shape)}and got sorter tensor "
                               f"{list(sorter._data.shape)}")
        if sorter.dtype is not dtypes.int64:
            raise RuntimeError(f"{name}sorter must be a tensor of long dtype but got dtype "
                               f"{sorter.dtype.scalar_name}")
        if bool(((sorter < 0) | (sorter >= shape[-1])).any()):
            raise RuntimeError(f"{name}sorter index out of range")
    if not wanted and len(shape) != 1:
        raise RuntimeError(f"{name}input value can be a scalar only when boundaries tensor "
                           f"dimension is 1, but we got boundaries tensor dim({len(shape)}) and "
                           "input value's dim(0) numel(1)")
    if not shape:
        raise RuntimeError(f"{name}boundaries tensor should have positive dimension, but got 0 "
                           "dimension")
    if len(shape) != 1 and shape[:-1] != wanted[:-1]:
        raise RuntimeError(f"{name}boundaries tensor should be 1 dimension or the first N-1 "
                           "dimensions of boundaries tensor and input value tensor must match, "
                           f"but we got boundaries tensor {list(shape)} and input value tensor "
                           f"{list(wanted)}")
    kinds = {each._data.dtype.kind for each in (boundaries, input) if isinstance(each, TensorBase)}
    if "c" in kinds or kinds == {"b"} and isinstance(input, TensorBase):
        raise _unsupported("searchsorted_out_cpu", boundaries)


@takes_out(check=_places_only)
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False,
              right: bool = False) -> Any:
    """The bin of each element between boundaries: `searchsorted` with its arguments exchanged."""
    if boundaries._data.ndim != 1:
        raise RuntimeError("boundaries tensor must be 1 dimension, but got "
                           f"dim({boundaries._data.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# --- counts and membership -----------------------------------------------------------------------

def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer 0, 1, 2, ... occurs, or the sum of its weights."""
    array = input._data
    if array.dtype.kind not in "iu":
        raise _unsupported("bincount_cpu", input)
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if array.ndim != 1 or array.size and int(array.min()) < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights._data.shape != array.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    xp = ARRAY_MODULES[type(array)]
    if weights is None or not array.size:
        return wrap(xp.bincount(array.astype(xp.int64), minlength=minlength).astype(xp.int64))
    values = weights._data
    if values.dtype != xp.float32:
        values = values.astype(xp.float64)
    total = xp.zeros(max(minlength, int(array.max()) + 1), values.dtype)
    add_at(xp, total, array, values)
    return wrap(total)


@primitive(promote="default", name="isin", lies="kernel")
def _isin(xp, elements, test_elements, *, invert):
    return xp.isin(elements, test_elements, invert=invert)


@takes_out
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False,
         invert: bool = False) -> Any:
    """Whether each element is one of the test elements; nan never is."""
    tensors = [each for each in (elements, test_elements) if isinstance(each, TensorBase)]
    if not tensors:
        raise TypeError("isin() received an invalid combination of arguments - got "
                        f"({type(elements).__name__}, {type(test_elements).__name__})")
    for each in tensors:
        if each._data.dtype.kind in "bc":
            raise RuntimeError("Unsupported input type encountered for isin(): "
                               f"{each.dtype.scalar_name}")
    return _isin(elements, test_elements, invert=invert)
