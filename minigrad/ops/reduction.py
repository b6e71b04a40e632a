"""Reductions: many numbers to one. The rule of each is a broadcast: its transpose."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..primitive import derivative, primitive
from .dims import wrap_dim, wrap_dims

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "cumprod",
    "cumsum", "dist", "logcumsumexp", "logsumexp", "max", "mean", "median", "min", "nanmean",
    "nansum", "norm", "prod", "std", "std_mean", "sum", "var", "var_mean", "vector_norm"]

# --- sum and mean --------------------------------------------------------------------------------


@primitive(name="sum")
def _sum_all(xp, input):
    r"""$y = \sum_i a_i$, so $\bar a_i = \bar y$."""
    return input.sum()


derivative(_sum_all, input=lambda g, input_shape: g.expand(input_shape))


@primitive(name="sum", overload=1)
def _sum_dims(xp, input, *, dim, keepdim):
    return sum_over(xp, input, dim, keepdim)


derivative(_sum_dims, input=lambda g, input_shape, dim, keepdim: spread(
    g, input_shape, dim, keepdim))


def sum_over(xp, array, dims, keepdims):
    """The sum over `dims`; over the last axis of a float matrix as a product with ones, which BLAS
    does six times faster than NumPy's loop."""
    if (xp is np and len(dims) == 1 and dims[0] == array.ndim - 1 and array.size > 4096
            and array.dtype.char in "fd" and array.shape[-1] > 1):
        ones = np.ones(array.shape[-1], array.dtype)
        total = np.vecdot(array, ones) if array.shape[-1] >= 64 else array @ ones
        return total[..., None] if keepdims else total
    return array.sum(axis=dims, keepdims=keepdims)


def spread(reduced: Any, shape: tuple, dims: tuple, keepdim: bool) -> Any:
    """A reduced gradient over the shape it was reduced from."""
    if not keepdim:
        for dim in sorted(dims):
            reduced = reduced.unsqueeze(dim)
    return reduced.expand(shape)


def _summable(input: Any, dtype: Any) -> Any:
    """The input in the dtype that a sum accumulates in: integers and bools add up in int64."""
    if dtype is not None:
        return input.to(dtype)
    return input.to(dtypes.int64) if input._data.dtype.kind in "biu" else input


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all elements, or over `dim` (an int or several)."""
    input = _summable(input, dtype)
    if dim is None and not keepdim:
        return _sum_all(input)
    dims = _reduced_dims(dim, input._data.ndim)
    return _sum_dims(input, dim=dims, keepdim=keepdim)


def _reduced_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dims to reduce: all for None and for an empty list; none exist in a 0-d tensor."""
    dims = wrap_dims(None if dim in ((), []) else dim, ndim)
    return dims if ndim else ()


@primitive(name="mean")
def _mean_all(xp, input):
    return xp.divide(input.sum(), input.dtype.type(input.size))


derivative(_mean_all, input=lambda g, input_shape: (g / _count(input_shape)).expand(input_shape))


@primitive(name="mean", overload=1)
def _mean_dims(xp, input, *, dim, keepdim):
    total = sum_over(xp, input, dim, keepdim)
    return xp.divide(total, input.dtype.type(_count([input.shape[d] for d in dim])))


derivative(_mean_dims, input=lambda g, input_shape, dim, keepdim: spread(
    g / _count([input_shape[d] for d in dim]), input_shape, dim, keepdim))


def _count(sizes: Any) -> int:
    return int(np.prod(sizes, dtype=np.int64))


def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of all elements, or over `dim`; integers have to be converted first."""
    if dtype is not None:
        input = input.to(dtype)
    if input._data.dtype.kind in "biu":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {input.dtype.scalar_name}")
    if dim is None and not keepdim:
        return _mean_all(input)
    return _mean_dims(input, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


@primitive(name="nansum")
def _nansum(xp, input, *, dim, keepdim):
    return xp.nansum(input, axis=dim, keepdims=keepdim)


derivative(_nansum, input=lambda g, input, input_shape, dim, keepdim: spread(
    g, input_shape, dim, keepdim).masked_fill(input.isnan(), 0))


def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum with nan counted as 0."""
    input = _summable(input, dtype)
    return _nansum(input, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of the elements that are not nan."""
    present = sum(~input.isnan(), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / present


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are not zero."""
    return sum(input != 0, dim)


# --- products ------------------------------------------------------------------------------------

@primitive(name="prod")
def _prod_all(xp, input):
    r"""$y = \prod_i a_i$, so $\bar a_i = \bar y \prod_{j \ne i} a_j$."""
    return input.prod()


@primitive(name="prod", overload=1)
def _prod_dim(xp, input, *, dim, keepdim):
    return input.prod(axis=dim, keepdims=keepdim)


derivative(_prod_all, input=lambda g, input, input_shape: (
    g * products_of_others(input.reshape(-1), 0)).reshape(input_shape))
derivative(_prod_dim, input=lambda g, input, input_shape, dim, keepdim: (
    spread(g, input_shape, (dim,), keepdim) * products_of_others(input, dim)))


def products_of_others(input: Any, dim: int) -> Any:
    """At each place the product of all other elements along `dim`.

    Products from the left and from the right, without any division: so it is right where elements
    are zero, and so are its own derivatives.
    """
    if not input._data.ndim:
        return input.ones_like()
    size = input._data.shape[dim]
    if size <= 1:
        return input.ones_like()
    one = input.narrow(dim, 0, 1).ones_like()
    from .joining import cat

    left = cat([one, input.narrow(dim, 0, size - 1)], dim).cumprod(dim)
    right = cat([one, input.flip(dim).narrow(dim, 0, size - 1)], dim).cumprod(dim).flip(dim)
    return (left * right).conj()


def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product of all elements, or along `dim`."""
    input = _summable(input, dtype)
    if dim is None:
        return _prod_all(input)
    return _prod_dim(input, dim=wrap_dim(dim, input._data.ndim), keepdim=keepdim) \
        if input._data.ndim else _prod_all(input)


# --- running sums and products -------------------------------------------------------------------

@primitive(name="cumsum")
def _cumsum(xp, input, *, dim):
    return input.cumsum(axis=dim) if input.ndim else input.copy()


derivative(_cumsum, input=lambda g, dim: reversed_cumsum(g, dim))


def reversed_cumsum(g: Any, dim: int) -> Any:
    """The sums from each place to the end: the transpose of `cumsum`."""
    return g.flip(dim).cumsum(dim).flip(dim) if g._data.ndim else g


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    r"""$y_i = \sum_{j \le i} a_j$ along `dim`."""
    return _cumsum(_summable(input, dtype), dim=wrap_dim(dim, input._data.ndim))


@primitive(name="cumprod")
def _cumprod(xp, input, *, dim):
    return input.cumprod(axis=dim) if input.ndim else input.copy()


derivative(_cumprod, input=lambda g, input, result, dim: _cumprod_rule(g, input, result, dim))


def _cumprod_rule(g, input, result, dim):
    r"""$\bar a_k = \sum_{i \ge k} \bar y_i \prod_{j \le i, j \ne k} a_j$, without dividing by $a_k$
    where there is a zero."""
    if not input._data.ndim or not input._data.size:
        return g
    if not bool((input == 0).any()):
        return reversed_cumsum(g * result.conj(), dim) / input.conj()
    size, parts = input._data.shape[dim], []
    for k in range(size):
        before = input.narrow(dim, 0, k).prod(dim, keepdim=True)
        from .joining import cat

        rest = cat([before, input.narrow(dim, k + 1, size - k - 1)], dim).cumprod(dim)
        parts.append((g.narrow(dim, k, size - k) * rest.conj()).sum(dim, keepdim=True))
    return cat(parts, dim)


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    r"""$y_i = \prod_{j \le i} a_j$ along `dim`."""
    return _cumprod(_summable(input, dtype), dim=wrap_dim(dim, input._data.ndim))


# --- spread: var and std -------------------------------------------------------------------------

@primitive(name="var")
def _var(xp, input, *, dim, correction, keepdim):
    r"""$y = \frac{1}{n - c}\sum_i (a_i - \mu)^2$, $\bar a_i = \frac2{n - c}\bar y\,(a_i - \mu)$."""
    count = _count([input.shape[d] for d in dim])
    centred = input - input.mean(axis=dim, keepdims=True)
    square = (centred * centred.conj()).real if input.dtype.kind == "c" else centred * centred
    total = square.sum(axis=dim, keepdims=keepdim)
    return xp.divide(total, total.dtype.type(builtins.max(count - correction, 0)))


derivative(_var, input=lambda g, input, input_shape, dim, correction, keepdim: (
    _var_rule(g, input, input_shape, dim, correction, keepdim)))


def _var_rule(g, input, shape, dim, correction, keepdim):
    count = _count([shape[d] for d in dim])
    scale = 2.0 / (count - correction) if count != correction else math.inf
    return scale * spread(g, shape, dim, keepdim) * (input - input.mean(dim, True))


@primitive(name="std")
def _std(xp, input, *, dim, correction, keepdim):
    return xp.sqrt(_var.op.kernel(xp, input, dim=dim, correction=correction, keepdim=keepdim))


derivative(_std, input=lambda g, input, result, input_shape, dim, correction, keepdim: _var_rule(
    (g / (2 * result)).masked_fill(result == 0, 0), input, input_shape, dim, correction, keepdim))


def _spread(function: Any, name: str) -> Any:
    def measure(input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *,
                correction: Any = None) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        if input._data.dtype.kind in "biu":
            raise RuntimeError("std and var only support floating point and complex dtypes")
        return function(input, dim=_reduced_dims(dim, input._data.ndim), correction=correction,
                        keepdim=keepdim)

    measure.__name__ = name
    measure.__doc__ = f"The {name} over `dim`; `correction` is taken from the count (1: unbiased)."
    return measure


var = _spread(_var, "var")
std = _spread(_std, "std")


def _with_mean(measure: Any, name: str) -> Any:
    """var_mean and std_mean: both results from one op."""

    @primitive(name=name, outputs=("measure", "mean"))
    def both(xp, input, *, dim, correction, keepdim):
        return (measure.op.kernel(xp, input, dim=dim, correction=correction, keepdim=keepdim),
                input.mean(axis=dim, keepdims=keepdim))

    return both


_var_mean, _std_mean = _with_mean(_var, "var_mean"), _with_mean(_std, "std_mean")


def _mean_part(g, shape, dim, keepdim):
    return 0 if g is None else spread(g / _count([shape[d] for d in dim]), shape, dim, keepdim)


def _var_mean_rule(grads, input, input_shape, dim, correction, keepdim):
    var_part = 0 if grads[0] is None else _var_rule(
        grads[0], input, input_shape, dim, correction, keepdim)
    return var_part + _mean_part(grads[1], input_shape, dim, keepdim)


def _std_mean_rule(grads, input, measure, input_shape, dim, correction, keepdim):
    if grads[0] is not None:
        grads = [(grads[0] / (2 * measure)).masked_fill(measure == 0, 0), grads[1]]
    return _var_mean_rule(grads, input, input_shape, dim, correction, keepdim)


derivative(_var_mean, input=_var_mean_rule)
derivative(_std_mean, input=_std_mean_rule)
var_mean = _spread(_var_mean, "(var, mean)")
std_mean = _spread(_std_mean, "(std, mean)")


# --- the largest and the smallest ----------------------------------------------------------------

class _Pair:
    """Named results, printed as torch prints them."""

    def __repr__(self) -> str:
        fields = ",\n".join(f"{name}={value!r}" for name, value in
                            zip(self._fields, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{fields})"


def return_type(name: str, *fields: str) -> Any:
    """A tuple with named fields, such as `max(values=..., indices=...)`."""
    base = namedtuple(name, fields)  # noqa: PYI024
    return type(name, (_Pair, base), {"__slots__": ()})


MaxResult = return_type("max", "values", "indices")
MinResult = return_type("min", "values", "indices")
MedianResult = return_type("median", "values", "indices")
AminmaxResult = return_type("aminmax", "min", "max")


@primitive(promote="exact", name="max", outputs=("values", "indices"))
def _max_dim(xp, input, *, dim, keepdim):
    return _at_index(xp, input, xp.argmax(input, axis=dim), dim, keepdim)


@primitive(promote="exact", name="min", outputs=("values", "indices"))
def _min_dim(xp, input, *, dim, keepdim):
    return _at_index(xp, input, xp.argmin(input, axis=dim), dim, keepdim)


def _at_index(xp, array, index, dim, keepdim):
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
    if not shape:
        return g
    if not keepdim:
        g, indices = g.unsqueeze(dim), indices.unsqueeze(dim)
    return g.new_zeros(shape).scatter(dim, indices, g)


@primitive(promote="exact", name="max", overload=1)
def _max_all(xp, input):
    r"""$\max_i a_i$; equal maxima share the gradient."""
    return input.max()


@primitive(promote="exact", name="min", overload=1)
def _min_all(xp, input):
    r"""$\min_i a_i$; equal minima share the gradient."""
    return input.min()


@primitive(promote="exact", name="amax")
def _amax(xp, input, *, dim, keepdim):
    return input.max(axis=dim, keepdims=keepdim)


@primitive(promote="exact", name="amin")
def _amin(xp, input, *, dim, keepdim):
    return input.min(axis=dim, keepdims=keepdim)


for _op in (_max_all, _min_all):
    derivative(_op, input=lambda g, input, result: _shared(g, input, result, None))
for _op in (_amax, _amin):
    derivative(_op, input=lambda g, input, result, input_shape, dim, keepdim: _shared(
        spread(g, input_shape, dim, keepdim), input, spread(result, input_shape, dim, keepdim),
        dim))


def _shared(g, input, extreme, dim):
    """`g` divided equally among the elements that are the extreme."""
    mask = (input == extreme) | (input.isnan() & extreme.isnan()) if \
        input.is_floating_point() else input == extreme
    return (g / mask.sum(dim, dim is not None)).masked_fill(~mask, 0)


def _extreme(name: str, full: Any, along: Any, result: Any, pairwise: str) -> Any:
    def function(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        other = dim if isinstance(dim, TensorBase) else other
        if other is not None:
            return getattr(input, pairwise)(other)
        if dim is None:
            if not input._data.size:
                raise RuntimeError(f"{name}(): Expected reduction dim to be specified for "
                                   "input.numel() == 0. Specify the reduction dim with the 'dim' "
                                   "argument.")
            return full(input)
        dim = _nonempty(name, input, dim)
        return result(*along(input, dim=dim, keepdim=keepdim))

    function.__name__ = name
    function.__doc__ = (f"The {name}imum of all elements; along `dim`, with its index (the first "
                        "of equals); or of two tensors, elementwise.")
    return function


def _nonempty(name: str, input: Any, dim: int) -> int:
    dim = wrap_dim(dim, input._data.ndim)
    if input._data.ndim and not input._data.shape[dim]:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    return dim


max = _extreme("max", _max_all, _max_dim, MaxResult, "maximum")
min = _extreme("min", _min_all, _min_dim, MinResult, "minimum")


def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """The largest over `dim`; equal ones share the gradient."""
    return _amax(input, dim=_extreme_dims("amax", input, dim), keepdim=keepdim)


def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """The smallest over `dim`; equal ones share the gradient."""
    return _amin(input, dim=_extreme_dims("amin", input, dim), keepdim=keepdim)


def _extreme_dims(name: str, input: Any, dim: Any) -> tuple:
    if dim == () and not input._data.size:
        raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == "
                           "0. Specify the reduction dim with the 'dim' argument.")
    dims = _reduced_dims(dim, input._data.ndim)
    for each in dims:
        _nonempty(name, input, each)
    return dims


@primitive(promote="exact", name="aminmax", outputs=("min", "max"))
def _aminmax(xp, input, *, dim, keepdim):
    return input.min(axis=dim, keepdims=keepdim), input.max(axis=dim, keepdims=keepdim)


def _aminmax_rule(grads, input, min, max, input_shape, dim, keepdim):
    parts = [_shared(spread(g, input_shape, dim, keepdim), input,
                     spread(extreme, input_shape, dim, keepdim), dim)
             for g, extreme in zip(grads, (min, max), strict=True) if g is not None]
    return builtins.sum(parts)


derivative(_aminmax, input=_aminmax_rule)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """`(min, max)`; equal ones share the gradient."""
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
    return function(input, dim=_nonempty(name, input, dim), keepdim=keepdim)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest element (of the flattened tensor without `dim`)."""
    return _arg(_argmax, "argmax", input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the smallest element (of the flattened tensor without `dim`)."""
    return _arg(_argmin, "argmin", input, dim, keepdim)


@primitive(promote="exact", name="median")
def _median_all(xp, input):
    return _median.op.kernel(xp, input.reshape(-1), dim=0, keepdim=False)[0]


derivative(_median_all, input=lambda g, input, result: _shared(g, input, result, None))


@primitive(promote="exact", name="median", overload=1, outputs=("values", "indices"))
def _median(xp, input, *, dim, keepdim):
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    order = xp.argsort(input, axis=dim, kind="stable")
    nan_first = xp.isnan(input).any(axis=dim, keepdims=True) if input.dtype.kind == "f" else False
    middle = xp.take(order, xp.asarray([(input.shape[dim] - 1) // 2]), axis=dim)
    index = xp.where(nan_first, xp.expand_dims(xp.argmax(xp.isnan(input), axis=dim), dim),
                     middle) if nan_first is not False else middle
    return _at_index(xp, input, index.squeeze(dim), dim, keepdim)


derivative(_median, input=lambda g, input_shape, indices, dim, keepdim: put_along(
    g, input_shape, indices, dim, keepdim))


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower of two; along `dim` with its index."""
    if dim is None:
        return _median_all(input)
    return MedianResult(*_median(input, dim=_nonempty("median", input, dim), keepdim=keepdim))


# --- truth ---------------------------------------------------------------------------------------

@primitive(promote="exact", name="all")
def _all(xp, input, *, dim, keepdim):
    return input.astype(bool).all(axis=dim, keepdims=keepdim)


@primitive(promote="exact", name="any")
def _any(xp, input, *, dim, keepdim):
    return input.astype(bool).any(axis=dim, keepdims=keepdim)


def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether every element is nonzero."""
    return _all(input, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether some element is nonzero."""
    return _any(input, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


# --- norms ---------------------------------------------------------------------------------------

@primitive(name="linalg_vector_norm")
def _vector_norm(xp, input, *, ord, dim, keepdim):
    r"""$\left(\sum_i |a_i|^p\right)^{1/p}$; the gradient at 0 is 0."""
    size = xp.abs(input)
    if ord == math.inf:
        return size.max(axis=dim, keepdims=keepdim)
    if ord == -math.inf:
        return size.min(axis=dim, keepdims=keepdim)
    if ord == 0:
        return (size != 0).astype(size.dtype).sum(axis=dim, keepdims=keepdim)
    if ord == 1:
        return size.sum(axis=dim, keepdims=keepdim)
    if ord == 2:
        return xp.sqrt((size * size).sum(axis=dim, keepdims=keepdim))
    return (size ** ord).sum(axis=dim, keepdims=keepdim) ** size.dtype.type(1 / ord)


norm_over = primitive(_vector_norm.op.kernel, name="norm", overload=1)  # what torch's C++ calls
for _op in (_vector_norm, norm_over):
    derivative(_op, input=lambda g, input, result, input_shape, ord, dim, keepdim: _norm_rule(
        spread(g, input_shape, dim, keepdim), input, spread(result, input_shape, dim, keepdim),
        ord, dim))


def _norm_rule(g, input, norm, p, dim):
    if p == 0:
        return g.zeros_like()
    if p == 1:
        return g * input.sgn()
    if p == 2:
        return g * (input / norm).masked_fill(norm == 0, 0)
    if builtins.abs(p) == math.inf:
        mask = input.abs() == norm
        return g * input.sgn() * (mask / mask.sum(dim, dim is not None))
    scale = (input.abs() / norm).pow(p - 1) if p > 1 else input.abs().pow(p - 1) * norm.pow(1 - p)
    return g * (input.sgn() * scale).masked_fill((norm == 0) | (input == 0), 0)


def vector_norm(input: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *,
                dtype: Any = None) -> Any:
    r"""$\left(\sum_i |a_i|^p\right)^{1/p}$ over `dim` (all by default)."""
    if dtype is not None:
        input = input.to(dtype)
    if input._data.dtype.kind in "biu":
        raise RuntimeError("linalg.vector_norm: Expected a floating point or complex tensor as "
                           f"input. Got {input.dtype.scalar_name}")
    return _vector_norm(input, ord=ord, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False,
         dtype: Any = None) -> Any:
    """The p-norm of the elements; "fro" (the default) is the 2-norm."""
    if p == "nuc":
        raise NotImplementedError("norm(p='nuc') is not in minigrad yet")
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


@primitive(promote="default", name="dist")
def _dist(xp, input, other, *, p):
    return _vector_norm.op.kernel(xp, input - other, ord=p, dim=None, keepdim=False)


derivative(_dist,
    input=lambda g, input, other, result, p: _norm_rule(g, input - other, result, p, None),
    other=lambda g, input, other, result, p: -_norm_rule(g, input - other, result, p, None))


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of the difference."""
    return _dist(input, other, p=p)


# --- sums of exponentials ------------------------------------------------------------------------

@primitive(promote="int_to_float", name="logsumexp")
def _logsumexp(xp, input, *, dim, keepdim):
    r"""$y = \ln\sum_i e^{a_i}$, so $\bar a_i = \bar y\,e^{a_i - y}$."""
    top = input.max(axis=dim, keepdims=True) if input.size else input.sum(axis=dim, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0).astype(input.dtype)
    y = xp.log(xp.exp(input - top).sum(axis=dim, keepdims=True)) + top
    return y if keepdim else y.squeeze(dim)


derivative(_logsumexp, input=lambda g, input, result, input_shape, dim, keepdim: (
    spread(g, input_shape, dim, keepdim)
    * (input - spread(result, input_shape, dim, keepdim)).exp()))


def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    r"""$\ln\sum_i e^{a_i}$ over `dim`, without overflow."""
    return _logsumexp(input, dim=_reduced_dims(dim, input._data.ndim), keepdim=keepdim)


def logcumsumexp(input: Any, dim: int) -> Any:
    r"""$\ln\sum_{j \le i} e^{a_j}$ along `dim`."""
    return _logcumsumexp(input, dim=wrap_dim(dim, input._data.ndim))


@primitive(promote="int_to_float", name="logcumsumexp")
def _logcumsumexp(xp, input, *, dim):
    return xp.logaddexp.accumulate(input, axis=dim) if input.ndim else input.copy()


def _logcumsumexp_rule(g, input, result, dim):
    r"""$\bar a_i = e^{a_i}\sum_{j \ge i} \bar y_j e^{-y_j}$, positive and negative $\bar y$ apart.

    Apart, both sums can be taken as logarithms: $e^{a_i}$ alone would overflow. "log 0" is a huge
    negative number, not -inf, whose own derivative would be nan.
    """
    never = float(np.finfo(g._data.dtype).min) / 4

    def part(positive):
        none = positive <= 0
        log_g = positive.masked_fill(none, 1).log().masked_fill(none, never)
        later = (log_g - result).flip(dim).logcumsumexp(dim).flip(dim)
        return (later + input).exp()

    return part(g) - part(-g)


derivative(_logcumsumexp, input=_logcumsumexp_rule)
