"""The gamma function, its logarithm's derivatives, its incomplete integrals; the zeta function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..inplace import inplace
from ..out import takes_out
from ..primitive import derivative, primitive
from .scipy_functions import refuse_halves, scipy_function

__all__ = ["digamma", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma", "zeta"]


@primitive(promote="int_to_float", refuses={"c": "lgamma_vml_cpu"})
def lgamma(xp, input):
    r"""$y = \ln|\Gamma(a)|$, so $\bar a = \bar y\,\psi(a)$; $\infty$ at $\pm\infty$, as in C."""
    return xp.where(xp.isinf(input), xp.abs(input), scipy_function(xp, "gammaln", input))


derivative(lgamma, input=lambda g, input: g * input.digamma())


def _digamma(xp, x):
    """SciPy's psi; like C++ -inf at 0 and inf at -0."""
    return xp.where(x == 0, xp.copysign(xp.asarray(np.inf, x.dtype), -x),
                    scipy_function(xp, "psi", x))


@primitive(promote="int_to_float", refuses={"c": "digamma"})
def digamma(xp, input):
    r"""$y = \psi(a) = \Gamma'(a)/\Gamma(a)$, $\bar a = \bar y\,\psi^{(1)}(a)$; $-\infty$ at 0."""
    return _digamma(xp, input)


derivative(digamma, input=lambda g, input: g * polygamma(1, input))


# --- Hurwitz's zeta function ---------------------------------------------------------------------

def _not_implemented(what):
    def rule(g):
        raise NotImplementedError(f"the derivative for '{what}' is not implemented.")
    return rule


def _hurwitz(xp, x, q):
    """SciPy's zeta; nan where the series that torch sums has an infinite factor on its zeros."""
    with np.errstate(all="ignore"):
        overflows = xp.isinf(q) & (q > 0) | (q > 1e8) & xp.isinf(x.astype(np.float64) ** 23)
        return xp.where((x > 1) & overflows, x.dtype.type(np.nan),
                        scipy_function(xp, "zeta", x, q))


@primitive(promote="int_to_float", name="special_zeta", overload_of_number=2,
           refuses={"c": "zeta_cpu"})
def _zeta(xp, input, other):
    r"""$y = \zeta(x, q)$, which is $\sum_{k \ge 0} (k + q)^{-x}$, so
    $\bar q = -\bar y\,x\,\zeta(x + 1, q)$; torch has no derivative in $x$."""
    return _hurwitz(xp, input, other)


@primitive(promote="int_to_float", name="special_zeta", overload=1, refuses={"c": "zeta_cpu"})
def _zeta_of_number(xp, other, input):
    r"""$y = \zeta(x, q)$ for a number $x$."""
    return _hurwitz(xp, input, other)


derivative(_zeta,
    input=_not_implemented("zeta"),
    other=lambda g, input, other: g * -input * zeta(input + 1, other))
derivative(_zeta_of_number,
    other=lambda g, input, other: g * -input * zeta(input + 1, other))
for _op in (_zeta, _zeta_of_number):
    refuse_halves(_op, "zeta_cpu")


@takes_out(casts=True, name="special_zeta")
def zeta(input: Any, other: Any) -> Any:
    r"""$\zeta(x, q) = \sum_{k \ge 0} (k + q)^{-x}$; either may be a number."""
    if isinstance(input, TensorBase):
        return _zeta(input, other)
    return _zeta_of_number(other, input)


# --- polygamma -----------------------------------------------------------------------------------

# Note [The trigamma function]
# psi'(x) = 1/x^2 + psi'(x + 1) moves any x up by 6, where Stirling's series
#     psi'(x) = 1/x + 1/(2 x^2) + 1/(6 x^3) - 1/(30 x^5) + 1/(42 x^7) - ...
# is cut off after five terms. That leaves an error of 4e-10, and torch stops there too: a longer
# series would be closer to the truth, but not to torch. Below 1/2 the reflection formula
#     psi'(x) = pi^2 / sin^2(pi x) - psi'(1 - x)
# is used first.

def _trigamma(xp, x):
    reflected = x < 0.5
    sine = xp.sin(math.pi * x)
    total = xp.where(reflected, -(math.pi / sine) ** 2, x.dtype.type(0))
    x = xp.where(reflected, 1 - x, x)
    for _ in range(6):
        total = total + 1 / (x * x)
        x = x + 1
    z = 1 / (x * x)
    total = total + (1 + 1 / (2 * x) + z * (1 / 6 - z * (1 / 30 - z * (1 / 42)))) / x
    return xp.where(reflected, -total, total)


def _polygamma_array(xp, input, *, n):
    r"""$y = \psi^{(n)}(a)$, so $\bar a = \bar y\,\psi^{(n+1)}(a)$; it is
    $(-1)^{n+1} n!\,\zeta(n+1, a)$ for $n \ge 1$."""
    with np.errstate(all="ignore"):
        if n == 0:
            return _digamma(xp, input)
        if n == 1:
            return _trigamma(xp, input)
        factorial = np.exp(input.dtype.type(math.lgamma(n + 1)))
        zeta_value = _hurwitz(xp, input.dtype.type(n + 1), input)
        return (1 if n % 2 else -1) * factorial * zeta_value


_polygamma = primitive(_polygamma_array, promote="int_to_float", name="polygamma",
                       refuses={"c": "polygamma"})
polygamma_kernel_in_place = primitive(_polygamma_array, promote="int_to_float", name="polygamma",
                                      overload=1, refuses={"c": "polygamma"})
for _op in (_polygamma, polygamma_kernel_in_place):
    derivative(_op, input=lambda g, input, n: g * polygamma(n + 1, input))


def _checked_order(n: int) -> int:
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return n


@takes_out(casts=True)
def polygamma(n: int, input: Any) -> Any:
    r"""The n-th derivative of digamma, $\psi^{(n)}(a)$."""
    return _polygamma(input, n=_checked_order(n))


def polygamma_of(input: Any, n: int) -> Any:
    """The method `input.polygamma(n)`."""
    return polygamma(n, input)


def polygamma_over(input: Any, n: int) -> Any:
    """What `input.polygamma_(n)` computes: the same, under torch's other name for the node."""
    return polygamma_kernel_in_place(input, n=_checked_order(n))


# --- of several dimensions -----------------------------------------------------------------------

@primitive(promote="int_to_float", name="mvlgamma", refuses={"c": "arange_cpu"})
def _mvlgamma(xp, input, *, p):
    r"""$y = \tfrac{p(p-1)}4\ln\pi + \sum_{i<p}\ln\Gamma(a - \tfrac i2)$."""
    shifts = xp.arange(p, dtype=input.dtype) / 2
    logs = lgamma.op.kernel(xp, input[..., None] - shifts)
    return logs.sum(-1) + input.dtype.type(p * (p - 1) * math.log(math.pi) / 4)


def _mvlgamma_rule(g, input, p):
    return g * sum((input - i / 2).digamma() for i in range(p))


derivative(_mvlgamma, input=_mvlgamma_rule)


@takes_out(casts=True)
def _mvlgamma_into(input: Any, p: int) -> Any:
    return _mvlgamma(input, p=p)


def mvlgamma(input: Any, p: int, *, out: Any = None) -> Any:
    r"""$\ln\Gamma_p(a) = \tfrac{p(p-1)}4\ln\pi + \sum_{i<p}\ln\Gamma(a - \tfrac i2)$."""
    if input._data.dtype.kind == "b":
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if out is None:
        return _mvlgamma(input, p=p)
    _refuse_integers(input, out)
    return _mvlgamma_into(input, p, out=out)


def mvlgamma_(self: Any, p: int) -> Any:
    """In-place version of `mvlgamma`."""
    _refuse_integers(self, self)
    return _mvlgamma_over(self, p)


_mvlgamma_over = inplace(mvlgamma)


def _refuse_integers(input, target):
    """Where the result cannot be written; torch names the types of input and result."""
    if target._data.dtype.kind in "biu":
        computed = input.dtype if input.is_floating_point() else dtypes.get_default_dtype()
        raise RuntimeError(f"mvlgamma: result type {input.dtype.scalar_name} can't be cast to the "
                           f"desired output type {computed.scalar_name}")


# --- incomplete gamma functions ------------------------------------------------------------------

@primitive(promote="default", numbers="none", refuses={"biuc": "igamma_cpu"})
def igamma(xp, input, other):
    r"""$y = \frac1{\Gamma(a)}\int_0^x t^{a-1}e^{-t}dt$, $P(a, x)$; differentiable in $x$ only."""
    return scipy_function(xp, "gammainc", input, other)


@primitive(promote="default", numbers="none", refuses={"biuc": "igammac_cpu"})
def igammac(xp, input, other):
    r"""$y = \frac1{\Gamma(a)}\int_x^\infty t^{a-1}e^{-t}dt$, or $1 - P(a, x)$ without the loss of
    digits; differentiable in $x$ only."""
    return scipy_function(xp, "gammaincc", input, other)


def _integrand(input, other):
    """$x^{a-1} e^{-x} / \\Gamma(a)$."""
    return ((input - 1) * other.log() - other - input.lgamma()).exp()


derivative(igamma,
    input=_not_implemented("igamma: input"),
    other=lambda g, input, other: g * _integrand(input, other))
derivative(igammac,
    input=_not_implemented("igammac: input"),
    other=lambda g, input, other: -g * _integrand(input, other))
