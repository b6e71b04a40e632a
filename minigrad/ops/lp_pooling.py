"""Power-average pooling: the p-norm of each window, as torch composes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .activation import relu
from .avg_pooling import avg_pool1d, avg_pool2d, avg_pool3d
from .max_pooling import max_pool1d, max_pool2d, max_pool3d

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]


def _lp_pool(average: Callable, largest: Callable, input: Any, norm_type: Any, count: Any,
             kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    r"""The mean of $x^p$ times the window's size `count` is the sum; a negative sum (p odd) becomes
    0 before its root is taken."""
    if norm_type == math.inf:
        return largest(input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    if norm_type == -math.inf:
        return -largest(-input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    mean = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (mean.sign() * relu(mean.abs())).mul(count).pow(1.0 / norm_type)


def _count(kernel_size: Any, dims: int) -> int:
    sizes = tuple(kernel_size) if isinstance(kernel_size, Sequence) else (kernel_size,) * dims
    if len(sizes) != dims:
        few = len(sizes) < dims
        raise ValueError(f"not enough values to unpack (expected {dims}, got {len(sizes)})" if few
                         else f"too many values to unpack (expected {dims})")
    return math.prod(sizes)


def lp_pool1d(input: Any, norm_type: float, kernel_size: int, stride: Any = None,
              ceil_mode: bool = False) -> Any:
    r"""$(\sum x^p)^{1/p}$ of each window over the last dimension."""
    return _lp_pool(avg_pool1d, max_pool1d, input, norm_type, kernel_size, kernel_size, stride,
                    ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None,
              ceil_mode: bool = False) -> Any:
    r"""$(\sum x^p)^{1/p}$ of each window over the last two dimensions."""
    return _lp_pool(avg_pool2d, max_pool2d, input, norm_type, _count(kernel_size, 2), kernel_size,
                    stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None,
              ceil_mode: bool = False) -> Any:
    r"""$(\sum x^p)^{1/p}$ of each window over the last three dimensions."""
    return _lp_pool(avg_pool3d, max_pool3d, input, norm_type, _count(kernel_size, 3), kernel_size,
                    stride, ceil_mode)
