"""The partial inverse of max pooling: every maximum back in its place, zeros elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..primitive import derivative, primitive
from .max_pooling import gather_planes, per_dim

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _unpool(xp, input, indices, grid):
    planes = xp.zeros((math.prod(input.shape[:-len(grid)]), math.prod(grid)), input.dtype)
    if input.size:
        starts = xp.arange(len(planes))[:, None] * planes.shape[1]
        places = (indices.reshape(len(planes), -1) + starts).reshape(-1)
        values = input.reshape(-1)
        if xp is not np:
            last = _last_of_each(xp, places)
            places, values = places[last], values[last]
        planes.reshape(-1)[places] = values
    return planes.reshape(input.shape[:-len(grid)] + tuple(grid))


def _last_of_each(xp, places):
    """Where each place occurs last. It is the one that NumPy keeps, and torch; a GPU keeps any, and
    for a tangent perhaps another one than for the value."""
    count = len(places)
    order = xp.argsort(places * count + xp.arange(count))
    ordered = places[order]
    return order[xp.concatenate([ordered[1:] != ordered[:-1], xp.ones(1, bool)])]


@primitive(promote="exact", node_name="MaxUnpool2DBackward0")
def _max_unpool2d(xp, input, indices, *, grid):
    return _unpool(xp, input, indices, grid)


@primitive(promote="exact", node_name="MaxUnpool3DBackward0")
def _max_unpool3d(xp, input, indices, *, grid):
    return _unpool(xp, input, indices, grid)


derivative(_max_unpool2d, input=lambda g, indices: gather_planes(g, indices, 2))
derivative(_max_unpool3d, input=lambda g, indices: gather_planes(g, indices, 3))


def _output_size(input: Any, kernel: tuple, stride: tuple, padding: tuple, asked: Any) -> tuple:
    """The size before pooling: of several that would fit the one asked for, if it fits."""
    spatial = len(kernel)
    default = [(size - 1) * s + k - 2 * p for size, k, s, p in zip(
        input._data.shape[-spatial:], kernel, stride, padding, strict=True)]
    if asked is None:
        return tuple(default)
    asked = tuple(asked)
    if len(asked) == spatial + 2:
        asked = asked[2:]
    if len(asked) != spatial:
        raise ValueError(f"output_size should be a sequence containing {spatial} or {spatial + 2} "
                         f"elements, but it has a length of '{len(asked)}'")
    for d in range(spatial):
        low, high = default[d] - stride[d], default[d] + stride[d]
        if not low < asked[d] < high:
            raise ValueError(f'invalid output_size "{asked}" (dim {d} must be between {low} and '
                             f'{high})')
    return asked


def _check(input: Any, indices: Any, spatial: int, grid: tuple) -> None:
    if str(indices.dtype) != "torch.int64":
        raise RuntimeError("elements in indices should be type int64 but got: "
                           f"{indices.dtype.scalar_name}")
    if indices._data.shape != input._data.shape:
        raise RuntimeError("Expected shape of indices to be same as that of the input tensor "
                           f"({list(input._data.shape)}) but got indices tensor with shape: "
                           f"{list(indices._data.shape)}")
    if indices._data.size:
        places, plane = indices._data, math.prod(grid)
        wrong = places[(places < 0) | (places >= plane)]
        if wrong.size:
            raise RuntimeError(f"Found an invalid max index: {int(wrong[0])} (output volumes are "
                               f"of size {'x'.join(map(str, grid))}")


def _prepared(name, input, indices, kernel_size, stride, padding, output_size, spatial):
    kernel = per_dim(name, "kernel_size", kernel_size, spatial)
    stride = kernel if stride is None else per_dim(name, "stride", stride, spatial)
    padding = per_dim(name, "padding", padding, spatial)
    return _output_size(input, kernel, stride, padding, output_size)


@autocasts("max_unpool2d")
def max_unpool1d(input: Any, indices: Any, kernel_size: Any, stride: Any = None,
                 padding: Any = 0, output_size: Any = None) -> Any:
    """The partial inverse of `max_pool1d`, from its results and their indices."""
    grid = _prepared("max_unpool1d", input, indices, kernel_size, stride, padding, output_size, 1)
    input, indices = input.unsqueeze(-1), indices.unsqueeze(-1)
    _check(input, indices, 2, (*grid, 1))
    return _max_unpool2d(input, indices, grid=(*grid, 1)).squeeze(-1)


@autocasts
def max_unpool2d(input: Any, indices: Any, kernel_size: Any, stride: Any = None,
                 padding: Any = 0, output_size: Any = None) -> Any:
    """The partial inverse of `max_pool2d`."""
    grid = _prepared("max_unpool2d", input, indices, kernel_size, stride, padding, output_size, 2)
    _check(input, indices, 2, grid)
    return _max_unpool2d(input, indices, grid=grid)


@autocasts
def max_unpool3d(input: Any, indices: Any, kernel_size: Any, stride: Any = None,
                 padding: Any = 0, output_size: Any = None) -> Any:
    """The partial inverse of `max_pool3d`."""
    grid = _prepared("max_unpool3d", input, indices, kernel_size, stride, padding, output_size, 3)
    _check(input, indices, 3, grid)
    return _max_unpool3d(input, indices, grid=grid)
