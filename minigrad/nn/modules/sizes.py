"""Sizes of kernels, strides and paddings: one number for all dimensions, or one for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def each_dim(value: Any, count: int) -> tuple:
    """`value` for each of `count` dimensions; what is a sequence already is taken as it is."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * count
