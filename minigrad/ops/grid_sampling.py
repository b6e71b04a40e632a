"""Sampling an image at places that a grid gives: the spatial transformer.

Jaderberg et al., "Spatial transformer networks", 2015.

Note [Taps]
~~~~~~~~~~~
A sample is a weighted sum of the pixels around its place,

    y = sum_k w_k(u) x[i_k]        with        w_k(u) = w_kx(u_x) w_ky(u_y) ...

1, 2 or 4 of them (taps) along each dimension. The weights are products of one factor for each
dimension, so a derivative of any order by the place has the same form: only the factors are
replaced by their own derivatives. `sampled` takes these orders, one for each component of the
grid, and so is its own derivative by the grid, with another order; by the input it is `scattered`,
its transpose. Pixels outside the image are 0: they are read from a row of zeros behind the image.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase, wrap
from ..device import module_for
from ..primitive import derivative, joint_derivative, no_kernel, primitive
from .embedding import add_rows
from .joining import stack

__all__ = ["affine_grid", "affine_grid_generator", "grid_sample", "grid_sampler",
           "grid_sampler_2d", "grid_sampler_3d"]

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


# --- along one dimension -------------------------------------------------------------------------

def _clip(xp: Any, place: Any, slope: Any, size: int) -> tuple:
    inside = (place > 0) & (place < size - 1)
    return xp.clip(place, 0, size - 1), xp.where(inside, slope, 0).astype(place.dtype)


def _reflect(xp: Any, place: Any, slope: Any, size: int, align_corners: bool) -> tuple:
    """Folded back into the image, at the outer pixels' centres or at their edges."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return xp.zeros_like(place), xp.zeros_like(place)
    place = place - place.dtype.type(low)
    slope = xp.where(place < 0, -slope, slope)
    place = xp.abs(place)
    rest, flips = xp.fmod(place, span), xp.floor(place / span)
    even = flips % 2 == 0
    folded = xp.where(even, rest, span - rest) + place.dtype.type(low)
    return folded, xp.where(even, slope, -slope)


def _padded(xp: Any, place: Any, slope: Any, size: int, padding: str, align_corners: bool
            ) -> tuple:
    """A place brought into the image, and the slope of that."""
    if padding == "reflection":
        place, slope = _reflect(xp, place, slope, size, align_corners)
    return (place, slope) if padding == "zeros" else _clip(xp, place, slope, size)


def _cubic(t: Any) -> list:
    """The four weights of Keys' cubic convolution (a = -3/4) and their derivatives."""
    a = -0.75
    near = lambda x: (((a + 2) * x - (a + 3)) * x * x + 1, (3 * (a + 2) * x - 2 * (a + 3)) * x,
                      6 * (a + 2) * x - 2 * (a + 3), 6 * (a + 2))
    far = lambda x: (((a * x - 5 * a) * x + 8 * a) * x - 4 * a, (3 * a * x - 10 * a) * x + 8 * a,
                     6 * a * x - 10 * a, 6 * a)
    mirrored = lambda derivatives: [d * (-1) ** n for n, d in enumerate(derivatives)]
    return [far(t + 1), near(t), mirrored(near(1 - t)), mirrored(far(2 - t))]


_DEGREES = {"nearest": 0, "bilinear": 1, "bicubic": 3}  # of the weights: further derivatives are 0


class _Axis:
    """One dimension of all samples: for each tap which pixel, whether there is one, and the
    weight's derivative of each order."""

    def __init__(self, xp: Any, x: Any, size: int, mode: str, padding: str, align_corners: bool
                 ) -> None:
        real = x.dtype.type
        scale = real((size - 1) / 2 if align_corners else size / 2)
        place = (x + 1) * scale - (real(0) if align_corners else real(0.5))
        slope = xp.full(place.shape, scale, place.dtype)
        if mode != "bicubic":
            place, slope = _padded(xp, place, slope, size, padding, align_corners)
        if mode == "nearest":
            weights: Any = [(1,)]
            first = xp.rint(place)
        else:
            first = xp.floor(place)
            t = place - first
            weights = [(1 - t, -1), (t, 1)] if mode == "bilinear" else _cubic(t)
        self.slope, self.weights = slope, weights
        self.pixels = []
        for tap in range(len(weights)):
            pixel = first + (tap - 1 if mode == "bicubic" else tap)
            if mode == "bicubic":
                pixel, _ = _padded(xp, pixel, slope, size, padding, align_corners)
            there = (pixel >= 0) & (pixel < size)
            self.pixels.append((xp.where(there, pixel, 0).astype(xp.int64), there))

    def weight(self, tap: int, order: int) -> Any:
        """The weight's derivative, or None where all are 0."""
        derivatives = self.weights[tap]
        if order >= len(derivatives):
            return None
        return derivatives[order] * self.slope**order if order else derivatives[0]


# --- in all dimensions ---------------------------------------------------------------------------

def _axes(xp: Any, grid: Any, sizes: Sequence[int], mode: str, padding: str, align_corners: bool
          ) -> list[_Axis]:
    """One for each component of the grid, whose first is the last dimension of the image."""
    points = grid.reshape(-1, grid.shape[-1])
    return [_Axis(xp, points[:, i], size, mode, padding, align_corners)
            for i, size in enumerate(reversed(sizes))]


def _taps(xp: Any, axes: list[_Axis], batch: int, sizes: Sequence[int]) -> Any:
    """The taps, and for each the row of every sample's pixel (the last row where there is none)."""
    count = len(axes[0].slope) // max(batch, 1)
    images = xp.repeat(xp.arange(batch), count)
    last = batch * int(np.prod(sizes))
    for taps in itertools.product(*(range(len(axis.weights)) for axis in axes)):
        row, there = images, True
        for axis, tap, size in zip(reversed(axes), reversed(taps), sizes, strict=True):
            pixel, inside = axis.pixels[tap]
            row, there = row * size + pixel, there & inside
        yield taps, xp.where(there, row, last)


def _weight(axes: list[_Axis], taps: Sequence[int], orders: Sequence[int]) -> Any:
    product: Any = 1
    for axis, tap, order in zip(axes, taps, orders, strict=True):
        factor = axis.weight(tap, order)
        if factor is None:
            return None
        product = product * factor
    return product


def _rows(xp: Any, images: Any, zeros: int = 0) -> Any:
    """(N, C, ...) as rows of C channels, with a row of zeros behind them if asked for."""
    channels = images.shape[1]
    rows = xp.moveaxis(images, 1, -1).reshape(images.size // channels if channels else 0, channels)
    return xp.concatenate([rows, xp.zeros((zeros, channels), rows.dtype)]) if zeros else rows


def _images(xp: Any, rows: Any, batch: int, sizes: Sequence[int]) -> Any:
    return xp.ascontiguousarray(xp.moveaxis(rows.reshape(batch, *sizes, rows.shape[-1]), -1, 1))


def _column(weight: Any) -> Any:
    return weight[:, None] if getattr(weight, "ndim", 0) else weight


def _sample_kernel(xp, input, grid, *, mode, padding, align_corners, orders=None):
    """See Note [Taps]."""
    batch, sizes, orders = len(input), input.shape[2:], orders or (0,) * grid.shape[-1]
    total = xp.zeros((grid.size // grid.shape[-1], input.shape[1]), input.dtype)
    if total.size and max(orders) <= _DEGREES[mode]:
        axes = _axes(xp, grid, sizes, mode, padding, align_corners)
        pixels = _rows(xp, input, zeros=1)
        for taps, rows in _taps(xp, axes, batch, sizes):
            weight = _weight(axes, taps, orders)
            if weight is not None:
                total += pixels[rows] * _column(weight)
    return _images(xp, total, batch, grid.shape[1:-1])


@primitive
def sampled(xp, input, grid, *, mode, padding, align_corners, orders):
    """A derivative, by the grid, of the samples."""
    return _sample_kernel(xp, input, grid, mode=mode, padding=padding,
                          align_corners=align_corners, orders=orders)


@primitive
def scattered(xp, grad_output, grid, *, sizes, mode, padding, align_corners, orders):
    """The transpose of `sampled`: each sample shared out among its pixels."""
    batch = len(grid)
    total: Any = 0
    g = _rows(xp, grad_output)
    shape = (batch, grad_output.shape[1], *sizes)
    if not g.size or max(orders) > _DEGREES[mode]:
        return xp.zeros(shape, grad_output.dtype)
    axes = _axes(xp, grid, sizes, mode, padding, align_corners)
    for taps, rows in _taps(xp, axes, batch, sizes):
        weight = _weight(axes, taps, orders)
        if weight is not None:
            total = total + add_rows(xp, rows, g * _column(weight), batch * int(np.prod(sizes)) + 1)
    return _images(xp, total[:-1], batch, sizes)


def _grid_gradient(g: Any, input: Any, grid: Any, orders: Sequence[int], options: dict) -> Any:
    """How `g` times the samples changes with each component of the grid."""
    count = grid.size(-1)
    return stack([(g * sampled(input, grid, orders=_raised(orders, i), **options)).sum(1)
                  for i in range(count)], -1)


def _raised(orders: Sequence[int], i: int) -> tuple[int, ...]:
    return (*orders[:i], orders[i] + 1, *orders[i + 1:])


def _options(mode: str, padding: str, align_corners: bool) -> dict:
    return {"mode": mode, "padding": padding, "align_corners": align_corners}


derivative(sampled,
    input=lambda g, grid, input_shape, mode, padding, align_corners, orders: scattered(
        g, grid, sizes=input_shape[2:], orders=orders, **_options(mode, padding, align_corners)),
    grid=lambda g, input, grid, mode, padding, align_corners, orders: _grid_gradient(
        g, input, grid, orders, _options(mode, padding, align_corners)))
derivative(scattered,
    grad_output=lambda g, grid, mode, padding, align_corners, orders: sampled(
        g, grid, orders=orders, **_options(mode, padding, align_corners)),
    grid=lambda g, grad_output, grid, mode, padding, align_corners, orders: _grid_gradient(
        grad_output, g, grid, orders, _options(mode, padding, align_corners)))


# --- torch's ops ---------------------------------------------------------------------------------

def _backward_kernel(xp, grad_output, input, grid, *, mode, padding, align_corners, needs_input):
    """The gradients of the input and of the grid, from one walk over the taps."""
    batch, sizes = len(input), input.shape[2:]
    axes = _axes(xp, grid, sizes, mode, padding, align_corners)
    by_grid = xp.zeros((grid.size // grid.shape[-1], grid.shape[-1]), grid.dtype)
    total: Any = 0
    g = _rows(xp, grad_output)
    if not g.size:
        return xp.zeros(input.shape, input.dtype), by_grid.reshape(grid.shape)
    pixels, plain = _rows(xp, input, zeros=1), (0,) * len(axes)
    for taps, rows in _taps(xp, axes, batch, sizes):
        if mode != "nearest":
            products = (pixels[rows] * g).sum(1)
            for i in range(len(axes)):
                by_grid[:, i] += products * _weight(axes, taps, _raised(plain, i))
        if needs_input:
            shares = g * _column(_weight(axes, taps, plain))
            total = total + add_rows(xp, rows, shares, len(pixels))
    by_input = (_images(xp, total[:-1], batch, sizes) if needs_input
                else xp.zeros(input.shape, input.dtype))
    return by_input, by_grid.reshape(grid.shape)


def _double_backward(grads: Any, grad_output: Any, input: Any, grid: Any, options: dict) -> tuple:
    """The derivatives of the gradients, by Note [Taps]."""
    of_input, of_grid = grads
    plain = (0,) * grid.size(-1)
    parts: list[list] = [[], [], []]
    if of_input is not None:
        parts[0].append(sampled(of_input, grid, orders=plain, **options))
        parts[2].append(_grid_gradient(grad_output, of_input, grid, plain, options))
    for i in range(len(plain)) if of_grid is not None else ():
        along = of_grid[..., i].unsqueeze(1)
        orders = _raised(plain, i)
        parts[0].append(along * sampled(input, grid, orders=orders, **options))
        if options["mode"] != "nearest":
            parts[1].append(scattered(grad_output * along, grid, sizes=input._data.shape[2:],
                                      orders=orders, **options))
    if of_grid is not None:
        parts[2].append(_curvature(grad_output, of_grid, input, grid, options))
    return tuple([sum(part[1:], part[0]) if part else None for part in parts])


def _curvature(g: Any, of_grid: Any, input: Any, grid: Any, options: dict) -> Any:
    """How the gradient of the grid along `of_grid` changes with the grid: by the samples' second
    derivatives, of which two and two are equal."""
    found: list[list] = [[] for _ in range(grid.size(-1))]
    for i, j in itertools.combinations_with_replacement(range(len(found)), 2):
        orders = _raised(_raised((0,) * len(found), i), j)
        curve = (g * sampled(input, grid, orders=orders, **options)).sum(1)
        found[i].append(curve * of_grid[..., j])
        if i != j:
            found[j].append(curve * of_grid[..., i])
    return stack([sum(each[1:], each[0]) for each in found], -1)


def _sampler(dims: int) -> Any:
    forward = primitive(lambda xp, input, grid, *, mode, padding, align_corners: _sample_kernel(
        xp, input, grid, mode=mode, padding=padding, align_corners=align_corners),
        name=f"grid_sampler_{dims}d", node_name=f"GridSampler{dims}DBackward0")
    backward = primitive(_backward_kernel, name=f"grid_sampler_{dims}d_backward",
                         node_name=f"GridSampler{dims}DBackwardBackward0",
                         outputs=("grad_input", "grad_grid"))
    joint_derivative(forward, ("input", "grid"),
        lambda g, input, grid, mode, padding, align_corners, needs: backward(
            g, input, grid, needs_input=needs[0], **_options(mode, padding, align_corners)))
    joint_derivative(backward, ("grad_output", "input", "grid"),
        lambda grads, grad_output, input, grid, mode, padding, align_corners: _double_backward(
            grads, grad_output, input, grid, _options(mode, padding, align_corners)))
    return forward


_SAMPLERS = {2: _sampler(2), 3: _sampler(3)}


def _check(input: Any, grid: Any, mode: int, dims: int | None) -> None:
    shape, places = list(input._data.shape), list(grid._data.shape)
    both = f"but got input with sizes {shape} and grid with sizes {places}"
    if shape[:1] != places[:1]:
        raise RuntimeError("grid_sampler(): expected grid and input to have same batch size, "
                           f"{both}")
    if places[-1] != len(shape) - 2:
        raise RuntimeError(f"grid_sampler(): expected grid to have size {len(shape) - 2} in last "
                           f"dimension, but got grid with sizes {places}")
    for dim, size in enumerate(shape[2:], 2):
        if size <= 0:
            raise RuntimeError("grid_sampler(): expected input to have non-empty spatial "
                               f"dimensions, but input has sizes {shape} with dimension {dim} "
                               "being empty")
    if len(shape) != len(places) or len(shape) != (dims or len(shape) if len(shape) in (4, 5)
                                                   and dims is None else (dims or 0) + 2):
        wanted = "4D or 5D" if dims is None else f"{dims + 2}D"
        raise RuntimeError(f"grid_sampler(): expected {wanted} input and grid with same number of "
                           f"dimensions, {both}")
    if len(shape) == 5 and mode == 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def _sample(input: Any, grid: Any, interpolation_mode: int, padding_mode: int,
            align_corners: bool, dims: int | None = None) -> Any:
    for argument, position in ((input, 1), (grid, 2)):
        if not isinstance(argument, TensorBase):
            name = "input" if position == 1 else "grid"
            raise TypeError(f"grid_sampler(): argument '{name}' (position {position}) must be "
                            f"Tensor, not {type(argument).__name__}")
    _check(input, grid, interpolation_mode, dims)
    if not input.dtype.is_floating_point:
        raise no_kernel(f"grid_sampler_{input._data.ndim - 2}d_cpu_kernel_impl", input._data.dtype)
    if input.dtype is not grid.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype.scalar_name} but found "
                           f"{grid.dtype.scalar_name}")
    return _SAMPLERS[input._data.ndim - 2](
        input, grid, mode=MODES[interpolation_mode], padding=PADDINGS[padding_mode],
        align_corners=bool(align_corners))


@autocasts
def grid_sampler(input: Any, grid: Any, interpolation_mode: int, padding_mode: int,
                 align_corners: bool) -> Any:
    """`grid_sample` with numbers for the modes."""
    return _sample(input, grid, interpolation_mode, padding_mode, align_corners)


@autocasts
def grid_sampler_2d(input: Any, grid: Any, interpolation_mode: int, padding_mode: int,
                    align_corners: bool) -> Any:
    """`grid_sampler` of images."""
    return _sample(input, grid, interpolation_mode, padding_mode, align_corners, 2)


@autocasts
def grid_sampler_3d(input: Any, grid: Any, interpolation_mode: int, padding_mode: int,
                    align_corners: bool) -> Any:
    """`grid_sampler` of volumes."""
    return _sample(input, grid, interpolation_mode, padding_mode, align_corners, 3)


def _default_corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn("Default grid_sample and affine_grid behavior has changed to "
                      "align_corners=False since 1.3.0. Please specify align_corners=True if the "
                      "old behavior is desired. See the documentation of grid_sample for details.",
                      stacklevel=3)
    return bool(align_corners)


@autocasts("grid_sampler")
def grid_sample(input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Any:
    """`input` (N, C, H, W) sampled at `grid` (N, H', W', 2): places (x, y), from -1 to 1.

    Volumes (N, C, D, H, W) have places (x, y, z). `padding_mode` says what is outside: "zeros",
    the "border" pixel, or the image's "reflection". With `align_corners` -1 and 1 are the centres
    of the outer pixels, else their outer edges.
    """
    if mode not in MODES:
        raise ValueError("nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' "
                         f"or 'bicubic', but got: '{mode}'")
    if padding_mode not in PADDINGS:
        raise ValueError("nn.functional.grid_sample(): expected padding_mode to be 'zeros', "
                         f"'border', or 'reflection', but got: '{padding_mode}'")
    return _sample(input, grid, MODES.index(mode), PADDINGS.index(padding_mode),
                   _default_corners(align_corners))


# --- affine grids --------------------------------------------------------------------------------

def _base_grid(xp: Any, sizes: Sequence[int], align_corners: bool, dtype: np.dtype) -> Any:
    """The grid of the identity, a row (x, y, ..., 1) for each pixel."""
    lines = []
    for size in reversed(sizes):
        line = np.linspace(-1, 1, size) if size > 1 else np.zeros(size)
        lines.append(line if align_corners else line * ((size - 1) / size))
    places = np.meshgrid(*reversed(lines), indexing="ij")
    columns = [*reversed(places), np.ones(tuple(sizes))]
    return xp.asarray(np.stack(columns, -1).reshape(-1, len(sizes) + 1).astype(dtype))


@primitive(name="affine_grid_generator", lies="rows")
def _affine_grid(xp, theta, *, size, align_corners):
    r"""$G_n = B\,\Theta_n^\mathsf{T}$ for the grid $B$ of the identity."""
    base = _base_grid(xp, size[2:], align_corners, theta.dtype)
    return xp.matmul(base, theta.swapaxes(1, 2)).reshape(size[0], *size[2:], -1)


def _affine_gradient(g: Any, size: Sequence[int], align_corners: bool) -> Any:
    base = wrap(_base_grid(module_for(g.device), size[2:], align_corners, g._data.dtype))
    base = base.expand(size[0], *base._data.shape).transpose(1, 2)
    return base.bmm(g.reshape(size[0], -1, len(size) - 2)).transpose(1, 2)


derivative(_affine_grid, theta=_affine_gradient)


def affine_grid_generator(theta: Any, size: Sequence[int], align_corners: bool) -> Any:
    """`affine_grid` without its checks."""
    size, rows = tuple([int(n) for n in size]), len(theta._data)
    if rows != size[0]:
        wanted = [size[0], len(size) - 1]
        raise RuntimeError("Expected size for first two dimensions of batch2 tensor to be: "
                           f"{wanted} but got: {[rows, wanted[1]]}.")
    return _affine_grid(theta, size=size, align_corners=bool(align_corners))


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    r"""The grid of a batch of affine maps (N, 2, 3) or (N, 3, 4), for outputs of shape `size`."""
    align_corners = _default_corners(align_corners)
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError("affine_grid only supports 4D and 5D sizes, for 2D and 3D affine "
                                  f"transforms, respectively. Got size {size}.")
    if theta._data.ndim != 3 or theta._data.shape[1:] != (dims, dims + 1):
        raise ValueError(f"Expected a batch of {dims}D affine matrices of shape "
                         f"Nx{dims}x{dims + 1} for size {size}. Got {theta.shape}.")
    if align_corners and min(size[2:]) == 1:
        warnings.warn("Since version 1.3.0, affine_grid behavior has changed for unit-size grids "
                      "when align_corners=True. This is not an intended use case of affine_grid. "
                      "See the documentation of affine_grid for details.", stacklevel=2)
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, align_corners)
