"""How a signal is resampled along one dimension: which elements, and how much of each.

Note [Resampling tables]
~~~~~~~~~~~~~~~~~~~~~~~~
Interpolation is separable: an image is resampled row by row, then column by column. Along one
dimension it is a sparse matrix, given by two tables: output element i is

    y_i = sum_k weight[k, i] * x[index[k, i]]

so `resample` gathers once for each k, of which there are few (1 nearest, 2 linear, 4 cubic), and
its transpose `spread` adds up rows for each k. Output element i stands at
`scale (i + 1/2) - 1/2` of the input, pixels being little areas; with `align_corners` the outer
pixels' centres are the ends, and it stands at `scale i`.

Without antialiasing a smaller image simply skips pixels. With it the filter is stretched by the
scale, so that every input pixel has its part in the output: then k counts up to the filter's width.

Images of bytes have integer weights, scaled up by a power of two so that they fit in 16 bits, and
are rounded to bytes after each dimension, as in Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .embedding import add_rows


class Table(NamedTuple):
    """See Note [Resampling tables]; `weight` is None where all weights are 1."""

    index: np.ndarray  # type: ignore[assignment]  # tuple has a method of that name
    weight: np.ndarray | None


def scale_of(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Any:
    """The distance between two output elements, in input elements; `real` is the type to compute
    in. A scale factor that was given counts, not the rounded size that came of it."""
    if align_corners:
        return real(size - 1) / real(output - 1) if output > 1 else real(0)
    return real(1.0 / factor) if factor is not None and factor > 0 else real(size) / real(output)


def _places(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Any:
    scale = scale_of(size, output, align_corners, factor, real)
    steps = np.arange(output).astype(real)
    return scale * steps if align_corners else scale * (steps + real(0.5)) - real(0.5)


def nearest(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Table:
    """The element to the left of the place, found in float32 as torch finds it."""
    return _nearest(size, output, factor, np.float32(0))


def nearest_exact(size: int, output: int, align_corners: bool, factor: float | None, real: Any
                  ) -> Table:
    """The element whose area the place is in."""
    return _nearest(size, output, factor, np.float32(0.5))


def _nearest(size: int, output: int, factor: float | None, offset: np.float32) -> Table:
    steps = np.arange(output)
    if size != output:
        scale = scale_of(size, output, False, factor, np.float32)
        places = np.floor((steps.astype(np.float32) + offset) * scale).astype(np.int64)
        steps = np.minimum(places, size - 1)
    return Table(steps[None], None)


def linear(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Table:
    """The two neighbours, each with its closeness."""
    if size == output:
        return Table(np.arange(output)[None], None)
    places = np.maximum(_places(size, output, align_corners, factor, real), 0)
    left = np.minimum(places.astype(np.int64), size - 1)
    part = np.clip(places - left, 0, 1).astype(real)
    return Table(np.stack([left, np.minimum(left + 1, size - 1)]), np.stack([1 - part, part]))


def cubic_weights(part: Any, a: float = -0.75) -> list:
    """Keys' cubic convolution: the weights of the four neighbours of a place that lies `part` of
    the way from the second to the third. Keys, "Cubic convolution interpolation", 1981."""
    near = lambda x: ((a + 2) * x - (a + 3)) * x * x + 1
    far = lambda x: ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return [far(part + 1), near(part), near(1 - part), far(2 - part)]


def cubic(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Table:
    """The four neighbours; those beyond the edge are the edge."""
    places = _places(size, output, align_corners, factor, real)
    left = np.minimum(np.floor(places).astype(np.int64), size - 1)
    part = np.clip(places - left, 0, 1).astype(real)
    index = np.stack([np.clip(left + k, 0, size - 1) for k in (-1, 0, 1, 2)])
    return Table(index, np.stack(cubic_weights(part)).astype(real))


# --- antialiasing --------------------------------------------------------------------------------

def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: Any) -> Any:
    x = np.abs(x)
    near = ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: Any) -> Any:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def antialiased(filter: Callable, width: int) -> Callable:
    """The table maker of a filter that is 0 beyond `width` elements in all."""

    def make(size: int, output: int, align_corners: bool, factor: float | None, real: Any) -> Table:
        scale = scale_of(size, output, align_corners, factor, real)
        stretch = max(scale, real(1))
        support = real(width / 2) * stretch
        centres = scale * (np.arange(output).astype(real) + real(0.5))
        first = np.maximum((centres - support + real(0.5)).astype(np.int64), 0)
        count = np.minimum((centres + support + real(0.5)).astype(np.int64), size) - first
        count = np.clip(count, 0, math.ceil(support) * 2 + 1)
        step = np.arange(max(int(count.max()), 1))[:, None]
        weight = filter((step + first - centres + real(0.5)) / stretch)
        weight = np.where(step < count, weight, 0)
        total = weight.sum(0)
        weight = weight / np.where(total == 0, 1, total)
        return Table(np.minimum(first + step, size - 1), weight.astype(real))

    return make


TABLES: dict[str, Callable[..., Table]] = {
    "nearest": nearest,
    "nearest_exact": nearest_exact,
    "linear": linear,
    "cubic": cubic,
    "linear_aa": antialiased(_triangle, 2),
    "cubic_aa": antialiased(_keys, 4),
    "lanczos_aa": antialiased(_lanczos, 6),
}


def tables(kind: str, sizes: Sequence[int], outputs: Sequence[int], align_corners: bool,
           factors: Sequence[float | None], real: Any) -> list[Table]:
    """One table for each dimension."""
    return [TABLES[kind](size, output, align_corners, factor, real)
            for size, output, factor in zip(sizes, outputs, factors, strict=True)]


# --- applying them -------------------------------------------------------------------------------

def _row_of(weight: Any, axis: int) -> Any:
    """One row of weights, to lie along the dimension `axis` (negative)."""
    return weight.reshape(-1, *[1] * (-1 - axis))


def resample(xp: Any, input: Any, tables: Sequence[Table]) -> Any:
    """The last dimensions resampled, the last one first."""
    for axis, table in zip(range(-1, -1 - len(tables), -1), reversed(tables), strict=True):
        index = xp.asarray(table.index)
        if table.weight is None:
            input = xp.take(input, index[0], axis=axis)
        elif input.dtype.kind == "u":
            input = _bytes(xp, input, index, table, axis)
        else:
            weight = xp.asarray(table.weight)
            total = xp.take(input, index[0], axis=axis) * _row_of(weight[0], axis)
            for k in range(1, len(index)):
                total += xp.take(input, index[k], axis=axis) * _row_of(weight[k], axis)
            input = total
    return input


def _bytes(xp: Any, input: Any, index: Any, table: Table, axis: int) -> Any:
    """One dimension of an image of bytes, in integers."""
    weight = _merged(table)
    largest = max(float(weight.max()), 0.0)
    bits = next((bits for bits in range(22) if int(0.5 + largest * 2 ** (bits + 1)) >= 1 << 15), 22)
    scaled = np.trunc(weight * 2.0**bits + np.copysign(0.5, weight)).astype(np.int32)
    total: Any = 1 << (bits - 1)
    for k in range(len(index)):
        total = total + (xp.take(input, index[k], axis=axis).astype(xp.int32)
                         * _row_of(xp.asarray(scaled[k]), axis))
    return xp.clip(total >> bits, 0, 255).astype(input.dtype)


def _merged(table: Table) -> Any:
    """The weights, those of one element (the edge, several times) added up."""
    index, weight = table.index, table.weight.copy()  # type: ignore[union-attr]
    for k in range(len(index) - 1, 0, -1):
        same = index[k] == index[k - 1]
        weight[k - 1] += np.where(same, weight[k], 0)
        weight[k] *= ~same
    return weight


def spread(xp: Any, g: Any, tables: Sequence[Table], sizes: Sequence[int]) -> Any:
    """The transpose of `resample`: each output's gradient shared out among its elements."""
    for axis, (table, size) in enumerate(zip(tables, sizes, strict=True), -len(tables)):
        rows = xp.moveaxis(g, axis, 0)
        others = rows.shape[1:]
        rows = rows.reshape(len(rows), -1)
        total: Any = 0
        for k in range(len(table.index)):
            part = rows if table.weight is None else rows * xp.asarray(table.weight[k])[:, None]
            total = total + add_rows(xp, xp.asarray(table.index[k]), part, size)
        g = xp.moveaxis(total.reshape(size, *others), 0, axis)
    return xp.ascontiguousarray(g)
