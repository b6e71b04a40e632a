r"""Least squares: the $X$ for which $\|AX - B\|$ is smallest, where $AX = B$ has no solution.

Where several X are as good, the smallest of them is meant: $X = A^+ B$. LAPACK has four ways there:

    gels    QR; fast, and A must have full rank
    gelsy   QR with pivots, which finds the rank
    gelsd   the singular values of A, divide and conquer
    gelss   the singular values of A, one after the other
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase, wrap
from ..primitive import joint_derivative, primitive
from .extremes import return_type
from .lapack import castable, on_host, routine, takes_matrix_out
from .linalg_errors import check_info, require_lapack, require_tensors
from .pseudo_inverse import default_tolerance, pinv, pinv_gradient

LinalgLstsqResult = return_type("linalg_lstsq", "solution", "residuals", "rank",
                                "singular_values")

_NOT_FULL_RANK = ("The least squares solution could not be computed because the input matrix does "
                  "not have full rank (error code: {info}).")


# --- one matrix after the other, by LAPACK -------------------------------------------------------

def _by_qr(a, b, rcond, driver):
    """Solution, residuals, rank, singular values (of which it knows nothing), LAPACK's report."""
    rows, columns = a.shape
    target = np.zeros((max(rows, columns), b.shape[1]), a.dtype)
    target[:rows] = b
    _, solved, info = routine("gels", a)(a, target)
    return solved[:columns], _squares(solved[columns:]), columns, None, info


def _by_rank(a, b, rcond, driver):
    """The same for the drivers that find out the rank; without full rank, no residuals."""
    from scipy.linalg import lstsq

    return *lstsq(a, b, cond=rcond, lapack_driver=driver, check_finite=False), 0


def _squares(a):
    return (a * a.conj()).real.sum(axis=-2)


# driver: how it works, whether it tells the residuals, the rank, the singular values
_DRIVERS = {
    "gels": (_by_qr, True, False, False),
    "gelsy": (_by_rank, False, True, False),
    "gelsd": (_by_rank, True, True, True),
    "gelss": (_by_rank, True, True, True),
}


def _each_solved(a, b, rcond, driver):
    """What `_DRIVERS` tells for each matrix; nothing, of size 0, where they do not tell.

    This is a loop: SciPy has these routines for one matrix only, and NumPy has none of them. The
    solutions lie in memory as LAPACK leaves them: by columns, in the place of B.
    """
    solve, tells_residuals, tells_rank, tells_values = _DRIVERS[driver]
    (*batch, rows, columns), count = a.shape, b.shape[-1]
    real = a.real.dtype
    memory = np.zeros((*batch, count, max(rows, columns)), a.dtype)
    solutions = memory.swapaxes(-1, -2)[..., :columns, :]
    residuals = _squares(b)  # that is all, where there are no columns
    ranks, info = np.zeros(batch, np.int64), np.zeros(batch, np.int32)
    values = np.zeros((*batch, min(rows, columns)), real)
    for at in np.ndindex(*batch) if a.size and b.size else ():
        solutions[at], off, ranks[at], found, info[at] = solve(a[at], b[at], rcond, driver)
        if ranks[at] == columns < rows and tells_residuals:
            residuals[at] = off
        if tells_values:
            values[at] = found
    if not (tells_residuals and rows > columns and (ranks == columns).all()):
        residuals = np.zeros(0, real)
    return (solutions, residuals, ranks if tells_rank else np.zeros(0, np.int64),
            values if tells_values else np.zeros(0, real), info)


# --- the op --------------------------------------------------------------------------------------

def _is_vector(A_shape: tuple, b_shape: tuple) -> bool:
    """Whether B is a vector, or a batch of as many vectors as A has matrices."""
    return len(b_shape) == 1 or tuple(b_shape) == tuple(A_shape[:-1])


@primitive(name="linalg_lstsq", outputs=("solution", "residuals", "rank", "singular_values"))
def _lstsq(xp, input, b, *, rcond, driver):
    r"""$X = A^+ B$ and the columns' $L = \|AX - B\|^2$, where there are more rows than columns and
    A has full rank. CuPy's arrays go by the host.

    X has the derivative of $A^+$ and that of a product; L, where X is best, does not change with X:
    $\bar A = 2 (AX - B)\,\bar L\,X^H$ and $\bar B = -2 (AX - B)\,\bar L$.
    """
    vector = _is_vector(input.shape, b.shape)
    right = b[..., None] if vector else b
    batch = np.broadcast_shapes(input.shape[:-2], right.shape[:-2])
    left = xp.broadcast_to(input, (*batch, *input.shape[-2:]))
    right = xp.broadcast_to(right, (*batch, *right.shape[-2:]))
    for name, matrix in (("input", left), ("other", right)):
        if not xp.isfinite(matrix).all():
            raise RuntimeError(f"torch.linalg.lstsq: {name} contained non-finite values.")
    solve = functools.partial(_each_solved, rcond=rcond, driver=driver)
    solution, residuals, rank, values, info = on_host(xp, solve, left, right)
    check_info(wrap(info), "torch.linalg.lstsq", _NOT_FULL_RANK)
    own = tuple([slice(None) if size > 1 else slice(1) for size in input.shape[:-2]])
    rank, values = (each[own].copy() if each.size else each for each in (rank, values))
    return solution[..., 0] if vector else solution, residuals, rank, values


def _rule(grads, input, b, solution, needs):
    g, g_residuals = grads[:2]
    vector = _is_vector(input.shape, b.shape)
    if vector:
        b, solution = b.unsqueeze(-1), solution.unsqueeze(-1)
        g = None if g is None else g.unsqueeze(-1)
    to_a = to_b = None
    if g is not None:
        inverse = pinv(input)
        if needs[0]:
            to_a = pinv_gradient(g.matmul(b.mH), input, inverse)
        if needs[1]:
            to_b = inverse.mH.matmul(g)
    if g_residuals is not None and g_residuals.numel():
        off = 2 * (input.matmul(solution) - b) * g_residuals.unsqueeze(-2)
        by_a = off.matmul(solution.mH)
        to_a = by_a if to_a is None else to_a + by_a
        to_b = -off if to_b is None else to_b - off
    return to_a, to_b.squeeze(-1) if vector and to_b is not None else to_b


joint_derivative(_lstsq, ("input", "b"), _rule)


@autocasts
@takes_matrix_out("linalg_lstsq", checks=castable(
    "torch.linalg.lstsq", "solution", "solution", "rank", "singular_values"))
def lstsq(input: Any, b: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    r"""The X for which $\|AX - B\|$ is smallest, with the residuals $\|AX - B\|^2$ of each column,
    the rank of A and its singular values, as far as the driver has them. Singular values of up to
    `rcond` times the largest are taken for 0."""
    require_tensors("linalg_lstsq", input=input, b=b)
    name = "torch.linalg.lstsq"
    if rcond is not None and not isinstance(rcond, int | float | TensorBase):
        raise TypeError("linalg_lstsq(): argument 'rcond' must be float, not "
                        f"{type(rcond).__name__}")
    if driver is not None and not isinstance(driver, str):
        raise TypeError("linalg_lstsq(): argument 'driver' must be str, not "
                        f"{type(driver).__name__}")
    _require_fit(input, b, name)
    driver = "gelsy" if driver is None else driver.lower()
    if driver not in _DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of "
                           "(gels, gelsy, gelsd, gelss)")
    rcond = default_tolerance(input) if rcond is None else float(rcond)
    require_lapack(input, "linalg_lstsq_cpu")
    solution, residuals, rank, values = _lstsq(input, b, rcond=rcond, driver=driver)
    return LinalgLstsqResult(solution, residuals, rank, wrap(values._data))


def _require_fit(input: Any, b: Any, name: str) -> None:
    """Refuse a `b` that does not fit `input`."""
    left, right = input._data.shape, b._data.shape
    if len(left) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if not right:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if input._data.dtype != b._data.dtype:
        raise RuntimeError(f"{name}: Expected input and other to have the same dtype, but got "
                           f"input's dtype {input.dtype.scalar_name} and other's dtype "
                           f"{b.dtype.scalar_name}")
    missing = len(left) - len(right)
    if missing not in (0, 1):
        raise RuntimeError(f"{name}: input.dim() must be greater or equal to other.dim() and "
                           "(input.dim() - other.dim()) <= 1")
    row = -1 if _is_vector(left, right) else -2
    if left[-2] != right[row]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size({row})")
    batch, other = left[:-2], right[:len(right) - 2 + missing]
    for dim, (size, found) in enumerate(zip(batch, other, strict=True)):
        if size != found and 1 not in (size, found):
            raise RuntimeError(f"The size of tensor a ({size}) must match the size of tensor b "
                               f"({found}) at non-singleton dimension {dim}")
