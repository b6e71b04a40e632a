"""The in-place operations that update rules are made of, in torch's order of operations.

Note [One rule, three kinds of operands]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An update rule is written once and runs on
- arrays, in place; each operation allocates at most one temporary;
- arrays of 16-bit floats, which are computed in float32 and rounded once at the end of each
  operation, as torch's kernels do;
- Tensors, for an optimiser that is `differentiable`. What the graph saves must never be written to
  again, so every operation computes on clones and copies the result over its target.

Note [Blocks]
~~~~~~~~~~~~~
Rules are elementwise and make several passes. `blocks` hands them the parameter, its gradient and
its state in pieces that stay in the cache from one pass to the next, so that a step needs memory
for a piece, not for a parameter. Complex numbers come as pairs of real ones: the methods that
divide by a root of squares take real and imaginary parts each on its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core import TensorBase
from ..device import array_module
from ..dtypes import HALF_TYPES
from ..ops.strided import restrided

BLOCK = 1 << 17      # elements: 0.5 MB of float32
GPU_BLOCK = 1 << 24  # there it is the calls that cost, and only memory has to be bounded


def _in_place(formula: Callable) -> Callable:
    """`formula`, which changes its first operand, for all kinds of operands (see the Note)."""

    @functools.wraps(formula)
    def call(target: Any, *operands: Any) -> Any:
        if isinstance(target, TensorBase):
            clones = [each.clone() if isinstance(each, TensorBase) else each  # type: ignore
                      for each in (target, *operands)]
            return target.copy_(formula(*clones))  # type: ignore[attr-defined]
        operands = tuple([each.item() if isinstance(each, TensorBase) else each  # type: ignore
                          for each in operands])
        if target.dtype in HALF_TYPES:
            target[...] = formula(*[each.astype(np.float32) if hasattr(each, "dtype") else each
                                    for each in (target, *operands)]).astype(target.dtype)
        else:
            formula(target, *operands)
        return target

    return call


@_in_place
def scale(target, factor):
    """target ← target · factor"""
    target *= factor
    return target


@_in_place
def divide(target, divisor):
    """target ← target / divisor"""
    target /= divisor
    return target


@_in_place
def shift(target, amount):
    """target ← target + amount"""
    target += amount
    return target


@_in_place
def add_scaled(target, other, factor=1):
    """target ← target + factor · other"""
    target += other if isinstance(factor, int) and factor == 1 else other * factor
    return target


@_in_place
def lerp(target, end, weight):
    """target ← target + weight · (end - target), taken from the nearer of the two ends"""
    step = end - target
    if abs(weight) < 0.5:
        step *= weight
        target += step
        return target
    step *= 1 - weight
    if isinstance(target, TensorBase):
        return end - step
    return array_module(target).subtract(end, step, out=target)


@_in_place
def add_product(target, a, b, factor=1):
    """target ← target + factor · a · b"""
    product = a * factor
    product *= b
    target += product
    return target


@_in_place
def add_quotient(target, a, b, factor=1):
    """target ← target + factor · a / b"""
    quotient = a * factor
    quotient /= b
    target += quotient
    return target


@_in_place
def set_to_maximum(target, other):
    """target ← the larger of target and other"""
    if isinstance(target, TensorBase):
        return target.maximum(other)  # type: ignore[attr-defined]
    return array_module(target).maximum(target, other, out=target)


@_in_place
def clip(target, low, high):
    """target ← target, not below `low` nor above `high`"""
    if isinstance(target, TensorBase):
        return target.clamp(low, high)  # type: ignore[attr-defined]
    return array_module(target).clip(target, low, high, out=target)


@_in_place
def inverse_root(target):
    """target ← 1 / √target"""
    xp = array_module(target)
    xp.sqrt(target, out=target)
    return xp.divide(1, target, out=target)


def assign(target: Any, value: Any) -> Any:
    """target ← value"""
    if isinstance(target, TensorBase):
        return target.copy_(value)  # type: ignore[attr-defined]
    target[...] = value
    return target


def sqrt(value: Any) -> Any:
    """The roots, as something new that may be written to."""
    if isinstance(value, TensorBase):
        return value.sqrt().clone()  # type: ignore[attr-defined]
    return array_module(value).sqrt(value)


def sign(value: Any) -> Any:
    """-1, 0 or 1, as something new that may be written to."""
    if isinstance(value, TensorBase):
        return value.sign()  # type: ignore[attr-defined]
    return array_module(value).sign(value)


def copy(value: Any) -> Any:
    """The same numbers, to be written to."""
    return value.clone() if isinstance(value, TensorBase) else value.copy()  # type: ignore


def detached(value: Any) -> Any:
    """The same numbers, without their history."""
    return value.detach() if isinstance(value, TensorBase) else value  # type: ignore


def decayed(gradient: Any, parameter: Any, weight_decay: Any) -> Any:
    """The gradient of the loss and of half the weights' square times `weight_decay`."""
    if isinstance(weight_decay, int | float) and weight_decay == 0:
        return gradient
    return add_scaled(copy(gradient), parameter, weight_decay)


def as_real(array: Any) -> Any:
    """A complex array as pairs of real numbers, in the same memory; a real one as it is."""
    if array.dtype.kind != "c":
        return array
    part = array.real
    return restrided(array_module(array), part, (*part.shape, 2),
                     (*part.strides, part.dtype.itemsize))


def blocks(group: dict, parameter: Any, gradient: Any, *state: Any) -> Iterator[list]:
    """What an update rule works on, of these Tensors: see Note [Blocks].

    The gradient's sign is turned if the group says `maximize`.
    """
    parts: Any
    if group.get("differentiable"):
        parts = [[each.view_as_real() if each.dtype.is_complex else each
                  for each in (parameter, gradient, *state)]]
    else:
        parts = pieces([as_real(each._data) for each in (parameter, gradient, *state)])
    for piece in parts:
        if group.get("maximize"):
            piece[1] = -piece[1]
        yield piece


def pieces(arrays: list) -> Iterator[list]:
    """Arrays of one shape, taken apart alike."""
    first = arrays[0]
    block = BLOCK if type(first) is np.ndarray else GPU_BLOCK
    if all([each.flags.c_contiguous for each in arrays]):
        arrays = [each.reshape(-1) for each in arrays]
    elif all([each.flags.f_contiguous for each in arrays]):
        arrays = [each.T.reshape(-1) for each in arrays]
    if first.size <= block:
        yield arrays
        return
    length = len(arrays[0])
    rows = max(1, block // (first.size // length))
    for start in range(0, length, rows):
        yield [each[start:start + rows] for each in arrays]
