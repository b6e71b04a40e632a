r"""Vector norms: $\left(\sum_i |a_i|^p\right)^{1/p}$ along dimensions, and distances."""

from __future__ import annotations

import builtins
import math
import numbers
from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, primitive
from .reduction import kept, reduced_dims

__all__ = ["dist", "vector_norm"]

@primitive(name="linalg_vector_norm", lies="rows")
def _vector_norm(xp, input, *, ord, dim, keepdim, dtype=None):
    r"""$y = \left(\sum_i |a_i|^p\right)^{1/p}$, computed in `dtype`; the gradient at 0 is 0."""
    size = xp.abs(input if dtype is None else input.astype(dtype.numpy))
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


norm_over = primitive(  # what torch's C++ calls
    _vector_norm.op.kernel, name="norm", overload=1, lies="rows")
norm_of_all = primitive(_vector_norm.op.kernel, name="norm", lies="rows")
for _op in (_vector_norm, norm_over, norm_of_all):
    derivative(_op, input=lambda g, input, result, ord, dim, keepdim: _norm_rule(
        kept(g, dim, keepdim), input, kept(result, dim, keepdim), ord, dim))


def _norm_rule(g, input, norm, p, dim):
    if p == 0:
        return None
    if p == 1:
        return input.sgn() * g
    if p == 2:
        return g * (input / norm).masked_fill(norm == 0, 0)
    if builtins.abs(p) == math.inf:
        mask = input.abs() == norm
        return input.sgn() * (g / mask.sum(dim, dim is not None) * mask)
    if p < 1:
        return (input.sgn() * input.abs().pow(p - 1).masked_fill(input == 0, 0)) * g \
            * norm.pow(1 - p)
    scaled = input.sgn() * input.abs().pow(p - 1) if p < 2 else (
        input * input.abs().pow(p - 2))  # whose own derivative at 0 is finite
    return scaled * (g / norm.pow(p - 1)).masked_fill(norm == 0, 0)


@autocasts
@takes_out(name="linalg_vector_norm")
def vector_norm(input: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *,
                dtype: Any = None) -> Any:
    r"""$\left(\sum_i |a_i|^p\right)^{1/p}$ over `dim` (all by default), computed in `dtype`."""
    _require_norm(input, ord, dtype)
    dims = reduced_dims(dim, input)
    if not input._data.size and (ord < 0 or ord == math.inf):
        for each in () if dim in (None, (), []) else dims:
            if not input._data.shape[each]:
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {ord} norm on the dimension {each}"
                    "because this dimension is empty and the operation does not have an identity")
        if dim in (None, (), []):
            raise RuntimeError(f"linalg.vector_norm cannot compute the {ord} norm on an empty "
                               "tensor because the operation does not have an identity")
    if dtype is not None and input._data.dtype in dtypes.HALF_TYPES:
        input = input.to(dtype)  # else the result would be rounded to 16 bits
    return _vector_norm(input, ord=ord, dim=None if dim in (None, (), []) else dims,
                        keepdim=keepdim, dtype=dtype)


def _require_norm(input: Any, ord: Any, dtype: Any) -> None:
    name, own = "linalg.vector_norm", input.dtype
    if not isinstance(ord, numbers.Number):
        raise TypeError("linalg_vector_norm(): argument 'ord' (position 2) must be Number, not "
                        f"{type(ord).__name__}")
    if isinstance(ord, complex):
        raise RuntimeError(f"{name}: Expected a non-complex scalar as the order of norm.")
    if not (own.is_floating_point or own.is_complex):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got "
                           f"{own.scalar_name}")
    if dtype is not None:
        require_norm_dtype(name, own, dtype)


def require_norm_dtype(name: str, own: Any, dtype: Any) -> None:
    """Refuse a `dtype` that is of another kind than the input's own, or narrower."""
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got "
                           f"{dtype.scalar_name}")
    if own.is_complex != dtype.is_complex:
        kind = "complex" if own.is_complex else "real"
        raise RuntimeError(f"{name}: dtype should be {kind} for {kind} inputs, but got "
                           f"{dtype.scalar_name}")
    if dtypes.promote_types(own, dtype) is not dtype:
        raise RuntimeError(f"{name}: the dtype of the input ({own.scalar_name}) should be "
                           f"convertible without narrowing to the specified dtype "
                           f"({dtype.scalar_name})")


@primitive(promote="default", name="dist")
def _dist(xp, input, other, *, p):
    return _vector_norm.op.kernel(xp, input - other, ord=p, dim=None, keepdim=False)


derivative(_dist,
    input=lambda g, input, other, result, p: _norm_rule(g, input - other, result, p, None),
    other=lambda g, input, other, result, p: -_norm_rule(g, input - other, result, p, None))


@autocasts
@takes_out(casts=True)
def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of the difference."""
    return _dist(input, other, p=p)


