"""Which ops autocast runs in lower precision (see amp.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .core import TensorBase, mode
from .dtypes import HALF_TYPES


def lower_precision(function: Callable) -> Callable:
    """Under autocast, run `function` with its floating-point tensors in autocast's dtype.

    The casts are recorded, so gradients come back in the tensors' own dtypes. float64 is left
    alone.
    """
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        dtype = mode.autocast
        if dtype is None:
            return function(*args, **kwargs)
        mode.autocast = None  # ops inside see operands that are cast already
        try:
            return function(*[_lowered(a, dtype) for a in args],
                            **{name: _lowered(a, dtype) for name, a in kwargs.items()})
        finally:
            mode.autocast = dtype

    return call


def full_precision(function: Callable) -> Callable:
    """Under autocast, run `function` with its 16-bit tensors in float32: sums of many terms."""
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        dtype = mode.autocast
        if dtype is None:
            return function(*args, **kwargs)
        mode.autocast = None
        try:
            return function(*[_raised(a) for a in args],
                            **{name: _raised(a) for name, a in kwargs.items()})
        finally:
            mode.autocast = dtype

    return call


def _raised(value: Any) -> Any:
    if isinstance(value, TensorBase) and value._data.dtype in HALF_TYPES:
        return value._cast(np.dtype(np.float32))  # type: ignore[attr-defined]
    return value


def _lowered(value: Any, dtype: np.dtype) -> Any:
    if isinstance(value, TensorBase) and value._data.dtype.itemsize <= 4 \
            and value.dtype.is_floating_point:
        return value._cast(dtype)  # type: ignore[attr-defined]
    return value
