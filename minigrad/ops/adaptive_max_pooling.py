"""Adaptive and fractional max pooling: as many windows as the output shall have elements."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..device import host
from ..primitive import primitive
from .max_pooling import flat_places, largest, with_backward

__all__ = [
    "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices", "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices"]


def _irregular_windows(xp: Any, input: Any, starts: Sequence[Any], widths: Sequence[Any]
                       ) -> Iterator[tuple]:
    """Offset by offset, the elements of windows with given starts and widths per dimension.

    The starts may differ from plane to plane: then they have the planes for first dimension.
    See Note [Windows, offset by offset].
    """
    spatial = len(starts)
    sizes = input.shape[-spatial:]
    planes = input.reshape(int(np.prod(input.shape[:-spatial])), int(np.prod(sizes)))
    for offsets in itertools.product(*(range(int(width.max())) for width in widths)):
        positions = [np.minimum(start + offset, size - 1) for start, offset, size
                     in zip(starts, offsets, sizes, strict=True)]
        there: Any = True
        for offset, width in zip(offsets, widths, strict=True):
            there = np.expand_dims(there, -1) & (offset < width)
        places = _flat(positions, sizes)
        columns = places.reshape(-1 if len(planes) else 0, there.size)
        taken = xp.take_along_axis(
            planes, xp.asarray(np.broadcast_to(columns, (len(planes), there.size))), axis=1)
        shape = input.shape[:-spatial] + there.shape
        yield (taken.reshape(shape),
               xp.asarray(np.broadcast_to(places, (len(planes), *there.shape)).reshape(shape)),
               xp.asarray(there))


def _flat(positions: Sequence[Any], sizes: Sequence[int]) -> np.ndarray:
    if positions[0].ndim == 1:
        return flat_places(np, positions, sizes)
    total = np.zeros((len(positions[0]),), np.int64)
    for position, size in zip(positions, sizes, strict=True):
        middle = position.reshape(len(position), *[1] * (total.ndim - 1), position.shape[1])
        total = total[..., None] * size + middle
    return total


def _pool(xp, input, starts, widths):
    grid = tuple(start.shape[-1] for start in starts)
    sizes = input.shape[-len(grid):]
    first = _flat(starts, sizes)
    lead = input.shape[:-len(grid)]
    first = np.broadcast_to(first, (int(np.prod(lead)), *grid)).reshape(lead + grid)
    return largest(xp, _irregular_windows(xp, input, starts, widths), lead + grid, input.dtype,
                   first)


# --- adaptive ------------------------------------------------------------------------------------

def _bins(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and widths of `count` windows that cover `size` places as evenly as can be."""
    number = np.arange(count)
    starts = number * size // max(count, 1)
    return starts, -(-(number + 1) * size // max(count, 1)) - starts


def _adaptive(xp, input, grid):
    starts, widths = zip(*(_bins(size, count) for size, count in
                           zip(input.shape[-len(grid):], grid, strict=True)), strict=True)
    if 0 in grid:
        shape = input.shape[:-len(grid)] + tuple(grid)
        return xp.empty(shape, input.dtype), xp.empty(shape, np.int64)
    return _pool(xp, input, starts, widths)


@primitive(name="adaptive_max_pool2d", outputs=("result", "indices"),
           node_name="AdaptiveMaxPool2DBackward0")
def _adaptive2d(xp, input, *, grid):
    return _adaptive(xp, input, grid)


@primitive(name="adaptive_max_pool3d", outputs=("result", "indices"),
           node_name="AdaptiveMaxPool3DBackward0")
def _adaptive3d(xp, input, *, grid):
    return _adaptive(xp, input, grid)


with_backward(_adaptive2d, "AdaptiveMaxPool2D", 2)
with_backward(_adaptive3d, "AdaptiveMaxPool3D", 3)


def _adaptive_pool(function: Any, spatial: int, input: Any, output_size: Any) -> tuple:
    shape = input._data.shape
    sizes = ((output_size,) * spatial if isinstance(output_size, int) else tuple(output_size))
    if len(shape) < spatial + 1:
        raise ValueError(f"Input dimension should be at least {spatial + 1}")
    if len(sizes) != spatial:
        raise RuntimeError(f"adaptive_max_pool{spatial}d(): internal error: output_size.size() "
                           f"must be {spatial}")
    grid = tuple(shape[i - spatial] if size is None else size for i, size in enumerate(sizes))
    if len(shape) > spatial + 2:
        raise RuntimeError(
            f"adaptive_max_pool{spatial}d(): Expected {spatial + 1}D or {spatial + 2}D tensor, but "
            f"got: {list(shape)}")
    for dim in range(len(shape) - spatial, len(shape)):
        if not shape[dim]:
            raise RuntimeError(
                f"adaptive_max_pool{spatial}d(): Expected input to have non-zero size for "
                f"non-batch dimensions, but input has sizes {list(shape)} with dimension {dim} "
                "being empty")
    if min(grid) < 0:
        negative = next(size for size in grid if size < 0)
        raise RuntimeError(f"Trying to create tensor with negative dimension {negative}: "
                           f"{[*shape[:-spatial], *grid]}")
    return function(input, grid=grid)


def adaptive_max_pool2d_with_indices(input: Any, output_size: Any,
                                     return_indices: bool = False) -> tuple:
    """The largest elements of `output_size` windows that cover the last two dimensions."""
    return _adaptive_pool(_adaptive2d, 2, input, output_size)


def adaptive_max_pool3d_with_indices(input: Any, output_size: Any,
                                     return_indices: bool = False) -> tuple:
    """The same over the last three dimensions."""
    return _adaptive_pool(_adaptive3d, 3, input, output_size)


def adaptive_max_pool1d_with_indices(input: Any, output_size: Any,
                                     return_indices: bool = False) -> tuple:
    """The same over the last dimension."""
    sizes = (output_size,) if isinstance(output_size, int) else tuple(output_size)
    if len(sizes) != 1:
        raise RuntimeError("adaptive_max_pool1d() argument 'output_size' should contain one int "
                           f"(got {len(sizes)})")
    if input._data.ndim not in (2, 3):
        raise RuntimeError("adaptive_max_pool1d() Expected 2 to 3 dimensions, but got "
                           f"{input._data.ndim}-dimensional tensor for argument #1 'self' (while "
                           "checking arguments for adaptive_max_pool1d())")
    size = input._data.shape[-1] if sizes[0] is None else sizes[0]
    values, indices = adaptive_max_pool2d_with_indices(input.unsqueeze(-2), (1, size))
    return values.squeeze(-2), indices.squeeze(-2)


def _choice(with_indices: Any, name: str) -> Any:
    def pool(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        found = with_indices(input, output_size)
        return found if return_indices else found[0]

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"The largest element of each window; `{name}_with_indices` tells where."
    return autocasts(pool)


adaptive_max_pool1d = _choice(adaptive_max_pool1d_with_indices, "adaptive_max_pool1d")
adaptive_max_pool2d = _choice(adaptive_max_pool2d_with_indices, "adaptive_max_pool2d")
adaptive_max_pool3d = _choice(adaptive_max_pool3d_with_indices, "adaptive_max_pool3d")


# --- fractional ----------------------------------------------------------------------------------

def _fractional_starts(samples: np.ndarray, size: int, grid: int, kernel: int) -> np.ndarray:
    """The starts of `grid` windows, one row per plane: steps of alpha, rounded down from a random
    beginning; the last window ends where the plane ends."""
    rows = np.full((len(samples), grid), size - kernel, np.int64)
    if grid > 1:
        kind = samples.dtype.type
        alpha = kind(size - kernel) / kind(grid - 1)
        number = np.arange(grid - 1).astype(samples.dtype)
        steps = ((number + samples[:, None]) * alpha).astype(np.int64)
        rows[:, :-1] = steps - (samples[:, None] * alpha).astype(np.int64)
    return rows


def _all_starts(samples: np.ndarray, sizes: tuple, grid: tuple, kernel: tuple) -> list:
    """The random numbers come last dimension first where there are two, first first of three."""
    spatial = len(grid)
    rows = samples.reshape(-1, spatial)
    order = range(spatial)[::-1] if spatial == 2 else range(spatial)
    return [_fractional_starts(rows[:, column], size, n, k)
            for column, size, n, k in zip(order, sizes, grid, kernel, strict=True)]


def _fractional(xp, input, starts, kernel):
    widths = [np.full(places.shape[1], k) for places, k in zip(starts, kernel, strict=True)]
    return _pool(xp, input, starts, widths)


@primitive(name="fractional_max_pool2d", outputs=("result", "indices"),
           node_name="FractionalMaxPool2DBackward0")
def _fractional2d(xp, input, *, starts, kernel):
    return _fractional(xp, input, starts, kernel)


@primitive(name="fractional_max_pool3d", outputs=("result", "indices"),
           node_name="FractionalMaxPool3DBackward0")
def _fractional3d(xp, input, *, starts, kernel):
    return _fractional(xp, input, starts, kernel)


with_backward(_fractional2d, "FractionalMaxPool2D", 2)
with_backward(_fractional3d, "FractionalMaxPool3D", 3)


def _fractional_pool(function: Any, spatial: int, input: Any, kernel_size: Any, output_size: Any,
                     output_ratio: Any, samples: Any) -> tuple:
    from .random import rand

    name = f"fractional_max_pool{spatial}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = (kernel_size,) * spatial if isinstance(kernel_size, int) else tuple(kernel_size)
    shape = input._data.shape
    if output_size is None:
        ratios = ((output_ratio,) * spatial if isinstance(output_ratio, float)
                  else tuple(output_ratio))
        output_size = tuple(int(size * ratio) for size, ratio in
                            zip(shape[-spatial:], ratios, strict=True))
    grid = (output_size,) * spatial if isinstance(output_size, int) else tuple(output_size)
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(f"{name}: Expected {spatial + 1}D or {spatial + 2}D tensor, but got: "
                           f"{list(shape)}")
    batch, channels = (1, *shape)[-spatial - 2:][:2]
    if samples is None:
        samples = rand(batch, channels, spatial, dtype=input.dtype, device=input.device)
    _check_samples(samples, input, batch, channels, spatial)
    for size, n, k, word in zip(shape[-spatial:], grid, kernel,
                                ("time", "height", "width")[-spatial:], strict=True):
        if n + k - 1 > size:
            raise RuntimeError(f"{name}(): pool {word} {k} too large relative to input {word} "
                               f"{size}")
    starts = _all_starts(host(samples._data)[:batch], shape[-spatial:], grid, kernel)
    return function(input, starts=starts, kernel=kernel)


def _check_samples(samples: Any, input: Any, batch: int, channels: int, spatial: int) -> None:
    expects = "Expect _random_samples"
    if samples._data.dtype is not input._data.dtype:
        raise RuntimeError(f"{expects} to have the same dtype as input")
    if samples._data.ndim != 3:
        raise RuntimeError(f"{expects} to have 3 dimensions, got {samples._data.ndim}")
    rows, columns, numbers = samples._data.shape
    if rows < batch:
        raise RuntimeError(f"{expects}.size(0) no less then input batch size.")
    if columns != channels:
        raise RuntimeError(f"{expects}.size(1) equals to input channel size.")
    if numbers != spatial:
        raise RuntimeError(f"{expects}.size(2) equals to {spatial}; got {numbers}.")


def fractional_max_pool2d_with_indices(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> tuple:
    """The largest elements of randomly placed windows over the last two dimensions."""
    return _fractional_pool(_fractional2d, 2, input, kernel_size, output_size, output_ratio,
                            _random_samples)


def fractional_max_pool3d_with_indices(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> tuple:
    """The same over the last three dimensions."""
    return _fractional_pool(_fractional3d, 3, input, kernel_size, output_size, output_ratio,
                            _random_samples)


def _fractional_choice(with_indices: Any, name: str) -> Any:
    def pool(input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
             return_indices: bool = False, _random_samples: Any = None) -> Any:
        found = with_indices(input, kernel_size, output_size, output_ratio,
                             _random_samples=_random_samples)
        return found if return_indices else found[0]

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"The largest element of each window; `{name}_with_indices` tells where."
    return autocasts(pool)


fractional_max_pool2d = _fractional_choice(
    fractional_max_pool2d_with_indices, "fractional_max_pool2d")
fractional_max_pool3d = _fractional_choice(
    fractional_max_pool3d_with_indices, "fractional_max_pool3d")
