"""Exponential linear units: linear where positive, an exponential that levels off where negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import derivative, primitive
from .activation import NOT_FROM_RESULT, written_over

__all__ = ["celu", "elu", "selu"]


@primitive(name="elu", lies="operands")
def _elu(xp, input, *, alpha, scale, input_scale):
    r"""$y = s\,a$ for $a > 0$, else $s\,\alpha(e^{k a} - 1)$."""
    t = input.dtype.type
    low = xp.expm1(xp.minimum(input, t(0)) * t(input_scale)) * t(alpha * scale)
    return xp.where(input > 0, input * t(scale), low)


@primitive(lies="operands")
def elu_backward(xp, grad_output, input, *, alpha, scale, input_scale, is_result):
    r"""$\bar a = \bar y s$ for $a > 0$, else $\bar y\,k s \alpha e^{k a}$, which is
    $\bar y\,k(y + s\alpha)$."""
    t = input.dtype.type
    low = input + t(alpha * scale) if is_result else \
        xp.exp(xp.minimum(input, t(0)) * t(input_scale)) * t(alpha * scale)
    low *= t(input_scale)
    return grad_output * xp.where(input > 0, t(scale), low)


def _curvature(g, grad_output, input, alpha, scale, input_scale, is_result):
    """The derivative of `elu_backward` in the input or, there, in the result."""
    low = g * grad_output * input_scale
    if not is_result:
        low = low * (input * input_scale).exp() * (alpha * scale * input_scale)
    return low.masked_fill(input >= 0, 0)  # torch counts 0 among the positive inputs here


derivative(elu_backward,
    grad_output=lambda g, input, alpha, scale, input_scale, is_result: elu_backward(
        g, input, alpha=alpha, scale=scale, input_scale=input_scale, is_result=is_result),
    input=_curvature)

_celu = primitive(_elu.op.kernel, name="celu")
derivative(_elu, input=lambda g, input, alpha, scale, input_scale: elu_backward(
    g, input, alpha=alpha, scale=scale, input_scale=input_scale, is_result=False))
derivative(_celu, input=lambda g, input, alpha, scale: elu_backward(
    g, input, alpha=alpha, scale=scale, input_scale=_inverse(alpha), is_result=False))


def _inverse(alpha):
    """1/alpha, which torch takes of a float32 here, but not in the forward pass."""
    return 1 / float(np.float32(alpha))


def _from_result(g, result, alpha, scale, input_scale):
    if alpha < 0:
        raise RuntimeError(NOT_FROM_RESULT.format("elu"))
    return elu_backward(g, result, alpha=alpha, scale=scale, input_scale=input_scale,
                        is_result=True)


_elu_ = written_over(_elu, input=_from_result)
_celu_ = written_over(_celu, input=lambda g, result, alpha, scale: _from_result(
    g, result, alpha, scale, _inverse(alpha)))


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    r"""$a$ where positive, else $\alpha(e^a - 1)$."""
    return (_elu_ if inplace else _elu)(input, alpha=alpha, scale=1, input_scale=1)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    r"""$a$ where positive, else $\alpha(e^{a/\alpha} - 1)$."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError")
    return (_celu_ if inplace else _celu)(input, alpha=alpha, scale=1, input_scale=1 / alpha)


def selu(input: Any, inplace: bool = False) -> Any:
    """`elu` with the two constants that keep mean 0 and variance 1 from layer to layer."""
    return (_elu_ if inplace else _elu)(input, alpha=1.6732632423543772848170429916717,
                                        scale=1.0507009873554804934193349852946, input_scale=1)
