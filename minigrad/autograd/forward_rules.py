"""How forward mode differentiates an op where there is a shorter way than the transposed rules.

See Note [Tangents from the rules of backward] in ../tangents.py. Only what is used much, or what
torch defines otherwise than by transposing, has a line here; every op works without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import (
    activation,
    arithmetic,
    cholesky,
    convert,
    cumulative,
    joining,
    matmul,
    max_unpooling,
    piecewise_linear,
    pointwise,
    probability_loss,
    put,
    reduction,
    shape,
)
from ..tangents import elementwise, fit


def declare(kind: Any, *functions: Callable) -> None:
    for function in functions:
        function.op.tangent = kind  # type: ignore[attr-defined]
        if function.op.number_form is not None:  # type: ignore[attr-defined]
            function.op.number_form.tangent = kind  # type: ignore[attr-defined]


# --- a diagonal Jacobian: real, or holomorphic ----------------------------------------------------

declare("elementwise",
        arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.true_divide, arithmetic.neg,
        arithmetic.add_number, arithmetic.sub_number, arithmetic.mul_number, arithmetic.div_number,
        arithmetic.pow_scalar, pointwise.sqrt, pointwise.rsqrt, pointwise.reciprocal,
        pointwise.exp, pointwise.log, pointwise.sin, pointwise.cos, pointwise.tanh,
        pointwise.sigmoid, activation._relu, activation._gelu, activation._silu, activation._mish,
        piecewise_linear._hardsigmoid)

# --- linear ---------------------------------------------------------------------------------------

# as_strided_scatter and max_unpool: where two elements go to one place, one of them is lost, of the
# tangents the same one. Transposed rules would add both.
declare("itself",
        reduction._sum_all, reduction._sum_dims, reduction._mean_all, reduction._mean_dims,
        shape._clone, joining._cat, joining._stack, convert._to_copy, put._as_strided_scatter,
        max_unpooling._max_unpool2d, max_unpooling._max_unpool3d)

declare("each", matmul._mm, matmul._bmm, matmul._mv, matmul._dot)


# --- by hand --------------------------------------------------------------------------------------

def _cholesky(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    r"""$\dot L = L\,\Phi(L^{-1} \dot A L^{-H})$, $\Phi$ the lower triangle with half the diagonal.

    The rule of backward takes A to be symmetric, and the transposed rule then $\dot A$; this is
    for any tangent.
    """
    L = outputs[0].mH if values["upper"] else outputs[0]
    solved = L.inverse().matmul(tangents[0]).matmul(L.inverse().mH)
    half = (solved.tril() - solved.diagonal(dim1=-2, dim2=-1).diag_embed() / 2)
    moved = L.matmul(half)
    return [fit(moved.mH if values["upper"] else moved, outputs[0]._data.shape,
                outputs[0]._data.dtype), *[None] * (len(outputs) - 1)]


declare(_cholesky, cholesky._cholesky, cholesky._cholesky_ex)


def _logsumexp(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    r"""$\dot y = \sum_i e^{a_i - m}\,\dot a_i / \sum_i e^{a_i - m}$, with $m$ the largest: nothing
    large is subtracted from something large."""
    input, dim, keepdim = inputs[0], values["dim"], values["keepdim"]
    top = (input.real if input.is_complex() else input).detach().amax(dim, keepdim=True) \
        if input._data.size else 0
    weights = (input - top).exp()
    return [(weights * tangents[0]).sum(dim, keepdim) / weights.sum(dim, keepdim)]


def _logcumsumexp(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    r"""$\dot y_i = \sum_{j \le i} e^{a_j + \ln \dot a_j - y_i}$. The rule of backward has
    logarithms of its gradient, too: computed so it is not linear, and cannot be transposed."""
    (input,), (result,), (tangent,) = inputs, outputs, tangents
    dim = values["dim"]
    if tangent.is_complex():
        return [((input + tangent.log()).logcumsumexp(dim) - result).exp()]
    never = float(np.finfo(tangent._data.dtype).min) / 4

    def part(positive: Any) -> Any:
        none = positive <= 0
        logarithm = positive.masked_fill(none, 1).log().masked_fill(none, never)
        return ((input + logarithm).logcumsumexp(dim) - result).exp()

    return [part(tangent) - part(-tangent)]


def _loss(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    """The rules of the loss of each element, then the reduction."""
    (moved,) = elementwise(op, inputs, {**values, "reduction": "none"}, inputs[:1], tangents)
    return [moved if values["reduction"] == "none" else getattr(moved, values["reduction"])()]


declare(_logsumexp, reduction._logsumexp)
declare(_logcumsumexp, cumulative._logcumsumexp)
declare(_loss, probability_loss._binary_cross_entropy)
