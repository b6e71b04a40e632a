"""Reductions: many numbers to one. The rule of each is a broadcast: its transpose."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..autocast_rules import autocasts
from ..out import castable, takes_out
from ..primitive import derivative, no_kernel, primitive
from .arithmetic import div_number
from .dims import wrap_dim, wrap_dims
from .views import sizes_of

__all__ = [
    "all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "std",
    "std_mean", "sum", "sum_to_size", "var", "var_mean"]

# --- sum and mean --------------------------------------------------------------------------------


@primitive(name="sum")
def _sum_all(xp, input):
    r"""$y = \sum_i a_i$, so $\bar a_i = \bar y$."""
    return input.sum(dtype=input.dtype)


derivative(_sum_all, input=lambda g, input_shape: g.expand(input_shape))


@primitive(name="sum", overload=1, lies="rows")
def _sum_dims(xp, input, *, dim, keepdim):
    r"""$y = \sum_i a_i$ over the dimensions `dim`, so $\bar a_i = \bar y$."""
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
    return array.sum(axis=dims, keepdims=keepdims, dtype=array.dtype)


def spread(reduced: Any, shape: tuple, dims: tuple, keepdim: bool) -> Any:
    """A reduced gradient over the shape it was reduced from."""
    return kept(reduced, dims, keepdim).expand(shape)


def kept(reduced: Any, dims: Any, keepdim: bool) -> Any:
    """A reduced gradient with the dimensions of size 1 that it would have with `keepdim`; without
    `dims` all were reduced, and a single number needs none."""
    for dim in () if keepdim or dims is None else sorted(dims):
        reduced = reduced.unsqueeze(dim)
    return reduced


def summable(input: Any, dtype: Any) -> Any:
    """The input in the dtype that a sum accumulates in: integers and bools add up in int64."""
    if dtype is not None:
        return input.to(dtype)
    return input.to(dtypes.int64) if input._data.dtype.kind in "biu" else input


@autocasts
@takes_out(casts=True)
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all elements, or over `dim` (an int or several)."""
    input = summable(input, dtype)
    if dim is None and not keepdim:
        return _sum_all(input)
    dims = reduced_dims(dim, input)
    return _sum_dims(input, dim=dims, keepdim=keepdim)


def sum_to_size(input: Any, *size: Any) -> Any:
    """Sum the dimensions that broadcasting would have repeated: the transpose of `expand`."""
    wanted, shape = sizes_of(size), input._data.shape
    new = len(shape) - len(wanted)
    fits = new >= 0 and builtins.all(
        n in (1, own) for n, own in zip(wanted, shape[new:], strict=True))
    if not fits:
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    dims = [i for i in builtins.range(len(shape))
            if i < new or wanted[i - new] == 1 and shape[i] != 1]
    if not wanted:
        return input.sum()
    summed = input.sum(dims, keepdim=True) if dims else input
    return summed.view(wanted) if new else summed


def reduced_dims(dim: Any, input: Any) -> tuple[int, ...]:
    """The dims to reduce: all for None and for an empty list; none exist in a 0-d tensor."""
    ndim = input._data.ndim
    dims = wrap_dims(None if dim in ((), []) else dim, ndim, input)
    return dims if ndim else ()


@primitive(name="mean")
def _mean_all(xp, input):
    r"""$y = \frac1n\sum_i a_i$, so $\bar a_i = \bar y/n$."""
    return xp.divide(input.sum(), input.dtype.type(input.size))


derivative(_mean_all, input=lambda g, input_shape: div_number(
    g.expand(input_shape), other=_count(input_shape) or 1))


@primitive(name="mean", overload=1, lies="rows")
def _mean_dims(xp, input, *, dim, keepdim):
    r"""$y = \frac1n\sum_i a_i$ over the dimensions `dim`, so $\bar a_i = \bar y/n$."""
    total = sum_over(xp, input, dim, keepdim)
    return xp.divide(total, input.dtype.type(_count([input.shape[d] for d in dim])))


derivative(_mean_dims, input=lambda g, input_shape, dim, keepdim: div_number(
    spread(g, input_shape, dim, keepdim), other=_count([input_shape[d] for d in dim]) or 1))


def _count(sizes: Any) -> int:
    return int(np.prod(sizes, dtype=np.int64))


def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None,
         out: Any = None) -> Any:
    """The mean of all elements, or over `dim`; integers have to be converted first."""
    kind = input.dtype if dtype is None else dtype
    if kind.numpy.kind in "biu":
        raise RuntimeError(
            f"mean(): could not infer output dtype. {'Input' if dtype is None else 'Optional'} "
            "dtype must be either a floating point or complex dtype. Got: "
            f"{kind.scalar_name}")
    whole = dim is None and not keepdim
    return (_mean_of_all if whole else _mean_over_dims)(input, dim, keepdim, dtype, out=out)


def _mean(input: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    if dtype is not None:
        input = input.to(dtype)
    if dim is None and not keepdim:
        return _mean_all(input)
    return _mean_dims(input, dim=reduced_dims(dim, input), keepdim=keepdim)


def _dividable(found: Any, wanted: Any) -> None:
    """The sum is made in out's dtype; it is the quotient that does not fit into integers."""
    quotient = dtypes.get_default_dtype().numpy if wanted.kind in "biu" else found
    dtypes.check_castable(quotient, wanted)


_mean_of_all = takes_out(_mean, name="mean", check=castable(
    "mean.dtype_out(): input types can't be cast to the desired output type {wanted}"))
_mean_over_dims = takes_out(_mean, name="mean", check=_dividable)


@primitive(name="nansum", lies="rows")
def _nansum(xp, input, *, dim, keepdim):
    r"""$y = \sum_i a_i$ without those that are nan, which get no gradient."""
    return xp.nansum(input, axis=dim, keepdims=keepdim)


derivative(_nansum, input=lambda g, input, input_shape, dim, keepdim: spread(
    g, input_shape, dim, keepdim).masked_fill(input.isnan(), 0))


def _nan_summable(found: Any, wanted: Any) -> None:
    """The sum is made in out's dtype, and integers have no nan."""
    if found.kind == "f" and wanted.kind in "biu":
        raise no_kernel("nansum_cpu", wanted)
    dtypes.check_castable(found, wanted)


@takes_out(check=_nan_summable)
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum with nan counted as 0."""
    input = summable(input, dtype)
    return _nansum(input, dim=reduced_dims(dim, input), keepdim=keepdim)


@takes_out(check=_nan_summable)
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


@primitive(name="prod", overload=1, lies="rows")
def _prod_dim(xp, input, *, dim, keepdim):
    r"""$y = \prod_i a_i$ along `dim`, so $\bar a_i = \bar y \prod_{j \ne i} a_j$."""
    return input.prod(axis=dim if input.ndim else None, keepdims=keepdim)


# torch's formulas start from the result: the rules name it so that it must not be overwritten.
derivative(_prod_all, input=lambda g, input, result, input_shape: (
    g * products_of_others(input.reshape(-1), 0)).reshape(input_shape))
derivative(_prod_dim, input=lambda g, input, result, input_shape, dim, keepdim: (
    spread(g, input_shape, (dim,) if input_shape else (), keepdim)
    * products_of_others(input, dim)))


def products_of_others(input: Any, dim: int) -> Any:
    """At each place the product of all other elements along `dim`.

    Products from the left and from the right, without any division: so it is right where elements
    are zero, and so are its own derivatives.
    """
    if not input._data.ndim or not input._data.shape[dim]:
        return input.ones_like()
    size = input._data.shape[dim]
    one = input.narrow(dim, 0, 1).ones_like()
    from .joining import cat

    left = cat([one, input.narrow(dim, 0, size - 1)], dim).cumprod(dim)
    right = cat([one, input.flip(dim).narrow(dim, 0, size - 1)], dim).cumprod(dim).flip(dim)
    return (left * right).conj()


@autocasts
@takes_out(casts=True)
def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product of all elements, or along `dim`."""
    input = summable(input, dtype)
    if dim is None:
        return _prod_all(input)
    dim = wrap_dim(dim, input._data.ndim, input)
    return _prod_dim(input, dim=dim, keepdim=keepdim)


# --- spread: var and std -------------------------------------------------------------------------

@primitive(name="var", lies="rows")
def _var(xp, input, *, dim, correction, keepdim):
    r"""$y = \frac{1}{n - c}\sum_i (a_i - \mu)^2$, $\bar a_i = \frac2{n - c}\bar y\,(a_i - \mu)$."""
    count = _count([input.shape[d] for d in dim])
    if input.dtype == np.float32:  # torch adds up in float64: tiny squares must not vanish
        centred = input.astype(np.float64)
        centred -= centred.mean(axis=dim, keepdims=True)
    else:
        centred = input - input.mean(axis=dim, keepdims=True)
    square = (centred * centred.conj()).real if input.dtype.kind == "c" else centred * centred
    total = square.sum(axis=dim, keepdims=keepdim)
    total = xp.divide(total, total.dtype.type(builtins.max(count - correction, 0)))
    return total.astype(input.real.dtype)


derivative(_var, input=lambda g, input, input_shape, dim, correction, keepdim: (
    _var_rule(g, input, input_shape, dim, correction, keepdim)))


def _var_rule(g, input, shape, dim, correction, keepdim):
    count = _count([shape[d] for d in dim])
    if not shape and count <= correction:  # what there is divided by no degrees of freedom
        return g * (input - input).detach().div(0)
    scale = 2.0 / (count - correction) if count != correction else math.inf
    return scale * spread(g, shape, dim, keepdim) * (input - input.mean(dim, True))


@primitive(name="std", lies="rows")
def _std(xp, input, *, dim, correction, keepdim):
    r"""$y = \sqrt{\frac{1}{n - c}\sum_i (a_i - \mu)^2}$, so
    $\bar a_i = \frac{\bar y}{(n - c)\,y}(a_i - \mu)$."""
    wide = input.astype(np.float64) if input.dtype == np.float32 else input
    square = _var.op.kernel(xp, wide, dim=dim, correction=correction, keepdim=keepdim)
    return xp.sqrt(square).astype(input.real.dtype)


derivative(_std, input=lambda g, input, result, input_shape, dim, correction, keepdim: _var_rule(
    (g / (2 * result)).masked_fill(result == 0, 0), input, input_shape, dim, correction, keepdim))


def _spread(function: Any, name: str) -> Any:
    op = function.op.name

    def measure(input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *,
                correction: Any = None) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        if input._data.dtype.kind in "biu":
            raise RuntimeError("std and var only support floating point and complex dtypes")
        dims = reduced_dims(dim, input)
        if _count([input._data.shape[each] for each in dims]) <= correction:
            warnings.warn(f"{op}(): degrees of freedom is <= 0. Correction should be strictly less "
                          "than the reduction factor (input numel divided by output numel).",
                          UserWarning, stacklevel=3)
        return function(input, dim=dims, correction=correction, keepdim=keepdim)

    measure.__name__ = name
    measure.__doc__ = f"The {name} over `dim`; `correction` is taken from the count (1: unbiased)."
    return takes_out(measure, casts=True)


var = _spread(_var, "var")
std = _spread(_std, "std")


def _with_mean(measure: Any, name: str) -> Any:
    """var_mean and std_mean: both results from one op."""

    @primitive(name=name, outputs=("measure", "mean"), lies="rows")
    def both(xp, input, *, dim, correction, keepdim):
        return (measure.op.kernel(xp, input, dim=dim, correction=correction, keepdim=keepdim),
                input.mean(axis=dim, keepdims=keepdim))

    return both


_var_mean, _std_mean = _with_mean(_var, "var_mean"), _with_mean(_std, "std_mean")


def _mean_part(g, shape, dim, keepdim):
    return 0 if g is None else spread(g, shape, dim, keepdim) / _count([shape[d] for d in dim])


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


# --- truth ---------------------------------------------------------------------------------------

def truth(input: Any, mask: Any) -> Any:
    """A mask; of uint8, which was torch's bool once, as uint8."""
    return mask.astype(input.dtype) if input.dtype == np.uint8 else mask


def _truth_only(name: str) -> Any:
    def check(found: Any, wanted: Any) -> None:
        if wanted.kind != "b" and wanted != np.uint8:
            raise RuntimeError(f"{name} only supports bool tensor for result, got: "
                               f"{dtypes.of(wanted).scalar_name}")

    return check


@primitive(promote="exact", name="all", lies="rows")
def _all(xp, input, *, dim, keepdim):
    return truth(input, input.astype(bool).all(axis=dim, keepdims=keepdim))


@primitive(promote="exact", name="any", lies="rows")
def _any(xp, input, *, dim, keepdim):
    return truth(input, input.astype(bool).any(axis=dim, keepdims=keepdim))


@takes_out(check=_truth_only("all"))
def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether every element is nonzero."""
    return _all(input, dim=reduced_dims(dim, input), keepdim=keepdim)


@takes_out(check=_truth_only("any"))
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether some element is nonzero."""
    return _any(input, dim=reduced_dims(dim, input), keepdim=keepdim)


# --- sums of exponentials ------------------------------------------------------------------------

@primitive(promote="int_to_float", name="logsumexp", lies="rows")
def _logsumexp(xp, input, *, dim, keepdim):
    r"""$y = \ln\sum_i e^{a_i}$, so $\bar a_i = \bar y\,e^{a_i - y}$."""
    real = input.real
    top = real.max(axis=dim, keepdims=True) if input.size else real.sum(axis=dim, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0).astype(real.dtype)
    y = xp.log(xp.exp(input - top).sum(axis=dim, keepdims=True)) + top
    return y if keepdim else y.squeeze(dim)


derivative(_logsumexp, input=lambda g, input, result, input_shape, dim, keepdim: (
    spread(g, input_shape, dim, keepdim)
    * (input - spread(result, input_shape, dim, keepdim)).exp().conj()))


@autocasts
@takes_out(check=castable(
    "logsumexp(): Expected floating point type for result tensor, but got: {wanted}"))
def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    r"""$\ln\sum_i e^{a_i}$ over `dim`, without overflow."""
    if dim in ((), []) and not keepdim and input._data.ndim and input._data.size:
        raise RuntimeError(  # so it is in torch, where no dims are all dims everywhere else
            f"output with shape [] doesn't match the broadcast shape {[1] * input._data.ndim}")
    return _logsumexp(input, dim=reduced_dims(dim, input), keepdim=keepdim)
