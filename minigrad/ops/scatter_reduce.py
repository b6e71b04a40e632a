"""scatter_reduce and index_reduce: many elements that meet at one place become one.

Both reduce `src` into a copy of `input`, at places named by an index: `scatter_reduce` element by
element (`result[index[i][j]][j] = reduce(..., src[i][j])`), `index_reduce` row by row. They differ
only in how the index finds its places, so their rules are one rule, given the ways to look up, add
up and erase at those places.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

from ..device import add_at, combine_at
from ..inplace import inplace
from ..out import takes_out
from ..primitive import derivative, joint_derivative, primitive
from .dims import wrap_dim
from .scatter import _along
from .scatter_checks import check_rows, check_scatter

__all__ = ["scatter_reduce", "scatter_reduce_", "index_reduce", "index_reduce_"]


# --- kernels -------------------------------------------------------------------------------------

def _identity(dtype, reduce):
    """What changes nothing when it is reduced with: the start where input does not count."""
    if reduce in ("sum", "mean"):
        return dtype.type(0)
    if reduce == "prod":
        return dtype.type(1)
    if dtype.kind == "b":
        return reduce == "amin"
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if reduce == "amax" else limits.max
    return dtype.type(-np.inf if reduce == "amax" else np.inf)


_FUNCTIONS = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}


def _reduced(xp, input, key, values, reduce, include_self):
    """`input` with `values` reduced into the places `key`; 16-bit floats meet in float32."""
    wide = np.dtype(np.float32) if input.dtype.itemsize == 2 and input.dtype.kind not in "iu" \
        else input.dtype
    result = input.astype(wide)
    if not include_self:
        result[key] = _identity(wide, reduce)
    values = values.astype(wide, copy=False)
    if reduce in ("sum", "mean"):
        add_at(xp, result, key, values)
    else:
        combine_at(xp, _FUNCTIONS[reduce], result, key, values)
    result = result.astype(input.dtype, copy=False)
    if reduce != "mean":
        return result
    counts = xp.full(input.shape, int(include_self), xp.int64)
    add_at(xp, counts, key, xp.ones(values.shape, xp.int64))
    counts = xp.maximum(counts, 1).astype(input.dtype)
    return xp.floor_divide(result, counts) if input.dtype.kind in "iu" else result / counts


@primitive(promote="exact", name="scatter_reduce")
def _scatter_reduce(xp, input, index, src, *, dim, reduce, include_self):
    if not index.size:
        return input.copy()
    front = src[tuple([slice(n) for n in index.shape])]
    key = _along(xp, index, dim)
    return _reduced(xp, xp.atleast_1d(input), key, front if front.ndim else front.reshape(1),
                    reduce, include_self).reshape(input.shape)


@primitive(promote="exact", name="index_reduce")
def _index_reduce(xp, input, index, source, *, dim, reduce, include_self):
    rows = xp.moveaxis(xp.atleast_1d(input), dim, 0)
    if not index.size or not rows.size:
        return input.copy()
    result = _reduced(xp, rows, (index.reshape(-1),), xp.moveaxis(xp.atleast_1d(source), dim, 0),
                      reduce, include_self)
    return xp.ascontiguousarray(xp.moveaxis(result, 0, dim)).reshape(input.shape)


# --- rules ---------------------------------------------------------------------------------------

def _by_element(index: Any, dim: int) -> tuple:
    """How scatter_reduce looks up, adds up, erases at its places, and how it is called again."""
    return (lambda x: x.gather(dim, index), lambda x, src: x.scatter_add(dim, index, src),
            lambda x: x.scatter(dim, index, 0),
            functools.partial(_scatter_reduce, dim=dim))


def _by_row(index: Any, dim: int) -> tuple:
    """The same for index_reduce."""
    index = index.reshape(-1)
    return (lambda x: x.index_select(dim, index), lambda x, src: x.index_add(dim, index, src),
            lambda x: x.index_fill(dim, index, 0),
            functools.partial(_index_reduce, dim=dim))


def _backward(places: Any, name: str, g: Any, input: Any, index: Any, src: Any, result: Any,
              dim: int, reduce: str, include_self: bool) -> list:
    """The gradients of `input` and `src`.

    A sum passes its gradient on, a mean divides it by the number of terms, amax and amin share it
    out among all that equal the result. A product gives each factor the product of the others: that
    is result / factor but for factors that are 0 (those are taken out and the rest multiplied).
    """
    look_up, add_up, erase, again = places(index, dim)
    if reduce == "sum":
        own, other = g, look_up(g)
    elif reduce == "mean":
        counts = add_up(g.ones_like() if include_self else g.zeros_like(), src.ones_like())
        counts = counts.masked_fill(counts == 0, 1)
        own, other = g / counts, look_up(g) / look_up(counts)
    elif reduce == "prod":
        factors = input.masked_fill(input == 0, 1)
        own = g * again(factors, index, src, reduce=reduce, include_self=include_self) / factors
        is_zero = src == 0
        zeros = look_up(add_up(input.zeros_like(), is_zero.to(input.dtype)))
        alone = is_zero & (zeros == 1)
        others = again(input, index, src.masked_fill(alone, 1), reduce=reduce,
                       include_self=include_self)
        other = look_up(g * others).where(
            alone, look_up(g * result) / src.masked_fill(is_zero, 1))
        if bool((zeros > 1).any()):
            other = _once_only(other, name=name)
    else:
        chosen = look_up(result)
        among_own, among_src = input == result, src == chosen
        share = g / add_up(among_own.to(input.dtype), among_src.to(input.dtype))
        own, other = among_own * share, among_src * look_up(share)
    return [own if include_self else erase(own), other]


@primitive(promote="exact", node_name="DelayedError")
def _once_only(xp, input, *, name):
    """The gradient itself; its own gradient was never derived."""
    return input.view()


def _no_second(g: Any, name: str) -> Any:
    what = "src" if name == "scatter_reduce" else "source"
    raise RuntimeError(f"{name}(): Double backward is unsupported for {what} when >1 zeros in "
                       f"{what} are scattered to the same position in self")


derivative(_once_only, input=_no_second)
joint_derivative(_scatter_reduce, ("input", "src"),
    lambda g, input, index, src, result, dim, reduce, include_self: _backward(
        _by_element, "scatter_reduce", g, input, index, src, result, dim, reduce, include_self))
joint_derivative(_index_reduce, ("input", "source"),
    lambda g, input, index, source, result, dim, reduce, include_self: _backward(
        _by_row, "index_reduce", g, input, index, source, result, dim, reduce, include_self))


# --- the functions -------------------------------------------------------------------------------

_SCATTER_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _refuse_dtype(input: Any, reduce: str) -> None:
    kind = input._data.dtype.kind
    if kind == "c" and reduce in ("amax", "amin") or kind == "b" and reduce == "mean":
        raise NotImplementedError(f'"scatter_gather_tensor_cpu_reduce_{reduce}" not implemented '
                                  f"for '{input.dtype.scalar_name}'")


@takes_out
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *,
                   include_self: bool = True) -> Any:
    """`result[index[i][j]][j]` is the sum, prod, mean, amax or amin of all `src[i][j]` sent there,
    and with `include_self` of the input's own element."""
    dim = wrap_dim(dim, input._data.ndim)
    if reduce not in _SCATTER_REDUCTIONS:
        raise RuntimeError("reduce argument must be either sum, prod, mean, amax or amin, got "
                           f"{reduce}")
    check_scatter(input, dim, index, src)
    _refuse_dtype(input, reduce)
    return _scatter_reduce(input, index, src, dim=dim, reduce=reduce, include_self=include_self)


@takes_out
def index_reduce(input: Any, dim: int, index: Any, source: Any, reduce: str, *,
                 include_self: bool = True) -> Any:
    """`result[index[i]]` is the prod, mean, amax or amin of all `source[i]` sent there, and with
    `include_self` of the input's own; along dimension `dim`."""
    warnings.warn("index_reduce() is in beta and the API may change at any time.", UserWarning,
                  stacklevel=3)
    dim = wrap_dim(dim, input._data.ndim)
    if reduce not in _SCATTER_REDUCTIONS[1:]:
        raise RuntimeError("index_reduce(): Expected reduce to be one of prod, mean, amax or amin "
                           f"but got {reduce}.")
    check_rows("index_reduce_", input, dim, index, source)
    return _index_reduce(input, index, source, dim=dim, reduce=reduce, include_self=include_self)


scatter_reduce_ = inplace(scatter_reduce, overlap="never")
index_reduce_ = inplace(index_reduce, overlap="never")
