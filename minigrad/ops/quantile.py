"""Quantiles: the values below which given shares of the elements lie."""

from __future__ import annotations

import numbers
from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import takes_out
from .arithmetic import mul_number
from .creation import full
from .dims import wrap_dim
from .views import broadcast_shapes

__all__ = ["nanquantile", "quantile"]

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")
_ROUNDINGS = {"lower": "floor", "higher": "ceil", "nearest": "round"}
_LARGEST = 2 ** 24  # beyond it a float32 does not tell neighbouring ranks apart


@autocasts
@takes_out(words="quantile() out tensor must be same dtype as the input tensor", recorded=True)
def quantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *,
             interpolation: str = "linear") -> Any:
    r"""The element of rank $q\,(n - 1)$ in sorted order, along `dim` or of all elements; between
    two ranks as `interpolation` says. For several `q` the result has a first dimension more; where
    there is a nan, it is nan."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@autocasts
@takes_out(words="quantile() out tensor must be same dtype as the input tensor", recorded=True)
def nanquantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *,
                interpolation: str = "linear") -> Any:
    """`quantile` of the elements that are not nan."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str) -> Any:
    q = _shares(name, input, q, dim, interpolation)
    ndim, several = input._data.ndim, q._data.ndim > 0
    wrapped = None if dim is None else wrap_dim(dim, ndim)
    if bool(((q < 0) | (q > 1) | q.isnan()).any()):
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    if wrapped is None:
        ordered = input.flatten().sort().values
        kept = (1,) * ndim if keepdim else ()
    else:
        last = wrapped == ndim - 1
        moved = input if last else input.unsqueeze(-1).transpose(wrapped, -1)
        ordered = moved.sort().values
        shape = input._data.shape
        kept = (*shape[:wrapped], *(1,) * (keepdim and ndim > 0), *shape[wrapped + 1:])
    count = ordered._data.shape[-1]
    ordered = ordered.view((*kept, count))
    if count > _LARGEST:
        raise RuntimeError("quantile() input tensor is too large")
    result = _at_ranks(ordered, _ranks(name, ordered, q), interpolation)
    if several:
        result = result.unsqueeze_(0).transpose_(0, -1)
    return result.squeeze_(-1)


def _ranks(name: str, ordered: Any, q: Any) -> Any:
    """The rank of each quantile, most often between two whole numbers. nan is last in order: its
    rank is taken where there is one, and where all are nan, the first."""
    if name == "nanquantile":
        ranks = q * ((~ordered.isnan()).sum(-1, True) - 1)
        return ranks.masked_fill(ranks < 0, 0)
    last = ordered._data.shape[-1] - 1
    ranks, spoiled = mul_number(q, other=last), ordered.isnan().any(-1, True)
    shape = broadcast_shapes(ranks.shape, spoiled.shape)
    if ranks.shape != shape:
        ranks = ranks.expand(shape)
    return ranks.masked_fill(spoiled, last)


def _at_ranks(ordered: Any, ranks: Any, interpolation: str) -> Any:
    """The elements at these ranks, or between the two next to them."""
    if interpolation in _ROUNDINGS:
        ranks = getattr(ranks, _ROUNDINGS[interpolation])()
    below = ranks.to(dtypes.int64)
    values = ordered.gather(-1, below)
    if interpolation in _ROUNDINGS:
        return values
    weights = ranks.detach().new_full(ranks.shape, 0.5) if interpolation == "midpoint" \
        else ranks - below
    return values.lerp(ordered.gather(-1, ranks.ceil().to(dtypes.int64)), weights)


def _shares(name: str, input: Any, q: Any, dim: Any, interpolation: Any) -> Any:
    """`q` as a tensor, after torch's checks."""
    number = isinstance(q, numbers.Real)
    if not (isinstance(input, TensorBase) and (number or isinstance(q, TensorBase))
            and (dim is None or isinstance(dim, int)) and isinstance(interpolation, str)):
        raise TypeError(f"{name}() received an invalid combination of arguments - got "
                        f"({type(input).__name__}, {type(q).__name__}, dim={type(dim).__name__}, "
                        f"interpolation={type(interpolation).__name__})")
    if number and not 0 <= q <= 1:
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError("quantile() interpolation must be one of linear, lower, higher, "
                           f"midpoint or nearest, but got {interpolation}")
    if number:
        q = full((), float(q), dtype=input.dtype, device=input.device)
    if not input._data.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if q._data.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if q.dtype is not input.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    return q
