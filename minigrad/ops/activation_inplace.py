"""Activations written over their input: `relu_(x)` is `relu(x, inplace=True)`."""

from __future__ import annotations

from typing import Any

from . import activation, exponential_units, piecewise_linear
from .activation import relu_

__all__ = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"]


def celu_(input: Any, alpha: float = 1.0) -> Any:
    """In-place version of `celu`."""
    return exponential_units.celu(input, alpha, inplace=True)


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """In-place version of `elu`."""
    return exponential_units.elu(input, alpha, inplace=True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """In-place version of `hardtanh`."""
    return piecewise_linear.hardtanh(input, min_val, max_val, inplace=True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """In-place version of `leaky_relu`."""
    return activation.leaky_relu(input, negative_slope, inplace=True)


def rrelu_(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    """In-place version of `rrelu`."""
    return activation.rrelu(input, lower, upper, training, inplace=True)


def selu_(input: Any) -> Any:
    """In-place version of `selu`."""
    return exponential_units.selu(input, inplace=True)


def threshold_(input: Any, threshold: float, value: float) -> Any:
    """In-place version of `threshold`."""
    return activation.threshold(input, threshold, value, inplace=True)
