"""Activations whose slope is constant, or linear, between a few corners.

Each gradient is a primitive of its own, as in activation.py. At a corner itself the slope is one
that torch chose: mostly 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..inplace import inplace as in_place
from ..out import check_found, takes_out
from ..primitive import derivative, no_kernel, primitive
from ..type_info import finfo
from .arithmetic import div_number
from .choosing import where
from .no_derivative import no_derivative

__all__ = ["hardshrink", "hardsigmoid", "hardswish", "hardtanh", "relu6", "softshrink"]


def finish(function: Any, input: Any, inplace: bool, **values: Any) -> Any:
    """Out of place, or written over `input`."""
    return in_place(function)(input, **values) if inplace else function(input, **values)


# --- between two limits --------------------------------------------------------------------------

@primitive(name="hardtanh", lies="operands")
def _hardtanh(xp, input, *, min_val, max_val):
    r"""$y = \min(\max(a, l), u)$, so $\bar a = \bar y\,[l < a < u]$: 0 at the limits themselves."""
    return xp.clip(input, input.dtype.type(min_val), input.dtype.type(max_val))


@primitive(lies="operands")
def hardtanh_backward(xp, grad_output, input, *, min_val, max_val):
    r"""$\bar y\,[l < a < u]$."""
    return xp.where((input <= min_val) | (input >= max_val), grad_output.dtype.type(0),
                    grad_output)


derivative(_hardtanh, input=lambda g, input, min_val, max_val: hardtanh_backward(
    g, input, min_val=min_val, max_val=max_val))
derivative(hardtanh_backward,
    grad_output=lambda g, input, min_val, max_val: hardtanh_backward(
        g, input, min_val=min_val, max_val=max_val),
    input=lambda g: g.zeros_like())


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0,
             inplace: bool = False) -> Any:
    """`clamp` with no gradient at the limits themselves."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return finish(_hardtanh, input, inplace, min_val=min_val, max_val=max_val)


def relu6(input: Any, inplace: bool = False) -> Any:
    r"""$\min(\max(a, 0), 6)$."""
    return hardtanh(input, 0.0, 6.0, inplace)


# --- a line in place of a sigmoid ----------------------------------------------------------------

_ONE_SIXTH = float(np.float32(1) / np.float32(6))  # torch keeps it in float32


@primitive(name="hardsigmoid", lies="operands")
def _hardsigmoid(xp, input):
    r"""$y = \min(\max(a + 3, 0), 6)/6$, so $\bar a = \tfrac16\bar y\,[-3 < a < 3]$."""
    return xp.clip(input + 3, 0, 6) / input.dtype.type(6)


@primitive(node_name="NotImplemented", lies="operands")
def hardsigmoid_backward(xp, grad_output, input):
    r"""$\tfrac16\bar y\,[-3 < a < 3]$."""
    t = grad_output.dtype.type
    return xp.where((input > -3) & (input < 3), grad_output * t(_ONE_SIXTH), t(0))


derivative(_hardsigmoid, input=lambda g, input: hardsigmoid_backward(g, input))
derivative(hardsigmoid_backward, **dict.fromkeys(
    ("grad_output", "input"), no_derivative("hardsigmoid_backward")))


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    r"""$\mathrm{clamp}(a + 3, 0, 6)/6$."""
    return finish(_hardsigmoid, input, inplace)


@primitive(name="hardswish", lies="operands")
def _hardswish(xp, input):
    r"""$y = a \min(\max(a + 3, 0), 6)/6$, so
    $\bar a = \bar y\,((a/3 + 1/2)\,[|a| < 3] + [a \ge 3])$."""
    return input * xp.clip(input + 3, 0, 6) / input.dtype.type(6)


@primitive(lies="operands")
def hardswish_backward(xp, grad_output, input):
    r"""$\bar y\,((a/3 + 1/2)\,[|a| < 3] + [a \ge 3])$."""
    t = input.dtype.type
    inside = grad_output * (input / t(3) + t(0.5))
    return xp.where(input <= -3, t(0), xp.where(input < 3, inside, grad_output))


derivative(_hardswish, input=lambda g, input: hardswish_backward(g, input))
derivative(hardswish_backward,
    grad_output=lambda g, input: hardswish_backward(g, input),
    input=lambda g, grad_output, input: where(
        (input > -3) & (input < 3), div_number(g * grad_output, other=3.0), g.new_zeros(())))


def hardswish(input: Any, inplace: bool = False) -> Any:
    r"""$a\,\mathrm{clamp}(a + 3, 0, 6)/6$."""
    return finish(_hardswish, input, inplace)


# --- 0 around 0 ----------------------------------------------------------------------------------

@primitive(name="hardshrink", lies="operands")
def _hardshrink(xp, input, *, lambd):
    r"""$y = a\,[|a| > \lambda]$, so $\bar a = \bar y\,[|a| > \lambda]$."""
    return xp.where(xp.abs(input) <= lambd, input.dtype.type(0), input)


@primitive(name="softshrink", lies="operands")
def _softshrink(xp, input, *, lambd):
    r"""$y = \mathrm{sgn}(a)\max(|a| - \lambda, 0)$, so $\bar a = \bar y\,[|a| > \lambda]$."""
    shrunk = input - xp.clip(input, input.dtype.type(-lambd), input.dtype.type(lambd))
    return shrunk


@primitive(lies="operands")
def hardshrink_backward(xp, grad_output, input, *, lambd):
    r"""$\bar y\,[|a| > \lambda]$."""
    return xp.where(xp.abs(input) <= lambd, grad_output.dtype.type(0), grad_output)


softshrink_backward = primitive(hardshrink_backward.op.kernel, name="softshrink_backward")

derivative(_hardshrink, input=lambda g, input, lambd: hardshrink_backward(g, input, lambd=lambd))
derivative(_softshrink, input=lambda g, input, lambd: softshrink_backward(g, input, lambd=lambd))
derivative(hardshrink_backward,
    grad_output=lambda g, input, lambd: hardshrink_backward(g, input, lambd=lambd),
    input=lambda g: g.zeros_like())
derivative(softshrink_backward,
    grad_output=lambda g, input, lambd: softshrink_backward(g, input, lambd=lambd),
    input=lambda g: g.zeros_like())


@takes_out(check=check_found)
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""0 where $|a| \le \lambda$."""
    return _hardshrink(input, lambd=lambd)


@takes_out(check=check_found)
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""$a$ moved by $\lambda$ towards 0."""
    if input._data.dtype.kind in "biu":
        raise no_kernel("softshrink_check", input._data.dtype)
    largest = finfo(input.dtype).max
    if not 0 <= lambd <= largest:
        raise RuntimeError(f"lambda must be in range [0, {largest:g}] for input dtype "
                           f"{input.dtype.scalar_name}, but found {lambd:g}")
    return _softshrink(input, lambd=lambd)
