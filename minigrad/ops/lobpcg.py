r"""LOBPCG: a few extreme eigenpairs of a large symmetric matrix, by products with it alone.

Note [Locally optimal block preconditioned conjugate gradients]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Each step looks for the best approximations in a small space: that of the approximations X so far,
of their residuals $R = A X - B X E$, which point uphill, and of the last step's directions P, which
make it a conjugate gradient method. In an orthonormal basis Q of the three, the small problem
$Q^\mathsf{T} A Q$ is solved exactly (Rayleigh and Ritz). A. V. Knyazev, Toward the Optimal
Preconditioned Eigensolver, SIAM J. Sci. Comput. 23 (2001), 517-541.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core import may_flow, wrap
from ..primitive import derivative, primitive
from .creation import eye
from .joining import stack
from .random import randn
from .solve import solve

__all__ = ["lobpcg"]


class LOBPCG:
    """The state of one run, as a `tracker` sees it: `E`, `X`, `R` and the dictionaries of torch's
    class of that name. A tracker that sets `bvars["force_stop"]` ends the run."""

    def __init__(self, xp: Any, A: Any, B: Any, X: Any, iK: Any, options: dict) -> None:
        self.xp, self._A, self._B, self._iK = xp, A, B, iK
        self.iparams = {"m": len(A), "n": X.shape[1], "k": options["k"],
                        "niter": options["niter"]}
        self.fparams, self.bparams = {"tol": options["tol"]}, {"largest": options["largest"]}
        norm = float(xp.linalg.norm(X))
        self.fvars = {"X_norm": norm, "A_norm": float(xp.linalg.norm(A @ X)) / norm,
                      "B_norm": float(xp.linalg.norm(self._times_b(X))) / norm}
        self.ivars = {"istep": 0, "iterations_left": options["niter"], "converged_count": 0}
        self.tvars: dict[str, Any] = {}
        self.bvars: dict[str, bool] = {}
        self._X, self._P = X, X[:, :0]
        self._E = self._R = X[:0]

    E = property(lambda self: wrap(self._E))
    X = property(lambda self: wrap(self._X))
    R = property(lambda self: wrap(self._R))
    A = property(lambda self: wrap(self._A))

    def _times_b(self, X: Any) -> Any:
        return X if self._B is None else self._B @ X

    def run(self, tracker: Callable | None) -> None:
        while True:
            self._step()
            if tracker is not None:
                tracker(self)
            if (self.bvars.get("force_stop") or not self.ivars["iterations_left"]
                    or self.ivars["converged_count"] >= self.iparams["k"]):
                return

    def _step(self) -> None:
        """The best approximations in the space of X, and after the first step of P and R."""
        blocks = [self._X]
        if self.ivars["istep"]:
            blocks += [self._P, self._R if self._iK is None else self._iK @ self._R]
        basis = self._orthonormal(blocks)
        values, vectors = self.xp.linalg.eigh(basis.T @ (self._A @ basis))
        count = self._X.shape[1]
        if self.bparams["largest"]:
            values, vectors = values[::-1], vectors[:, ::-1]
        self._E = values[:count].copy()
        self._X = basis @ vectors[:, :count]
        self._P = basis[:, count:] @ vectors[count:, :count]
        self._R = self._A @ self._X - self._times_b(self._X) * self._E
        self.ivars["iterations_left"] -= 1
        self.ivars["istep"] += 1
        self._count()

    def _orthonormal(self, blocks: list) -> Any:
        """A basis of the blocks' columns, orthonormal in the scalar product of B: each block less
        its parts in those before it, twice, because the first time leaves rounding errors."""
        xp = self.xp
        basis = blocks[0][:, :0]
        for block in blocks:
            for _ in range(2):
                length = xp.sqrt((block * self._times_b(block)).sum(axis=0))
                block = block[:, length > 0] / length[length > 0]
                block = block - basis @ (basis.T @ self._times_b(block))
                values, vectors = xp.linalg.eigh(block.T @ self._times_b(block))
                kept = values > np.finfo(block.dtype).eps * 8 * len(values)
                block = block @ (vectors[:, kept] / xp.sqrt(values[kept]))
            basis = xp.concatenate([basis, block], axis=1)
        return basis

    def _count(self) -> None:
        """How many eigenpairs have converged, from the first on."""
        xp = self.xp
        size = self.fvars["A_norm"] + xp.abs(self._E) * self.fvars["B_norm"]
        error = xp.linalg.norm(self._R, axis=0) / (xp.linalg.norm(self._X, axis=0) * size)
        self.tvars["rerr"] = wrap(error)
        wrong = xp.flatnonzero(error >= self.fparams["tol"]).tolist()
        self.ivars["converged_count"] = wrong[0] if wrong else len(error)


@primitive(name="lobpcg", node_name="LOBPCGAutogradFunctionBackward", outputs=("E", "U"))
def _lobpcg(xp, A, X, B=None, iK=None, *, k, niter, tol, largest, tracker):
    """See Note [Locally optimal block preconditioned conjugate gradients]; the matrices of a batch
    take different numbers of steps."""
    options = {"k": k, "niter": niter, "tol": tol, "largest": largest}
    values = xp.empty((*A.shape[:-2], k), A.dtype)
    vectors = xp.empty((*A.shape[:-1], k), A.dtype)
    for place in np.ndindex(A.shape[:-2]):
        worker = LOBPCG(xp, A[place], None if B is None else B[place], X[place],
                        iK if iK is None or iK.ndim == 2 else iK[place], options)

        worker.run(tracker)
        values[place], vectors[place] = worker._E[:k], worker._X[:, :k]
    return values, vectors

def _rule(grads, A, B, E, U):
    r"""$\bar A = U\,(\mathrm{diag}\,\bar e + F \circ U^\mathsf{T}\bar U)\,U^\mathsf{T} +
    W U^\mathsf{T}$ with $F_{ji} = 1/(e_i - e_j)$, 0 for $i = j$; and, in the space beside U, where
    the other eigenvectors are not known, $w_i = (e_i - A)^{-1}\,\bar u_i$."""
    if A.is_complex() or B is not None and B.is_complex():
        raise ValueError("lobpcg.backward does not support complex input yet. Note that "
                         "lobpcg.forward does though.")
    if B is not None:
        raise ValueError("lobpcg.backward does not support backward with B != I yet.")
    by_values, by_vectors = grads
    total = None
    if by_values is not None:
        total = (U * by_values.unsqueeze(-2)).matmul(U.mT)
    if by_vectors is not None:
        inside = U.mT.matmul(by_vectors)
        gaps = E.unsqueeze(-2) - E.unsqueeze(-1)
        mixed = U.matmul((inside / gaps).masked_fill(gaps == 0, 0))
        size = A.shape[-1]
        around = eye(size, dtype=A.dtype, device=A.device) - U.matmul(U.mT)
        rest = around.matmul(by_vectors).mT.unsqueeze(-1)
        shifted = E.unsqueeze(-1).unsqueeze(-1) * around.unsqueeze(-3) - A.matmul(
            around).unsqueeze(-3) + U.matmul(U.mT).unsqueeze(-3)
        mixed = mixed + solve(shifted, rest).squeeze(-1).mT
        total = mixed.matmul(U.mT) if total is None else total + mixed.matmul(U.mT)
    return total

derivative(_lobpcg, A=_rule)

def lobpcg(A: Any, k: int | None = None, B: Any = None, X: Any = None, n: int | None = None,
           iK: Any = None, niter: int | None = None, tol: float | None = None,
           largest: bool | None = None, method: str | None = None,
           tracker: Callable | None = None, ortho_iparams: dict | None = None,
           ortho_fparams: dict | None = None, ortho_bparams: dict | None = None) -> tuple:
    r"""The `k` largest (or smallest) eigenvalues $e$ and their vectors $u$ of $A u = e B u$, from
    the start X (random), with $K^{-1}$ as preconditioner, in `niter` steps or until the residuals
    are below `tol`. Both of torch's methods are one here, and its options `ortho_...` of how bases
    are made orthonormal change nothing: they always are."""
    if A._data.shape[-2] != A._data.shape[-1]:
        raise AssertionError(f"A must be square, got shape {A.shape}")
    if B is not None and A._data.shape != B._data.shape:
        raise AssertionError(f"A and B must have same shape, got {A.shape} vs {B.shape}")
    if may_flow(A) or B is not None and may_flow(B):
        A = (A + A.mT) / 2
        B = None if B is None else (B + B.mT) / 2
    dtype = A.dtype if A.dtype.is_floating_point else dtypes.float32
    size, batch = A._data.shape[-1], A._data.shape[:-2]
    k = (1 if X is None else X._data.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X._data.shape[-1]
    if size < 3 * n:
        raise ValueError(f"LOBPCG algorithm is not applicable when the number of A rows (={size}) "
                         f"is smaller than 3 x the number of requested eigenpairs (={n})")
    if X is None:
        draws = [randn((size, n), dtype=dtype, device=A.device)
                 for _ in range(int(np.prod(batch, dtype=np.int64)))]
        X = stack(draws).reshape((*batch, size, n)) if batch else draws[0]
    elif X._data.shape[-2:] != (size, n) or not batch and X._data.ndim != 2:
        raise AssertionError(f"X shape mismatch: got {X.shape}, expected {(size, n)}")
    if tol is None:
        tol = (1.2e-7 if dtype is dtypes.float32 else 2.23e-16) ** 0.5
    return _lobpcg(A, X, B, iK, k=k, niter=1000 if niter is None else niter, tol=tol,
                   largest=largest is None or largest, tracker=tracker)
