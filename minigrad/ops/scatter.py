"""gather, scatter and their relatives: elements picked or placed by a tensor of positions.

`gather` and `scatter_add` are a transpose pair: each is the other's gradient; so are `index_select`
and `index_add`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase, after_history, wrap
from ..device import add_at, array_module, combine_at
from ..inplace import inplace
from ..out import refusal, takes_out
from ..primitive import derivative, primitive
from .dims import wrap_dim
from .indexing import add_rows
from .parts import narrow, slice_, slice_backward
from .scatter_checks import check_index, check_rows, check_scatter

__all__ = [
    "index_select", "index_add", "index_copy", "index_fill", "gather", "scatter", "scatter_add",
    "take", "take_along_dim", "masked_select", "nonzero", "argwhere", "select_scatter",
    "slice_scatter", "diagonal_scatter", "narrow_copy"]


def _along(xp, index, dim):
    """The key under which `result[key]` is `gather`'s element for each place of `index`."""
    key = [xp.arange(n).reshape([-1 if j == i else 1 for j in range(index.ndim)])
           for i, n in enumerate(index.shape)]
    if key:
        key[dim] = index
    return tuple(key) or (...,)


# --- whole rows ----------------------------------------------------------------------------------

@primitive(promote="exact", name="index_select")
def _index_select(xp, input, index, *, dim):
    return input.take(index, dim) if input.ndim else input.reshape(1).take(index).reshape(())


@primitive(promote="exact", name="index_add")
def _index_add(xp, input, index, source, *, dim, alpha):
    result = input.copy()
    if not input.ndim:
        total = source.reshape(-1)[:index.size].sum(dtype=input.dtype)
        return result + (total if alpha == 1 else total * xp.asarray(alpha).astype(input.dtype))
    if alpha != 1:
        source = source * xp.asarray(alpha).astype(source.dtype)
    add_rows(xp, xp.moveaxis(result, dim, 0), index, xp.moveaxis(source, dim, 0))
    return result


derivative(_index_select, input=lambda g, index, input_shape, dim: _index_add(
    g.new_zeros(input_shape), index, g, dim=dim, alpha=1))
derivative(_index_add,
    input=lambda g: g,
    source=lambda g, index, dim, alpha: _scaled(_index_select(g, index, dim=dim), alpha))


def _scaled(tensor, alpha):
    return tensor if alpha == 1 else tensor * alpha


@takes_out(words="index_select(): self and result must have the same scalar type", apart=True)
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The indices `index` of dimension `dim`, as a copy."""
    dim = wrap_dim(dim, input._data.ndim, input)
    if index._data.ndim > 1:
        raise after_history(IndexError("index_select(): Index is supposed to be a vector"), input)
    if not input._data.ndim and index._data.size != 1:
        raise after_history(RuntimeError("index_select(): Index to scalar can have only 1 value, "
                                         f"got {index._data.size} value(s)"), input)
    size = input._data.shape[dim] if input._data.ndim else 1
    data = index._data
    if data.size and (data.min() < 0 or data.max() >= size):
        raise after_history(_out_of_range(input, dim, size, data), input)
    return _index_select(input, index.reshape(-1) if input._data.ndim else index, dim=dim)


def _out_of_range(input: Any, dim: int, size: int, index: Any) -> Exception:
    """torch's words for an index that is too large, which its shortcut for dimension 1 has others
    for, as it has for tensors without elements."""
    if input._data.ndim < 2 or dim != 1 and input._data.size:
        return IndexError("index out of range in self")
    if not size:
        return RuntimeError("index_select(): self indexing axis dim should be positive")
    wrong = index[(index < 0) | (index >= size)][0]
    return RuntimeError(f"INDICES element is out of DATA bounds, id={wrong} axis_dim={size}")


@takes_out
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """`result[index[i]] += alpha * source[i]`, along dimension `dim`."""
    dim = wrap_dim(dim, input._data.ndim)
    check_rows("index_add_", input, dim, index, source)
    return _index_add(input, index.reshape(-1), source, dim=dim, alpha=alpha)


@primitive(promote="exact", name="index_copy")
def _index_copy(xp, input, index, source, *, dim):
    result = input.copy()
    xp.atleast_1d(result)[(slice(None),) * dim + (index,)] = source
    return result


derivative(_index_copy,
    input=lambda g, index, dim: g.index_fill(dim, index, 0),
    source=lambda g, index, dim: _index_select(g, index, dim=dim))


@autocasts
@takes_out
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """A copy of `input` with `result[index[i]] = source[i]`, along dimension `dim`."""
    dim = wrap_dim(dim, input._data.ndim)
    check_index(index, (input._data.shape or (1,))[dim], dim)
    return _index_copy(input, index.reshape(-1), source, dim=dim)


@primitive(promote="exact", name="index_fill", lies="input")
def _index_fill(xp, input, index, *, dim, value):
    result = input.copy()
    xp.atleast_1d(result)[(slice(None),) * dim + (index,)] = value
    return result


@primitive(promote="exact", name="index_fill", overload=1, lies="input")
def _index_fill_tensor(xp, input, index, value, *, dim):
    result = input.copy()
    xp.atleast_1d(result)[(slice(None),) * dim + (index,)] = value.astype(input.dtype)
    return result


derivative(_index_fill, input=lambda g, index, dim: _index_fill(g, index, dim=dim, value=0))
derivative(_index_fill_tensor,
    input=lambda g, index, dim: _index_fill(g, index, dim=dim, value=0),
    value=lambda g, index, dim: g.index_select(dim, index.unique()).sum())


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy of `input` with `value` at the indices `index` of dimension `dim`."""
    dim = wrap_dim(dim, input._data.ndim)
    check_index(index, (input._data.shape or (1,))[dim], dim)
    if isinstance(value, TensorBase):
        if value._data.ndim:
            raise RuntimeError("index_fill_ only supports a 0-dimensional value tensor, but got "
                               f"tensor with {value._data.ndim} dimension(s).")
        return _index_fill_tensor(input, index, value, dim=dim)
    return _index_fill(input, index, dim=dim, value=value)


# --- one element at a time -----------------------------------------------------------------------

@primitive(promote="exact", name="gather")
def _gather(xp, input, index, *, dim):
    if not index.size:
        return xp.empty(index.shape, input.dtype)
    if not index.ndim:
        return input.reshape(-1).take(index)
    return xp.atleast_1d(input)[_along(xp, index, dim)].reshape(index.shape)


@primitive(promote="exact", name="scatter_add")
def _scatter_add(xp, input, index, src, *, dim):
    result = input.copy()
    if not index.size:
        return result
    add_at(xp, xp.atleast_1d(result), _along(xp, index, dim),
              src[tuple([slice(n) for n in index.shape])].astype(input.dtype, copy=False))
    return result


derivative(_gather, input=lambda g, index, input_shape, dim: _scatter_add(
    g.new_zeros(input_shape), index, g, dim=dim))
derivative(_scatter_add,
    input=lambda g: g,
    src=lambda g, index, src_shape, dim: _into(_gather(g, index, dim=dim), src_shape))


def _into(g, shape):
    """`g` in the front corner of zeros of this shape: the index may be smaller than the source."""
    if tuple(g.shape) == tuple(shape):
        return g
    for dim, size in enumerate(shape):
        whole = list(g.shape)
        whole[dim] = size
        g = slice_scatter(g.new_zeros(whole), g, dim, 0, g.shape[dim])
    return g


@takes_out(apart=True)
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """`result[i][j] = input[index[i][j]][j]` for dim 0, and so on for the other dims."""
    dim = wrap_dim(dim, input._data.ndim)
    if index._data.size and max(input._data.ndim, 1) != max(index._data.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d, (own, wanted) in enumerate(zip(input._data.shape, index._data.shape, strict=False)):
        if d != dim and wanted > own:
            raise RuntimeError(f"Size does not match at dimension {d} expected index "
                               f"{list(index._data.shape)} to be no larger than self "
                               f"{list(input._data.shape)} apart from dimension {dim}")
    check_index(index, (input._data.shape or (1,))[dim], dim)
    return _gather(input, index, dim=dim)


@autocasts
@takes_out
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """`result[index[i][j]][j] += src[i][j]` for dim 0, and so on."""
    dim = wrap_dim(dim, input._data.ndim)
    check_scatter(input, dim, index, src)
    return _scatter_add(input, index, src, dim=dim)


@primitive(promote="exact", name="scatter")
def _scatter_src(xp, input, index, src, *, dim):
    result = input.copy()
    xp.atleast_1d(result)[_along(xp, index, dim)] = src[tuple([slice(n) for n in index.shape])]
    return result


@primitive(promote="exact", name="scatter", overload=1)
def _scatter_value(xp, input, index, *, dim, value):
    result = input.copy()
    xp.atleast_1d(result)[_along(xp, index, dim)] = value
    return result


derivative(_scatter_src,
    input=lambda g, index, dim: _scatter_value(g, index, dim=dim, value=0),
    src=lambda g, index, src_shape, dim: _into(_gather(g, index, dim=dim), src_shape))
derivative(_scatter_value, input=lambda g, index, dim: _scatter_value(
    g, index, dim=dim, value=0))


@takes_out
def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None,
            reduce: str | None = None) -> Any:
    """`result[index[i][j]][j] = src[i][j]` for dim 0, and so on; `src` may be a number."""
    dim = wrap_dim(dim, input._data.ndim)
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    src = value if src is None else src
    check_scatter(input, dim, index, src if isinstance(src, TensorBase) else None)
    if not isinstance(src, TensorBase):
        if reduce is not None:
            return _scatter_by(input, index, None, dim=dim, reduce=reduce, value=src)
        return _scatter_value(input, index, dim=dim, value=src)
    if reduce is not None:
        warnings.warn("The reduce argument of torch.scatter with Tensor src is deprecated and will "
                      "be removed in a future PyTorch release. Use torch.scatter_reduce instead "
                      "for more reduction options.", UserWarning, stacklevel=2)
        return _scatter_by(input, index, src, dim=dim, reduce=reduce, value=None)
    return _scatter_src(input, index, src, dim=dim)


@primitive(promote="exact", node_name="NotImplemented")
def _scatter_by(xp, input, index, src=None, *, dim, reduce, value):
    """scatter with `reduce`, which torch has no derivative for (scatter_reduce has)."""
    result = input.copy()
    if not index.size:
        return result
    values = xp.asarray(value).astype(input.dtype) if src is None else xp.atleast_1d(
        src[tuple([slice(n) for n in index.shape])])
    combine_at(xp, reduce, xp.atleast_1d(result), _along(xp, index, dim), values)
    return result


def _no_derivative(g):
    raise RuntimeError("derivative for aten::scatter is not implemented")


derivative(_scatter_by, input=_no_derivative, src=_no_derivative)


@primitive(promote="exact", name="take")
def _take(xp, input, index):
    return input.reshape(-1)[index]


@primitive(promote="exact", name="put")
def _add_at(xp, gradient, index, *, shape):
    """Zeros of `shape`, with the gradient added at positions of the flattened tensor."""
    result = xp.zeros(math.prod(shape), gradient.dtype)
    add_at(xp, result, index.reshape(-1), gradient.reshape(-1))
    return result.reshape(shape)


derivative(_take, input=lambda g, index, input_shape: _add_at(g, index, shape=input_shape))
derivative(_add_at, gradient=lambda g, index: g.take(index))


@takes_out(words="take(): self and out expected to have the same dtype, but got self.dtype = "
                 "{found} and out.dtype = {wanted}", apart=True)
def take(input: Any, index: Any) -> Any:
    """The elements at positions of the flattened tensor, in the shape of `index`."""
    size, data = input._data.size, index._data
    wrong = data[(data < -size) | (data >= size)] if data.size else data
    if wrong.size:
        raise IndexError(f"out of range: tried to access index {int(wrong.ravel()[0])} on a tensor "
                         f"of {size} elements.")
    return _take(input, index)


@takes_out
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather` with the index broadcast; over the flattened tensor without `dim`."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    dim, shape = wrap_dim(dim, input._data.ndim), list(input._data.shape)
    places = list(indices._data.shape)
    both = [a if i == dim else max(a, b) for i, (a, b) in enumerate(
        zip(places, shape, strict=True))]
    own = list(both)
    own[dim] = shape[dim]
    data = indices._data
    if data.size and data.min() < 0:
        indices = wrap(array_module(data).where(data < 0, data + shape[dim], data))
    return gather(input.expand(own), dim, indices.expand(both))


# --- masks ---------------------------------------------------------------------------------------

@primitive(promote="exact", name="masked_select")
def _masked_select(xp, input, mask):
    if mask.dtype.kind != "b":
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    input, mask = xp.broadcast_arrays(input, mask)
    return input[mask]


@primitive(promote="exact")
def masked_select_backward(xp, g, mask, *, shape):
    """Zeros, with `g` where `mask` is True."""
    result = xp.zeros(xp.broadcast_shapes(shape, mask.shape), g.dtype)
    result[xp.broadcast_to(mask, result.shape)] = g
    return result


_masked_select.op.check_out = refusal("masked_select(): self and result must have the same scalar "
                                     "type")
derivative(_masked_select, input=lambda g, mask, input_shape: masked_select_backward(
    g, mask, shape=input_shape))
derivative(masked_select_backward, g=lambda g, mask: g.masked_select(mask))


@takes_out(words="masked_select(): self and result must have the same scalar type", apart=True)
def masked_select(input: Any, mask: Any) -> Any:
    """The elements where `mask` (broadcast with the input) is True, as a vector."""
    return _masked_select(input, mask)


@takes_out(words="nonzero: Expected out tensor to have scalar type {found} but got scalar "
                 "type{wanted}")
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not 0: one row each, or one vector per dimension."""
    xp, data = array_module(input._data), input._data
    places = xp.atleast_1d(data).nonzero()
    if as_tuple:
        return tuple([wrap(each) for each in places])
    if not data.ndim:
        return wrap(xp.zeros((len(places[0]), 0), xp.int64))
    return wrap(xp.stack(places, 1))


def argwhere(input: Any) -> Any:
    """`nonzero(input)`."""
    return nonzero(input)


# --- writing a part of a copy --------------------------------------------------------------------

def _with_part(array, src, key):
    """A copy of `array` whose part `array[key]` is `src`."""
    result = array.copy()
    part = result[key]
    if part.shape != src.shape:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = "
                           f"{list(src.shape)}, slice size = {list(part.shape)}")
    result[key] = src
    return result


@primitive(promote="exact", name="select_scatter")
def _select_scatter(xp, input, src, *, dim, index):
    return _with_part(input, src, (slice(None),) * dim + (index, ...))


derivative(_select_scatter,
    input=lambda g, dim, index: _select_scatter(
        g, g.select(dim, index).zeros_like(), dim=dim, index=index),
    src=lambda g, dim, index: g.select(dim, index))


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy of `input` with `src` at one index of `dim`."""
    return _select_scatter(input, src, dim=wrap_dim(dim, input._data.ndim), index=index)


@primitive(promote="exact", name="slice_scatter")
def _slice_scatter(xp, input, src, *, dim, start, end, step):
    return _with_part(input, src, (slice(None),) * dim + (slice(start, end, step),))


derivative(_slice_scatter,
    input=lambda g, dim, start, end, step: _slice_scatter(
        g, slice_(g, dim, start, end, step).zeros_like(), dim=dim, start=start, end=end,
        step=step),
    src=lambda g, dim, start, end, step: slice_(g, dim, start, end, step))


@takes_out
def slice_scatter(input: Any, src: Any, dim: int = 0, start: int | None = None,
                  end: int | None = None, step: int = 1) -> Any:
    """A copy of `input` with `src` in a slice of `dim`."""
    return _slice_scatter(input, src, dim=wrap_dim(dim, input._data.ndim), start=start, end=end,
                          step=step)


@primitive(promote="exact", name="diagonal_scatter")
def _diagonal_scatter(xp, input, src, *, offset, dim1, dim2):
    rows, columns = max(-offset, 0), max(offset, 0)
    length = max(min(input.shape[dim1] - rows, input.shape[dim2] - columns), 0)
    key = [slice(None)] * input.ndim
    key[dim1], key[dim2] = xp.arange(rows, rows + length), xp.arange(columns, columns + length)
    result = input.copy()
    others = [d for d in range(input.ndim) if d not in (dim1, dim2)]
    expected = (*[input.shape[d] for d in others], length)
    if src.shape != expected:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = "
                           f"{list(src.shape)}, slice size = {list(expected)}")
    xp.moveaxis(result, (dim1, dim2), (0, 1))[key[dim1], key[dim2]] = xp.moveaxis(src, -1, 0)
    return result


derivative(_diagonal_scatter,
    input=lambda g, src_shape, offset, dim1, dim2: _diagonal_scatter(
        g, g.new_zeros(src_shape), offset=offset, dim1=dim1, dim2=dim2),
    src=lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2))


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of `input` with `src` on a diagonal."""
    ndim = input._data.ndim
    return _diagonal_scatter(input, src, offset=offset, dim1=wrap_dim(dim1, ndim),
                             dim2=wrap_dim(dim2, ndim))


@primitive(promote="exact", name="narrow_copy")
def _narrow_copy(xp, input, *, dim, start, length):
    return input[(slice(None),) * dim + (slice(start, start + length),)].copy()


derivative(_narrow_copy, input=lambda g, input_shape, dim, start, length: slice_backward(
    g, shape=input_shape, dim=dim, start=start, end=start + length, step=1))


@takes_out(words="Expected self.dtype() == output.dtype() to be true, but got false.  (Could this "
                 "error message be improved?  If so, please report an enhancement request to "
                 "PyTorch.)", warns=False, in_rows=True)
def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """A copy of `input.narrow(dim, start, length)`."""
    if dim >= input._data.ndim > 0:
        raise RuntimeError("Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but "
                           "got false.  (Could this error message be improved?  If so, please "
                           "report an enhancement request to PyTorch.)")
    if length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size "
                           f"({input._data.shape[dim]}).")
    narrow(input.detach(), dim, start, length)  # raises where there is no such part
    dim = wrap_dim(dim, input._data.ndim)
    return _narrow_copy(input, dim=dim, start=start % max(input._data.shape[dim], 1),
                        length=length)


index_add_, index_copy_, scatter_, scatter_add_ = [
    inplace(function, overlap="never")
    for function in (index_add, index_copy, scatter, scatter_add)]
index_fill_ = inplace(index_fill)
