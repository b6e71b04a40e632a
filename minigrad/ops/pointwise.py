"""Smooth pointwise functions of one tensor, and the few of two that are not arithmetic.

Each derivative is written in terms of what is cheapest to keep: the result where the formula allows
(exp, sqrt, tanh, sigmoid), the input otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..device import array_module, special
from ..inplace import inplace
from ..out import takes_out
from ..primitive import derivative, primitive
from .arithmetic import mul_number
from .choosing import sign
from .error_function import erf_array, erfc_array
from .no_derivative import declared_missing

__all__ = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "erf", "erfc",
    "erfinv", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "logaddexp", "logit",
    "reciprocal", "rsqrt", "sgn", "sigmoid", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "xlogy"]

# --- roots and powers ----------------------------------------------------------------------------


@primitive(promote="int_to_float")
def sqrt(xp, input):
    r"""$y = \sqrt a$, so $\bar a = \bar y / (2 y^*)$."""
    return xp.sqrt(input)


derivative(sqrt, input=lambda g, result: g / mul_number(result.conj(), other=2))


@autocasts
@primitive(promote="int_to_float")
def rsqrt(xp, input):
    r"""$y = 1/\sqrt a$, so $\bar a = -\tfrac12 \bar y\,(y^3)^*$."""
    return xp.divide(1, xp.sqrt(input), dtype=input.dtype)


derivative(rsqrt, input=lambda g, result: mul_number(g, other=-0.5) * result.pow(3).conj())


@autocasts
@primitive(promote="int_to_float")
def reciprocal(xp, input):
    """$y = 1/a$, so $\\bar a = -\\bar y\\,(y^2)^*$."""
    return xp.divide(1, input, dtype=input.dtype)


derivative(reciprocal, input=lambda g, result: -g * (result * result).conj())


@takes_out(casts=True)
def square(input: Any) -> Any:
    """$a^2$."""
    return input.pow(2)


# --- exponentials and logarithms -----------------------------------------------------------------

@autocasts
@primitive(promote="int_to_float")
def exp(xp, input):
    r"""$y = e^a$, so $\bar a = \bar y\,y^*$."""
    return xp.exp(input)


derivative(exp, input=lambda g, result: g * result.conj())


@primitive(promote="int_to_float")
def exp2(xp, input):
    r"""$y = 2^a$, so $\bar a = \bar y\,y^* \ln 2$."""
    return xp.exp2(input)


derivative(exp2, input=lambda g, result: g * result.conj() * math.log(2))


@autocasts
@primitive(promote="int_to_float")
def expm1(xp, input):
    r"""$y = e^a - 1$ without the loss of digits near 0, so $\bar a = \bar y\,(y + 1)^*$."""
    return xp.expm1(input)


derivative(expm1, input=lambda g, result: g * (result.conj() + 1))


@autocasts
@primitive(promote="int_to_float")
def log(xp, input):
    r"""$y = \ln a$, so $\bar a = \bar y / a^*$."""
    return xp.log(input)


derivative(log, input=lambda g, input: g / input.conj())


@autocasts
@primitive(promote="int_to_float")
def log2(xp, input):
    r"""$y = \log_2 a$, so $\bar a = \bar y / (a^* \ln 2)$."""
    if input.dtype.kind == "c":  # torch divides: NumPy's factor 1 / ln 2 has other last digits
        result = xp.asarray(xp.log(input))
        result.real /= math.log(2)
        result.imag /= math.log(2)
        return result
    return xp.log2(input)


derivative(log2, input=lambda g, input: g / (input.conj() * math.log(2)))


@autocasts
@primitive(promote="int_to_float")
def log10(xp, input):
    r"""$y = \log_{10} a$, so $\bar a = \bar y / (a^* \ln 10)$."""
    return xp.log10(input)


derivative(log10, input=lambda g, input: g / (input.conj() * math.log(10)))


@autocasts
@primitive(promote="int_to_float", node_name="Log1PBackward0")
def log1p(xp, input):
    r"""$y = \ln(1 + a)$ without the loss of digits near 0: $\bar a = \bar y / (1 + a)^*$."""
    return xp.log1p(input)


derivative(log1p, input=lambda g, input: g / (input + 1).conj())


@primitive(promote="default", numbers="none", refuses={"biu": "logaddexp_cpu"})
def logaddexp(xp, input, other):
    r"""$y = \ln(e^a + e^b)$, so $\bar a = \bar y / (1 + e^{b-a})^*$."""
    return (_complex_logaddexp if input.dtype.kind == "c" else xp.logaddexp)(input, other)


def _complex_logaddexp(a, b):
    """The one with the smaller real part becomes the factor $1 + e^{b-a}$ of the other."""
    xp = array_module(a)
    with np.errstate(all="ignore"):
        swap = a.real >= b.real
        small, large = xp.where(swap, b, a), xp.where(swap, a, b)
        result = xp.log1p(xp.exp(small - large)) + large
        tied = ~xp.isfinite(small.real) & (small.real == large.real)
        result = xp.where(tied & (small.real < 0), small, result)
        result = xp.where(tied & (small.real > 0), xp.log(xp.exp(small) + xp.exp(large)), result)
        unknown = xp.isnan(small) | xp.isnan(large)
        return xp.where(unknown, a.dtype.type(complex(np.nan, np.nan)), result)


derivative(logaddexp,
    input=lambda g, input, other: g / (1 + (other - input).exp()).conj(),
    other=lambda g, input, other: g / (1 + (input - other).exp()).conj())


@primitive(promote="int_to_float", name="xlogy", overload_of_number=2,
           refuses={"c": "xlogy_cpu"})
def _xlogy(xp, input, other):
    r"""$y = a \ln b$, so $\bar a = \bar y \ln b$ and $\bar b = \bar y\,a/b$; 0 where $a = 0$
    (unless b is nan)."""
    return xp.where((input == 0) & ~xp.isnan(other), input.dtype.type(0), input * xp.log(other))


@primitive(promote="int_to_float", name="xlogy", overload=1, refuses={"c": "xlogy_cpu"})
def _xlogy_of_number(xp, other, input):
    r"""$y = c \ln b$ for a number $c$, so $\bar b = \bar y\,c/b$."""
    return _xlogy.op.kernel(xp, input, other)


derivative(_xlogy,
    input=lambda g, input, other: xlogy(g, other).masked_fill((input == 0) & (other <= 0), 0),
    other=lambda g, input, other: g * input / other)
derivative(_xlogy_of_number, other=lambda g, input, other: g * input / other)


@takes_out(casts=True)
def xlogy(input: Any, other: Any) -> Any:
    r"""$a \ln b$, 0 where $a = 0$ (unless b is nan); either may be a number."""
    if isinstance(input, TensorBase):
        return _xlogy(input, other)
    return _xlogy_of_number(other, input)


# --- trigonometric and hyperbolic functions ------------------------------------------------------

@primitive(promote="int_to_float")
def sin(xp, input):
    r"""$y = \sin a$, so $\bar a = \bar y\,(\cos a)^*$."""
    return xp.sin(input)


derivative(sin, input=lambda g, input: g * input.cos().conj())


@primitive(promote="int_to_float")
def cos(xp, input):
    r"""$y = \cos a$, so $\bar a = -\bar y\,(\sin a)^*$."""
    return xp.cos(input)


derivative(cos, input=lambda g, input: g * -input.sin().conj())


@autocasts
@primitive(promote="int_to_float")
def tan(xp, input):
    r"""$y = \tan a$, so $\bar a = \bar y\,(1 + y^2)^*$."""
    return xp.tan(input)


derivative(tan, input=lambda g, result: g * (1 + result.pow(2)).conj())


@autocasts
@primitive(promote="int_to_float")
def asin(xp, input):
    r"""$y = \arcsin a$, so $\bar a = \bar y / \sqrt{1 - a^2}^*$."""
    return xp.arcsin(input)


derivative(asin, input=lambda g, input: g * (-input * input + 1).rsqrt().conj())


@autocasts
@primitive(promote="int_to_float")
def acos(xp, input):
    r"""$y = \arccos a$, so $\bar a = -\bar y / \sqrt{1 - a^2}^*$."""
    return xp.arccos(input)


derivative(acos, input=lambda g, input: g * -((-input * input + 1).rsqrt()).conj())


@primitive(promote="int_to_float")
def atan(xp, input):
    r"""$y = \arctan a$, so $\bar a = \bar y / (1 + a^2)^*$."""
    return xp.arctan(input)


derivative(atan, input=lambda g, input: g / (input * input + 1).conj())


@autocasts
@primitive(promote="int_to_float", numbers="none", refuses={"c": "atan2_cpu"})
def atan2(xp, input, other):
    r"""$y = \arg(b + i a)$: $\bar a = \bar y\,b/(a^2+b^2)$, $\bar b = -\bar y\,a/(a^2+b^2)$."""
    return xp.arctan2(input, other)


derivative(atan2,
    input=lambda g, input, other: g * other * (input * input + other * other).reciprocal(),
    other=lambda g, input, other: g * -input * (input * input + other * other).reciprocal())


@autocasts
@primitive(promote="int_to_float")
def sinh(xp, input):
    r"""$y = \sinh a$, so $\bar a = \bar y\,(\cosh a)^*$."""
    return xp.sinh(input)


derivative(sinh, input=lambda g, input: g * input.cosh().conj())


@autocasts
@primitive(promote="int_to_float")
def cosh(xp, input):
    r"""$y = \cosh a$, so $\bar a = \bar y\,(\sinh a)^*$."""
    return xp.cosh(input)


derivative(cosh, input=lambda g, input: g * input.sinh().conj())


@primitive(promote="int_to_float")
def tanh(xp, input):
    r"""$y = \tanh a$, so $\bar a = \bar y\,(1 - y^2)^*$."""
    return xp.tanh(input)


derivative(tanh, input=lambda g, result: tanh_backward(g, result))


@primitive(lies="operands")
def tanh_backward(xp, grad_output, output):
    r"""$\bar y\,(1 - y^2)^*$, in one buffer."""
    slope = xp.multiply(output, output)
    slope = xp.subtract(1, slope, out=slope if slope.ndim else None)
    return xp.multiply(grad_output, slope.conj() if slope.dtype.kind == "c" else slope)


derivative(tanh_backward,
    grad_output=lambda g, output: tanh_backward(g, output.conj()),
    output=lambda g, grad_output, output: g.conj() * grad_output * -2 * output.conj())


@primitive(promote="int_to_float")
def asinh(xp, input):
    r"""$y = \mathrm{arsinh}\,a$, so $\bar a = \bar y / \sqrt{a^2 + 1}^*$."""
    return xp.arcsinh(input)


derivative(asinh, input=lambda g, input: g * (input.pow(2) + 1).rsqrt().conj())


@primitive(promote="int_to_float")
def acosh(xp, input):
    r"""$y = \mathrm{arcosh}\,a$, so $\bar a = \bar y / \sqrt{a^2 - 1}^*$."""
    return xp.arccosh(input)


derivative(acosh, input=lambda g, input: g * (input.pow(2) - 1).rsqrt().conj())


@primitive(promote="int_to_float")
def atanh(xp, input):
    r"""$y = \mathrm{artanh}\,a$, so $\bar a = \bar y / (1 - a^2)^*$."""
    return xp.arctanh(input)


derivative(atanh, input=lambda g, input: g / (1 - input.pow(2)).conj())


def _over_input(function: Any, name: str) -> Any:
    """The in-place form, which in torch has a node of its own and no derivative."""
    op = primitive(function.op.kernel, promote="int_to_float", name=name, overload=1)
    derivative(op, input=declared_missing(f"inplace version of {name}"))
    return inplace(op, f"{name}_")


asinh_, acosh_ = _over_input(asinh, "asinh"), _over_input(acosh, "acosh")
atanh_ = _over_input(atanh, "atanh")


# --- the error function and its relatives --------------------------------------------------------

@primitive(promote="int_to_float")
def erf(xp, input):
    r"""$y = \frac2{\sqrt\pi}\int_0^a e^{-t^2}dt$: $\bar a = \bar y\,\frac2{\sqrt\pi}e^{-a^2}$."""
    return erf_array(xp, input)


derivative(erf, input=lambda g, input: g * (2 / math.sqrt(math.pi)) * (-(input * input)).exp())


@primitive(promote="int_to_float")
def erfc(xp, input):
    r"""$y = 1 - \mathrm{erf}(a)$ without the loss of digits for large $a$, so
    $\bar a = -\bar y\,\frac2{\sqrt\pi}e^{-a^2}$."""
    return erfc_array(xp, input)


derivative(erfc, input=lambda g, input: g * (-2 / math.sqrt(math.pi)) * (-(input * input)).exp())


@autocasts
@primitive(promote="int_to_float")
def erfinv(xp, input):
    r"""$\mathrm{erf}(y) = a$: its inverse, so $\bar a = \bar y\,\frac{\sqrt\pi}{2}e^{y^2}$."""
    return special(xp).erfinv(input)


derivative(erfinv, input=lambda g, result: g * (math.sqrt(math.pi) / 2) * (result * result).exp())


@primitive(promote="int_to_float")
def sigmoid(xp, input):
    r"""$y = 1/(1 + e^{-a})$, so $\bar a = \bar y\,(y(1 - y))^*$."""
    y = xp.exp(-input)
    y += 1
    return xp.divide(1, y, dtype=input.dtype)


derivative(sigmoid, input=lambda g, result: sigmoid_backward(g, result))


@primitive(lies="operands")
def sigmoid_backward(xp, grad_output, output):
    r"""$\bar y\,((1 - y)\,y)^*$."""
    slope = (1 - output) * output
    return xp.multiply(grad_output, slope.conj() if slope.dtype.kind == "c" else slope)


derivative(sigmoid_backward,
    grad_output=lambda g, output: sigmoid_backward(g, output.conj()),
    output=lambda g, grad_output, output: g.conj() * grad_output * (1 - 2 * output).conj())


@primitive(promote="int_to_float", name="logit")
def _logit(xp, input, *, eps):
    r"""$y = \ln\frac{a}{1 - a}$, so $\bar a = \bar y / (a (1 - a))$; `eps` first clamps $a$ into
    [eps, 1 - eps], and no gradient flows outside."""
    x = input if eps is None else xp.clip(input, eps, 1 - eps)
    return xp.log(x / (1 - x))


derivative(_logit, input=lambda g, input, eps: _logit_rule(g, input, eps))


def _logit_rule(g, input, eps):
    slope = g / (input * (1 - input))
    if eps is None:
        return slope.masked_fill((input < 0) | (input > 1), math.nan)
    return slope.masked_fill((input < eps) | (input > 1 - eps), 0)


@takes_out(casts=True)
def logit(input: Any, eps: float | None = None) -> Any:
    r"""$\ln\frac{a}{1-a}$, the inverse of sigmoid; `eps` first clamps `a` into [eps, 1 - eps]."""
    return _logit(input, eps=eps)


arccos, arcsin, arctan, arctan2 = acos, asin, atan, atan2  # NumPy's names
arccosh, arcsinh, arctanh = acosh, asinh, atanh


# --- absolute value and sign ---------------------------------------------------------------------

@primitive(promote="default")
def abs(xp, input):
    r"""$y = |a|$, so $\bar a = \bar y\,\mathrm{sgn}(a)$, with $\mathrm{sgn}(0) = 0$."""
    return xp.abs(input)


derivative(abs, input=lambda g, input: g * input.sgn())
absolute = abs


def _abs_of_real(input: Any) -> Any:
    """`abs` whose result can be written over its input: of a real tensor."""
    if input.is_complex():
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs(input)


abs_ = inplace(_abs_of_real, "abs_")


@primitive(promote="default")
def sgn(xp, input):
    r"""$y = a / |a|$, and 0 at 0; for real numbers the sign."""
    if input.dtype.kind != "c":
        return sign.op.kernel(xp, input)
    size = xp.abs(input)
    return xp.where(size == 0, 0, input / xp.where(size == 0, 1, size)).astype(input.dtype)


derivative(sgn, input=lambda g, input, result: _sgn_rule(g, input, result))


def _sgn_rule(g, input, result):
    if not input.is_complex():
        return g.zeros_like()
    size = input.abs()
    return ((g / size) - (g / size * result.conj()).real * result).masked_fill(size == 0, 0)
