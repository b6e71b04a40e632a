"""lobpcg: a few eigenpairs, compared as eigenvalues and projectors: signs are open."""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.harness import check_error, program
from parity_tests.traces import attempt


def matrix(lib, size=20, batch=(), seed=0):
    """Symmetric, with well separated eigenvalues at both ends."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((*batch, size, size)))[0]
    return lib.tensor((q * np.linspace(1, 4, size) ** 2) @ q.swapaxes(-1, -2))


def told(values, vectors, weight=None):
    """What is determined of eigenpairs."""
    weight = vectors if weight is None else weight @ vectors
    return values, vectors.mT.unsqueeze(-1) * weight.mT.unsqueeze(-2), vectors.shape


@pytest.mark.parametrize("options", [
    {}, {"k": 3}, {"k": 2, "n": 4}, {"k": 3, "largest": False}, {"k": 2, "method": "basic"},
    {"k": 3, "niter": -1}])
@pytest.mark.parametrize("batch", [(), (2,), (2, 1)])
def test_lobpcg(options, batch):
    program(lambda lib: told(*lib.lobpcg(matrix(lib, batch=batch), tol=1e-11, **options)),
            rtol=1e-8)


def test_start_preconditioner_and_general_problem():
    def run(lib):
        rng = np.random.default_rng(1)
        A, start = matrix(lib), lib.tensor(rng.standard_normal((20, 3)))
        B = matrix(lib, seed=2) + 1
        found = [told(*lib.lobpcg(A, X=start, tol=1e-11)),
                 told(*lib.lobpcg(A, k=2, X=start, tol=1e-11, iK=A.inverse(), largest=False)),
                 told(*lib.lobpcg(A, B=B, X=start, tol=1e-11), weight=B)]
        return found

    program(run, rtol=1e-7)


def test_float32():
    program(lambda lib: lib.lobpcg(matrix(lib).float(), k=2, tol=1e-5)[0], rtol=1e-4)


@pytest.mark.parametrize("largest", [True, False])
def test_gradient(largest):
    """Of the eigenvalues, and of a function of the vectors that their signs do not change."""
    def run(lib):
        A = matrix(lib, batch=(2,)).requires_grad_()
        values, vectors = lib.lobpcg(A, k=3, tol=1e-13, largest=largest, niter=300)
        weight = lib.tensor(np.random.default_rng(3).standard_normal((20, 20)))
        loss = (values ** 2).sum() + (vectors @ vectors.mT * weight).sum()
        (gradient,) = lib.autograd.grad(loss + (weight[0] @ vectors ** 2).sum(), A)
        return values.grad_fn.name(), gradient

    program(run, rtol=1e-6, atol=1e-6)


def test_gradients_that_torch_has_not():
    def run(lib):
        A, B = matrix(lib).requires_grad_(), matrix(lib, seed=2)
        return attempt(lambda: lib.lobpcg(A, B=B, k=2)[0].sum().backward())

    program(run)


def test_tracker():
    """It sees every step, and may end the run."""
    def run(lib):
        seen = []

        def track(worker):
            seen.append((worker.ivars["istep"], tuple(worker.X.shape), tuple(worker.R.shape),
                         tuple(worker.E.shape), tuple(worker.tvars["rerr"].shape)))
            worker.bvars["force_stop"] = len(seen) == 3

        lib.lobpcg(matrix(lib), k=2, tracker=track)
        return seen

    program(run)


@pytest.mark.parametrize("call", [
    lambda lib, A: lib.lobpcg(A[:5]), lambda lib, A: lib.lobpcg(A, k=7),
    lambda lib, A: lib.lobpcg(A, X=A[:, :8]), lambda lib, A: lib.lobpcg(A, B=A[:5, :5]),
    lambda lib, A: lib.lobpcg(A, X=A[:5, :2])])
def test_refuses(call):
    check_error([(20, 20)], call)
