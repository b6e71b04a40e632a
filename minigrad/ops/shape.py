"""Cutting tensors into parts, and moving their elements: split, flip, roll, tril, repeat, clone."""

from __future__ import annotations

import builtins
from typing import Any

from ..core import TensorBase, after_history, wrap
from ..device import array_module
from ..out import castable, check_same, takes_out
from ..primitive import derivative, primitive, view
from ..strides import as_operands_lie
from .convert import tolist
from .dims import wrap_dim, wrap_dims
from .joining import cat, stack
from .parts import diagonal_backward, slice_
from .views import expand, flatten, unsqueeze

__all__ = [
    "unbind", "split", "split_with_sizes", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit",
    "flip", "fliplr", "flipud", "roll", "rot90", "tril", "triu", "diag", "diag_embed", "diagflat",
    "repeat", "tile", "repeat_interleave", "contiguous", "clone", "meshgrid"]


# --- into parts ----------------------------------------------------------------------------------

def _filled(grads: list, shapes: list) -> list:
    """The gradients of all parts, zeros where nothing arrived."""
    g = next(each for each in grads if each is not None)
    return [g.new_zeros(shape) if each is None else each
            for each, shape in zip(grads, shapes, strict=True)]


@view(name="unbind", outputs="multiple")
def _unbind(xp, input, *, dim):
    before = (slice(None),) * dim
    return tuple([input[before + (i, ...)] for i in builtins.range(input.shape[dim])])


derivative(_unbind, input=lambda grads, input_shape, dim: stack(_filled(
    grads, [input_shape[:dim] + input_shape[dim + 1:]] * len(grads)), dim))


def unbind(input: Any, dim: int = 0) -> tuple:
    """A tuple of the views at each index of dimension `dim`."""
    if input._data.ndim == 0:
        raise after_history(IndexError(
            "Dimension specified as 0 but tensor has no dimensions"), input)
    return _unbind(input, dim=wrap_dim(dim, input._data.ndim, input))


def _cut(input, sizes, dim):
    before, start, parts = (slice(None),) * dim, 0, []
    for size in sizes:
        parts.append(input[before + (slice(start, start + size),)])
        start += size
    return tuple(parts)


def _joined(grads, input_shape, sizes, dim):
    return cat(_filled(grads, [(*input_shape[:dim], n, *input_shape[dim + 1:]) for n in sizes]),
               dim)


@view(name="split", outputs="multiple")
def _split(xp, input, *, sizes, dim):
    return _cut(input, sizes, dim)


@view(name="split_with_sizes", outputs="multiple")
def _split_with_sizes(xp, input, *, sizes, dim):
    return _cut(input, sizes, dim)


derivative(_split, input=_joined)
derivative(_split_with_sizes, input=_joined)


def split(input: Any, split_size_or_sections: Any, dim: int = 0) -> tuple:
    """Views of `split_size` indices each (the last one may be shorter), or of the given sizes."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(input, split_size_or_sections, dim)
    size, shape = split_size_or_sections, input._data.shape
    if not shape:
        raise after_history(RuntimeError("split expects at least a 1-dimensional tensor"), input)
    dim = wrap_dim(dim, len(shape), input)
    if size < 0:
        raise after_history(RuntimeError("split expects split_size be non-negative, but got "
                                         f"split_size={size}"), input)
    if size == 0 and shape[dim]:
        raise after_history(RuntimeError(
            "split_size can only be 0 if dimension size is 0, but got dimension "
            f"size of {shape[dim]}"), input)
    starts = builtins.range(0, max(shape[dim], 1), size or 1)
    return _split(input, sizes=tuple([min(size, shape[dim] - i) for i in starts]), dim=dim)


def split_with_sizes(input: Any, split_sizes: Any, dim: int = 0) -> tuple:
    """Views of the given sizes, which must add up to the dimension's."""
    sizes, shape = tuple(split_sizes), input._data.shape
    if not shape:
        raise after_history(RuntimeError("split expects at least a 1-dimensional tensor"), input)
    dim = wrap_dim(dim, len(shape), input)
    if builtins.sum(sizes) != shape[dim]:
        raise after_history(RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[dim]} "
            f"(input tensor's size at dimension {dim}), but got split_sizes="
            f"{list(sizes)}"), input)
    return _split_with_sizes(input, sizes=sizes, dim=dim)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple:
    """At most `chunks` views of equal size (the last may be smaller)."""
    if not input._data.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input._data.shape[wrap_dim(dim, input._data.ndim)]
    if size == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, -(-size // chunks), dim)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple:
    """Views between the given indices, or that many of nearly equal size."""
    if not input._data.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a "
                           "tensor with 0 dims")
    _check_parts("tensor_split", indices_or_sections)
    dim = wrap_dim(dim, input._data.ndim)
    size = input._data.shape[dim]
    if isinstance(indices_or_sections, TensorBase):
        indices_or_sections = tolist(indices_or_sections)
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        small, larger = divmod(size, count)
        bounds = [i * small + min(i, larger) for i in builtins.range(count + 1)]
    else:
        bounds = [0, *indices_or_sections, size]
    return tuple([slice_(input, dim, a, b) for a, b in zip(bounds, bounds[1:], strict=False)])


def _check_parts(name: str, parts: Any) -> None:
    items = parts if isinstance(parts, list | tuple) else [parts]
    if isinstance(parts, TensorBase) or builtins.all(hasattr(each, "__index__") for each in items):
        return
    raise TypeError(f"{name}() received an invalid combination of arguments - got (Tensor, "
                    f"{type(parts).__name__})")


def _split_along(input: Any, parts: Any, dim: int, name: str, least: int) -> tuple:
    ndim = input._data.ndim
    _check_parts(name, parts)
    if ndim < least:
        raise RuntimeError(f"torch.{name} requires a tensor with at least {least} dimension, but "
                           f"got a tensor with {ndim} dimensions!")
    size = input._data.shape[dim]
    if isinstance(parts, int) and (parts == 0 or size % parts):
        raise RuntimeError(f"torch.{name} attempted to split along dimension {dim}, but the size "
                           f"of the dimension {size} is not divisible by the split_size {parts}!")
    return tensor_split(input, parts, dim)


def hsplit(input: Any, indices_or_sections: Any) -> tuple:
    """`tensor_split` along dimension 1 (0 for vectors)."""
    return _split_along(input, indices_or_sections, 1 if input._data.ndim > 1 else 0, "hsplit", 1)


def vsplit(input: Any, indices_or_sections: Any) -> tuple:
    """`tensor_split` along dimension 0."""
    return _split_along(input, indices_or_sections, 0, "vsplit", 2)


def dsplit(input: Any, indices_or_sections: Any) -> tuple:
    """`tensor_split` along dimension 2."""
    return _split_along(input, indices_or_sections, 2, "dsplit", 3)


# --- copies --------------------------------------------------------------------------------------

@primitive(promote="exact", name="clone")
def _clone(xp, input, *, format):
    if format == "channels_last":
        return xp.moveaxis(xp.moveaxis(input, 1, -1).copy(order="C"), -1, 1)
    if format == "contiguous_format":
        return input.copy(order="C")
    return as_operands_lie(xp, input.copy(order="K"), [input])


derivative(_clone, input=lambda g: g)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy; it keeps the strides of a dense input unless `memory_format` asks otherwise."""
    return _clone(input, format=_format_name(input, memory_format, "preserve_format"))


def _format_name(input: Any, memory_format: Any, default: str) -> str:
    name = default if memory_format is None else getattr(memory_format, "name", memory_format)
    if name == "channels_last" and input._data.ndim != 4:
        raise RuntimeError("required rank 4 tensor to use channels_last format")
    return name


def contiguous(input: Any, memory_format: Any = None) -> Any:
    """The tensor itself if its elements lie in order without gaps, else a copy that does."""
    format = _format_name(input, memory_format, "contiguous_format")
    if format == "channels_last":
        lies = input._data.transpose(0, 2, 3, 1).flags.c_contiguous
    else:
        lies = input._data.flags.c_contiguous
    return input if lies else _clone(input, format=format)


# --- moving elements -----------------------------------------------------------------------------

@primitive(promote="exact", name="flip", lies="operands")
def _flip(xp, input, *, dims):
    return xp.flip(input, dims).copy() if dims and input.ndim else input.copy()


derivative(_flip, input=lambda g, dims: g.flip(dims))


def flip(input: Any, *sizes: Any, dims: Any = None) -> Any:
    """The order of elements reversed along `dims` (a copy, not a view)."""
    if dims is None:
        dims = sizes[0] if len(sizes) == 1 else sizes
    return _flip(input, dims=wrap_dims(dims, input._data.ndim, input))


def fliplr(input: Any) -> Any:
    """`flip` along dimension 1."""
    if input._data.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """`flip` along dimension 0."""
    if input._data.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


@primitive(promote="exact", name="roll", lies="rows")
def _roll(xp, input, *, shifts, dims):
    return xp.roll(input, shifts, dims or None)


derivative(_roll, input=lambda g, shifts, dims: _roll(
    g, shifts=tuple([-shift for shift in shifts]) if dims else -shifts, dims=dims))


def roll(input: Any, shifts: Any, dims: Any = ()) -> Any:
    """Elements shifted along `dims`, those that fall off coming back at the other end."""
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if not input._data.ndim:
        for dim in (dims,) if isinstance(dims, int) else dims:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dims = wrap_dims(dims, input._data.ndim, input)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims) and (dims or len(shifts) > 1):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:"
                           f"{len(dims)}")
    return _roll(input, shifts=shifts if dims else shifts[0], dims=dims)


@primitive(promote="exact", node_name="Rot90Backward0")
def _rot90(xp, input, *, k, dims):
    first, second = dims
    flips = {0: (), 1: (second,), 2: (first, second), 3: (first,)}[k % 4]
    result = xp.flip(input, flips).copy(order="C")
    return result.swapaxes(first, second) if k % 2 else result


derivative(_rot90, input=lambda g, k, dims: _rot90(g, k=-k, dims=dims))


def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Rotated by k quarter turns in the plane of two dims, from the first towards the second."""
    ndim, dims = input._data.ndim, tuple(dims)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or builtins.abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError("expected rotation dims to be different, but got dim0 = "
                           f"{dims[0]} and dim1 = {dims[1]}")
    return _rot90(input, k=k, dims=wrap_dims(dims, input._data.ndim, input))


@primitive(promote="exact", name="tril", lies="rows")
def _tril(xp, input, *, diagonal):
    return xp.tril(input, diagonal)


derivative(_tril, input=lambda g, diagonal: _tril(g, diagonal=diagonal))


@takes_out
def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle: elements above the diagonal become 0."""
    if input._data.ndim < 2:
        raise RuntimeError("tril: input tensor must have at least 2 dimensions")
    return _tril(input, diagonal=diagonal)


@primitive(promote="exact", name="triu", lies="rows")
def _triu(xp, input, *, diagonal):
    return xp.triu(input, diagonal)


derivative(_triu, input=lambda g, diagonal: _triu(g, diagonal=diagonal))


@takes_out
def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle: elements below the diagonal become 0."""
    if input._data.ndim < 2:
        raise RuntimeError("triu: input tensor must have at least 2 dimensions")
    return _triu(input, diagonal=diagonal)


@primitive(promote="exact", name="diag_embed")
def _diag_embed(xp, input, *, offset, dim1, dim2):
    size = input.shape[-1] + builtins.abs(offset)
    result = xp.zeros((*input.shape[:-1], size, size), input.dtype)
    places = xp.arange(input.shape[-1])
    result[..., places + max(-offset, 0), places + max(offset, 0)] = input
    return xp.moveaxis(result, (-2, -1), (dim1, dim2))


derivative(_diag_embed, input=lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2))


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices of zeros with the last dimension of `input` on a diagonal."""
    ndim = input._data.ndim + 1
    dim1, dim2 = wrap_dim(dim1, ndim, input), wrap_dim(dim2, ndim, input)
    if dim1 == dim2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diag_embed(input, offset=offset, dim1=dim1, dim2=dim2)


@primitive(promote="exact", node_name="DiagonalBackward0_copy")
def _diagonal_copy(xp, input, *, offset):
    return input.diagonal(offset).copy()


derivative(_diagonal_copy, input=lambda g, input_shape, offset: diagonal_backward(
    g, shape=input_shape, offset=offset, dim1=0, dim2=1))


def diag(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """A vector as a diagonal matrix; of a matrix, a copy of its diagonal."""
    if input._data.ndim == 1:
        return _diagonal_matrix(input, diagonal, out=out)
    if input._data.ndim != 2:
        raise RuntimeError("diag(): Supports 1D or 2D tensors. Got "
                           f"{input._data.ndim}D")
    return _diagonal_copy(input, offset=diagonal, out=out)


def _same_in_words_of_diag(found: Any, wanted: Any) -> None:
    castable("diag: result type {found} can't be cast to the desired out= type {wanted}")(
        found, wanted)
    check_same(found, wanted)


_diagonal_matrix = takes_out(diag_embed, name="diag", check=_same_in_words_of_diag)


def diagflat(input: Any, offset: int = 0) -> Any:
    """All elements on the diagonal of a matrix."""
    return diag_embed(input.contiguous().view(-1), offset)


# --- repeating -----------------------------------------------------------------------------------

@primitive(promote="exact", name="repeat")
def _repeat(xp, input, *, repeats):
    return xp.tile(input, repeats)


def _folded(g: Any, input_shape: tuple, repeats: tuple) -> Any:
    """The copies along new dimensions are summed, then those along each old one, which is cut into
    (copies, own size) for that."""
    if 0 in repeats:
        return g.new_zeros(input_shape)
    new = len(repeats) - len(input_shape)
    for _ in builtins.range(new):
        g = g.sum(0)
    sizes: list[int] = []
    copies: list[int] = []
    for times, size in zip(repeats[new:], input_shape, strict=True):
        if times != 1:
            copies.append(len(sizes))
            sizes.append(times)
        sizes.append(size)
    return g.reshape(sizes).sum(copies) if copies else g


derivative(_repeat, input=_folded)


def repeat(input: Any, *repeats: Any) -> Any:
    """The tensor `repeats[i]` times along dimension i, as a copy."""
    times = tuple(repeats[0]) if len(repeats) == 1 and not isinstance(repeats[0], int) else repeats
    if len(times) < input._data.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of "
                           "dimensions of tensor")
    if builtins.any(n < 0 for n in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(times)}")
    return _repeat(input, repeats=times)


def tile(input: Any, *dims: Any) -> Any:
    """`repeat`, with missing leading counts taken as 1."""
    times = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return repeat(input, (1,) * (input._data.ndim - len(times)) + times)


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None, *,
                      output_size: int | None = None) -> Any:
    """Each element (or each index of `dim`) repeated in place: [a, b] -> [a, a, b, b]."""
    if dim is None:
        input, dim = flatten(input), 0
    dim = wrap_dim(dim, input._data.ndim, input)
    if isinstance(repeats, int):
        shape = list(input._data.shape)
        shape.insert(dim + 1, repeats)
        copies = clone(expand(unsqueeze(input, dim + 1), shape), memory_format="contiguous_format")
        return flatten(copies, dim, dim + 1)
    counts = repeats._data
    if counts.size == 1:
        return repeat_interleave(input, int(counts.item()), dim)
    if counts.size != input._data.shape[dim]:
        raise RuntimeError("repeats must have the same size as input along dim, but got "
                           f"repeats.size(0) = {counts.size} and input.size({dim}) = "
                           f"{input._data.shape[dim]}")
    xp = array_module(input._data)
    return input.index_select(dim, wrap(xp.repeat(xp.arange(counts.size), counts)))


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple:
    """The vectors as coordinate grids; "ij" as matrices are indexed, "xy" with the first two
    swapped."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError('torch.meshgrid: indexing must be one of "xy" or "ij", but received: '
                           f"{indexing}")
    swap = indexing == "xy" and len(tensors) > 1
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = [max(each._data.size, 1) if not each._data.ndim else each._data.size
             for each in tensors]
    grids = [each.reshape([-1 if i == j else 1 for j in builtins.range(len(shape))]).expand(shape)
             for i, each in enumerate(tensors)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)
