"""Determinants, as they are and as logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import mode
from ..out import takes_out
from ..primitive import derivative, primitive
from .choosing import where
from .extremes import return_type
from .linalg_errors import require_inexact, require_lapack, require_square, require_tensors
from .reduction import products_of_others
from .solve import solve, solve_ex
from .svd import linalg_svd

__all__ = ["det", "logdet", "slogdet"]

SlogdetResult = return_type("slogdet", "sign", "logabsdet")
LinalgSlogdetResult = return_type("linalg_slogdet", "sign", "logabsdet")


@primitive(name="_linalg_det")
def _det(xp, A):
    r"""$y = \det A$, so $\bar A = \bar y\, y^* A^{-H}$."""
    return xp.linalg.det(A)


def _on_diagonals(values: Any, size: int) -> Any:
    """Each value times a unit matrix."""
    return values.unsqueeze(-1).expand(*values.shape, size).diag_embed()


def _det_rule(g, A, A_shape, result):
    """Where A is singular the formula divides by 0. torch then has 0, if no second derivative is
    wanted; else the true gradient (the cofactors), which follows from the SVD."""
    if A_shape[-1] == 1:
        return g.unsqueeze(-1).unsqueeze(-1)
    if not mode.grad:
        solution = solve_ex(A.mH, _on_diagonals(g * result.conj(), A_shape[-1]))[0]
        return solution.masked_fill((result == 0).unsqueeze(-1).unsqueeze(-1), 0)
    singular = result.detach().abs() < 100 * float(np.finfo(result._data.dtype).eps)
    if not singular.any():
        return solve(A.mH, _on_diagonals(g * result.conj(), A_shape[-1]))
    if singular.all():
        return _cofactors(A, g)
    gradient = A.new_zeros(A_shape)
    gradient[singular] = _cofactors(A[singular], g[singular])
    gradient[~singular] = _det_rule(g[~singular], A[~singular], A[~singular].shape,
                                    result[~singular])
    return gradient


def _cofactors(A, g):
    r"""For $A = U S V^H$: $\bar y\,(\det U \det V^H)^*\; U\,[\prod_{j \ne i} s_j]\,V^H$."""
    U, S, Vh = linalg_svd(A)
    scale = g * (det(U) * det(Vh)).conj()
    others = scale.unsqueeze(-1) * products_of_others(S, S._data.ndim - 1)
    return U.matmul(others.unsqueeze(-1) * Vh)


derivative(_det, A=_det_rule)


@primitive(name="_linalg_slogdet", outputs=("sign", "logabsdet"))
def _slogdet(xp, A):
    r"""The sign (a number on the unit circle) and $\ln|\det A|$, so $\bar A = \bar l\, A^{-H}$,
    and for complex A $(\bar l - i\, \mathrm{Im}(\bar s^* s))\, A^{-H}$."""
    sign, logarithm = xp.linalg.slogdet(A)
    return sign, logarithm


def _slogdet_rule(grads, A, A_shape, sign):
    g_sign, g = grads
    if A.is_complex():
        if g_sign is not None:
            turn = (g_sign.conj() * sign).imag * 1j
            g = -turn if g is None else g - turn
        g = g.to(A.dtype)
    elif g is None:
        return A.zeros_like()
    diagonal = _on_diagonals(g, A_shape[-1])
    return solve(A.mH, diagonal) if mode.grad else solve_ex(A.mH, diagonal)[0]


derivative(_slogdet, A=_slogdet_rule)


# --- the functions -------------------------------------------------------------------------------

def _ready(A: Any, name: str) -> None:
    require_square(A, name)
    require_inexact(A, name)
    require_lapack(A, "lu_cpu")


@takes_out(name="linalg_det")
def linalg_det(A: Any) -> Any:
    """$\\det A$."""
    require_tensors("linalg_det", A=A)
    _ready(A, "linalg.det")
    return _det(A)


def det(input: Any) -> Any:
    """$\\det A$."""
    require_tensors("det", input=input)
    return linalg_det(input)


@takes_out(name="linalg_slogdet")
def linalg_slogdet(A: Any) -> Any:
    r"""The sign of $\det A$ and $\ln|\det A|$, which neither overflows nor underflows."""
    require_tensors("linalg_slogdet", A=A)
    _ready(A, "linalg.slogdet")
    return LinalgSlogdetResult(*_slogdet(A))


@takes_out
def slogdet(input: Any) -> Any:
    r"""The sign of $\det A$ and $\ln|\det A|$."""
    require_tensors("slogdet", input=input)
    return SlogdetResult(*linalg_slogdet(input))


def logdet(input: Any) -> Any:
    r"""$\ln\det A$; nan where a real determinant is negative."""
    require_tensors("logdet", input=input)
    _ready(input, "logdet")
    sign, logarithm = _slogdet(input)
    if input.is_complex():
        return sign.log() + logarithm
    return where(sign == -1, np.nan, logarithm)
