"""LDL: a symmetric or Hermitian matrix as $A = L D L^T$ or $L D L^H$, with rows exchanged.

D has blocks of one or two rows on its diagonal. torch has no derivative for these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import int32
from ..primitive import derivative, primitive
from .cholesky import one_batch, require_rows, require_same_dtype
from .dims import wrap_dim
from .extremes import return_type
from .lapack import by_columns, each_matrix, on_host, routine, takes_matrix_out
from .linalg_errors import require_inexact, require_lapack, require_square, require_tensors

LdlFactorResult = return_type("linalg_ldl_factor", "LD", "pivots")
LdlFactorExResult = return_type("linalg_ldl_factor_ex", "LD", "pivots", "info")


def _of(name: str, array: Any, hermitian: bool) -> Any:
    """LAPACK's routine for Hermitian ("he...") or symmetric ("sy...") matrices."""
    return routine(("he" if hermitian and array.dtype.kind == "c" else "sy") + name, array)


@primitive(name="linalg_ldl_factor_ex", outputs=("LD", "pivots", "info"),
           node_name="torch::autograd::NotImplemented")
def _ldl_factor_ex(xp, input, *, hermitian):
    """L and D in one matrix; a pivot below zero marks a block of two rows."""
    def factor(a):
        trf = _of("trf", a, hermitian)
        packed, pivots, info = each_matrix(lambda m: trf(np.tril(m), lower=1), a)
        return packed, pivots.astype(np.int32), info.astype(np.int32)

    if not input.size:
        return (input.copy(), xp.zeros(input.shape[:-1], xp.int32),
                xp.zeros(input.shape[:-2], xp.int32))
    packed, pivots, info = on_host(xp, factor, input)
    return by_columns(xp, packed), pivots, info


def _no_derivative(name: str) -> Any:
    def rule(grads):
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


derivative(_ldl_factor_ex, input=_no_derivative("linalg_ldl_factor_ex"))


def _factor(input: Any, hermitian: bool) -> Any:
    name = "torch.linalg.ldl_factor_ex"
    require_square(input, name)
    require_inexact(input, name)
    require_lapack(input, "ldl_factor_kernel_cpu")
    return _ldl_factor_ex(input, hermitian=hermitian)


def _check(info: Any, name: str) -> None:
    """torch has no words for a matrix that is singular here."""
    failed = info._data[info._data != 0]
    if failed.size:
        raise RuntimeError(f"torch.linalg.{name}: Unknown error code: {int(failed.ravel()[0])}.")


@takes_matrix_out("linalg_ldl_factor")
def ldl_factor(input: Any, *, hermitian: bool = False) -> Any:
    """L and D of $A = L D L^T$ (of $L D L^H$ if `hermitian`) in one matrix, and the pivots."""
    require_tensors("linalg_ldl_factor", input=input)
    packed, pivots, info = _factor(input, hermitian)
    _check(info, "ldl_factor")
    return LdlFactorResult(packed, pivots)


@takes_matrix_out("linalg_ldl_factor_ex")
def ldl_factor_ex(input: Any, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """The same, and for each matrix LAPACK's report: 0, or where D's first zero is."""
    require_tensors("linalg_ldl_factor_ex", input=input)
    result = LdlFactorExResult(*_factor(input, hermitian))
    if check_errors:
        _check(result.info, "ldl_factor_ex")
    return result


@primitive(name="linalg_ldl_solve", node_name="torch::autograd::NotImplemented")
def _ldl_solve(xp, LD, pivots, B, *, hermitian):
    """$X$ of $AX = B$, given the factors of A."""
    def solve(packed, exchanged, b):
        trs = _of("trs", packed, hermitian)
        return each_matrix(lambda a, p, y: trs(a, p, y, lower=1), packed, exchanged, b)[0]

    if not B.size:
        return xp.zeros_like(B)
    return by_columns(xp, on_host(xp, solve, LD, pivots, B))


derivative(_ldl_solve, LD=_no_derivative("linalg_ldl_solve"), B=_no_derivative("linalg_ldl_solve"))


@takes_matrix_out("linalg_ldl_solve")
def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False) -> Any:
    """$X$ of $AX = B$ for the matrix that `ldl_factor` factored."""
    name = "torch.linalg.ldl_solve"
    require_tensors("linalg_ldl_solve", LD=LD, pivots=pivots, B=B)
    require_square(LD, name)
    require_inexact(LD, name)
    wrap_dim(-2, B._data.ndim)
    require_same_dtype(B, LD)
    require_rows(name, LD, B)
    if pivots._data.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got "
                           f"{pivots.dtype.scalar_name}")
    if pivots._data.shape != LD._data.shape[:-1]:
        raise RuntimeError(f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but "
                           f"got pivots with shape {list(pivots._data.shape)} instead")
    require_lapack(LD, "ldl_solve_kernel_cpu")
    LD, B = one_batch(LD, B)
    pivots = pivots.expand(LD._data.shape[:-1]).to(int32)
    return _ldl_solve(LD, pivots, B, hermitian=hermitian)
