"""Arithmetic: the ops that everything else is made of, and the model for every family.

One op is one paragraph: the kernel on arrays, its formula in the docstring, and below it one rule
per input (see primitive.py). `out` is where an in-place op lets the kernel write.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..device import host
from ..dtypes import HALF_TYPES, get_default_dtype, of_number, result_type
from ..out import takes_out
from ..primitive import derivative, primitive


@primitive(promote="default", ufunc=np.multiply)
def mul(xp, input, other, *, out=None):
    r"""$y = a\,b$, so $\bar a = \bar y\,b^*$ and $\bar b = \bar y\,a^*$."""
    return xp.multiply(input, other, out=out)


derivative(mul,
    input=lambda g, other: g * other.conj(),
    other=lambda g, input: g * input.conj())


@primitive(promote="default", ufunc=np.add)
def add(xp, input, other, *, alpha=1, out=None):
    r"""$y = a + \alpha b$, so $\bar a = \bar y$ and $\bar b = \bar y\,\alpha^*$."""
    return xp.add(input, other if alpha == 1 else scaled(xp, other, alpha), out=out)


derivative(add,
    input=lambda g: g,
    other=lambda g, alpha: g if alpha == 1 else g * alpha.conjugate())


@primitive(promote="default")
def sub(xp, input, other, *, alpha=1, out=None):
    r"""$y = a - \alpha b$, so $\bar a = \bar y$ and $\bar b = -\alpha^* \bar y$. Bool tensors are
    refused: `~` or `^` is what they have."""
    if input.dtype.kind == "b":
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported. "
                           "Use the `^` or `logical_xor()` operator instead.")
    return xp.subtract(input, other if alpha == 1 else scaled(xp, other, alpha), out=out)


derivative(sub,
    input=lambda g: g,
    other=lambda g, alpha: -g if alpha == 1 else g * -alpha.conjugate())


def _refuse_bool(operands):
    """A mask beside a number or a tensor of another dtype, before it is promoted."""
    kinds = [isinstance(each, bool) or isinstance(each, TensorBase)
             and each._data.dtype.kind == "b" for each in operands]
    if any(kinds) and not all(kinds):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. If "
                           "you are trying to invert a mask, use the `~` or `logical_not()` "
                           "operator instead.")


sub.op.refuse = _refuse_bool


def scaled(xp, array, alpha):
    """`alpha * array` in the array's own dtype; only a float may carry a float factor."""
    if isinstance(alpha, TensorBase):
        alpha = host(alpha._data).item()
    if isinstance(alpha, float) and array.dtype.kind in "biu":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating "
                           "point number.")
    return xp.multiply(array, array.dtype.type(alpha))


@primitive(promote="default", overload_of_number=1, numbers="last")
def rsub(xp, input, other, *, alpha=1):
    r"""$y = b - \alpha a$, so $\bar b = \bar y$ and $\bar a = -\alpha^* \bar y$: what `b - a` calls
    for a number $b$."""
    if input.dtype.kind == "b":
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported. "
                           "Use the `^` or `logical_xor()` operator instead.")
    return xp.subtract(other, input if alpha == 1 else scaled(xp, input, alpha))


rsub.op.reflected = True
rsub.op.refuse = lambda operands: isinstance(operands[0], TensorBase) and _refuse_bool(operands)
derivative(rsub,
    input=lambda g, alpha: -g if alpha == 1 else g * -alpha,
    other=lambda g: g)


@primitive(promote="int_to_float", name="div")
def true_divide(xp, input, other, *, out=None):
    r"""$y = a / b$, so $\bar a = \bar y / b^*$ and $\bar b = -\bar y\,(y / b)^*$."""
    return xp.divide(input, other, out=out)


derivative(true_divide,
    input=lambda g, other: g / other.conj(),
    other=lambda g, input, other: -g * ((input / other) / other).conj())


def rdiv(input: Any, other: Any) -> Any:
    """`other / input` for a number on the left: a reciprocal and a product, as torch records it."""
    return input.reciprocal() * other


@primitive(promote="default", name="div", overload=2)
def div_rounded(xp, input, other, *, rounding_mode, half=None):
    r"""$y = \lfloor a/b \rfloor$ ("floor"), or $a/b$ rounded towards zero ("trunc"); its derivative
    is 0. One of 16-bit floats is rounded to the type `half` before it is cut off."""
    if input.dtype.kind in "biu" and not xp.all(other):
        raise RuntimeError("ZeroDivisionError")
    if rounding_mode == "floor":
        return xp.floor_divide(input, other)
    if input.dtype.kind in "biu":
        quotient = xp.floor_divide(input, other)
        return quotient + ((quotient < 0) & (quotient * other != input)).astype(quotient.dtype)
    quotient = xp.divide(input, other)
    return xp.trunc(quotient if half is None else quotient.astype(half).astype(input.dtype))


derivative(div_rounded, input=lambda g: g.zeros_like(), other=lambda g: g.zeros_like())


@takes_out(casts=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """$a / b$; with `rounding_mode` "floor" or "trunc" rounded, and then integers stay integers."""
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError("div expected rounding_mode to be one of None, 'trunc', or 'floor' but "
                           f"found '{rounding_mode}'")
    common = _common_type(input, other).numpy
    return div_rounded(input, other, rounding_mode=rounding_mode,
                       half=common if common in HALF_TYPES else None)


@primitive(promote="default")
def neg(xp, input, *, out=None):
    r"""$y = -a$, so $\bar a = -\bar y$."""
    if input.dtype.kind == "b":
        raise RuntimeError("Negation, the `-` operator, on a bool tensor is not supported. If you "
                           "are trying to invert a mask, use the `~` or `logical_not()` operator "
                           "instead.")
    return xp.negative(input, out=out)


derivative(neg, input=lambda g: -g)


# torch's long names
subtract, multiply, divide, negative = sub, mul, div, neg


# --- with a number, inside a composite -----------------------------------------------------------
# torch's C++ composites call overloads that take a number; their nodes are numbered 1, not 0.

def _beside(input, number):
    """Integers beside a float become the default float, as they do beside a tensor."""
    if input.dtype.kind in "biu" and isinstance(number, float):
        return input.astype(get_default_dtype().numpy)
    return input


@primitive(name="add", overload=1)
def add_number(xp, input, *, other):
    r"""$y = a + c$, so $\bar a = \bar y$."""
    input = _beside(input, other)
    return xp.add(input, input.dtype.type(other))


@primitive(name="sub", overload=1)
def sub_number(xp, input, *, other):
    r"""$y = a - c$, so $\bar a = \bar y$."""
    input = _beside(input, other)
    return xp.subtract(input, input.dtype.type(other))


@primitive(name="mul", overload=1)
def mul_number(xp, input, *, other):
    r"""$y = a\,c$, so $\bar a = \bar y\,c^*$."""
    input = _beside(input, other)
    return xp.multiply(input, input.dtype.type(other))


@primitive(name="div", overload=1)
def div_number(xp, input, *, other):
    r"""$y = a / c$, so $\bar a = \bar y / c^*$."""
    input = _beside(input, 1.0)
    return xp.divide(input, input.dtype.type(other))


derivative(add_number, input=lambda g: g)
derivative(sub_number, input=lambda g: g)
derivative(mul_number, input=lambda g, other: mul_number(g, other=other.conjugate()))
derivative(div_number, input=lambda g, other: div_number(g, other=other.conjugate()))


# --- powers: torch keeps three, by which of base and exponent is a number -------------------------

@primitive(promote="default", name="pow")
def pow_scalar(xp, input, *, exponent):
    r"""$y = a^n$ for a number $n$, so $\bar a = \bar y\,(n\,a^{n-1})^*$, and 0 where $n = 0$."""
    if exponent == 2:
        return xp.multiply(input, input)
    if input.dtype.kind == "b":
        return input | (not exponent)
    return xp.power(input, exponent)


derivative(pow_scalar, input=lambda g, input, exponent: (
    g.zeros_like() if exponent == 0 else g * mul_number(
        input.pow(exponent - 1), other=exponent).conj()))


def power(xp, base, exponent):
    """$a^b$; of integers a negative power is 0, but for the powers of 1 and -1."""
    if exponent.dtype.kind != "i" or not (exponent < 0).any():
        return xp.power(base, exponent)
    result = xp.power(base, xp.where(exponent < 0, 0, exponent).astype(exponent.dtype))
    sign = xp.where(exponent % 2 == 0, 1, -1)
    negative = xp.where(base == 1, 1, xp.where(base == -1, sign, 0))
    return xp.where(exponent < 0, negative, result).astype(result.dtype)


@primitive(promote="default", name="pow", overload=1, refuses={"b": "pow"})
def pow_tensor(xp, input, exponent):
    r"""$y = a^b$, so $\bar a = \bar y\,(b\,a^{b-1})^*$, and 0 where $b = 0$;
    $\bar b = \bar y\,(y \ln a)^*$, and 0 where $a = 0$ and $b \ge 0$."""
    return power(xp, input, exponent)


derivative(pow_tensor,
    input=lambda g, input, exponent: g * (
        (exponent * input.pow(exponent - 1)).masked_fill(exponent == 0, 0)).conj(),
    exponent=lambda g, input, exponent, result: g * _times_log(result, input, exponent).conj())


@primitive(promote="default", name="pow", overload=2, refuses={"b": "pow"})
def _pow_of_number(xp, exponent, input):
    r"""$y = c^b$ for a number $c$, so $\bar b = \bar y\,(y \ln c)^*$."""
    return power(xp, input, exponent)


derivative(_pow_of_number,
    exponent=lambda g, input, exponent, result: g * _times_log(result, input, exponent).conj())


def _times_log(result, base, exponent):
    """$y \\ln a$, taken as 0 at $a = 0$, $b \\ge 0$, where $y$ does not change with $b$."""
    flat = (base == 0) & (exponent >= 0 if not exponent.is_complex() else exponent.real >= 0)
    return (result * base.log()).masked_fill(flat, 0)


@autocasts
@takes_out(casts=True)
def pow(input: Any, exponent: Any) -> Any:
    """$a^b$, elementwise; either may be a number."""
    if not isinstance(exponent, TensorBase):
        integers = isinstance(input, TensorBase) and input._data.dtype.kind in "biu"
        if integers and isinstance(exponent, int) and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if integers and input._data.dtype.kind == "b" and type(exponent) is int:
            input = input.to(_common_type(input, exponent))
        if integers and isinstance(exponent, float) or isinstance(exponent, complex):
            input = input.to(_common_type(input, exponent))
        return pow_scalar(input, exponent=exponent)
    if not isinstance(input, TensorBase):
        return _pow_of_number(exponent, input)
    return pow_tensor(input, exponent)


def rpow(input: Any, other: Any) -> Any:
    """`other ** input`."""
    return pow(other, input)


def _common_type(*operands):
    """The dtype in which tensors and numbers meet."""
    return result_type([(each.dtype, 2 if each._data.ndim else 1) if isinstance(each, TensorBase)
                        else (of_number(each), 0) for each in operands])
