"""Max pooling: the largest element of each window, and where it stood.

Note [Windows, offset by offset]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A window of 3 x 3 has nine offsets. For each of them the elements at that offset, of all windows at
once, are one strided slice of the input; so nine comparisons of whole arrays find every maximum.
nan wins over everything, a later nan over an earlier one, and the first of equals is kept: that is
the order in which torch walks through a window. The windows of adaptive and fractional pooling are
not evenly spaced: there the elements at an offset are gathered instead (irregular_windows).

The index that goes with a maximum is its place in the plane, as if the plane were flat.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..device import add_at
from ..primitive import derivative, primitive
from .dims import int_tuple

__all__ = [
    "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool2d_with_indices",
    "max_pool3d", "max_pool3d_with_indices"]


# --- kernels shared by all kinds of windows ------------------------------------------------------

def lowest(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def largest(xp: Any, windows: Iterator[tuple], shape: tuple, dtype: np.dtype, first: Any) -> tuple:
    """The largest of all windows and its index; `windows` yields, offset by offset, the elements,
    their indices, and a mask of those that are there (or None). `first` are the indices to report
    where nothing is larger than -inf."""
    best = xp.full(shape, lowest(dtype), dtype)
    index = xp.broadcast_to(xp.asarray(first), shape)
    for elements, places, there in windows:
        better = elements > best
        if dtype.kind == "f":
            better |= elements != elements
        if there is not None:
            better &= there
        best = xp.where(better, elements, best)
        index = xp.where(better, places, index)
    return best, xp.ascontiguousarray(index)


def flat_places(xp: Any, positions: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Indices into the flat plane from the positions along each of its dimensions."""
    total: Any = 0
    for position, size in zip(positions, sizes, strict=True):
        total = xp.expand_dims(xp.asarray(total) * size, -1) + xp.asarray(position)
    return total


def scatter_planes(xp: Any, g: Any, indices: Any, shape: tuple, spatial: int) -> Any:
    """Each element of `g` added at its index: the transpose of taking the maxima."""
    plane = math.prod(shape[-spatial:])
    result = xp.zeros((math.prod(shape[:-spatial]), plane), g.dtype)
    rows = xp.arange(len(result))[:, None] * plane
    if g.size:
        add_at(xp, result.reshape(-1), (indices.reshape(len(result), -1) + rows).reshape(-1),
               g.reshape(-1))
    return result.reshape(shape)


def gather_planes(g: Any, indices: Any, spatial: int) -> Any:
    """The elements of `g` at the indices."""
    flat = g.flatten(-spatial) if spatial > 1 else g
    places = indices.flatten(-spatial) if spatial > 1 else indices
    return flat.gather(-1, places).view(indices.shape)


def with_backward(forward: Any, name: str, spatial: int) -> None:
    """Declare the rule of a max pooling: a scatter, which is a primitive with a gather for rule."""

    @primitive(promote="keep", node_name=f"{name}BackwardBackward0")
    def backward(xp, g, input, indices):
        return scatter_planes(xp, g, indices, input.shape, spatial)

    derivative(backward,
        g=lambda g, indices: gather_planes(g, indices, spatial),
        input=lambda g: g.zeros_like())
    derivative(forward, input=lambda grads, input, indices: backward(grads[0], input, indices))


# --- evenly spaced windows -----------------------------------------------------------------------

def pooled_size(size: int, kernel: int, stride: int, padding: int, dilation: int,
                ceil_mode: bool) -> int:
    """How many windows there are; with `ceil_mode` the last may stick out, but not start outside.
    """
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (reach + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def _even_windows(xp: Any, input: Any, grid: Sequence[int], kernel: Sequence[int],
                  stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
                  ) -> list:
    """For each place of the kernel the elements of all windows there, as views of the input (or of
    the input in a frame of padding)."""
    sizes = input.shape[-len(grid):]
    ends = [(n - 1) * s + (k - 1) * d + 1
            for n, s, k, d in zip(grid, stride, kernel, dilation, strict=True)]
    extents = [max(end, size + p) for end, size, p in zip(ends, sizes, padding, strict=True)]
    if any(padding) or list(extents) != list(sizes):
        shape = input.shape[:-len(grid)] + tuple(
            max(extent, p + size) for extent, p, size in zip(extents, padding, sizes, strict=True))
        padded = xp.full(shape, lowest(input.dtype), input.dtype)
        padded[(..., *(slice(p, p + n) for p, n in zip(padding, sizes, strict=True)))] = input
    else:
        padded = input
    return [padded[(..., *(slice(o * d, o * d + (n - 1) * s + 1, s)
                           for o, d, n, s in zip(offsets, dilation, grid, stride, strict=True)))]
            for offsets in itertools.product(*map(range, kernel))]


def _largest_place(xp: Any, windows: list, dtype: np.dtype, with_nan: bool = False) -> tuple:
    """The largest element of each window, and the number of its place, from 1 on; 0 where nothing
    is larger than -inf.

    Numbers grow, so the last place that was better is the largest number: no `where` is needed, and
    small integers are quick to compare.
    """
    count = len(windows)
    small = np.dtype(np.uint8 if count < 256 else np.uint16 if count < 65536 else np.int64).type
    best = xp.full(windows[0].shape, lowest(dtype), dtype)
    place = xp.zeros(best.shape, small)
    for number, elements in enumerate(windows, 1):
        better = elements > best
        if with_nan:
            better |= elements != elements
        xp.maximum(place, xp.multiply(better, small(number), dtype=small), out=place)
        xp.maximum(best, elements, out=best)
    if not with_nan and dtype.kind == "f" and xp.isnan(best).any():
        return _largest_place(xp, windows, dtype, with_nan=True)
    return best, place


def _first_places(grid: Sequence[int], sizes: Sequence[int], stride: Sequence[int],
                  padding: Sequence[int], dilation: Sequence[int]) -> Any:
    """The index of each window's first element that is not padding."""
    positions = []
    for n, s, p, d in zip(grid, stride, padding, dilation, strict=True):
        start = s * np.arange(n) - p
        positions.append(start + d * np.maximum(0, -(start // d)))
    return flat_places(np, positions, sizes)


def _max_pool_kernel(xp, input, *, kernel, stride, padding, dilation, grid):
    sizes = input.shape[-len(grid):]
    best, place = _largest_place(
        xp, _even_windows(xp, input, grid, kernel, stride, padding, dilation), input.dtype)
    corners = flat_places(np, [s * np.arange(n) - p for s, n, p in zip(
        stride, grid, padding, strict=True)], sizes)
    offsets = flat_places(np, [d * np.arange(k) for d, k in zip(dilation, kernel, strict=True)],
                          sizes).reshape(-1)
    index = xp.asarray(np.concatenate([offsets[:1], offsets])).take(place)
    index += xp.asarray(corners)
    if any(padding):
        first = _first_places(grid, sizes, stride, padding, dilation)
        index = xp.where(place == 0, xp.asarray(first), index)
    return best, index


@primitive(name="max_pool2d", outputs=("result", "indices"),
           node_name="MaxPool2DWithIndicesBackward0")
def _max_pool2d(xp, input, *, kernel, stride, padding, dilation, grid):
    return _max_pool_kernel(xp, input, kernel=kernel, stride=stride, padding=padding,
                            dilation=dilation, grid=grid)


@primitive(name="max_pool3d", outputs=("result", "indices"),
           node_name="MaxPool3DWithIndicesBackward0")
def _max_pool3d(xp, input, *, kernel, stride, padding, dilation, grid):
    return _max_pool_kernel(xp, input, kernel=kernel, stride=stride, padding=padding,
                            dilation=dilation, grid=grid)


with_backward(_max_pool2d, "MaxPool2DWithIndices", 2)
with_backward(_max_pool3d, "MaxPool3DWithIndices", 3)


# --- arguments -----------------------------------------------------------------------------------

_POSITIONS = {"kernel_size": 2, "stride": 3, "padding": 4, "dilation": 5}
_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def per_dim(name: str, what: str, value: Any, count: int, verb: str = "must either be"
            ) -> tuple[int, ...]:
    """One number for every dimension, or a number for each."""
    values = int_tuple(name, what, _POSITIONS[what], value)
    if len(values) not in (1, count):
        omitted = "omitted, " if what == "stride" else ""
        raise RuntimeError(f"{name}: {what} {verb} {omitted}a single int, or a tuple of "
                           f"{_WORDS[count]}")
    return values * count if len(values) == 1 else values


def check_padding(kernel, padding, dilation):
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > int((d * (k - 1) + 1) / 2):  # rounded to zero: a negative kernel is found later
            raise RuntimeError("pad should be at most half of effective kernel size, but got "
                               f"pad={p}, kernel_size={k} and dilation={d}")


def check_volume(name: str, shape: tuple) -> None:
    """Of (N, C, D, H, W) only N may be 0. torch's words name the size, not the dimension."""
    if 0 in shape[len(shape) - 4:]:
        raise RuntimeError(f"{name}(): Expected input's non-batch dimensions to have positive "
                           f"length, but input has a shape of {list(shape)} and non-batch "
                           "dimension 0 has length zero!")


def _check_input(input: Any, spatial: int) -> None:
    shape = input._data.shape
    lead = len(shape) - spatial
    if lead not in (1, 2):
        raise RuntimeError(f"non-empty {spatial + 1}D or {spatial + 2}D (batch mode) tensor "
                           "expected for input")
    if spatial == 3:
        check_volume("max_pool3d_with_indices_out_cpu_template", shape)
    if 0 in shape[lead - 1:]:
        raise RuntimeError(f"Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with "
                           f"optional 0 dim batch size for input, but got:{list(shape)}")


def _max_pool(function: Any, spatial: int, input: Any, kernel_size: Any, stride: Any,
              padding: Any, dilation: Any, ceil_mode: bool) -> tuple:
    name = f"max_pool{spatial}d"
    kernel = per_dim(name, "kernel_size", kernel_size, spatial)
    stride = kernel if stride in (None, (), []) else per_dim(name, "stride", stride, spatial)
    padding = per_dim(name, "padding", padding, spatial)
    dilation = per_dim(name, "dilation", dilation, spatial, "must be either")
    for each in kernel:
        if each <= 0:
            raise RuntimeError("kernel size should be greater than zero, but got kernel size: "
                               f"{list(kernel)}")
    if 0 in stride:
        raise RuntimeError("stride should not be zero")
    check_padding(kernel, padding, dilation)
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got dilation: "
                           f"{list(dilation)}")
    _check_input(input, spatial)
    shape = input._data.shape
    grid = tuple(pooled_size(*each, ceil_mode) for each in zip(
        shape[-spatial:], kernel, stride, padding, dilation, strict=True))
    if min(grid) < 1:
        planes = shape[-spatial - 1]
        raise RuntimeError(
            f"Given input size: ({planes}x{'x'.join(map(str, shape[-spatial:]))}). Calculated "
            f"output size: ({planes}x{'x'.join(map(str, grid))}). Output size is too small")
    return function(input, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
                    grid=grid)


def max_pool2d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                            dilation: Any = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple:
    """The largest elements of windows over the last two dimensions, and their flat places."""
    return _max_pool(_max_pool2d, 2, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                            dilation: Any = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple:
    """The same over the last three dimensions."""
    return _max_pool(_max_pool3d, 3, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool1d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
                            dilation: Any = 1, ceil_mode: bool = False,
                            return_indices: bool = False) -> tuple:
    """The same over the last dimension: two-dimensional pooling of rows."""
    shape = input._data.shape
    if len(shape) not in (2, 3) or 0 in shape[len(shape) - 2:]:
        raise RuntimeError("max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim "
                           f"batch size for input, but got:{list(shape)}")
    kernel = per_dim("max_pool1d", "kernel_size", kernel_size, 1)
    stride = kernel if stride in (None, (), []) else per_dim("max_pool1d", "stride", stride, 1)
    padding = per_dim("max_pool1d", "padding", padding, 1)
    dilation = per_dim("max_pool1d", "dilation", dilation, 1)
    for what, value in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if value[0] <= 0:
            raise RuntimeError(f"max_pool1d() {what} must be greater than zero, but got "
                               f"{value[0]}")
    check_padding(kernel, padding, dilation)
    size = pooled_size(shape[-1], kernel[0], stride[0], padding[0], dilation[0], ceil_mode)
    if size <= 0:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {size}")
    values, indices = max_pool2d_with_indices(
        input.unsqueeze(-2), (1, *kernel), (1, *stride), (0, *padding), (1, *dilation), ceil_mode)
    return values.squeeze(-2), indices.squeeze(-2)


def _choice(with_indices: Any, name: str) -> Any:
    def pool(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
             dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
        if return_indices:
            return with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
        return values(input, kernel_size, stride, padding, dilation, ceil_mode)

    # autocast has a rule for the one that does not tell where
    values = autocasts(lambda *arguments: with_indices(*arguments)[0], name)
    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"The largest element of each window; `{name}_with_indices` tells where."
    return pool


max_pool1d = _choice(max_pool1d_with_indices, "max_pool1d")
max_pool2d = _choice(max_pool2d_with_indices, "max_pool2d")
max_pool3d = _choice(max_pool3d_with_indices, "max_pool3d")
