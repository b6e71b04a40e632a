"""torch.special beyond the gamma function, Bessel functions and polynomials: the error function's
relatives, entropy, and forms of common functions that take their arguments in another way."""

from __future__ import annotations

import math
from typing import Any

from ..core import TensorBase
from ..inplace import check_may_record
from ..out import takes_out
from ..primitive import derivative, primitive
from .arithmetic import add_number, mul_number
from .choosing import round as round_
from .pointwise import erf
from .scipy_functions import scipy_function, special_function
from .softmax import log_softmax as log_softmax_
from .softmax import softmax as softmax_

__all__ = ["entr", "erfcx", "log_ndtr", "log_softmax", "ndtr", "ndtri", "round", "softmax",
           "xlog1py"]

# --- the normal distribution ---------------------------------------------------------------------

def ndtr(input: Any, *, out: Any = None) -> Any:
    r"""The probability $\tfrac12(1 + \mathrm{erf}(a/\sqrt2))$ that a standard normal is below."""
    if out is not None:
        check_may_record(out)
        return _ndtr_into(input, out=out)
    scaled = input * math.sqrt(0.5) if input._data.dtype.kind in "biu" \
        else mul_number(input, other=math.sqrt(0.5))
    return mul_number(add_number(erf(scaled), other=1), other=0.5)


_ndtr_into = takes_out(ndtr, casts=True, name="special_ndtr")


def _erfcx(xp, x):
    """Below 0 by reflection, with a square rounded to the dtype: torch's float32 overflows so."""
    right = scipy_function(xp, "erfcx", xp.abs(x))
    return xp.where(x < 0, 2 * xp.exp(x * x) - right, right)


ndtri = special_function("ndtri", r"$\Phi(y) = a$: the inverse of `ndtr`, so "
                         r"$\bar a = \bar y\sqrt{2\pi}\,e^{y^2/2}$.", "ndtri")
log_ndtr = special_function("log_ndtr", r"$y = \ln\Phi(a)$, far into the lower tail.",
                            "log_ndtr")
erfcx = special_function("erfcx", r"$y = e^{a^2}\,\mathrm{erfc}(a)$, so "
                         r"$\bar a = \bar y\,(2 a y - 2/\sqrt\pi)$.", _erfcx)

derivative(ndtri, input=lambda g, result: g * math.sqrt(2 * math.pi) * (
    result.square() / 2).exp())
derivative(log_ndtr, input=lambda g, input, result: g / math.sqrt(2 * math.pi) * (
    -(result + input.pow(2) / 2)).exp())
derivative(erfcx, input=lambda g, input, result: (
    2 * input * result - 2 / math.sqrt(math.pi)) * g)

# --- logarithms ----------------------------------------------------------------------------------

def _entropy(xp, x):
    inside = xp.where(x > 0, x, 1)
    return xp.where(x > 0, -inside * xp.log(inside), xp.where(
        x == 0, 0, xp.where(x < 0, -math.inf, x)))


entr = special_function("entr", r"$y = -a \ln a$, so $\bar a = -\bar y\,(1 + \ln a)$; 0 at 0, "
                        r"$-\infty$ below.", _entropy, halves=True)
derivative(entr, input=lambda g, input: g * -(1 + input.log()))


def _xlog1py_kernel(xp, input, other):
    r"""$y = a \ln(1 + b)$, 0 where $a = 0$ (unless b is nan)."""
    return xp.where((input == 0) & (other == other), input.dtype.type(0), input * xp.log1p(other))


def _xlog1py_of_number_kernel(xp, other, input):
    r"""$y = c \ln(1 + b)$ for a number $c$, so $\bar b = \bar y\,c/(1 + b)$."""
    return _xlog1py_kernel(xp, input, other)


_options: dict[str, Any] = dict(promote="int_to_float", name="special_xlog1py",
                                refuses={"c": "xlog1py_cpu"})
_xlog1py = primitive(_xlog1py_kernel, node_name="SpecialXlog1PyBackward0", **_options)
_xlog1py_of_number = primitive(_xlog1py_of_number_kernel, node_name="SpecialXlog1PyBackward1",
                               **_options)
_xlog1py_by_number = primitive(_xlog1py_kernel, node_name="SpecialXlog1PyBackward2", **_options)

derivative(_xlog1py,
    input=lambda g, input, other: xlog1py(g, other).masked_fill((input == 0) & (other <= -1), 0),
    other=lambda g, input, other: g * input / (other + 1))
derivative(_xlog1py_of_number, other=lambda g, input, other: g * input / (other + 1))
derivative(_xlog1py_by_number, input=lambda g, input, other: xlog1py(g, other).masked_fill(
    (input == 0) & (other <= -1), 0))


@takes_out(casts=True, name="special_xlog1py")
def xlog1py(input: Any, other: Any) -> Any:
    r"""$a \ln(1 + b)$, 0 where $a = 0$ (unless b is nan); either may be a number."""
    if not isinstance(input, TensorBase):
        return _xlog1py_of_number(other, input)
    return (_xlog1py if isinstance(other, TensorBase) else _xlog1py_by_number)(input, other)


# --- with other arguments than in torch's own namespace ------------------------------------------

def round(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """The nearest multiple of 10^-decimals, halves to even."""
    return round_(input, decimals=decimals, out=out)


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """As torch.softmax."""
    return softmax_(input, dim, dtype=dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """As torch.log_softmax."""
    return log_softmax_(input, dim, dtype=dtype)
