"""Equations with a triangular matrix, solved by substitution."""

from __future__ import annotations

from typing import Any

from ..out import check_scalar
from ..primitive import joint_derivative, primitive
from .lapack import by_columns, each_matrix, on_host, routine, takes_matrix_out
from .linalg_errors import require_equation, require_lapack, require_square, require_tensors
from .views import broadcast_shapes

__all__ = ["solve_triangular"]


@primitive(name="linalg_solve_triangular")
def _solve_triangular(xp, input, B, *, upper, left, unitriangular):
    r"""$X = A^{-1} B$, so $\bar B = A^{-H} \bar X$ and $\bar A = -\bar B X^H$, of which only the
    triangle counts."""
    def solve(a, b):
        trsm = routine("trsm", a)
        return each_matrix(lambda m, y: (trsm(1, m, y, side=not left, lower=not upper,
                                              diag=unitriangular),), a, b)[0]

    batch = broadcast_shapes(input.shape[:-2], B.shape[:-2])
    a = xp.broadcast_to(input, (*batch, *input.shape[-2:]))
    b = xp.broadcast_to(B, (*batch, *B.shape[-2:]))
    if not b.size:
        return xp.zeros(b.shape, b.dtype)
    return by_columns(xp, on_host(xp, solve, a, b))


def _solve_triangular_rule(g, input, result, upper, left, unitriangular, needs):
    to_b = _solve_triangular(input.mH, g, upper=not upper, left=left, unitriangular=unitriangular)
    if not needs[0]:
        return None, to_b
    to_a = -(to_b.matmul(result.mH) if left else result.mH.matmul(to_b))
    beyond = int(unitriangular)  # ones that are understood have no gradient
    return to_a.triu(beyond) if upper else to_a.tril(-beyond), to_b


joint_derivative(_solve_triangular, ("input", "B"), _solve_triangular_rule)


@takes_matrix_out("linalg_solve_triangular", check=check_scalar)
def solve_triangular(input: Any, B: Any, *, upper: bool, left: bool = True,
                     unitriangular: bool = False) -> Any:
    """$X$ of $AX = B$, or of $XA = B$ where not `left`, for a triangular A; what stands in its
    other half is not read, nor is its diagonal if `unitriangular`."""
    name = "linalg.solve_triangular"
    require_tensors("linalg_solve_triangular", input=input, B=B)
    require_square(input, name)
    require_equation(input, B, name, left)
    require_lapack(input, "triangular_solve_cpu")
    return _solve_triangular(input, B, upper=upper, left=left, unitriangular=unitriangular)
