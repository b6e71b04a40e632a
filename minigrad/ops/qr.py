"""QR: a matrix as $A = QR$, $Q$ with orthonormal columns and $R$ upper triangular; and the
reflectors that LAPACK makes $Q$ of.

Note [Reflectors]
~~~~~~~~~~~~~~~~~
LAPACK leaves $Q$ as a product $H_1 H_2 \\cdots H_k$ of reflectors $H_i = I - \\tau_i v_i v_i^H$.
The vector $v_i$ has zeros above place i and a one there; the rest of it stands below the diagonal
in column i of a matrix, above which there is room for $R$. Applying $H_i$ to a matrix costs one
product with the row $v_i^H$ and one outer product, so none of the $H_i$ is ever formed.
"""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..primitive import derivative, joint_derivative, primitive
from .creation import eye
from .extremes import return_type
from .joining import cat
from .lapack import by_columns, castable, takes_matrix_out
from .linalg_errors import require_inexact, require_lapack, require_matrix, require_tensors
from .triangular import solve_triangular

__all__ = ["geqrf", "orgqr", "ormqr", "qr"]

LinalgQrResult = return_type("linalg_qr", "Q", "R")
QrResult = return_type("qr", "Q", "R")
GeqrfResult = return_type("geqrf", "a", "tau")

_MODES = ("reduced", "complete", "r")


# --- the factorisation ---------------------------------------------------------------------------

@primitive(name="linalg_qr", outputs=("Q", "R"))
def _qr(xp, input, *, mode):
    r"""$A = QR$. With $M$ the upper triangle of $\bar R R^H - Q^H \bar Q$, made Hermitian:
    $\bar A = (\bar Q + Q M) R^{-H}$."""
    rows, columns = input.shape[-2:]
    if not input.size:
        return _qr_of_nothing(xp, input, mode)
    if mode == "r":
        return xp.empty(0, input.dtype), by_columns(xp, xp.linalg.qr(input, mode="r"))
    q, r = xp.linalg.qr(input, mode=mode)
    return by_columns(xp, q), by_columns(xp, r)


def _qr_of_nothing(xp, input, mode):
    *batch, rows, columns = input.shape
    inner = rows if mode == "complete" else min(rows, columns)
    q = xp.zeros((*batch, rows, inner), input.dtype)
    q[...] = xp.eye(rows, inner, dtype=input.dtype)
    return xp.empty(0, input.dtype) if mode == "r" else q, \
        xp.zeros((*batch, inner, columns), input.dtype)


def _qr_rule(grads, Q, R, mode):
    if mode == "r":
        raise RuntimeError("The derivative of linalg.qr depends on Q, which is not computed when "
                           "mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to "
                           "differentiate through linalg.qr.")
    g_q, g_r = grads
    rows, columns = Q.shape[-2], R.shape[-1]
    if mode == "complete" and rows > columns:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and "
                           "nrows > ncols.")
    if rows >= columns:
        return _tall_gradient(g_q, g_r, Q, R)
    # [X Y] = Q [U V]: X is square, and V = Q^H Y
    if g_r is None:
        g_left, g_right = None, None
    else:
        g_left, g_right = g_r.narrow(-1, 0, rows), g_r.narrow(-1, rows, columns - rows)
        through_v = Q.matmul(R.narrow(-1, rows, columns - rows).matmul(g_right.mH))
        g_q = through_v if g_q is None else g_q + through_v
    to_x = _tall_gradient(g_q, g_left, Q, R.narrow(-1, 0, rows))
    to_y = to_x.new_zeros((*R.shape[:-2], rows, columns - rows)) if g_right is None \
        else Q.matmul(g_right)
    return cat([to_x, to_y], -1)


def _tall_gradient(g_q, g_r, Q, R):
    """The rule of `_qr` for at least as many rows as columns. Each of the two may be None."""
    m: Any = 0 if g_r is None else g_r.matmul(R.mH)
    if g_q is not None:
        m = m - Q.mH.matmul(g_q)
    strict = m.triu(1)
    diagonal = m.diagonal(0, -2, -1)
    diagonal = (diagonal.real if diagonal.is_complex() else diagonal).diag_embed()
    to_q = Q.matmul(strict + strict.mH + diagonal)
    if g_q is not None:
        to_q = g_q + to_q
    return solve_triangular(R.mH, to_q, upper=False, left=False)


derivative(_qr, input=_qr_rule)


@autocasts("qr")
@takes_matrix_out("linalg_qr")
def linalg_qr(A: Any, mode: str = "reduced") -> Any:
    """Q and R of $A = QR$: `mode` "reduced", "complete" (Q square), or "r" (R alone)."""
    require_tensors("linalg_qr", A=A)
    require_matrix(A, "linalg.qr")
    require_inexact(A, "linalg.qr")
    if mode not in _MODES:
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' "
                           "(default), 'r', or 'complete'")
    require_lapack(A, "geqrf_cpu")
    return LinalgQrResult(*_qr(A, mode=mode))


@autocasts
@takes_matrix_out("qr")
def qr(input: Any, some: bool = True) -> Any:
    """Q and R of $A = QR$; Q is square unless `some`."""
    require_tensors("qr", input=input)
    return QrResult(*linalg_qr(input, "reduced" if some else "complete"))


# --- reflectors ----------------------------------------------------------------------------------

@primitive(name="geqrf", outputs=("a", "tau"))
def _geqrf(xp, input):
    """R and, below its diagonal, the vectors of the reflectors; and their factors tau."""
    if not input.size:
        return input.copy(), xp.zeros((*input.shape[:-2], min(input.shape[-2:])), input.dtype)
    by_rows, tau = xp.linalg.qr(input, mode="raw")
    return by_columns(xp, by_rows.swapaxes(-1, -2)), tau


def _geqrf_rule(grads):
    raise NotImplementedError("the derivative for 'geqrf' is not implemented.")


derivative(_geqrf, input=_geqrf_rule)


@autocasts
@takes_matrix_out("geqrf", checks=castable("torch.geqrf", "a", "tau"))
def geqrf(input: Any) -> Any:
    """R and the reflectors of Q, as LAPACK returns them (see Note [Reflectors])."""
    require_tensors("geqrf", input=input)
    if input._data.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    require_lapack(input, "geqrf_cpu")
    return GeqrfResult(*_geqrf(input))


def _reflect(xp, a, tau, target, inverse):
    r"""$H_1 \cdots H_k\, C$, or with `inverse` $H_k^H \cdots H_1^H C$; C is `target`."""
    count = tau.shape[-1]
    vectors = xp.tril(a[..., :count], -1) + xp.eye(a.shape[-2], count, dtype=a.dtype)
    if inverse:
        tau = tau.conj()
    result = target.copy()
    for i in range(count) if inverse else reversed(range(count)):
        v = vectors[..., i:i + 1]
        result -= (tau[..., i, None, None] * v) * xp.matmul(v.conj().swapaxes(-1, -2), result)
    return result


def _reflector_gradients(g, a, tau, target, inverse):
    r"""The gradients of `a`, `tau` and `target`, for the product that `_reflect` computes.

    With $Y = \cdots H S$, S being what the reflectors to the right of $H = I - \tau v v^H$ have
    made, and G what the conjugates of those to its left have made of $\bar Y$:
    $\bar\tau = -(v^H G)(S^H v)$, and $\bar v = -(\tau^* G\,(S^H v) + \tau S\,(G^H v))$.
    """
    rows, columns, count = a.shape[-2], a.shape[-1], tau.shape[-1]
    below = a.narrow(-1, 0, count).tril(-1)
    whole = below + eye(rows, count, dtype=a.dtype, device=a.device)
    vectors = [whole.narrow(-1, i, 1) for i in range(count)]
    factors = [tau.narrow(-1, i, 1).unsqueeze(-1) for i in range(count)]
    if inverse:
        factors = [factor.conj() for factor in factors]
    order = list(reversed(range(count))) if inverse else list(range(count))

    made = {}  # S for each reflector
    for i in reversed(order):
        made[i] = target
        target = target - factors[i] * vectors[i].matmul(vectors[i].mH.matmul(target))
    to_vectors, to_factors = {}, {}
    for i in order:
        v, factor, s = vectors[i], factors[i], made[i]
        s_v, g_v = s.mH.matmul(v), g.mH.matmul(v)
        to_factor = -g_v.mH.matmul(s_v)
        to_factors[i] = to_factor.conj() if inverse else to_factor
        to_vectors[i] = -(factor.conj() * g.matmul(s_v) + factor * s.matmul(g_v))
        g = g - factor.conj() * v.matmul(g_v.mH)
    if not count:
        return a.zeros_like(), tau.zeros_like(), g
    to_a = cat([to_vectors[i] for i in range(count)], -1).tril(-1)
    if columns > count:
        to_a = cat([to_a, to_a.new_zeros((*a.shape[:-1], columns - count))], -1)
    return to_a, cat([to_factors[i] for i in range(count)], -2).squeeze(-1), g


@primitive(name="linalg_householder_product")
def _householder_product(xp, input, tau):
    r"""$Q = H_1 \cdots H_k$, of which as many columns as the input has."""
    start = xp.zeros(input.shape, input.dtype)
    start[...] = xp.eye(*input.shape[-2:], dtype=input.dtype)
    return by_columns(xp, _reflect(xp, input, tau, start, inverse=False))


def _householder_rule(g, input, tau):
    start = eye(*input.shape[-2:], dtype=input.dtype, device=input.device).expand(input.shape)
    return _reflector_gradients(g, input, tau, start, inverse=False)[:2]


joint_derivative(_householder_product, ("input", "tau"), _householder_rule)


@autocasts
@takes_matrix_out("linalg_householder_product", checks=castable(
    "torch.linalg.householder_product", "result"))
def householder_product(input: Any, tau: Any) -> Any:
    """The first columns of Q, from its reflectors (see Note [Reflectors])."""
    require_tensors("linalg_householder_product", input=input, tau=tau)
    name = "torch.linalg.householder_product"
    if input._data.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    rows, columns = input._data.shape[-2:]
    if rows < columns:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to "
                           "input.shape[-1]")
    if columns < tau._data.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to "
                           "tau.shape[-1]")
    _require_tau(name, input, tau)
    if input._data.dtype != tau._data.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype.scalar_name} does not match input dtype "
                           f"{input.dtype.scalar_name}")
    require_lapack(input, "orgqr_cpu")
    return _householder_product(input, tau)


orgqr = householder_product


def _require_tau(name: str, input: Any, tau: Any) -> None:
    if tau._data.ndim != input._data.ndim - 1:
        raise RuntimeError(f"{name}: Expected tau to have one dimension less than input, but got "
                           f"tau.ndim equal to {tau._data.ndim} and input.ndim is equal to "
                           f"{input._data.ndim}")
    _require_batch(name, "tau", tau._data.shape[:-1], input)


def _require_batch(name: str, argument: str, batch: tuple, input: Any) -> None:
    if batch != input._data.shape[:-2]:
        raise RuntimeError(f"{name}: Expected batch dimensions of {argument} to be equal to "
                           f"input.shape[:-2], but got {list(batch)}")


@primitive(name="ormqr")
def _ormqr(xp, input, input2, input3, *, left, transpose):
    """Q, from its reflectors, times a matrix; from the right, $CQ = (Q^H C^H)^H$."""
    if left:
        return by_columns(xp, _reflect(xp, input, input2, input3, inverse=transpose))
    target = input3.conj().swapaxes(-1, -2)
    product = _reflect(xp, input, input2, target, inverse=not transpose)
    return by_columns(xp, product.conj().swapaxes(-1, -2))


def _ormqr_rule(g, input, input2, input3, left, transpose):
    if left:
        return _reflector_gradients(g, input, input2, input3, inverse=transpose)
    to_a, to_tau, to_other = _reflector_gradients(g.mH, input, input2, input3.mH,
                                                  inverse=not transpose)
    return to_a, to_tau, to_other.mH


joint_derivative(_ormqr, ("input", "input2", "input3"), _ormqr_rule)


def _check_product(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise RuntimeError("torch.ormqr: Expected input and result to have the same dtype, but "
                           f"input has dtype{dtypes.of(found).scalar_name} and result has dtype "
                           f"{dtypes.of(wanted).scalar_name}")


@autocasts
@takes_matrix_out("ormqr", checks=(_check_product,))
def ormqr(input: Any, input2: Any, input3: Any, left: bool = True,
          transpose: bool = False) -> Any:
    """Q times `input3`, Q being given by its reflectors `input` and their factors `input2`; Q^H if
    `transpose`, from the right if not `left`."""
    require_tensors("ormqr", input=input, input2=input2, input3=input3)
    name, tau, other = "torch.ormqr", input2, input3
    for argument, tensor in (("input", input), ("other", other)):
        if tensor._data.ndim < 2:
            raise RuntimeError(f"{name}: {argument} must have at least 2 dimensions.")
    rows, columns = input._data.shape[-2:]
    which = -2 if left else -1
    size = other._data.shape[which]
    if size < tau._data.shape[-1]:
        raise RuntimeError(f"{name}: other.shape[{which}] must be greater than or equal to "
                           "tau.shape[-1]")
    if size != rows:
        raise RuntimeError(f"{name}: other.shape[{which}] must be equal to input.shape[-2]")
    if tau._data.shape[-1] != min(size, columns):
        raise RuntimeError(f"{name}: tau.shape[-1] must be equal to min(other.shape[{which}], "
                           "input.shape[-1])")
    if tau._data.ndim != input._data.ndim - 1:
        _require_tau(name, input, tau)
    if other._data.ndim != input._data.ndim:
        raise RuntimeError(f"{name}: Expected other to have the same number of dimensions as "
                           f"input, but got other.ndim equal to {other._data.ndim} and input.ndim "
                           f"is equal to {input._data.ndim}")
    _require_tau(name, input, tau)
    _require_batch(name, "other", other._data.shape[:-2], input)
    for argument, tensor in (("tau", tau), ("other", other)):
        if tensor._data.dtype != input._data.dtype:
            raise RuntimeError(f"{name}: Expected input and {argument} to have the same dtype, but "
                               f"input has dtype{input.dtype.scalar_name} and {argument} has "
                               f"dtype {tensor.dtype.scalar_name}")
    require_lapack(input, "ormqr_cpu")
    return _ormqr(input, input2, input3, left=left, transpose=transpose)
