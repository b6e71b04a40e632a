"""SVD: a matrix as $A = U S V^H$, with orthonormal columns in $U$ and $V$ and $S \\ge 0$."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autocast_rules import autocasts
from ..core import may_flow
from ..out import takes_out
from ..primitive import derivative, primitive
from .creation import eye
from .extremes import return_type
from .lapack import by_columns, takes_matrix_out
from .linalg_errors import (
    LinAlgError,
    require_inexact,
    require_lapack,
    require_matrix,
    require_tensors,
)
from .qr import linalg_qr
from .random import randn

__all__ = ["pca_lowrank", "svd", "svd_lowrank"]

LinalgSvdResult = return_type("linalg_svd", "U", "S", "Vh")
SvdResult = return_type("svd", "U", "S", "V")


@primitive(name="_linalg_svd", outputs=("U", "S", "Vh"))
def _svd(xp, A, *, full_matrices, compute_uv):
    """The singular values in descending order; U and V too if `compute_uv`."""
    rows, columns = A.shape[-2:]
    if not A.size:
        return _svd_of_nothing(xp, A, full_matrices, compute_uv)
    try:
        if compute_uv:
            u, s, vh = xp.linalg.svd(A, full_matrices=full_matrices)
        else:
            s = xp.linalg.svd(A, compute_uv=False)
    except np.linalg.LinAlgError:
        s = None
    if s is None or not xp.isfinite(s).all():
        raise LinAlgError(_failure(xp, A))
    if not compute_uv:
        return xp.empty(0, A.dtype), s, xp.empty(0, A.dtype)
    return by_columns(xp, u), s, by_columns(xp, vh)


def _svd_of_nothing(xp, A, full_matrices, compute_uv):
    *batch, rows, columns = A.shape
    inner = min(rows, columns)
    s = xp.zeros((*batch, inner), A.real.dtype)
    if not compute_uv:
        return xp.empty(0, A.dtype), s, xp.empty(0, A.dtype)
    u = xp.zeros((*batch, rows, rows if full_matrices else inner), A.dtype)
    vh = xp.zeros((*batch, columns if full_matrices else inner, columns), A.dtype)
    u[...] = xp.eye(*u.shape[-2:], dtype=A.dtype)
    vh[...] = xp.eye(*vh.shape[-2:], dtype=A.dtype)
    return u, s, vh


def _failure(xp, A):
    finite = xp.isfinite(A).all(axis=(-2, -1))
    which = "" if not finite.ndim else f"(Batch element {int(xp.argmin(finite.ravel()))}): "
    why = ("the input matrix contained non-finite values." if not finite.all() else
           "the input matrix is ill-conditioned or has too many repeated singular values.")
    return f"linalg.svd: {which}The algorithm failed to converge because {why}"


# --- the rule ------------------------------------------------------------------------------------

def _svd_rule(grads, U, S, Vh, full_matrices):
    r"""$\bar A = U\,[\,(\Omega_U S + S\,\Omega_V) / E + \bar S\,]\,V^H$, with $E_{ij} = S_j^2 -
    S_i^2$ and $\Omega_X = X^H \bar X - \bar X^H X$, and what $\bar U$ and $\bar V$ have outside
    the spaces that $U$ and $V$ span, divided by $S$."""
    g_u, g_s, g_vh = grads
    rows, columns, inner = U.shape[-2], Vh.shape[-1], S.shape[-1]
    if full_matrices:
        U, Vh = U.narrow(-1, 0, inner), Vh.narrow(-2, 0, inner)
        g_u = None if g_u is None else g_u.narrow(-1, 0, inner)
        g_vh = None if g_vh is None else g_vh.narrow(-2, 0, inner)
    if g_u is None and g_vh is None:
        return (U * g_s.unsqueeze(-2)).matmul(Vh)

    omega_u = None if g_u is None else _skew(U.mH.matmul(g_u))
    omega_v = None if g_vh is None else _skew(Vh.matmul(g_vh.mH))
    if U.is_complex():
        _require_no_phase(omega_u, omega_v)
    squares = S * S
    gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1)
    gaps = gaps + eye(inner, dtype=S.dtype, device=S.device)
    middle = None
    if omega_u is not None:
        middle = (omega_u / gaps) * S.unsqueeze(-2)
    if omega_v is not None:
        of_v = S.unsqueeze(-1) * (omega_v / gaps)
        middle = of_v if middle is None else middle + of_v
    if g_s is not None:
        middle = middle + g_s.diag_embed()
    if U.is_complex() and omega_u is not None and omega_v is not None:
        middle = middle + (omega_u.diagonal(0, -2, -1) / (2 * S)).diag_embed()

    left = U.matmul(middle)
    if rows > inner and g_u is not None:
        outside = g_u / S.unsqueeze(-2)
        left = left + (outside - U.matmul(U.mH.matmul(outside)))
    result = left.matmul(Vh)
    if columns > inner and g_vh is not None:
        outside = g_vh / S.unsqueeze(-1)
        result = result + U.matmul(outside - outside.matmul(Vh.mH).matmul(Vh))
    return result


def _skew(x):
    return x - x.mH


def _require_no_phase(omega_u, omega_v):
    """The columns of U and V may be turned together by any phase; a loss that sees it has no
    gradient. It shows in the diagonal of the skew parts."""
    parts = [omega.diagonal(0, -2, -1).imag.detach() for omega in (omega_u, omega_v)
             if omega is not None]
    turned = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    if not turned.allclose(turned.zeros_like(), rtol=1e-2, atol=1e-2):
        raise RuntimeError(
            "svd_backward: The singular vectors in the complex case are specified up to "
            "multiplication by e^{i phi}. The specified loss function depends on this phase term, "
            "making it ill-defined.")


derivative(_svd, A=_svd_rule)


# --- the functions -------------------------------------------------------------------------------

def _ready(A: Any, driver: str | None = None) -> None:
    require_matrix(A, "linalg.svd")
    require_inexact(A, "linalg.svd")
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA "
                           "inputs with cuSOLVER backend.")
    require_lapack(A, "linalg_svd_cpu")


@autocasts("svd")
@takes_matrix_out("linalg_svd")
def linalg_svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """U, S and V^H of $A = U S V^H$; U and V square if `full_matrices`."""
    require_tensors("linalg_svd", A=A)
    _ready(A, driver)
    return LinalgSvdResult(*_svd(A, full_matrices=full_matrices, compute_uv=True))


@autocasts
@takes_matrix_out("linalg_svdvals")
def svdvals(A: Any, *, driver: str | None = None) -> Any:
    """The singular values alone (U and V are computed where the gradient will need them)."""
    require_tensors("linalg_svdvals", A=A)
    _ready(A, driver)
    return _svd(A, full_matrices=False, compute_uv=may_flow(A))[1]


@autocasts
@takes_out(recorded=True)
def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """U, S and V of $A = U S V^H$; U and V square unless `some`, zeros unless `compute_uv`."""
    require_tensors("svd", input=input)
    if input._data.ndim < 2:
        raise RuntimeError("linalg.svd: input should have at least 2 dimensions, but has "
                           f"{input._data.ndim} dimensions instead")
    if compute_uv:
        u, s, vh = linalg_svd(input, full_matrices=not some)
        return SvdResult(u, s, vh.mH)
    *batch, rows, columns = input._data.shape
    return SvdResult(input.new_zeros((*batch, rows, rows)), svdvals(input),
                     input.new_zeros((*batch, columns, columns)))


# --- the largest singular values only, by random sampling ----------------------------------------

def _approximate_basis(A: Any, count: int, iterations: int | None, M: Any) -> Any:
    """`count` orthonormal columns that span nearly what A - M does: it is applied to random
    vectors, then it and its adjoint in turn to the result, each time made orthonormal again."""
    dtype = A.dtype if A.is_complex() or A.is_floating_point() else dtypes.float32
    basis = randn(A.shape[-1], count, dtype=dtype, device=A.device)
    basis = linalg_qr(_applied(A, M, basis)).Q
    for _ in range(2 if iterations is None else iterations):
        basis = linalg_qr(_applied(A.mH, None if M is None else M.mH, basis)).Q
        basis = linalg_qr(_applied(A, M, basis)).Q
    return basis


def _applied(A: Any, M: Any, basis: Any) -> Any:
    """(A - M) B without the difference."""
    product = A.matmul(basis)
    return product if M is None else product - M.matmul(basis)


def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
    """Nearly U, S and V of $A - M = U S V^H$ for the `q` largest singular values, by the method of
    Halko, Martinsson and Tropp (2009), Algorithm 5.1."""
    rows, columns = A.shape[-2:]
    M = None if M is None else M.broadcast_to(A.shape)
    if rows < columns:
        A, M = A.mH, None if M is None else M.mH
    basis = _approximate_basis(A, 6 if q is None else q, niter, M)
    small = basis.mH.matmul(A)
    if M is not None:
        small = small - basis.mH.matmul(M)
    u, s, vh = linalg_svd(small, full_matrices=False)
    v = vh.mH
    u = basis.matmul(u)
    return (v, s, u) if rows < columns else (u, s, v)


def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """The principal components of the rows of A: `svd_lowrank` of A less its mean row."""
    rows, columns = A.shape[-2:]
    if q is None:
        q = min(6, rows, columns)
    elif not 0 <= q <= min(rows, columns):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)="
                         f"{min(rows, columns)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if center:
        A = A - A.mean(dim=(-2,), keepdim=True)
    return svd_lowrank(A, q, niter)
