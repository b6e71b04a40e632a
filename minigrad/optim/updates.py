"""The in-place array operations that update rules are made of, in torch's order of operations.

16-bit floats are computed in float32 and rounded once at the end of each, as torch's kernels do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import array_module
from ..dtypes import HALF_TYPES
from ..ops.strided import restrided


def _in_place(formula: Callable) -> Callable:
    """`formula` of arrays as an operation that writes its result over the first of them."""

    def call(target: Any, *arguments: Any) -> Any:
        if target.dtype in HALF_TYPES:
            wide = [argument.astype(np.float32) if hasattr(argument, "dtype") else argument
                    for argument in (target, *arguments)]
            target[...] = formula(*wide).astype(target.dtype)
        else:
            target[...] = formula(target, *arguments)
        return target

    call.__doc__ = formula.__doc__
    return call


@_in_place
def scale(target, factor):
    """target ← target · factor"""
    return target * factor


@_in_place
def add_scaled(target, other, factor=1):
    """target ← target + factor · other"""
    return target + (other if factor == 1 else other * factor)


@_in_place
def lerp(target, end, weight):
    """target ← target + weight · (end - target), taken from the nearer of the two ends"""
    difference = end - target
    return target + difference * weight if weight < 0.5 else end - difference * (1 - weight)


@_in_place
def add_product(target, a, b, factor=1):
    """target ← target + factor · a · b"""
    return target + (a if factor == 1 else a * factor) * b


@_in_place
def add_quotient(target, a, b, factor=1):
    """target ← target + factor · a / b"""
    return target + (a if factor == 1 else a * factor) / b


@_in_place
def set_to_maximum(target, other):
    """target ← the larger of target and other"""
    return array_module(target).maximum(target, other)


def sqrt(array: Any) -> Any:
    """The roots as a new array: also of an array without dimensions, where ufuncs give scalars."""
    xp = array_module(array)
    return xp.asarray(xp.sqrt(array))


def as_real(array: Any) -> Any:
    """A complex array as pairs of real numbers, in the same memory; a real one as it is.

    The methods that divide by a root of squares take real and imaginary parts each on its own.
    """
    if array.dtype.kind != "c":
        return array
    part = array.real
    return restrided(array_module(array), part, (*part.shape, 2),
                     (*part.strides, part.dtype.itemsize))
