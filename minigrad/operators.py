"""The methods behind Python's operators: `x + y` is `add(x, y)`, or a question to y."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from .autocast_rules import autocasts
from .core import TensorBase
from .primitive import Op, binary_call, dressed, run


def operator(function: Callable, name: str | None = None) -> Callable:
    """The method behind a Python operator: `x + y` asks y where x does not know what to do.

    With a `name` it is one of those that torch has in C, and refuses any other self than a tensor.
    """
    op = getattr(function, "op", None)
    if op is not None:
        plain = dressed(binary_call(op, functools.partial(_run_or_decline, name)), op)
        return autocasts(plain) if hasattr(function, "without_autocast") else plain

    def method(self, other):
        try:
            return function(self, other) if _is_operand(other) else NotImplemented
        except TypeError:  # for all that Python knows, the other one may have an answer
            return NotImplemented

    return functools.update_wrapper(method, function)


def _is_operand(value: Any) -> bool:
    return isinstance(value, TensorBase | numbers.Number | np.bool_)


def _run_or_decline(name: str | None, op: Op, inputs: tuple, values: dict) -> Any:
    if not isinstance(inputs[0], TensorBase):
        if name is None:
            return NotImplemented
        raise TypeError(f"descriptor '{name}' for 'torch._C.TensorBase' objects doesn't apply to a "
                        f"'{type(inputs[0]).__name__}' object")
    return run(op, inputs, values) if _is_operand(inputs[1]) else NotImplemented
