"""Adaptive average pooling: as many windows as the output shall have elements, and their means."""

from __future__ import annotations

import functools
from typing import Any

from ..autocast_rules import autocasts
from ..out import takes_out
from ..strides import has_channels_last
from .avg_pooling import Plan, Windows, check_rows, even_windows, one_int, plan_of, pooling
from .dims import int_tuple
from .reduction import mean

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"]

_OPS = {2: pooling("adaptive_avg_pool2d", "AdaptiveAvgPool2D", {"biuc": "adaptive_avg_pool2d"}),
        3: pooling("adaptive_avg_pool3d", "AdaptiveAvgPool3D", {"biuc": "adaptive_avg_pool3d_cpu"})}


def _covering(size: int, count: int) -> Windows:
    """`count` windows that cover `size` places as evenly as can be; neighbours may overlap."""
    if count and size % count == 0:
        return even_windows(size, count, size // count, size // count, 0)
    return Windows(size, tuple([i * size // count for i in range(count)]),
                   tuple([-(-(i + 1) * size // count) for i in range(count)]))


@functools.lru_cache(maxsize=512)
def _plan(sizes: tuple[int, ...], grid: tuple[int, ...]) -> Plan:
    windows = [_covering(*each) for each in zip(sizes, grid, strict=True)]
    return plan_of(windows, [each.lengths() for each in windows])


def _check_shape(name: str, shape: tuple, spatial: int) -> None:
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(f"{name}(): Expected {spatial + 1}D or {spatial + 2}D tensor, but got "
                           f"{list(shape)}")
    first = len(shape) - spatial if spatial == 2 else 1  # in 3-D the channels, too, if batched
    for dim in range(first, len(shape)):
        if not shape[dim]:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {list(shape)} with dimension {dim} being empty")


def _adaptive(spatial: int, input: Any, grid: tuple[int, ...]) -> Any:
    name, shape = f"adaptive_avg_pool{spatial}d", input._data.shape
    if len(grid) != spatial:
        raise RuntimeError(f"{name}: output_size must be {spatial}")
    if min(grid) < 0:
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0 "
                           f"but received {{{grid[0]}, {','.join(map(str, grid[1:]))}}}")
    if grid == (1,) * spatial:
        result = mean(input, tuple(range(-1, -spatial - 1, -1)), keepdim=True)
        if has_channels_last(input._data):
            batch, channels = shape[:2]
            result.as_strided_((batch, channels, *grid), (channels, 1, *[channels] * spatial))
        return result
    _check_shape(name, shape, spatial)
    return _OPS[spatial](input, plan=_plan(shape[-spatial:], grid))


def _grid(name: str, spatial: int, input: Any, output_size: Any) -> tuple[int, ...]:
    """One int for all dimensions, or an int for each, where None leaves the size as it is."""
    if not isinstance(output_size, int):
        shape = input._data.shape
        if len(shape) <= len(output_size):
            raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
        output_size = [size if wanted is None else wanted for wanted, size in zip(
            output_size, shape[len(shape) - len(output_size):], strict=True)]
    sizes = int_tuple(name, "output_size", 2, output_size)
    return sizes * spatial if isinstance(output_size, int) else sizes


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` windows that cover the last dimension."""
    size = one_int("adaptive_avg_pool1d", "output_size", 2, output_size)
    check_rows("adaptive_avg_pool1d", input)
    return _adaptive(2, input.unsqueeze(-2), (1, size)).squeeze(-2)


@takes_out
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """$y_{ij}$ is the mean over rows $\\lfloor iH/h \\rfloor$ to $\\lceil (i+1)H/h \\rceil$ and
    columns likewise, for an output of h rows."""
    return _adaptive(2, input, _grid("adaptive_avg_pool2d", 2, input, output_size))


@autocasts
@takes_out
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The same over the last three dimensions."""
    return _adaptive(3, input, _grid("adaptive_avg_pool3d", 3, input, output_size))
