"""Linear equations: $AX = B$, and the inverse, which is $X$ for $B = I$."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import wrap
from ..out import takes_out
from ..primitive import derivative, joint_derivative, primitive
from .extremes import return_type
from .lapack import by_columns, castable, takes_matrix_out
from .linalg_errors import (
    SINGULAR_INVERSE,
    SINGULAR_SOLVE,
    check_info,
    require_equation,
    require_inexact,
    require_lapack,
    require_square,
    require_tensors,
)
from .lu import linalg_lu_solve, lu_factor_ex
from .triangular import solve_triangular
from .views import broadcast_shapes

__all__ = ["inverse", "triangular_solve"]

SolveExResult = return_type("linalg_solve_ex", "result", "info")
InvExResult = return_type("linalg_inv_ex", "inverse", "info")
TriangularSolveResult = return_type("triangular_solve", "solution", "cloned_coefficient")


# --- solving -------------------------------------------------------------------------------------

def _solved(xp, a, b):
    """$A^{-1}B$, and for each matrix 0 or the place of the first zero on the diagonal of its U.

    A singular matrix has LAPACK's answer, infinite and nan: NumPy gives none, so that such batches
    are solved again by LU.
    """
    try:
        solution = xp.linalg.solve(a, b)
        if xp.isfinite(solution).all():
            return solution, xp.zeros(a.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        pass
    packed, pivots, info = lu_factor_ex(wrap(a))
    return linalg_lu_solve(packed, pivots, wrap(b))._data, info._data


def _is_vector(a_shape: tuple, b_shape: tuple) -> bool:
    """Whether B is a vector, or a batch of as many vectors as A has matrices."""
    return len(b_shape) == 1 or tuple(b_shape) == tuple(a_shape[:-1])


@primitive(name="_linalg_solve_ex", outputs=("result", "info"))
def _solve_ex(xp, A, B, *, left):
    r"""$X = A^{-1} B$, so $\bar B = A^{-H} \bar X$ and $\bar A = -\bar B X^H$; for the equation
    $XA = B$ the same with all of it transposed."""
    vector = _is_vector(A.shape, B.shape)
    b = B[..., None] if vector else B
    if left:
        solution, info = _solved(xp, A, b)
        solution = solution[..., 0] if vector else solution
        return by_columns(xp, solution) if solution.ndim > 1 else solution, info
    solution, info = _solved(xp, A.swapaxes(-1, -2), b.swapaxes(-1, -2))
    return xp.ascontiguousarray(solution.swapaxes(-1, -2)), info


def _solve_rule(g, A, A_shape, B_shape, result, left, needs):
    vector = _is_vector(A_shape, B_shape)
    if vector:
        g, result = g.unsqueeze(-1), result.unsqueeze(-1)
    to_b, _ = _solve_ex(A.mH, g, left=left)
    to_a = None
    if needs[0]:
        to_a = -(to_b.matmul(result.mH) if left else result.mH.matmul(to_b))
    return to_a, to_b.squeeze(-1) if vector else to_b


joint_derivative(_solve_ex, ("A", "B"), _solve_rule)


def _solution(A: Any, B: Any, left: bool) -> tuple[Any, Any]:
    name = "linalg.solve"
    require_inexact(A, name)
    require_square(A, name)
    if A._data.dtype != B._data.dtype:
        raise RuntimeError(f"{name}: Expected A and B to have the same dtype, but found A of type "
                           f"{A.dtype.scalar_name} and B of type {B.dtype.scalar_name} instead")
    vector = _is_vector(A._data.shape, B._data.shape)
    require_equation(A, B.detach().unsqueeze(-1) if vector else B, name, left)
    if not left and vector:
        raise RuntimeError(f"{name}: Vector broadcasting of the left hand side is not supported "
                           "for left=False. In this case linalg.solve is equivalent to B / "
                           "A.squeeze(-1)")
    require_lapack(A, "lu_cpu")
    broadcast_shapes(A._data.shape[:-2], B._data.shape[:-1] if vector and B._data.ndim > 1
                     else B._data.shape[:-2])
    return _solve_ex(A, B, left=left)


@autocasts
@takes_matrix_out("linalg_solve")
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """$X$ of $AX = B$, or of $XA = B$ where not `left`; B may be a vector."""
    require_tensors("linalg_solve", A=A, B=B)
    result, info = _solution(A, B, left)
    check_info(info, "torch.linalg.solve", SINGULAR_SOLVE)
    return result


@takes_matrix_out("linalg_solve_ex")
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """The same, with a report for each matrix (not 0: it is singular) in place of an error."""
    require_tensors("linalg_solve_ex", A=A, B=B)
    result = SolveExResult(*_solution(A, B, left))
    if check_errors:
        check_info(result.info, "torch.linalg.solve_ex", SINGULAR_SOLVE)
    return result


# --- inverting -----------------------------------------------------------------------------------

@primitive(name="linalg_inv_ex", outputs=("inverse", "info"))
def _inv_ex(xp, A):
    r"""$Y = A^{-1}$, so $\bar A = -Y^H \bar Y\, Y^H$."""
    one = xp.broadcast_to(xp.eye(A.shape[-1], dtype=A.dtype), A.shape)
    inverse, info = _solved(xp, A, one)
    return by_columns(xp, inverse), info


derivative(_inv_ex, A=lambda g, inverse: -inverse.mH.matmul(g.matmul(inverse.mH)))


def _inverted(A: Any) -> tuple[Any, Any]:
    require_square(A, "linalg.inv")
    require_inexact(A, "linalg.inv", low_precision=False)
    return _inv_ex(A)


@autocasts
@takes_matrix_out("linalg_inv")
def inv(A: Any) -> Any:
    """$A^{-1}$."""
    require_tensors("linalg_inv", A=A)
    result, info = _inverted(A)
    check_info(info, "linalg.inv", SINGULAR_INVERSE)
    return result


@autocasts
@takes_matrix_out("linalg_inv_ex")
def inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """The same, with a report for each matrix (not 0: it is singular) in place of an error."""
    require_tensors("linalg_inv_ex", A=A)
    result = InvExResult(*_inverted(A))
    if check_errors:
        check_info(result.info, "linalg.inv_ex", SINGULAR_INVERSE)
    return result


@autocasts
@takes_out
def inverse(input: Any) -> Any:
    """$A^{-1}$."""
    require_tensors("inverse", input=input)
    return inv(input)


# --- tensors as matrices -------------------------------------------------------------------------

@autocasts
@takes_out(name="linalg_tensorinv", check=castable("tensorinv", "result")[0], recorded=True)
def tensorinv(input: Any, ind: int = 2) -> Any:
    """The inverse of the matrix whose rows are the first `ind` dimensions of `input`."""
    require_tensors("linalg_tensorinv", input=input)
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = input._data.shape
    if ind > len(shape):
        raise RuntimeError(f"ArrayRef: invalid slice, N = {ind}; size = {len(shape)}")
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[ind:]) == "
                           f"prod(self.shape[:ind]), but got {columns} != {rows}")
    result, info = _inverted(input.reshape(rows, columns))
    check_info(info, "inv", SINGULAR_INVERSE)
    return result.reshape(*shape[ind:], *shape[:ind])


@autocasts
@takes_out(name="linalg_tensorsolve", check=castable("tensorsolve", "result")[0], recorded=True)
def tensorsolve(input: Any, other: Any, dims: Any = None) -> Any:
    """$X$ of `tensordot(input, X) = other`, after `dims` of `input` were moved to its end."""
    require_tensors("linalg_tensorsolve", input=input, other=other)
    ndim = input._data.ndim
    if dims is not None:
        input = input.movedim(tuple(dims), tuple(range(ndim - len(dims), ndim)))
    shape = input._data.shape[other._data.ndim:]
    unknowns, equations = math.prod(shape), other._data.size
    if unknowns != equations:
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[other.ndim:]) "
                           f"== prod(self.shape[:other.ndim]), but got {unknowns} != {equations}")
    return solve(input.reshape(unknowns, unknowns), other.flatten()).reshape(shape)


# --- the older triangular solve ------------------------------------------------------------------

@primitive(name="triangular_solve", outputs=("solution", "cloned_coefficient"))
def _triangular_solve(xp, input, A, *, upper, transpose, unitriangular):
    """The solution of $AX = B$ (or $A^T X = B$), and a copy of A."""
    batch = np.broadcast_shapes(input.shape[:-2], A.shape[:-2])
    b = xp.broadcast_to(input, (*batch, *input.shape[-2:]))
    a = xp.broadcast_to(A, (*batch, *A.shape[-2:]))
    solution = solve_triangular(wrap(a.swapaxes(-1, -2) if transpose else a), wrap(b),
                                upper=upper != transpose, unitriangular=unitriangular)._data
    return by_columns(xp, solution), by_columns(xp, a)


def _triangular_solve_rule(grads, A, solution, upper, transpose, unitriangular, needs):
    g, g_copy = grads
    if g is None:
        return None, g_copy
    to_b, _ = _triangular_solve(g, A.conj(), upper=upper, transpose=not transpose,
                                unitriangular=unitriangular)
    if not needs[1]:
        return to_b, None
    to_a = -(solution.conj().matmul(to_b.mT) if transpose else to_b.matmul(solution.mH))
    beyond = int(unitriangular)  # ones that are understood have no gradient
    to_a = to_a.triu(beyond) if upper else to_a.tril(-beyond)
    return to_b, to_a if g_copy is None else to_a + g_copy


joint_derivative(_triangular_solve, ("input", "A"), _triangular_solve_rule)


@autocasts
@takes_out
def triangular_solve(input: Any, A: Any, upper: bool = True, transpose: bool = False,
                     unitriangular: bool = False) -> Any:
    """$X$ of $AX = B$ for a triangular A, with a copy of A. `linalg.solve_triangular` is newer."""
    require_tensors("triangular_solve", input=input, A=A)
    for name, tensor in (("b", input), ("A", A)):
        if tensor._data.ndim < 2:
            raise RuntimeError(f"torch.triangular_solve: Expected {name} to have at least 2 "
                               f"dimensions, but it has {tensor._data.ndim} dimensions instead")
    if A._data.dtype != input._data.dtype:
        raise RuntimeError("Expected b and A to have the same dtype, but found b of type "
                           f"{input.dtype.scalar_name} and A of type {A.dtype.scalar_name} "
                           "instead.")
    (rows, columns), (n, m) = A._data.shape[-2:], input._data.shape[-2:]
    if rows != columns:
        raise RuntimeError("A must be batches of square matrices, but they are "
                           f"{rows} by {columns} matrices")
    if rows != n:
        raise RuntimeError("Incompatible matrix sizes for triangular_solve: each A matrix is "
                           f"{rows} by {columns} but each b matrix is {n} by {m}")
    broadcast_shapes(A._data.shape[:-2], input._data.shape[:-2])
    require_lapack(A, "triangular_solve_cpu")
    return TriangularSolveResult(*_triangular_solve(
        input, A, upper=upper, transpose=transpose, unitriangular=unitriangular))
