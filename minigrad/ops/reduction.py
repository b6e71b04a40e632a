"""Reductions: many numbers to one. The rule of each is a broadcast: its transpose."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..primitive import derivative, primitive
from .dims import wrap_dim, wrap_dims

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
