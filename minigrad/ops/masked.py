"""torch.masked: reductions and normalisations of the elements where a mask is True.

What the mask leaves out is replaced by what the reduction does not notice (0 for a sum, -inf for
amax), and then the ordinary op does the work: so the graph is a `where` and that op.
"""

from __future__ import annotations

import builtins
from typing import Any

from .. import dtypes
from ..core import wrap
from ..device import array_module
from . import choosing, cumulative, extremes, pointwise, reduction
from . import softmax as ops_softmax
from .arithmetic import div
from .dims import wrap_dim
from .vector_norm import vector_norm
from .views import broadcast_to

__all__ = [
    "sum", "prod", "cumsum", "cumprod", "amax", "amin", "argmax", "argmin", "mean", "median",
    "logsumexp", "logaddexp", "norm", "var", "std", "softmax", "log_softmax", "softmin",
    "normalize"]

_INF = float("inf")


# --- masks and dims ------------------------------------------------------------------------------

def _mask_for(input: Any, mask: Any) -> Any:
    """`mask` as a bool tensor of the input's shape."""
    if mask._data.shape != input._data.shape:
        if mask._data.ndim > input._data.ndim:
            raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality "
                             "higher than of the input)")
        mask = broadcast_to(mask.clone(), input._data.shape)
    return mask.to(dtypes.bool_)


def _kept(input: Any, mask: Any, name: str, ord: Any = None) -> Any:
    """`input`, and where the mask is False what the reduction `name` does not notice."""
    if mask is None:
        return input
    kept = _mask_for(input, mask)
    fill = array_module(input._data).asarray(_identity(name, input, ord), input._data.dtype)
    return choosing.where(kept, input, wrap(fill))


def _identity(name: str, input: Any, ord: Any) -> Any:
    """The value with which a reduction gives what it gives without."""
    kind = input._data.dtype.kind if input.is_complex() or not input.is_floating_point() else "f"
    if name in ("sum", "prod"):
        return 0 if name == "sum" else 1
    if name == "norm":
        return _INF if ord == -_INF else 0
    if name == "median":
        return float("nan")
    sign = 1 if name in ("amin", "argmin") else -1
    if kind == "f" or kind == "c" and name == "logsumexp":
        return sign * _INF
    if kind in "iu":
        limits = array_module(input._data).iinfo(input._data.dtype)
        return limits.max if sign > 0 else limits.min
    raise NotImplementedError(f"identity of {name} on {input.dtype} input")


def _dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dims to reduce, in order; none named means all."""
    if dim is None or dim == ():
        return tuple(builtins.range(ndim))
    found: list[int] = []
    for each in (dim,) if isinstance(dim, int) else dim:
        if each in found:
            raise RuntimeError(f"dim={each} appears multiple times in the list of dims")
        found.append(wrap_dim(each, ndim))
    return tuple(builtins.sorted(found))


def _widened(input: Any, dtype: Any) -> Any:
    """The dtype of a sum or product: that asked for, int64 for integers, else the input's."""
    if dtype is not None:
        return dtype
    return dtypes.int64 if input._data.dtype.kind in "biu" else input.dtype


# --- reductions ----------------------------------------------------------------------------------

def sum(input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
        mask: Any = None) -> Any:
    """The sum of the elements under the mask; 0 where there are none."""
    dtype = _widened(input, dtype)
    dims = _dims(dim, input._data.ndim)
    return reduction.sum(_kept(input, mask, "sum"), dims, bool(keepdim), dtype=dtype)


def prod(input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
         mask: Any = None) -> Any:
    """The product of the elements under the mask, one dim after the other."""
    dtype = _widened(input, dtype)
    dims = _dims(dim, input._data.ndim)
    result = _kept(input, mask, "prod").to(dtype)
    for each in reversed(dims):
        result = reduction.prod(result, each, bool(keepdim))
    return result


def cumsum(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Running sums of the elements under the mask."""
    dtype = input.dtype if dtype is None else dtype
    (dim,) = _dims(dim, input._data.ndim)[:1]
    return cumulative.cumsum(_kept(input, mask, "sum"), dim, dtype=dtype).to(dtype)


def cumprod(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Running products of the elements under the mask."""
    dtype = input.dtype if dtype is None else dtype
    (dim,) = _dims(dim, input._data.ndim)[:1]
    return cumulative.cumprod(_kept(input, mask, "prod"), dim, dtype=dtype).to(dtype)


def amax(input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
         mask: Any = None) -> Any:
    """The largest element under the mask."""
    dtype = input.dtype if dtype is None else dtype
    kept = _kept(input, mask, "amax")
    return extremes.amax(kept, _dims(dim, input._data.ndim), bool(keepdim)).to(dtype)


def amin(input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
         mask: Any = None) -> Any:
    """The smallest element under the mask."""
    dtype = input.dtype if dtype is None else dtype
    kept = _kept(input, mask, "amin")
    return extremes.amin(kept, _dims(dim, input._data.ndim), bool(keepdim)).to(dtype)


def argmax(input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None,
           mask: Any = None) -> Any:
    """Where the largest element under the mask is. As in torch, in the input's dtype."""
    dtype = input.dtype if dtype is None else dtype
    return extremes.argmax(_kept(input, mask, "argmax"), dim, bool(keepdim)).to(dtype)


def argmin(input: Any, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None,
           mask: Any = None) -> Any:
    """Where the smallest element under the mask is. As in torch, in the input's dtype."""
    dtype = input.dtype if dtype is None else dtype
    return extremes.argmin(_kept(input, mask, "argmin"), dim, bool(keepdim)).to(dtype)


def _total_and_count(input: Any, dim: Any, keepdim: Any, dtype: Any, mask: Any) -> tuple:
    """The sum of the elements under the mask, and how many there are."""
    if mask is None:
        count = sum(input.ones_like(dtype=dtypes.int64), dim, keepdim=keepdim)
    else:
        mask = _mask_for(input, mask)
        count = reduction.sum(mask, dim, bool(keepdim))
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask), count


def mean(input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
         mask: Any = None) -> Any:
    """The mean of the elements under the mask; nan where there are none."""
    source = "Input" if dtype is None else "Optional"
    dtype = input.dtype if dtype is None else dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(f"mean(): Could not infer output dtype. {source} dtype must be either a "
                         f"floating point or complex dtype. Got: {dtype}")
    total, count = _total_and_count(input, dim, keepdim, dtype, mask)
    return total / count


def median(input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Any = None,
           mask: Any = None) -> Any:
    """The median of the elements under the mask; nan where there are none."""
    dtype = input.dtype if dtype is None else dtype
    (dim,) = _dims(dim, input._data.ndim)[:1]
    is_float = input.is_floating_point()
    kept = _kept(input if is_float else input.to(dtypes.float32), mask, "median")
    result = kept.nanmedian(dim, keepdim).values
    if is_float:
        return result
    if bool(result.isnan().any()):
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating "
                         "point")
    return result.to(dtype)


def logsumexp(input: Any, dim: Any = None, *, keepdim: bool = False, dtype: Any = None,
              mask: Any = None) -> Any:
    """The logarithm of the sum of exponentials of the elements under the mask."""
    dtype = input.dtype if dtype is None else dtype
    dims = _dims(dim, input._data.ndim)
    return reduction.logsumexp(_kept(input, mask, "logsumexp"), dims, keepdim).to(dtype)


def logaddexp(input: Any, other: Any, *, dtype: Any = None, input_mask: Any = None,
              other_mask: Any = None) -> Any:
    r"""$\ln(e^a + e^b)$, where a term counts only under its mask."""
    dtype = input.dtype if dtype is None else dtype
    return pointwise.logaddexp(_kept(input, input_mask, "logaddexp"),
                               _kept(other, other_mask, "logaddexp")).to(dtype)


def norm(input: Any, ord: float | None = 2.0, dim: Any = None, *, keepdim: bool | None = False,
         dtype: Any = None, mask: Any = None) -> Any:
    """The vector norm of the elements under the mask."""
    dtype = input.dtype if dtype is None else dtype
    kept = _kept(input, mask, "norm", ord)
    return vector_norm(kept, ord, _dims(dim, input._data.ndim), bool(keepdim), dtype=dtype)


def _variance(input: Any, dim: Any, unbiased: bool | None, correction: Any, keepdim: Any,
              dtype: Any, mask: Any) -> Any:
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0.0 if unbiased is False else 1.0
    if dtype is None:
        exact = input._data.dtype.kind in "biu"
        dtype = dtypes.float32 if exact else input.dtype
    working = dtype if dtype.is_floating_point or dtype.is_complex else dtypes.float32
    total, count = _total_and_count(input, dim, True, dtype, mask)
    off = input - div(total, count)
    squares = sum(off * off.conj(), dim, keepdim=keepdim, dtype=working,
                  mask=None if mask is None else _mask_for(input, mask))
    if not keepdim:
        count = count.reshape(squares.shape)
    if correction != 0:
        count = count.to(working.to_real()) - float(correction)
        count = choosing.maximum(count, count.new_zeros([]))
    return div(squares, count).to(dtype)


def var(input: Any, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
        keepdim: bool | None = False, dtype: Any = None, mask: Any = None) -> Any:
    """The variance of the elements under the mask."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(input: Any, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
        keepdim: bool | None = False, dtype: Any = None, mask: Any = None) -> Any:
    """The standard deviation of the elements under the mask."""
    return pointwise.sqrt(_variance(input, dim, unbiased, correction, keepdim, dtype, mask))


# --- normalisations ------------------------------------------------------------------------------

def softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The softmax of the elements under the mask; the others get 0."""
    (dim,) = _dims(dim, input._data.ndim)[:1]
    return ops_softmax.softmax(_kept(input, mask, "amax"), dim, dtype=dtype or input.dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The logarithm of softmax."""
    (dim,) = _dims(dim, input._data.ndim)[:1]
    return ops_softmax.log_softmax(_kept(input, mask, "amax"), dim, dtype=dtype or input.dtype)


def softmin(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The softmax of the negative elements under the mask."""
    (dim,) = _dims(dim, input._data.ndim)[:1]
    return ops_softmax.softmin(_kept(input, mask, "amin"), dim, dtype=dtype or input.dtype)


def normalize(input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None,
              mask: Any = None) -> Any:
    """The elements under the mask divided by their norm, but by `eps` at least."""
    kept = _kept(input, mask, "sum")
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return div(kept, choosing.maximum(length, length.new_full([], eps)))
