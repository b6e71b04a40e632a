"""Norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..autocast_rules import autocasts
from ..out import takes_out
from .dims import wrap_dim
from .lapack import castable
from .linalg_errors import require_inexact, require_matrix, require_square, require_tensors
from .reduction import (
    reduced_dims,
)
from .solve import inv_ex
from .svd import svdvals
from .vector_norm import (
    norm_of_all,
    norm_over,
    require_norm_dtype,
    vector_norm,
)

__all__ = ["frobenius_norm", "norm", "norm_except_dim", "nuclear_norm"]


# --- matrices ------------------------------------------------------------------------------------

# order: whether the largest or the smallest is taken, of the singular values or of the sums along
# a row or a column
_OF_SINGULAR_VALUES = {2: "amax", -2: "amin", "nuc": "sum"}
_OF_SUMS = {1: "amax", -1: "amin", math.inf: "amax", -math.inf: "amin"}

_REFUSED_OUT = "{} expected out tensor dtype {{found}} but got: {{wanted}}"


@autocasts
@takes_out(name="linalg_matrix_norm", words=_REFUSED_OUT.format("linalg.matrix_norm"),
           recorded=True)
def matrix_norm(A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *,
                dtype: Any = None) -> Any:
    r"""A norm of the matrices in two dimensions of A: "fro" $\sqrt{\sum_{ij} |a_{ij}|^2}$, "nuc"
    the sum of the singular values, 2 and -2 the largest and the smallest of them; 1 and -1 the
    largest and smallest sum of a column's sizes, inf and -inf of a row's."""
    name = "linalg.matrix_norm"
    require_tensors("linalg_matrix_norm", A=A)
    require_matrix(A, name)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    low_precision = ord not in _OF_SINGULAR_VALUES
    require_inexact(A, name, low_precision)
    if ord != "fro" and ord not in _OF_SUMS and ord not in _OF_SINGULAR_VALUES:
        raise RuntimeError(f"{name}: Order {_number(ord)} not supported.")
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    row, column = [wrap_dim(each, A._data.ndim) for each in dims]
    if row == column:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if dtype is not None:
        require_norm_dtype(name, A.dtype, dtype)
    if ord == "fro":
        return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if ord in _OF_SUMS:
        if abs(ord) == math.inf:
            row, column = column, row
        sums = vector_norm(A, 1, (row,), keepdim, dtype=dtype)
        if not keepdim and row < column:
            column -= 1
        return _chosen(sums, _OF_SUMS[ord], column, keepdim)
    others = [each for each in range(A._data.ndim) if each not in (row, column)]
    order = [*others, row, column]
    values = svdvals((A if dtype is None else A.to(dtype)).permute(order))
    result = _chosen(values, _OF_SINGULAR_VALUES[ord], -1, keepdim)
    if not keepdim:
        return result
    return result.unsqueeze(-1).permute([order.index(each) for each in range(len(order))])


def _chosen(values: Any, how: str, dim: int, keepdim: bool) -> Any:
    """The largest, the smallest or the sum of the values along `dim`; of none the largest is 0, a
    constant."""
    if how == "amax" and not values._data.shape[dim]:
        return values.detach().sum(dim, keepdim)
    return getattr(values, how)(dim, keepdim)


def _number(ord: Any) -> str:
    """A number as C++ prints it."""
    return f"{ord:g}" if isinstance(ord, float) else str(ord)


# --- vectors or matrices -------------------------------------------------------------------------

@takes_out(name="linalg_norm", words=_REFUSED_OUT.format("linalg.norm"), recorded=True)
def linalg_norm(input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *,
                dtype: Any = None) -> Any:
    """A vector norm (over one dimension, or all where `ord` is not given either) or a matrix norm
    (over two)."""
    require_tensors("linalg_norm", input=input)
    name, ndim = "linalg.norm", input._data.ndim
    dims = (dim,) if isinstance(dim, int) else dim if dim is None else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"{name}: If dim is specified, it must be of length 1 or 2. Got "
                           f"{list(dims)}")
    if dims is None and ord is not None and ndim not in (1, 2):
        raise RuntimeError(f"{name}: If dim is not specified but ord is, the input must be 1D or "
                           f"2D. Got {ndim}D.")
    of_matrix = len(dims) == 2 if dims is not None else ndim == 2
    if isinstance(ord, str) or ord is not None and of_matrix:
        return matrix_norm(input, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)
    return vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@autocasts
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None,
         dtype: Any = None) -> Any:
    """The p-norm of the elements; "fro" (the default) is the 2-norm, "nuc" that of matrices."""
    dims = [dim] if isinstance(dim, int) else dim
    if isinstance(p, str) and not (p == "fro" and (dims is None or len(dims) <= 2)):
        dims = range(input._data.ndim) if dims is None else dims
        return matrix_norm(input, p, dims, keepdim, dtype=dtype, out=out)
    return vector_norm(input, 2.0 if p in ("fro", None) else p, dims, keepdim, dtype=dtype,
                       out=out)


def norm_method(self: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False,
                dtype: Any = None) -> Any:
    """`norm` as a method, which has no `out`."""
    return norm(self, p, dim, keepdim, dtype=dtype)


# --- torch's older ways -------------------------------------------------------------------------

def frobenius_norm(input: Any, dim: Any, keepdim: bool = False) -> Any:
    """The 2-norm over one or two dimensions; deprecated in torch too."""
    _warn_of("frobenius_norm", "linalg.vector_norm(A, 2., dim, keepdim)")
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) > 2:
        raise RuntimeError(f"Expected at most 2 dimensions, but got {len(dims)} dimensions "
                           "instead.")
    return norm_over(input, ord=2.0, dim=reduced_dims(dims, input), keepdim=keepdim)


def nuclear_norm(input: Any, *dim: Any, **more: Any) -> Any:
    """The sum of the singular values, `nuclear_norm(input[, dim], keepdim=False)`; deprecated in
    torch too."""
    _warn_of("nuclear_norm", "linalg.matrix_norm(A, 'nuc', dim, keepdim)")
    given = dim if dim and not isinstance(dim[0], bool) else (more.pop("dim", (-2, -1)), *dim)
    dim, keepdim = given[0], given[1] if len(given) > 1 else more.pop("keepdim", False)
    return matrix_norm(input, "nuc", dim, keepdim)


def _warn_of(name: str, better: str) -> None:
    warnings.warn(f"at::{name} is deprecated and it is just left for JIT compatibility. It will be "
                  f"removed in a future PyTorch release. Please use `{better}` instead",
                  UserWarning, stacklevel=3)


def norm_except_dim(v: Any, pow: int = 2, dim: int = 0) -> Any:
    """The norm of the elements at each index of `dim`, broadcastable with `v`; of all for -1."""
    ndim = v._data.ndim
    if dim == -1:
        return norm_of_all(v, ord=pow, dim=None, keepdim=False)
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if dim == 0:
        rows = v.contiguous().view(v._data.shape[0], -1)
        norms = norm_over(rows, ord=pow, dim=(1,), keepdim=False)
        return norms.view((v._data.shape[0], *[1] * (ndim - 1)))
    if dim == ndim - 1:
        rows = v.contiguous().view(-1, v._data.shape[-1])
        norms = norm_over(rows, ord=pow, dim=(0,), keepdim=False)
        return norms.view((*[1] * (ndim - 1), v._data.shape[-1]))
    return norm_except_dim(v.transpose(0, dim), pow, 0).transpose(0, dim)


# --- condition -----------------------------------------------------------------------------------

@autocasts
@takes_out(name="linalg_cond", check=castable("linalg.cond", "result")[0], recorded=True)
def cond(input: Any, p: Any = None) -> Any:
    r"""$\|A\| \cdot \|A^{-1}\|$ in the norm of order `p`; for 2, the default, the quotient of the
    largest and the smallest singular value. Infinite for a singular matrix."""
    require_tensors("linalg_cond", input=input)
    if input._data.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p not in (None, "fro", *_OF_SINGULAR_VALUES, *_OF_SUMS):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {_number(p)}")
    if not isinstance(p, str) and not input._data.size:
        return _conditions_of_nothing(input)
    if p in (None, 2, -2):
        values = svdvals(input)
        largest, smallest = values.narrow(-1, 0, 1), values.narrow(-1, -1, 1)
        quotient = smallest / largest if p == -2 else largest / smallest
        return quotient.squeeze(-1)
    require_square(input, f"linalg.cond(ord={_number(p)})")
    if not input._data.size:
        return _conditions_of_nothing(input)
    if p == "nuc":
        values = svdvals(input)
        return values.sum(-1) * values.reciprocal().sum(-1)
    inverse, info = inv_ex(input)
    inverse = inverse.masked_fill((info != 0).unsqueeze(-1).unsqueeze(-1), math.inf)
    product = matrix_norm(input, p) * matrix_norm(inverse, p)
    return product.nan_to_num(math.inf, math.inf, -math.inf)


def _conditions_of_nothing(input: Any) -> Any:
    shape = input._data.shape[:-2]
    return (input.real if input.is_complex() else input).new_zeros(shape)
