"""Views: other shapes and strides of the same memory. Nothing here moves a number.

Each view and its transpose define each other: the gradient of `select` is `select_backward`, which
writes into zeros, and the gradient of that is `select` again. Strides are torch's, also where a
dimension has size 1 and NumPy would put something else (`restrided`).
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..core import Node, TensorBase, after_history, give_array, mode, version_of, wrap
from ..device import address
from ..dtypes import dtype as dtype_class
from ..inplace import check_may_record
from ..primitive import derivative, link, primitive, view
from ..strides import strides_of_view
from .dims import wrap_dim, wrap_dims
from .strided import as_strided, restrided

__all__ = [
    "view_", "reshape", "view_as", "reshape_as", "flatten", "unflatten", "ravel", "transpose",
    "swapaxes", "swapdims", "t", "numpy_T", "mT", "H", "adjoint", "permute", "movedim", "moveaxis",
    "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to", "broadcast_tensors",
    "broadcast_shapes", "alias"]


def sizes_of(sizes: tuple) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    if len(sizes) == 1 and not isinstance(sizes[0], int) and isinstance(sizes[0], Iterable):
        sizes = tuple(sizes[0])
    return tuple([size.__index__() for size in sizes])


# --- view and reshape ----------------------------------------------------------------------------

def infer_size(sizes: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`sizes` with its -1 worked out, so that they hold `count` elements."""
    for size in sizes:
        if size < -1:
            raise RuntimeError(f"invalid shape dimension {size}")
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    known = math.prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if known == 0 and count == 0:
            raise RuntimeError(f"cannot reshape tensor of 0 elements into shape {list(sizes)} "
                               "because the unspecified dimension size -1 can be any value and is "
                               "ambiguous")
        if known and count % known == 0:
            return tuple([count // known if size == -1 else size for size in sizes])
    elif known == count:
        return sizes
    raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {count}")


@view(name="view")
def _view(xp, input, *, size):
    result = input.reshape(size)
    if result.size and address(result) != address(input):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead.")
    strides = strides_of_view(result, input)
    return result if strides == result.strides else restrided(xp, result, result.shape, strides)


_reshape_alias = view(_view.op.kernel, name="reshape_alias")  # torch's name where strides have gaps
for _op in (_view, _reshape_alias):
    derivative(_op, input=lambda g, input_shape: g.reshape(input_shape))


def view_(input: Any, *shape: Any, dtype: Any = None) -> Any:
    """The same memory in another shape (-1: whatever is left), or its bits as another dtype."""
    if dtype is not None or len(shape) == 1 and isinstance(shape[0], dtype_class):
        return _view_as_dtype(input, dtype or shape[0])
    size = sizes_of(shape)
    try:
        size = infer_size(size, input._data.size)
    except RuntimeError as error:
        raise after_history(error, input) from None
    return _view(input, size=size)


def _view_as_dtype(input: Any, dtype: dtype_class) -> Any:
    """The same bits read as another dtype; no gradient flows through."""
    data, old, new = input._data, input._data.dtype.itemsize, dtype.itemsize
    if old != new:
        if data.ndim == 0:
            raise RuntimeError(f"self.dim() cannot be 0 to view {input.dtype.scalar_name} as "
                               f"{dtype.scalar_name} (different element sizes)")
        if data.strides[-1] != old:
            raise RuntimeError(f"self.stride(-1) must be 1 to view {input.dtype.scalar_name} as "
                               f"{dtype.scalar_name} (different element sizes), but got "
                               f"{data.strides[-1] // old}")
        if data.shape[-1] * old % new:
            raise RuntimeError(f"self.size(-1) must be divisible by {new // old} to view "
                               f"{input.dtype.scalar_name} as {dtype.scalar_name} (different "
                               f"element sizes), but got {data.shape[-1]}")
    result = wrap(data.view(dtype.numpy))
    link(result, input.detach(), "view")
    return result


@primitive(promote="exact", name="UnsafeView", node_name="UnsafeViewBackward0")
def unsafe_view(xp, input, *, size):
    """A view of memory that nobody else will look at, so it need not be tracked as one."""
    return input.reshape(size)


derivative(unsafe_view, input=lambda g, input_shape: g.reshape(input_shape))


def reshape(input: Any, *shape: Any) -> Any:
    """Another shape of the same elements: a view where strides allow it, else a copy."""
    size = infer_size(sizes_of(shape), input._data.size)
    if input._data.flags.c_contiguous:
        return _view(input, size=size)
    try:
        return _reshape_alias(input, size=size)
    except RuntimeError:
        return unsafe_view(input.clone(memory_format="contiguous_format"), size=size)


def view_as(input: Any, other: Any) -> Any:
    """`input.view(other.size())`."""
    return view_(input, other.shape)


def reshape_as(input: Any, other: Any) -> Any:
    """`input.reshape(other.size())`."""
    return reshape(input, other.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions `start_dim` to `end_dim` (included) as one."""
    shape = input._data.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start:end + 1]), *shape[end + 1:]))


def ravel(input: Any) -> Any:
    """All elements in one dimension."""
    return reshape(input.contiguous(), -1)


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Dimension `dim` as several, of these sizes (one may be -1)."""
    shape = input._data.shape
    dim, sizes = wrap_dim(dim, len(shape)), tuple(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = math.prod(size for size in sizes if size != -1)
    fits = shape[dim] % known == 0 if -1 in sizes and known else known == shape[dim]
    if not fits:
        raise RuntimeError(f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size "
                           f"of dim {dim} ({shape[dim]}) in the input tensor")
    return view_(input, (*shape[:dim], *infer_size(sizes, shape[dim]), *shape[dim + 1:]))


# --- the order of dimensions ---------------------------------------------------------------------

@view(name="transpose")
def _transpose(xp, input, *, dim0, dim1):
    return input.swapaxes(dim0, dim1) if input.ndim else input.view()


derivative(_transpose, input=lambda g, dim0, dim1: g.transpose(dim0, dim1))


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """The view with two dimensions exchanged."""
    ndim = input._data.ndim
    dim0, dim1 = wrap_dim(dim0, ndim, input), wrap_dim(dim1, ndim, input)
    return _transpose(input, dim0=dim0, dim1=dim1)


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """NumPy's name for `transpose`."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Any:
    """The same as `transpose`."""
    return transpose(input, dim0, dim1)


@view
def t(xp, input):
    """The transpose of a matrix; vectors stay as they are."""
    if input.ndim > 2:
        raise RuntimeError("t() expects a tensor with <= 2 dimensions, but self is "
                           f"{input.ndim}D")
    return input.T


derivative(t, input=lambda g: g.t())


@view(name="permute")
def _permute(xp, input, *, dims):
    return input.transpose(dims)


derivative(_permute, input=lambda g, dims: g.permute(
    [dims.index(i) for i in builtins.range(len(dims))]))


def permute(input: Any, *dims: Any) -> Any:
    """Dimension i of the result is dimension `dims[i]` of the input."""
    chosen, ndim = sizes_of(dims), input._data.ndim
    if len(chosen) != ndim:
        raise after_history(RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {ndim} is not equal "
            f"to len(dims) = {len(chosen)}"), input)
    wrapped = tuple([wrap_dim(dim, ndim, input) for dim in chosen])
    if len(set(wrapped)) != ndim:
        raise after_history(RuntimeError("permute(): duplicate dims are not allowed."), input)
    return _permute(input, dims=wrapped)


def numpy_T(input: Any) -> Any:
    """`x.T`: all dimensions in reverse order."""
    return _permute(input, dims=tuple(reversed(builtins.range(input._data.ndim))))


def _needs_matrix(input: Any, name: str) -> None:
    if input._data.ndim == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. "
                           "Got 1-D tensor.")


def mT(input: Any) -> Any:
    """`x.mT`: each matrix transposed."""
    _needs_matrix(input, "mT")
    return transpose(input, -2, -1)


def adjoint(input: Any) -> Any:
    """Each matrix transposed and conjugated."""
    if input._data.ndim == 1:
        raise RuntimeError("tensor.adjoint() is only supported on matrices or batches of matrices. "
                           "Got 1-D tensor.")
    result = transpose(input, -2, -1)
    return result.conj() if input.is_complex() else result


def H(input: Any) -> Any:
    """`x.H`: the matrix transposed and conjugated."""
    ndim = input._data.ndim
    if ndim not in (0, 2):
        raise RuntimeError("tensor.H is only supported on matrices (2-D tensors). Got "
                           f"{ndim}-D tensor." + (
                               " For batches of matrices, consider using tensor.mH"
                               if ndim > 2 else ""))
    return adjoint(input)


def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Move dimensions `source` to the places `destination`; the others keep their order."""
    ndim = input._data.ndim
    given = [[dims] if isinstance(dims, int) else list(dims) for dims in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({given[0]} dims) "
                           f"should contain the same number of dims as destination ({given[1]} "
                           "dims)")
    sources, places = [tuple([wrap_dim(dim, ndim) for dim in dims]) for dims in given]
    for name, dims, chosen in zip(("source", "destination"), given, (sources, places),
                                  strict=True):
        if len(set(chosen)) != len(chosen):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    rest = iter([dim for dim in builtins.range(ndim) if dim not in sources])
    moved = dict(zip(places, sources, strict=True))
    return _permute(input, dims=tuple([moved[dim] if dim in moved else next(rest)
                                       for dim in builtins.range(ndim)]))


moveaxis = movedim


# --- dimensions of size 1, and broadcasting ------------------------------------------------------

def _squeezed(xp, input, dims):
    keep = [i for i, size in enumerate(input.shape) if i not in dims or size != 1]
    return restrided(xp, input, [input.shape[i] for i in keep], [input.strides[i] for i in keep])


@view(name="squeeze")
def _squeeze_all(xp, input):
    return _squeezed(xp, input, builtins.range(input.ndim))


@view(name="squeeze", overload=1)
def _squeeze_dim(xp, input, *, dim):
    return _squeezed(xp, input, (dim,))


@view(name="squeeze", overload=2)
def _squeeze_dims(xp, input, *, dim):
    return _squeezed(xp, input, dim)


def _unsqueezed(g: Any, shape: tuple, dims: Any) -> Any:
    """`g` with those of `dims` again that are of size 1 in `shape`."""
    for dim in sorted(dims):
        if shape and shape[dim] == 1:
            g = g.unsqueeze(dim)
    return g


derivative(_squeeze_all, input=lambda g, input_shape: _unsqueezed(
    g, input_shape, builtins.range(len(input_shape))))
derivative(_squeeze_dim, input=lambda g, input_shape, dim: _unsqueezed(g, input_shape, (dim,)))
derivative(_squeeze_dims, input=lambda g, input_shape, dim: _unsqueezed(g, input_shape, dim))


def squeeze(input: Any, dim: Any = None) -> Any:
    """The view without dimensions of size 1: all of them, or those named by `dim`."""
    if dim is None:
        return _squeeze_all(input)
    if isinstance(dim, int):
        return _squeeze_dim(input, dim=wrap_dim(dim, input._data.ndim, input))
    return _squeeze_dims(input, dim=wrap_dims(dim, input._data.ndim, input))


@view(name="unsqueeze")
def _unsqueeze(xp, input, *, dim):
    size, stride = list(input.shape), list(input.strides)
    step = size[dim] * stride[dim] if dim < len(size) else input.dtype.itemsize
    size.insert(dim, 1)
    stride.insert(dim, step)
    return restrided(xp, input, size, stride)


derivative(_unsqueeze, input=lambda g, dim: g.squeeze(dim))


def unsqueeze(input: Any, dim: int) -> Any:
    """The view with a new dimension of size 1 at `dim`."""
    return _unsqueeze(input, dim=wrap_dim(dim, input._data.ndim + 1, input))


@view(name="expand")
def _expand(xp, input, *, size):
    new = len(size) - input.ndim
    strides: list[int] = list(input.strides)
    shape = list(input.shape)
    for _ in builtins.range(new):
        strides.insert(0, shape[0] * strides[0] if input.ndim else 0)
        shape.insert(0, 1)
    strides = [s if n == wanted else 0
               for n, wanted, s in zip(shape, size, strides, strict=True)]
    return restrided(xp, input, size, strides)


derivative(_expand, input=lambda g, input_shape: g.sum_to_size(input_shape))


def expand(input: Any, *size: Any) -> Any:
    """The view that repeats dimensions of size 1 (and new leading ones) without copying."""
    wanted, shape = sizes_of(size), input._data.shape
    new = len(wanted) - len(shape)
    if new < 0:
        raise after_history(RuntimeError(
            f"expand({_typed(input)}, size={list(wanted)}): the number of sizes provided "
            f"({len(wanted)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"), input)
    final = []
    for i, n in reversed(list(enumerate(wanted))):
        own = shape[i - new] if i >= new else None
        if n == -1 and own is None:
            raise after_history(RuntimeError(
                f"expand({_typed(input)}, size={list(wanted)}): the expanded size "
                f"of the tensor (-1) isn't allowed in a leading, non-existing "
                f"dimension {i}"), input)
        if own is not None and n not in (-1, own) and own != 1:
            raise after_history(RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(wanted)}.  Tensor sizes: "
                f"{list(shape)}"), input)
        final.append(own if n == -1 else n)
    return _expand(input, size=tuple(reversed(final)))


def _typed(input: Any) -> str:
    """How torch's errors name a tensor: torch.FloatTensor{[2, 3]}."""
    return f"{input.type()}{{{list(input._data.shape)}}}"


def expand_as(input: Any, other: Any) -> Any:
    """`input.expand(other.size())`."""
    return expand(input, other.shape)


def broadcast_to(input: Any, size: Sequence[int]) -> Any:
    """`input.expand(size)`."""
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape to which all these shapes broadcast."""
    shapes = tuple([(s,) if isinstance(s, int) else tuple(s) for s in shapes])
    result = [1] * max((len(shape) for shape in shapes), default=0)
    for shape in shapes:
        for back in builtins.range(1, len(shape) + 1):
            if shape[-back] != 1:
                if result[-back] not in (1, shape[-back]):
                    raise RuntimeError(
                        "Shape mismatch: objects cannot be broadcast to a single shape")
                result[-back] = shape[-back]
    return tuple(result)


def broadcast_tensors(*tensors: Any) -> tuple:
    """All tensors expanded to their common shape; those that have it stay as they are."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    size = broadcast_shapes(*[each._data.shape for each in tensors])
    return tuple([each if each._data.shape == tuple(size) else expand(each, size)
                  for each in tensors])


@view
def alias(xp, input):
    """The same tensor, as a view of itself: `x[...]`."""
    return input[...]


derivative(alias, input=lambda g: g)


def as_subclass(input: Any, cls: type) -> Any:
    """The same tensor, history and memory, as an object of a subclass of Tensor."""
    if not (isinstance(cls, type) and issubclass(cls, TensorBase)):
        raise TypeError("Creating a Tensor subclass from a class that does not inherit from Tensor "
                        "is not possible. Make sure your class inherits from Tensor.")
    seen = alias(input)
    result = object.__new__(cls)
    for slot in TensorBase.__slots__:
        if slot != "__weakref__" and hasattr(seen, slot):  # _tangents is there in forward AD only
            setattr(result, slot, getattr(seen, slot))
    return result


# --- in place: the tensor itself gets other sizes and strides ------------------------------------

def _reshaped_in_place(function: Any) -> Any:
    """The form of a view op that changes the tensor's own sizes and strides, not its numbers."""
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if mode.grad is True and self.requires_grad:
            check_may_record(self)
        seen = function(self, *args, **kwargs)
        give_array(self, seen._data)
        if mode.level is not None:
            mode.level.copy(seen, self)
        version_of(self).count += 1
        if seen._node is not None:
            seen._node.__class__ = in_place_node(seen._node.__class__)
            self._node, self._output = seen._node, seen._output
        if self._view is not None:
            self._view.seen = self._counter.count
        return self

    call.__name__ = function.__name__ + "_"
    call.__doc__ = f"In-place version of `{function.__name__}`: no number moves."
    return call


@functools.cache
def in_place_node(kind: type[Node]) -> type[Node]:
    """The same node under the name of the in-place overload, which torch numbers after the others:
    SqueezeBackward3 to 5 for SqueezeBackward0 to 2, TransposeBackward1 for TransposeBackward0."""
    name, number = kind.__name__[:-1], int(kind.__name__[-1])
    overloads = 3 if kind.op.name == "squeeze" else 1
    return type(f"{name}{number + overloads}", (kind,), {"__slots__": ()})


squeeze_, unsqueeze_ = _reshaped_in_place(squeeze), _reshaped_in_place(unsqueeze)
as_strided_ = _reshaped_in_place(as_strided)
transpose_, t_ = _reshaped_in_place(transpose), _reshaped_in_place(t)
