"""Cholesky: a positive-definite matrix as $A = L L^H$ with $L$ lower triangular."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, joint_derivative, primitive
from .extremes import return_type
from .lapack import by_columns, castable, each_matrix, on_host, routine, takes_matrix_out
from .linalg_errors import (
    NOT_POSITIVE_DEFINITE,
    SINGULAR_INVERSE,
    check_info,
    require_inexact,
    require_lapack,
    require_square,
    require_tensors,
)
from .triangular import solve_triangular

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve"]

CholeskyExResult = return_type("linalg_cholesky_ex", "L", "info")


# --- factoring -----------------------------------------------------------------------------------

def _factor(xp, input, upper):
    """$L$ (or $U = L^H$) and LAPACK's report for each matrix: 0, or the order of the first leading
    minor that is not positive. Only the triangle that is wanted is read."""
    matrices = input.conj().swapaxes(-1, -2) if upper else input
    try:
        factor = xp.linalg.cholesky(matrices)
        failed = not xp.isfinite(xp.diagonal(factor, axis1=-2, axis2=-1)).all()
    except np.linalg.LinAlgError:
        failed = True
    if failed:  # which matrix, and where? NumPy does not say, so ask LAPACK again, one by one
        factor, info = on_host(xp, _factor_reporting, matrices)
    else:
        info = xp.zeros(input.shape[:-2], xp.int32)
    if upper:
        factor = factor.conj().swapaxes(-1, -2)
    return by_columns(xp, factor), info


def _factor_reporting(matrices):
    potrf = routine("potrf", matrices)
    factor, info = each_matrix(lambda a: potrf(a, lower=1, clean=1), matrices)
    return factor, np.asarray(info, np.int32)


@primitive(name="linalg_cholesky_ex", outputs=("L", "info"))
def _cholesky_ex(xp, input, *, upper):
    r"""$A = L L^H$, so $\bar A = L^{-H}\, \Phi\, L^{-1}$, $\Phi$ the lower half of $L^H \bar L$
    made Hermitian."""
    return _factor(xp, input, upper)


@primitive(name="cholesky", outputs=("L", "info"))
def _cholesky(xp, input, *, upper):
    """The same as an op of its own, which is how torch has it."""
    return _factor(xp, input, upper)


def _cholesky_rule(g, L, upper):
    if upper:
        g, L = g.mH, L.mH
    phi = L.mH.matmul(g).tril()
    phi = (phi + phi.tril(-1).mH) * 0.5
    return solve_triangular(L, solve_triangular(L.mH, phi, upper=True), upper=False, left=False)


derivative(_cholesky_ex, input=_cholesky_rule)
derivative(_cholesky, input=_cholesky_rule)


def _ready(input: Any, name: str) -> None:
    require_square(input, name)
    if name == "linalg.cholesky":
        require_inexact(input, name)
    require_lapack(input, "cholesky_cpu")


@autocasts
@takes_out(check=castable("cholesky", "result")[0])
def cholesky(input: Any, upper: bool = False) -> Any:
    """$L$ of $A = L L^H$, or with `upper` $U$ of $A = U^H U$."""
    require_tensors("cholesky", input=input)
    _ready(input, "cholesky")
    factor, info = _cholesky(input, upper=upper)
    check_info(info, "cholesky", NOT_POSITIVE_DEFINITE)
    return factor


@autocasts
@takes_matrix_out("linalg_cholesky")
def linalg_cholesky(input: Any, *, upper: bool = False) -> Any:
    """$L$ of $A = L L^H$, or with `upper` $U$ of $A = U^H U$."""
    require_tensors("linalg_cholesky", input=input)
    _ready(input, "linalg.cholesky")
    factor, info = _cholesky_ex(input, upper=upper)
    check_info(info, "linalg.cholesky", NOT_POSITIVE_DEFINITE)
    return factor


@autocasts
@takes_matrix_out("linalg_cholesky_ex")
def cholesky_ex(input: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The factor, and for each matrix 0 or the order of the leading minor that is not positive."""
    require_tensors("linalg_cholesky_ex", input=input)
    _ready(input, "linalg.cholesky")
    factor, info = _cholesky_ex(input, upper=upper)
    if check_errors:
        check_info(info, "linalg.cholesky_ex", NOT_POSITIVE_DEFINITE)
    return CholeskyExResult(factor, info)


# --- using a factor ------------------------------------------------------------------------------

@primitive(name="cholesky_solve")
def _cholesky_solve(xp, input, input2, *, upper):
    r"""$X = (L L^H)^{-1} B$, so $\bar B = (L L^H)^{-1} \bar X$ and
    $\bar L = -(\bar B X^H + X \bar B^H)\, L$."""
    def solve(b, factor):
        potrs = routine("potrs", factor)
        return each_matrix(lambda f, y: potrs(f, y, lower=not upper), factor, b)[0]

    if not input.size:
        return xp.zeros_like(input)
    return by_columns(xp, on_host(xp, solve, input, input2))


def _cholesky_solve_rule(g, input2, result, upper, needs):
    solved = _cholesky_solve(g, input2, upper=upper)
    if not needs[1]:
        return solved, None
    common = solved.matmul(result.mH)
    common = common + common.mH
    return solved, -(input2.matmul(common) if upper else common.matmul(input2))


joint_derivative(_cholesky_solve, ("input", "input2"), _cholesky_solve_rule)


@autocasts
@takes_out(check=castable("cholesky_solve", "result")[0])
def cholesky_solve(input: Any, input2: Any, upper: bool = False) -> Any:
    """$X$ of $A X = B$ for B = `input`, given the Cholesky factor of A, `input2`."""
    require_tensors("cholesky_solve", input=input, input2=input2)
    for name, tensor in (("b", input), ("u", input2)):
        if tensor._data.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has "
                               f"{tensor._data.ndim} dimensions instead")
    require_same_dtype(input, input2)
    rows, columns = input2._data.shape[-2:]
    if rows != columns:
        raise RuntimeError(f"A must be batches of square matrices, but they are {rows} by "
                           f"{columns} matrices")
    require_rows("cholesky_solve", input2, input)
    require_lapack(input, "cholesky_solve_cpu")
    input, input2 = one_batch(input, input2)
    return _cholesky_solve(input, input2, upper=upper)


def require_same_dtype(b: Any, a: Any) -> None:
    """Refuse a right hand side of another dtype than the matrix."""
    if a._data.dtype != b._data.dtype:
        raise RuntimeError("Expected b and A to have the same dtype, but found b of type "
                           f"{b.dtype.scalar_name} and A of type {a.dtype.scalar_name} instead.")


def require_rows(name: str, a: Any, b: Any) -> None:
    """Refuse a right hand side that has not as many rows as the matrix."""
    if a._data.shape[-1] != b._data.shape[-2]:
        (n, m), (rows, columns) = a._data.shape[-2:], b._data.shape[-2:]
        raise RuntimeError(f"Incompatible matrix sizes for {name}: each A matrix is {n} by {m} but "
                           f"each b matrix is {rows} by {columns}")


def one_batch(a: Any, b: Any) -> tuple[Any, Any]:
    """Both expanded to the batch dimensions that they have together."""
    if a._data.shape[:-2] == b._data.shape[:-2]:
        return a, b
    from .views import broadcast_shapes

    batch = broadcast_shapes(a._data.shape[:-2], b._data.shape[:-2])
    return a.expand([*batch, *a._data.shape[-2:]]), b.expand([*batch, *b._data.shape[-2:]])


@primitive(name="cholesky_inverse", outputs=("result", "info"))
def _cholesky_inverse(xp, input, *, upper):
    r"""$Y = (L L^H)^{-1}$, so $\bar L = -Y (\bar Y + \bar Y^H) Y L$."""
    def invert(factor):
        potri = routine("potri", factor)
        half, info = each_matrix(lambda f: potri(f, lower=not upper), factor)
        half = np.triu(half) if upper else np.tril(half)
        other = np.tril(half.conj().swapaxes(-1, -2), -1) if upper else \
            np.triu(half.conj().swapaxes(-1, -2), 1)
        return half + other, np.asarray(info, np.int32)

    if not input.size:
        return xp.zeros_like(input), xp.zeros(input.shape[:-2], xp.int32)
    inverse, info = on_host(xp, invert, input)
    return by_columns(xp, inverse), info


def _cholesky_inverse_rule(g, input, result, upper):
    common = result.matmul((g + g.mH).matmul(result))
    return -(input.matmul(common) if upper else common.matmul(input))


derivative(_cholesky_inverse, input=_cholesky_inverse_rule)


@autocasts
@takes_matrix_out("cholesky_inverse", checks=castable("cholesky_inverse", "result"))
def cholesky_inverse(input: Any, upper: bool = False) -> Any:
    """$A^{-1}$, given the Cholesky factor of A."""
    require_tensors("cholesky_inverse", input=input)
    require_square(input, "cholesky_inverse")
    require_lapack(input, "cholesky_inverse_out_cpu")
    inverse, info = _cholesky_inverse(input, upper=upper)
    check_info(info, "cholesky_inverse", SINGULAR_INVERSE)
    return inverse
