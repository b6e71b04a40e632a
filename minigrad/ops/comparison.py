"""Comparisons and logic: the results are bools or bit patterns, and have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import TensorBase
from ..out import any_dtype, check_found, refusal
from ..primitive import primitive

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "eq", "equal", "ge", "gt", "isclose", "isfinite", "isinf",
    "isnan", "isneginf", "isposinf", "le", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "greater", "greater_equal", "less", "less_equal", "not_equal"]


@primitive(promote="default", numbers="last")
def eq(xp, input, other):
    """$a = b$."""
    return xp.equal(input, other)


@primitive(promote="default", numbers="last")
def ne(xp, input, other):
    r"""$a \ne b$."""
    return xp.not_equal(input, other)


@primitive(promote="default", numbers="last", refuses={"c": "lt_cpu"})
def lt(xp, input, other):
    """$a < b$."""
    return xp.less(input, other)


@primitive(promote="default", numbers="last", refuses={"c": "le_cpu"})
def le(xp, input, other):
    r"""$a \le b$."""
    return xp.less_equal(input, other)


@primitive(promote="default", numbers="last", refuses={"c": "gt_cpu"})
def gt(xp, input, other):
    """$a > b$."""
    return xp.greater(input, other)


@primitive(promote="default", numbers="last", refuses={"c": "ge_cpu"})
def ge(xp, input, other):
    r"""$a \ge b$."""
    return xp.greater_equal(input, other)


less, less_equal, greater, greater_equal, not_equal = lt, le, gt, ge, ne


# --- logic ---------------------------------------------------------------------------------------

@primitive(promote="default", numbers="none")
def logical_and(xp, input, other):
    """Both are nonzero."""
    return xp.logical_and(input, other)


@primitive(promote="default", numbers="none")
def logical_or(xp, input, other):
    """One of the two is nonzero."""
    return xp.logical_or(input, other)


@primitive(promote="default", numbers="none")
def logical_xor(xp, input, other):
    """Exactly one of the two is nonzero."""
    return xp.logical_xor(input, other)


@primitive(promote="keep", lies="operands")
def logical_not(xp, input):
    """It is zero."""
    return xp.logical_not(input)


def _bits(name: str, array: Any) -> None:
    if array.dtype.kind not in "biu":
        from ..dtypes import of

        raise NotImplementedError(f'"{name}_cpu" not implemented for '
                                  f"'{of(array.dtype).scalar_name}'")


@primitive(promote="default")
def bitwise_and(xp, input, other):
    """The bits that both have."""
    _bits("bitwise_and", input)
    return xp.bitwise_and(input, other)


@primitive(promote="default")
def bitwise_or(xp, input, other):
    """The bits that either has."""
    _bits("bitwise_or", input)
    return xp.bitwise_or(input, other)


@primitive(promote="default")
def bitwise_xor(xp, input, other):
    """The bits in which they differ."""
    _bits("bitwise_xor", input)
    return xp.bitwise_xor(input, other)


@primitive(promote="keep", lies="operands")
def bitwise_not(xp, input):
    """Every bit turned; for bools, logical not."""
    _bits("bitwise_not", input)
    return xp.invert(input)


@primitive(promote="default", refuses={"b": "lshift_cpu"})
def bitwise_left_shift(xp, input, other):
    """$a\\,2^b$ on the bits of an integer."""
    _bits("lshift", input)
    return xp.left_shift(input, other)


@primitive(promote="default", refuses={"b": "rshift_cpu"})
def bitwise_right_shift(xp, input, other):
    """$\\lfloor a / 2^b \\rfloor$ on the bits of an integer."""
    _bits("rshift", input)
    return xp.right_shift(input, other)


def shifted_left(input: Any, other: Any) -> Any:
    """`other << input`, for a number on the left."""
    return bitwise_left_shift(other, input)


def shifted_right(input: Any, other: Any) -> Any:
    """`other >> input`, for a number on the left."""
    return bitwise_right_shift(other, input)


# --- kinds of numbers ----------------------------------------------------------------------------

@primitive(promote="keep", lies="operands")
def isnan(xp, input):
    """It is not a number."""
    return xp.isnan(input) if input.dtype.kind in "fc" else xp.zeros(input.shape, bool)


@primitive(promote="keep", lies="operands")
def isinf(xp, input):
    """It is infinite."""
    return xp.isinf(input) if input.dtype.kind in "fc" else xp.zeros(input.shape, bool)


@primitive(promote="keep", lies="operands")
def isfinite(xp, input):
    """It is neither infinite nor nan."""
    return xp.isfinite(input) if input.dtype.kind in "fc" else xp.ones(input.shape, bool)


@primitive(promote="keep", lies="operands")
def isposinf(xp, input):
    """It is positive infinity."""
    return input == np.inf


@primitive(promote="keep", lies="operands")
def isneginf(xp, input):
    """It is negative infinity."""
    return input == -np.inf


# --- closeness -----------------------------------------------------------------------------------

@primitive(promote="default", name="isclose")
def _isclose(xp, input, other, *, rtol, atol, equal_nan):
    close = input == other
    if equal_nan and input.dtype.kind in "fc":
        close = close | (xp.isnan(input) & xp.isnan(other))
    if rtol == 0 and atol == 0:
        return close
    finite = xp.isfinite(other)
    gap = xp.abs(input.astype(np.float64) - other if input.dtype.kind in "biu" else input - other)
    return close | (finite & xp.isfinite(input) & (gap <= atol + xp.abs(rtol * other)))


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08,
            equal_nan: bool = False) -> Any:
    r"""$|a - b| \le \mathrm{atol} + \mathrm{rtol}\,|b|$."""
    for number, (name, each) in enumerate((("input", input), ("other", other)), 1):
        if not isinstance(each, TensorBase):
            raise TypeError(f"isclose(): argument '{name}' (position {number}) must be Tensor, not "
                            f"{type(each).__name__}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{input.dtype.scalar_name} did not match {other.dtype.scalar_name}")
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol}")
    return _isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08,
             equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


def equal(input: Any, other: Any) -> bool:
    """Whether both have the same shape and the same elements."""
    a, b = input._data, other._data
    return a.shape == b.shape and bool((a == b).all())


# What `out=` may be: torch asks each of these in its own way.
logical_not.op.check_out = any_dtype
bitwise_not.op.check_out = check_found
isposinf.op.check_out = refusal("isposinf does not support non-boolean outputs.")
isneginf.op.check_out = refusal("isneginf does not support non-boolean outputs.")
