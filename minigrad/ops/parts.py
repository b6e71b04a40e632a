"""Views of a part: one index, a slice, a diagonal, windows. Each with its transpose."""

from __future__ import annotations

import builtins
from typing import Any

from ..core import TensorBase, after_history
from ..primitive import derivative, primitive, view
from .dims import wrap_dim
from .views import restrided

__all__ = ["narrow", "select", "slice_", "diagonal", "unfold"]


@view(name="select")
def _select(xp, input, *, dim, index):
    return input[(slice(None),) * dim + (index, ...)]


@primitive(promote="exact")
def select_backward(xp, g, *, shape, dim, index):
    """Zeros, with `g` at one index of dimension `dim`."""
    result = xp.zeros(shape, g.dtype)
    result[(slice(None),) * dim + (index,)] = g
    return result


derivative(_select, input=lambda g, input_shape, dim, index: select_backward(
    g, shape=input_shape, dim=dim, index=index))
derivative(select_backward, g=lambda g, dim, index: g.select(dim, index))


def select(input: Any, dim: int, index: int) -> Any:
    """The view at one index of dimension `dim`, which disappears."""
    shape = input._data.shape
    if not shape:
        raise after_history(IndexError("select() cannot be applied to a 0-dim tensor."), input)
    dim, index = wrap_dim(dim, len(shape), input), index.__index__()
    if not -shape[dim] <= index < shape[dim]:
        raise after_history(IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} "
            f"at dimension {dim}"), input)
    return _select(input, dim=dim, index=index % shape[dim])


@view(name="slice")
def _slice(xp, input, *, dim, start, end, step):
    return input[(slice(None),) * dim + (slice(start, end, step),)]


@primitive(promote="exact")
def slice_backward(xp, g, *, shape, dim, start, end, step):
    """Zeros, with `g` in one slice of dimension `dim`."""
    result = xp.zeros(shape, g.dtype)
    result[(slice(None),) * dim + (slice(start, end, step),)] = g
    return result


derivative(_slice, input=lambda g, input_shape, dim, start, end, step: slice_backward(
    g, shape=input_shape, dim=dim, start=start, end=end, step=step))
derivative(slice_backward, g=lambda g, dim, start, end, step: _slice(
    g, dim=dim, start=start, end=end, step=step))


def slice_(input: Any, dim: int = 0, start: int | None = None, end: int | None = None,
           step: int = 1) -> Any:
    """The view of every `step`-th index from `start` up to `end`."""
    shape = input._data.shape
    if not shape:
        raise after_history(RuntimeError("slice() cannot be applied to a 0-dim tensor."), input)
    if step <= 0:
        raise after_history(RuntimeError("slice step must be positive"), input)
    dim = wrap_dim(dim, len(shape), input)
    start, end, step = slice(start, end, step).indices(shape[dim])
    return _slice(input, dim=dim, start=start, end=max(start, end), step=step)


def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """The view of `length` indices of dimension `dim` from `start` on."""
    shape = input._data.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if isinstance(start, TensorBase) and (start._data.ndim or start._data.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    if not hasattr(start, "__index__"):
        raise TypeError("narrow() received an invalid combination of arguments - got (Tensor, int, "
                        f"{type(start).__name__}, int)")
    dim, start = wrap_dim(dim, len(shape)), start.__index__()
    size = shape[dim]
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but "
                         f"got {start})")
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return _slice(input, dim=dim, start=start, end=start + length, step=1)


@view(name="diagonal")
def _diagonal(xp, input, *, offset, dim1, dim2):
    rows, columns = input.shape[dim1], input.shape[dim2]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    keep = [i for i in builtins.range(input.ndim) if i not in (dim1, dim2)]
    corner = [slice(None)] * input.ndim
    if count:
        corner[dim1], corner[dim2] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
    return restrided(
        xp, input[tuple(corner)], [*(input.shape[i] for i in keep), count],
        [*(input.strides[i] for i in keep), input.strides[dim1] + input.strides[dim2]])


@primitive(promote="exact")
def diagonal_backward(xp, g, *, shape, offset, dim1, dim2):
    """Zeros, with `g` on a diagonal."""
    result = xp.zeros(shape, g.dtype)
    _diagonal.op.kernel(xp, result, offset=offset, dim1=dim1, dim2=dim2)[...] = g
    return result


derivative(_diagonal, input=lambda g, input_shape, offset, dim1, dim2: diagonal_backward(
    g, shape=input_shape, offset=offset, dim1=dim1, dim2=dim2))
derivative(diagonal_backward, g=lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2))


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The view of a diagonal of dimensions dim1 and dim2, as a new last dimension."""
    ndim = input._data.ndim
    first, second = wrap_dim(dim1, ndim, input), wrap_dim(dim2, ndim, input)
    if first == second:
        raise after_history(RuntimeError(
            f"diagonal dimensions cannot be identical {dim1}, {dim2}"), input)
    return _diagonal(input, offset=offset, dim1=first, dim2=second)


@view(name="unfold")
def _unfold(xp, input, *, dimension, size, step):
    if not input.ndim:
        return restrided(xp, input, (size,), (input.dtype.itemsize,))
    count = (input.shape[dimension] - size) // step + 1
    shape, strides = list(input.shape), list(input.strides)
    shape[dimension], strides[dimension] = count, strides[dimension] * step
    return restrided(xp, input, [*shape, size], [*strides, input.strides[dimension]])


@primitive(promote="exact")
def unfold_backward(xp, g, *, shape, dimension, size, step):
    """Each window's gradient added where the window lay."""
    result = xp.zeros(shape, g.dtype)
    if not shape:
        return result + g.sum()
    windows = _unfold.op.kernel(xp, result, dimension=dimension, size=size, step=step)
    for offset in builtins.range(size):  # the places of one offset never overlap
        windows[..., offset] += g[..., offset]
    return result


derivative(_unfold, input=lambda g, input_shape, dimension, size, step: unfold_backward(
    g, shape=input_shape, dimension=dimension, size=size, step=step))
derivative(unfold_backward, g=lambda g, dimension, size, step: g.unfold(dimension, size, step))


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """The view of all windows of `size` indices, `step` apart, as a new last dimension."""
    shape = input._data.shape
    dimension = wrap_dim(dimension, len(shape), input)
    longest = shape[dimension] if shape else 1
    if size > longest:
        raise after_history(RuntimeError(
            f"maximum size for tensor at dimension {dimension} is {longest} but "
            f"size is {size}"), input)
    if step <= 0:
        raise after_history(RuntimeError(f"step is {step} but must be > 0"), input)
    return _unfold(input, dimension=dimension, size=size, step=step)
