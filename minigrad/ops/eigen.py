"""Eigenvalues: $A V = V \\Lambda$, for a Hermitian matrix (eigh) and for any (eig)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import may_flow
from ..primitive import derivative, primitive
from .creation import eye
from .extremes import return_type
from .lapack import by_columns, castable, on_host, takes_matrix_out
from .linalg_errors import LinAlgError, require_lapack, require_square, require_tensors
from .lu import linalg_lu_solve, lu_factor

__all__ = ["eig", "eigh", "eigvals", "eigvalsh"]

EigResult = return_type("linalg_eig", "eigenvalues", "eigenvectors")
EighResult = return_type("linalg_eigh", "eigenvalues", "eigenvectors")


# --- Hermitian matrices --------------------------------------------------------------------------

@primitive(name="_linalg_eigh", outputs=("eigenvalues", "eigenvectors"))
def _eigh(xp, A, *, UPLO, compute_v):
    r"""Real eigenvalues, ascending; only the lower (or upper) triangle is read.

    $\bar A = V\,[\bar\Lambda + (V^H \bar V) / E]\,V^H$ with $E_{ij} = \lambda_j - \lambda_i$.
    """
    try:
        if not compute_v:
            return xp.linalg.eigvalsh(A, UPLO=UPLO), xp.empty(0, A.dtype)
        values, vectors = xp.linalg.eigh(A, UPLO=UPLO)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues.") from None
    return values, by_columns(xp, vectors)


def _eigh_rule(grads, eigenvalues, eigenvectors):
    g_values, g_vectors = grads
    v = eigenvectors
    if g_vectors is None:
        return (v * g_values.unsqueeze(-2)).matmul(v.mH)
    inner = v.mH.matmul(g_vectors)
    if v.is_complex():
        _require_no_phase("linalg_eigh_backward", inner)
    gradient = v.matmul(_middle(inner, eigenvalues, g_values)).matmul(v.mH)
    return (gradient + gradient.mH) * 0.5


derivative(_eigh, A=_eigh_rule)


def _middle(inner: Any, values: Any, g_values: Any) -> Any:
    r"""$\bar\Lambda$ on the diagonal, beside it $X_{ij} / (\lambda_j - \lambda_i)^*$."""
    one = eye(values.shape[-1], dtype=values.dtype, device=values.device)
    gaps = (values.unsqueeze(-2) - values.unsqueeze(-1)) + one
    beside = inner.masked_fill(one.bool(), 0) / gaps.conj()
    return beside if g_values is None else beside + g_values.diag_embed()


def _require_no_phase(name: str, inner: Any) -> None:
    """An eigenvector may be turned by any phase; a loss that sees it has no gradient."""
    turned = inner.diagonal(0, -2, -1).imag.detach()
    if not turned.allclose(turned.zeros_like(), rtol=1e-2, atol=1e-2):
        raise RuntimeError(
            f"{name}: The eigenvectors in the complex case are specified up to multiplication by "
            "e^{i phi}. The specified loss function depends on this quantity, so it is "
            "ill-defined.")


def _ready_hermitian(A: Any, UPLO: str) -> str:
    require_square(A, "linalg.eigh")
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    require_lapack(A, "linalg_eigh_cpu")
    return UPLO.upper()


@autocasts
@takes_matrix_out("linalg_eigh")
def eigh(input: Any, UPLO: str = "L") -> Any:
    """The eigenvalues, ascending, and eigenvectors of a Hermitian matrix."""
    require_tensors("linalg_eigh", input=input)
    UPLO = _ready_hermitian(input, UPLO)
    return EighResult(*_eigh(input, UPLO=UPLO, compute_v=True))


@autocasts
@takes_matrix_out("linalg_eigvalsh")
def eigvalsh(input: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a Hermitian matrix (the vectors, too, where the gradient needs them)."""
    require_tensors("linalg_eigvalsh", input=input)
    UPLO = _ready_hermitian(input, UPLO)
    return _eigh(input, UPLO=UPLO, compute_v=may_flow(input))[0]


# --- any square matrices -------------------------------------------------------------------------

@primitive(name="linalg_eig", outputs=("eigenvalues", "eigenvectors"))
def _eig(xp, input, *, compute_v):
    r"""Complex, in LAPACK's order, each vector of length 1. CuPy's arrays go by the host.

    $\bar A = V^{-H}\,[\bar\Lambda + (X - V^H V \,\mathrm{Re}\,\mathrm{diag}\,X) / E^*]\,V^H$
    with $X = V^H \bar V$ and $E_{ij} = \lambda_j - \lambda_i$.
    """
    kind = np.result_type(input.dtype, np.complex64)
    if not xp.isfinite(input).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    if not compute_v:
        values = on_host(xp, np.linalg.eigvals, input)
        return values.astype(kind), xp.empty(0, kind)
    values, vectors = on_host(xp, lambda a: tuple(np.linalg.eig(a)), input)
    return values.astype(kind), by_columns(xp, vectors.astype(kind))


def _eig_rule(grads, eigenvalues, eigenvectors):
    g_values, g_vectors = grads
    v = eigenvectors
    if g_vectors is None:
        return _solve(v.mH, g_values.unsqueeze(-1) * v.mH)
    inner = v.mH.matmul(g_vectors)
    _require_no_phase("linalg_eig_backward", inner)
    stretch = inner.diagonal(0, -2, -1).real
    inner = inner - v.mH.matmul(v * stretch.unsqueeze(-2))
    return _solve(v.mH, _middle(inner, eigenvalues, g_values).matmul(v.mH))


def _solve(a, b):
    return linalg_lu_solve(*lu_factor(a), b)


derivative(_eig, input=_eig_rule)


def _ready(input: Any, name: str) -> None:
    require_square(input, name)
    if input._data.dtype.kind in "biu":
        raise RuntimeError(f"Unknown Complex ScalarType for {input.dtype.scalar_name}")
    require_lapack(input, "linalg_eig_out_cpu")


@autocasts
@takes_matrix_out("linalg_eig", checks=castable("torch.linalg.eig", "eigenvalues",
                                                 "eigenvectors"))
def eig(input: Any) -> Any:
    """The eigenvalues and eigenvectors of a square matrix, complex."""
    require_tensors("linalg_eig", input=input)
    _ready(input, "linalg.eig")
    return EigResult(*_eig(input, compute_v=True))


@autocasts
@takes_matrix_out("linalg_eigvals", checks=castable("torch.linalg.eigvals", "eigenvalues"))
def eigvals(input: Any) -> Any:
    """The eigenvalues of a square matrix, complex."""
    require_tensors("linalg_eigvals", input=input)
    _ready(input, "linalg.eigvals")
    return _eig(input, compute_v=may_flow(input))[0]
