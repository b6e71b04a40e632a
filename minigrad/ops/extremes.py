"""The largest and the smallest; a gradient goes back to the place they came from."""

from __future__ import annotations

import builtins
from collections import namedtuple
from typing import Any

from ..core import TensorBase
from ..out import castable, takes_out
from ..primitive import derivative, primitive
from .choosing import maximum, minimum
from .dims import wrap_dim
from .reduction import reduced_dims, spread

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]


class _Pair:
    """Named results, printed as torch prints them."""

    def __repr__(self: Any) -> str:
        fields = ",\n".join(f"{name}={value!r}" for name, value in
                            zip(self._fields, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{fields})"


def return_type(name: str, *fields: str) -> Any:
    """A tuple with named fields, such as `max(values=..., indices=...)`."""
    base = namedtuple(name, fields)  # type: ignore[misc]  # its name is no literal
    return type(name, (_Pair, base), {"__slots__": ()})


MaxResult = return_type("max", "values", "indices")
MinResult = return_type("min", "values", "indices")
AminmaxResult = return_type("aminmax", "min", "max")


@primitive(promote="exact", name="max", outputs=("values", "indices"))
def _max_dim(xp, input, *, dim, keepdim):
    return at_index(xp, input, xp.argmax(input, axis=dim), dim, keepdim)


@primitive(promote="exact", name="min", outputs=("values", "indices"))
def _min_dim(xp, input, *, dim, keepdim):
    return at_index(xp, input, xp.argmin(input, axis=dim), dim, keepdim)


def at_index(xp, array, index, dim, keepdim):
    """The elements at `index` along `dim`, with the index: the first of equals, nan before all."""
    if not array.ndim:
        return array.copy(), xp.zeros((), xp.int64)
    index = xp.expand_dims(index, dim)
    values = xp.take_along_axis(array, index, axis=dim)
    if not keepdim:
        values, index = values.squeeze(dim), index.squeeze(dim)
    return values, index.astype(xp.int64, copy=False)


for _op in (_max_dim, _min_dim):
    derivative(_op, input=lambda g, input_shape, indices, dim, keepdim: put_along(
        g, input_shape, indices, dim, keepdim))


def put_along(g: Any, shape: tuple, indices: Any, dim: int, keepdim: bool) -> Any:
    """Zeros of `shape` with `g` at `indices` along `dim`: the transpose of picking them out."""
    if shape and not keepdim:
        g, indices = g.unsqueeze(dim), indices.unsqueeze(dim)
    return g.new_zeros(shape).scatter(dim, indices, g)


@primitive(promote="exact", name="max", overload=1)
def _max_all(xp, input):
    r"""$y = \max_i a_i$; equal maxima share the gradient."""
    return input.max()


@primitive(promote="exact", name="min", overload=1)
def _min_all(xp, input):
    r"""$y = \min_i a_i$; equal minima share the gradient."""
    return input.min()


@primitive(promote="exact", name="amax", lies="rows")
def _amax(xp, input, *, dim, keepdim):
    return input.max(axis=dim, keepdims=keepdim)


@primitive(promote="exact", name="amin", lies="rows")
def _amin(xp, input, *, dim, keepdim):
    return input.min(axis=dim, keepdims=keepdim)


for _op in (_max_all, _min_all):
    derivative(_op, input=lambda g, input, result: shared(g, input, result, None))
for _op in (_amax, _amin):
    derivative(_op, input=lambda g, input, result, input_shape, dim, keepdim: shared(
        spread(g, input_shape, dim, keepdim), input, spread(result, input_shape, dim, keepdim),
        dim))


def shared(g, input, extreme, dim):
    """`g` divided equally among the elements that are the extreme."""
    mask = (input == extreme) | (input.isnan() & extreme.isnan()) if \
        input.is_floating_point() else input == extreme
    return (g / mask.sum(dim, dim is not None)).masked_fill(~mask, 0)


_NOT_CASTABLE = (
    "Expected canCast( typeMetaToScalarType(self.dtype()), typeMetaToScalarType(out.dtype())) to "
    "be true, but got false.  (Could this error message be improved?  If so, please report an "
    "enhancement request to PyTorch.)")


def _extreme(name: str, full: Any, along: Any, result: Any, pairwise: Any) -> Any:
    along_into = takes_out(lambda *args, **kwargs: result(*along(*args, **kwargs)), name=name)
    full.op.check_out = castable(_NOT_CASTABLE)

    def function(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None,
                 out: Any = None) -> Any:
        other = dim if isinstance(dim, TensorBase) else other
        if not isinstance(input, TensorBase) or isinstance(dim, bool | float | complex):
            raise TypeError(f"{name}() received an invalid combination of arguments - got "
                            f"({type(input).__name__}, {type(dim).__name__})")
        if other is not None:
            return pairwise(input, other, out=out)
        if dim is None:
            if not input._data.size:
                raise RuntimeError(f"{name}(): Expected reduction dim to be specified for "
                                   "input.numel() == 0. Specify the reduction dim with the 'dim' "
                                   "argument.")
            return full(input, out=out)
        dim = nonempty_dim(name, input, dim)
        return along_into(input, dim=dim, keepdim=keepdim, out=out)

    function.__name__ = name
    function.__doc__ = (f"The {name}imum of all elements; along `dim`, with its index (the first "
                        "of equals); or of two tensors, elementwise.")
    function.takes_out = True  # type: ignore[attr-defined]
    return function


def nonempty_dim(name: str, input: Any, dim: int, called: int | None = None) -> int:
    """`dim` as an index from the front, of a dimension that has elements; in words it is `called`
    so."""
    dim = wrap_dim(dim, input._data.ndim, input)
    if input._data.ndim and not input._data.shape[dim]:
        name += "" if name == "aminmax" else "()"
        raise IndexError(f"{name}: Expected reduction dim {dim if called is None else called} to "
                         "have non-zero size.")
    return dim


max = _extreme("max", _max_all, _max_dim, MaxResult, maximum)
min = _extreme("min", _min_all, _min_dim, MinResult, minimum)


@takes_out(words="Expected the dtype for input and out to match, but got {found} for input's "
                 "dtype and {wanted} for out's dtype.")
def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """The largest over `dim`; equal ones share the gradient."""
    return _amax(input, dim=_extreme_dims("amax", input, dim), keepdim=keepdim)


@takes_out(words="Expected the dtype for input and out to match, but got {found} for input's "
                 "dtype and {wanted} for out's dtype.")
def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """The smallest over `dim`; equal ones share the gradient."""
    return _amin(input, dim=_extreme_dims("amin", input, dim), keepdim=keepdim)


def _extreme_dims(name: str, input: Any, dim: Any) -> tuple:
    if dim == () and not input._data.size:
        raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == "
                           "0. Specify the reduction dim with the 'dim' argument.")
    for each in (dim,) if isinstance(dim, int) else dim:
        nonempty_dim(name, input, each, called=each)
    return reduced_dims(dim, input)


@primitive(promote="exact", name="aminmax", outputs=("min", "max"), lies="rows")
def _aminmax(xp, input, *, dim, keepdim):
    return input.min(axis=dim, keepdims=keepdim), input.max(axis=dim, keepdims=keepdim)


def _aminmax_rule(grads, input, min, max, input_shape, dim, keepdim):
    parts = [shared(spread(g, input_shape, dim, keepdim), input,
                     spread(extreme, input_shape, dim, keepdim), dim)
             for g, extreme in zip(grads, (min, max), strict=True) if g is not None]
    return builtins.sum(parts)


derivative(_aminmax, input=_aminmax_rule)


@takes_out
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """`(min, max)`; equal ones share the gradient."""
    if dim is not None:
        dim = nonempty_dim("aminmax", input, dim)
    elif not input._data.size:
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the "
                           "operation has no identity.")
    dims = _extreme_dims("aminmax", input, () if dim is None else dim)
    return AminmaxResult(*_aminmax(input, dim=dims, keepdim=keepdim))


@primitive(promote="exact", name="argmax")
def _argmax(xp, input, *, dim, keepdim):
    return xp.argmax(input) if dim is None else xp.argmax(input, axis=dim, keepdims=keepdim)


@primitive(promote="exact", name="argmin")
def _argmin(xp, input, *, dim, keepdim):
    return xp.argmin(input) if dim is None else xp.argmin(input, axis=dim, keepdims=keepdim)


def _arg(function: Any, name: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    if dim is None or not input._data.ndim:
        if not input._data.size:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() "
                             "== 0.")
        found = function(input, dim=None, keepdim=False)
        return found.reshape([1] * input._data.ndim) if keepdim else found
    return function(input, dim=nonempty_dim(name, input, dim), keepdim=keepdim)


@takes_out
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest element (of the flattened tensor without `dim`)."""
    return _arg(_argmax, "argmax", input, dim, keepdim)


@takes_out
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the smallest element (of the flattened tensor without `dim`)."""
    return _arg(_argmin, "argmin", input, dim, keepdim)
