"""LU: a matrix as $A = PLU$, with rows exchanged, $L$ unit lower and $U$ upper triangular; and its
relative for symmetric matrices, $A = LDL^T$.

Note [Pivots]
~~~~~~~~~~~~~
LAPACK returns L and U in one matrix, the ones on L's diagonal being understood, and the row
exchanges as *pivots*: in step i the rows i and pivots[i] were exchanged, counted from one. Applied
to 0, 1, 2, ... they make the permutation: row i of $LU$ is row perm[i] of A, so that P has its
ones at (perm[i], i).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import mode, wrap
from ..out import fill, resize, takes_out
from ..primitive import derivative, primitive
from .cholesky import one_batch
from .extremes import return_type
from .joining import cat
from .lapack import by_columns, each_matrix, on_host, routine, takes_matrix_out
from .linalg_errors import (
    check_info,
    require_equation,
    require_inexact,
    require_lapack,
    require_square,
    require_tensors,
)
from .padding import constant_pad_nd
from .triangular import solve_triangular

__all__ = ["lu", "lu_solve", "lu_unpack"]

LuResult = return_type("linalg_lu", "P", "L", "U")
LuFactorResult = return_type("linalg_lu_factor", "LU", "pivots")
LuFactorExResult = return_type("linalg_lu_factor_ex", "LU", "pivots", "info")
LuUnpackResult = return_type("lu_unpack", "P", "L", "U")

_SINGULAR = (
    "U[{info},{info}] is zero and using it on lu_solve would result in a division by zero. If you "
    "still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)")


# --- factoring -----------------------------------------------------------------------------------

def _factor(xp, matrices):
    """L and U in one, the pivots, and for each matrix 0 or the first zero on U's diagonal."""
    def factor(a):
        getrf = routine("getrf", a)
        packed, pivots, info = each_matrix(getrf, a)
        return packed, (pivots + 1).astype(np.int32), info.astype(np.int32)

    if not matrices.size:
        *batch, rows, columns = matrices.shape
        return (matrices.copy(), xp.zeros((*batch, min(rows, columns)), xp.int32),
                xp.zeros(tuple(batch), xp.int32))
    packed, pivots, info = on_host(xp, factor, matrices)
    return by_columns(xp, packed), pivots, info


def _unpack(xp, packed):
    """L with its ones, and U."""
    rows, columns = packed.shape[-2:]
    inner = min(rows, columns)
    lower = xp.tril(packed[..., :inner], -1) + xp.eye(rows, inner, dtype=packed.dtype)
    return lower, xp.triu(packed[..., :inner, :])


def _permutation(xp, pivots, rows, dtype):
    """P, from the pivots (see Note [Pivots])."""
    order = xp.broadcast_to(xp.arange(rows), (*pivots.shape[:-1], rows)).copy()
    for i in range(pivots.shape[-1]):
        other = pivots[..., i:i + 1].astype(xp.int64) - 1
        moved = xp.take_along_axis(order, other, axis=-1)
        xp.put_along_axis(order, other, order[..., i:i + 1], axis=-1)
        order[..., i:i + 1] = moved
    return (order[..., None, :] == xp.arange(rows)[:, None]).astype(dtype)


@primitive(name="linalg_lu_factor_ex", outputs=("LU", "pivots", "info"))
def _lu_factor_ex(xp, A):
    """L and U in one matrix (see Note [Pivots]); the gradient is the one of `_lu`."""
    return _factor(xp, A)


derivative(_lu_factor_ex, A=lambda g, LU, pivots: _lu_gradient(g, g, *_factors(LU, pivots)))


@primitive(name="linalg_lu", outputs=("P", "L", "U"))
def _lu(xp, A):
    r"""$A = PLU$, so for a square matrix $\bar A = P L^{-H} [\mathrm{tril}(L^H \bar L, -1) +
    \mathrm{triu}(\bar U U^H)]\, U^{-H}$."""
    packed, pivots, _ = _factor(xp, A)
    return _permutation(xp, pivots, A.shape[-2], A.dtype), *_unpack(xp, packed)


derivative(_lu, A=lambda grads, P, L, U: _lu_gradient(grads[1], grads[2], P, L, U))


def _lu_gradient(g_l, g_u, P, L, U):
    """The rule of `_lu`; one of the two gradients may be None.

    What a matrix that is not square has beyond its square part, $U_2 = L^{-1} A_2$ or $L_2 = A_2
    U^{-1}$, gives its own gradient and corrects the square part's.
    """
    rows, columns = L.shape[-2], U.shape[-1]
    inner, beyond_u, beyond_l = min(rows, columns), columns - rows, rows - columns
    middle = 0
    if g_l is not None:
        middle = L.narrow(-2, 0, inner).mH.matmul(
            g_l.narrow(-2, 0, inner).narrow(-1, 0, inner)).tril(-1)
    if g_u is not None:
        middle = middle + g_u.narrow(-2, 0, inner).narrow(-1, 0, inner).matmul(
            U.narrow(-1, 0, inner).mH).triu()
    if beyond_u > 0 and g_u is not None:
        g_u2, u2 = g_u.narrow(-1, inner, beyond_u), U.narrow(-1, inner, beyond_u)
        middle = middle - g_u2.matmul(u2.mH).tril(-1)
    if beyond_l > 0 and g_l is not None:
        g_l2, l2 = g_l.narrow(-2, inner, beyond_l), L.narrow(-2, inner, beyond_l)
        middle = middle - l2.mH.matmul(g_l2).triu()

    if beyond_l > 0:
        top = solve_triangular(L.narrow(-2, 0, inner).mH, middle, upper=True, unitriangular=True)
        bottom = top.new_zeros((*top.shape[:-2], beyond_l, inner)) if g_l is None else g_l2
        both = cat([top, bottom], -2)
        return P.matmul(solve_triangular(U.mH, both, upper=False, left=False))
    left = solve_triangular(U.narrow(-1, 0, inner).mH, middle, upper=False, left=False)
    if beyond_u > 0:
        right = left.new_zeros((*left.shape[:-1], beyond_u)) if g_u is None else g_u2
        left = cat([left, right], -1)
    return P.matmul(solve_triangular(L.mH, left, upper=True, unitriangular=True))


def _ready(A: Any, name: str, pivot: bool) -> None:
    if A._data.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: "
                           f"{list(A._data.shape)} instead")
    require_lapack(A, "lu_cpu")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@takes_matrix_out("linalg_lu")
def linalg_lu(A: Any, *, pivot: bool = True) -> Any:
    """P, L and U of $A = PLU$."""
    require_tensors("linalg_lu", A=A)
    _ready(A, "linalg.lu", pivot)
    P, L, U = _lu(A)
    return LuResult(wrap(P._data), L, U)


@takes_matrix_out("linalg_lu_factor")
def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """L and U in one matrix, and the pivots; a singular matrix is an error."""
    require_tensors("linalg_lu_factor", A=A)
    _ready(A, "torch.lu_factor", pivot)
    packed, pivots, info = _lu_factor_ex(A)
    check_info(info, "torch.linalg.lu_factor", _SINGULAR)
    return LuFactorResult(packed, pivots)


@takes_matrix_out("linalg_lu_factor_ex")
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """L and U in one matrix, the pivots, and for each matrix 0 or where U's first zero is."""
    require_tensors("linalg_lu_factor_ex", A=A)
    _ready(A, "torch.lu_factor", pivot)
    result = LuFactorExResult(*_lu_factor_ex(A))
    if check_errors:
        check_info(result.info, "torch.linalg.lu_factor_ex", _SINGULAR)
    return result


def lu(A: Any, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """The older form of `lu_factor` and, with `get_infos`, of `lu_factor_ex`."""
    _ready(A, "torch.lu_factor", pivot)
    packed, pivots, info = _lu_factor_ex(A)
    if not get_infos:
        check_info(info, "torch.linalg.lu_factor_ex", _SINGULAR)
    result = (packed, pivots, info) if get_infos else (packed, pivots)
    if out is None:
        return result
    for target, each in zip(out, result, strict=True):
        if mode.grad is True and target.requires_grad:
            raise RuntimeError("cannot resize variables that require grad")
        if target._data.shape != each._data.shape:
            resize(target, each._data.shape)
        fill(target, each._data)
    return out


# --- taking apart --------------------------------------------------------------------------------

@primitive(promote="exact", name="lu_unpack", outputs=("P", "L", "U"))
def _lu_unpack(xp, LU_data, LU_pivots, *, unpack_data, unpack_pivots):
    """P, L and U, each empty where it is not wanted."""
    nothing = xp.empty(0, LU_data.dtype)
    lower, upper = _unpack(xp, LU_data) if unpack_data else (nothing, nothing)
    if not unpack_pivots:
        return nothing, lower, upper
    rows = LU_data.shape[-2]
    if LU_pivots.size and not ((LU_pivots >= 1) & (LU_pivots <= rows)).all():
        raise RuntimeError("pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."
                           "Did you properly pass the result of lu_factor?")
    return _permutation(xp, LU_pivots, rows, LU_data.dtype), lower, upper


def _lu_unpack_rule(grads, LU_data_shape):
    """Each of L and U has its half of the matrix; what one of them lacks of its shape is zeros."""
    _, g_l, g_u = grads
    rows, columns = LU_data_shape[-2:]
    if g_l is not None:
        g_l = constant_pad_nd(g_l.tril(-1), [0, max(columns - rows, 0)])
    if g_u is not None:
        g_u = constant_pad_nd(g_u.triu(), [0, 0, 0, max(rows - columns, 0)])
    if g_l is None or g_u is None:
        return g_u if g_l is None else g_l
    return g_l + g_u


derivative(_lu_unpack, LU_data=_lu_unpack_rule)


@takes_out
def lu_unpack(LU_data: Any, LU_pivots: Any, unpack_data: bool = True,
              unpack_pivots: bool = True) -> Any:
    """P, L and U from what `lu_factor` returns."""
    require_tensors("lu_unpack", LU_data=LU_data, LU_pivots=LU_pivots)
    if LU_data._data.ndim < 2:
        raise RuntimeError("torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: "
                           f"{list(LU_data._data.shape)} instead")
    if unpack_pivots and LU_pivots._data.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor")
    return LuUnpackResult(*_factors(LU_data, LU_pivots, unpack_data, unpack_pivots))


def _factors(LU: Any, pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    P, L, U = _lu_unpack(LU, pivots, unpack_data=unpack_data, unpack_pivots=unpack_pivots)
    return wrap(P._data), L, U  # an exchange of rows has no gradient


# --- solving -------------------------------------------------------------------------------------

@primitive(name="linalg_lu_solve")
def _lu_solve(xp, LU, pivots, B, *, left, adjoint):
    r"""$X = A^{-1} B$ for $A = PLU$ (with `adjoint` $A^{-H} B$; if not `left`, $B A^{-1}$)."""
    def solve(packed, exchanged, b):
        getrs = routine("getrs", packed)
        way = 2 * adjoint if left else 2 * (not adjoint)
        return each_matrix(lambda a, p, y: getrs(a, p - 1, y, trans=way), packed, exchanged, b)[0]

    if not B.size:
        return xp.zeros_like(B)
    if left:
        return by_columns(xp, on_host(xp, solve, LU, pivots, B))
    solved = on_host(xp, solve, LU, pivots, B.conj().swapaxes(-1, -2))
    return by_columns(xp, solved.conj().swapaxes(-1, -2))


def _lu_solve_rule_for_factors(g, LU, pivots, result, left, adjoint):
    r"""With $Y = P^T \bar X$, $Z = P^T X$, and for $A X = B$ the matrix $W = U^{-H} \bar X X^H$:
    $\bar U = -\mathrm{triu}\,W$, $\bar L = -\mathrm{tril}(L^{-H} W U^H, -1)$; for $A^H X = B$ and
    $W = L^{-1} Y Z^H$: $\bar L = -\mathrm{tril}(W^H, -1)$, $\bar U = -\mathrm{triu}(L^H Z Y^H
    L^{-H} U^{-H})$. An equation $XA = B$ is $A^H X^H = B^H$."""
    if not left:
        return _lu_solve_rule_for_factors(g.mH, LU, pivots, result.mH, True, not adjoint)
    P, L, U = _factors(LU, pivots)
    if not adjoint:
        w = solve_triangular(U.mH, g.matmul(result.mH), upper=False)
        lower = solve_triangular(L.mH, w.matmul(U.mH), upper=True, unitriangular=True)
        return -(lower.tril(-1) + w.triu())
    y, z = P.mT.matmul(g), P.mT.matmul(result)
    w = solve_triangular(L, y.matmul(z.mH), upper=False, unitriangular=True)
    upper = solve_triangular(U, w.matmul(L), upper=True).mH
    return -(w.mH.tril(-1) + upper.triu())


derivative(_lu_solve,
    LU=_lu_solve_rule_for_factors,
    B=lambda g, LU, pivots, left, adjoint: _lu_solve(
        LU, pivots, g, left=left, adjoint=not adjoint))


@takes_matrix_out("linalg_lu_solve")
def linalg_lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True,
                    adjoint: bool = False) -> Any:
    """$X$ of $AX = B$ for the matrix that `lu_factor` factored; of $XA = B$ if not `left`."""
    require_tensors("linalg_lu_solve", LU=LU, pivots=pivots, B=B)
    name = "linalg.lu_solve"
    require_inexact(LU, f"torch.{name}")
    if pivots._data.dtype != np.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    require_square(LU, f"torch.{name}")
    if LU._data.dtype != B._data.dtype:
        raise RuntimeError(f"{name}: Expected LU and B to have the same dtype, but found LU of "
                           f"type {LU.dtype.scalar_name} and B of type {B.dtype.scalar_name} "
                           "instead")
    require_equation(LU, B, name, left)
    if pivots._data.shape[-1:] != LU._data.shape[-1:]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of "
                           "the matrix")
    if pivots._data.shape != LU._data.shape[:-1]:
        raise RuntimeError(f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but "
                           f"got pivots with shape {list(pivots._data.shape)} instead")
    require_lapack(LU, "linalg.lu_solve_cpu")
    LU, B = one_batch(LU, B)
    pivots = pivots.expand(LU._data.shape[:-1])
    return _lu_solve(LU, pivots, B, left=left, adjoint=adjoint)


@autocasts
@takes_matrix_out("lu_solve")
def lu_solve(input: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """The older form of `linalg.lu_solve`, with the right hand side first."""
    return linalg_lu_solve(LU_data, LU_pivots, input)
