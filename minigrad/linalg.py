"""torch.linalg: matrices factored, solved and measured."""

from __future__ import annotations

from .names import missing_in
from .ops.cholesky import cholesky_ex
from .ops.cholesky import linalg_cholesky as cholesky
from .ops.determinant import linalg_det as det
from .ops.determinant import linalg_slogdet as slogdet
from .ops.eigen import eig, eigh, eigvals, eigvalsh
from .ops.ldl import ldl_factor, ldl_factor_ex, ldl_solve
from .ops.least_squares import lstsq
from .ops.linalg_errors import LinAlgError
from .ops.linalg_norm import cond, matrix_norm
from .ops.linalg_norm import linalg_norm as norm
from .ops.linalg_products import linalg_cross as cross
from .ops.linalg_products import linalg_diagonal as diagonal
from .ops.linalg_products import linalg_vander as vander
from .ops.linalg_products import matrix_power, multi_dot, vecdot
from .ops.linear import matmul
from .ops.lu import linalg_lu as lu
from .ops.lu import linalg_lu_solve as lu_solve
from .ops.lu import lu_factor, lu_factor_ex
from .ops.matrix_exp import linalg_matrix_exp as matrix_exp
from .ops.pseudo_inverse import matrix_rank, pinv
from .ops.qr import householder_product
from .ops.qr import linalg_qr as qr
from .ops.solve import inv, inv_ex, solve, solve_ex, tensorinv, tensorsolve
from .ops.svd import linalg_svd as svd
from .ops.svd import svdvals
from .ops.triangular import solve_triangular
from .ops.vector_norm import (
    vector_norm,
)

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex",
    "ldl_solve", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander",
    "vecdot", "vector_norm",
]
__getattr__ = missing_in(__name__)
