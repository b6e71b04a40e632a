"""Average pooling: the mean of each window.

Note [Box sums]
~~~~~~~~~~~~~~~
The sum over a window of 3 x 3 is a sum of three rows and then of three columns, so a pooling goes
dimension by dimension: 3 + 3 additions instead of 9, the later ones on an array that is smaller
already. Along one dimension there are two ways. *Offset by offset*: the elements at one offset of
all windows at once are one strided slice, so a kernel of k costs k additions of whole arrays.
*Window by window*, where there are fewer windows than offsets, or they are not evenly spaced.
One window that holds everything is a sum of rows.

A running sum would cost the same for any k, but cancels digits, and one infinite element would
make everything after it nan.

The padding is zeros, so nothing is padded: the windows are cut off at the edges, and only the
divisor remembers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, no_kernel, primitive
from ..strides import as_images_lie
from .arithmetic import div_rounded
from .dims import int_tuple
from .max_pooling import check_padding, check_volume, per_dim, pooled_size
from .softmax import row_sums

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d"]


# --- windows along one dimension -----------------------------------------------------------------

class Windows(NamedTuple):
    """The windows along one dimension: window i holds the places from begins[i] to ends[i].

    `steps`, where sums go offset by offset, has (which windows, which places) for each offset, as
    slices; first come the `full` ones, those where every window has an element. `disjoint`: no
    place is in two windows.
    """

    size: int
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    steps: tuple[tuple[slice, slice], ...] = ()
    full: int = 0
    disjoint: bool = False

    def lengths(self) -> list[int]:
        return [end - begin for begin, end in zip(self.begins, self.ends, strict=True)]


def even_windows(size: int, count: int, kernel: int, stride: int, padding: int) -> Windows:
    """`count` windows of `kernel` places, `stride` apart, the first `padding` before the edge."""
    starts = range(-padding, count * stride - padding, stride)
    begins = tuple([max(start, 0) for start in starts])
    ends = tuple([min(start + kernel, size) for start in starts])
    if count < kernel:
        return Windows(size, begins, ends)
    steps = []
    for offset in range(kernel):
        shift = offset - padding
        first, stop = max(0, -(shift // stride)), min(count, (size - 1 - shift) // stride + 1)
        if first < stop:
            place = first * stride + shift
            steps.append((slice(first, stop),
                          slice(place, place + (stop - first - 1) * stride + 1, stride)))
    steps.sort(key=lambda step: step[0].start - step[0].stop)
    full = sum(step[0] == slice(0, count) for step in steps)
    return Windows(size, begins, ends, tuple(steps), full, stride >= kernel)


def window_sums(xp: Any, input: Any, axis: int, windows: Windows) -> Any:
    """The sum of each window along `axis`: see Note [Box sums]."""
    rows, steps = input.swapaxes(axis, 0), windows.steps
    if windows.full > 1:
        total = rows[steps[0][1]] + rows[steps[1][1]]
    elif windows.full:
        total = rows[steps[0][1]].copy(order="K")
    else:
        total = _zeros(xp, input, axis, len(windows.begins))
    for which, places in steps[min(windows.full, 2):]:
        total[which] += rows[places]
    if not steps:
        for i, (begin, end) in enumerate(zip(windows.begins, windows.ends, strict=True)):
            total[i] = rows[begin:end].sum(axis=0)
    return total.swapaxes(axis, 0)


def spread_windows(xp: Any, g: Any, axis: int, windows: Windows) -> Any:
    """The transpose of `window_sums`: every place gets the sum of what its windows have."""
    rows, total = g.swapaxes(axis, 0), _zeros(xp, g, axis, windows.size)
    for which, places in windows.steps:
        if windows.disjoint:
            total[places] = rows[which]
        else:
            total[places] += rows[which]
    if not windows.steps:
        for i, (begin, end) in enumerate(zip(windows.begins, windows.ends, strict=True)):
            total[begin:end] += rows[i]
    return total.swapaxes(axis, 0)


def _zeros(xp: Any, array: Any, axis: int, count: int) -> Any:
    """Zeros with `count` places along `axis`, swapped with the first; laid out as `array`."""
    shape = list(array.shape)
    shape[axis] = count
    return xp.zeros_like(array, shape=tuple(shape)).swapaxes(axis, 0)


# --- means over all dimensions -------------------------------------------------------------------

class Plan(NamedTuple):
    """The windows along each of the last dimensions, and what to divide their sums by: a number, or
    an array with a number for each window. `axes` are the dimensions where there is anything to
    sum; `whole`: there is one window, and it holds all."""

    windows: tuple[Windows, ...]
    divisor: Any
    axes: tuple[int, ...]
    whole: bool


def plan_of(windows: Sequence[Windows], counts: Sequence[Sequence[int]]) -> Plan:
    """`counts`: how many elements of a dimension each window counts."""
    if all(len(set(each)) == 1 for each in counts):
        divisor: Any = math.prod(each[0] for each in counts)
    else:
        divisor = functools.reduce(np.multiply.outer, map(np.asarray, counts))
    axes = [axis for axis, each in enumerate(windows) if each.lengths() != [1] * each.size]
    whole = all(each.lengths() == [each.size] for each in windows)
    return Plan(tuple(windows), divisor, tuple(axes), whole)


def window_means(xp: Any, input: Any, plan: Plan) -> Any:
    """The mean of each window."""
    spatial = len(plan.windows)
    if plan.whole:
        lead = input.shape[:-spatial]
        total = row_sums(xp, input.reshape(*lead, math.prod(input.shape[-spatial:])))
        total = total.reshape(*lead, *[1] * spatial)
    else:
        total = _planes_last(xp, input, plan)
        for axis in plan.axes:  # the last one comes last, on the least elements: it is the slow one
            total = window_sums(xp, total, axis, plan.windows[axis])
        total = _rolled(total, total.ndim - spatial)
    divisor = xp.asarray(plan.divisor, total.dtype)
    if total.dtype.kind == "i":
        total = div_rounded.op.kernel(xp, total, divisor, rounding_mode="trunc")
    else:
        total = xp.divide(total, divisor, out=total if plan.axes or plan.whole else None)
    return _laid_out(xp, total, input, spatial)


def spread_means(xp: Any, g: Any, plan: Plan, like: Any) -> Any:
    """The transpose of `window_means`, laid out as `like`."""
    spatial = len(plan.windows)
    total = g / xp.asarray(plan.divisor, g.dtype)
    if plan.whole:
        return _laid_out(xp, xp.broadcast_to(total, like.shape), like, spatial)
    total = _planes_last(xp, total, plan)
    for axis in reversed(plan.axes):
        total = spread_windows(xp, total, axis, plan.windows[axis])
    return _laid_out(xp, _rolled(total, total.ndim - spatial), like, spatial)


def _laid_out(xp: Any, total: Any, like: Any, spatial: int) -> Any:
    """Images keep the order of their channels, volumes do not."""
    return as_images_lie(xp, total, like) if spatial == 2 else xp.ascontiguousarray(total)


def _planes_last(xp: Any, array: Any, plan: Plan) -> Any:
    """The array with its last dimensions first. Going window by window takes slices of few places:
    then it is worth a copy to have the places of all planes side by side in memory."""
    array = _rolled(array, len(plan.windows))
    if all(plan.windows[axis].steps for axis in plan.axes):
        return array
    return xp.ascontiguousarray(array)


def _rolled(array: Any, count: int) -> Any:
    """The last `count` dimensions first."""
    rest = array.ndim - count
    return array.transpose(*range(rest, array.ndim), *range(rest))


# --- the ops -------------------------------------------------------------------------------------

def pooling(name: str, camel: str, refuses: dict[str, str] | None = None) -> Any:
    """The op that takes the means of a plan's windows. It is linear: the plan holds all there is to
    know, and the op and its gradient are each other's derivative."""

    def forward_kernel(xp, input, *, plan):
        return window_means(xp, input, plan)

    def backward_kernel(xp, grad_output, input, *, plan):
        return spread_means(xp, grad_output, plan, input)

    forward = primitive(forward_kernel, name=name, node_name=f"{camel}Backward0", refuses=refuses)
    backward = primitive(backward_kernel, name=f"{name}_backward",
                         node_name=f"{camel}BackwardBackward0")
    derivative(forward, input=lambda g, input, plan: backward(g, input, plan=plan))
    derivative(backward, grad_output=lambda g, plan: forward(g, plan=plan),
               input=lambda g: g.zeros_like())
    return forward


_avg_pool2d = pooling("avg_pool2d", "AvgPool2D")
_avg_pool3d = pooling("avg_pool3d", "AvgPool3D")


# --- arguments -----------------------------------------------------------------------------------

@functools.lru_cache(maxsize=512)
def _plan(shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
          padding: tuple[int, ...], ceil_mode: bool, count_include_pad: bool,
          divisor: int | None) -> Plan:
    """The windows in an input of this shape, which is checked in the order in which torch does."""
    spatial = len(kernel)
    if spatial == 3 and len(shape) not in (4, 5):
        raise RuntimeError("non-empty 4D or 5D (batch mode) tensor expected for input")
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if len(shape) < spatial + 1:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{len(shape)}, "
            f"{len(shape) - 1}], but got {-spatial - 1})" if shape else
            f"Dimension specified as {-spatial - 1} but tensor has no dimensions")
    if 0 in stride:
        raise RuntimeError("stride should not be zero")
    check_padding(kernel, padding, (1,) * spatial)
    _check_positive("kernel size", "k", kernel)
    _check_positive("stride", "d", stride)
    sizes = shape[-spatial:]
    grid = tuple([pooled_size(*each, 1, ceil_mode)
                  for each in zip(sizes, kernel, stride, padding, strict=True)])
    _check_shape(shape, grid, kernel)
    windows = [even_windows(*each) for each in zip(sizes, grid, kernel, stride, padding,
                                                   strict=True)]
    if divisor is not None:
        counts = [[1] * n for n in grid]
    elif count_include_pad:  # with ceil_mode the last window may stick out of the padding, too
        counts = [[min(k, size + 2 * p - i * s) for i in range(n)]
                  for size, n, k, s, p in zip(sizes, grid, kernel, stride, padding, strict=True)]
    else:
        counts = [each.lengths() for each in windows]
    plan = plan_of(windows, counts)
    return plan if divisor is None else plan._replace(divisor=divisor)


def _avg_pool(function: Any, input: Any, kernel: tuple, stride: tuple, padding: tuple,
              ceil_mode: bool, count_include_pad: bool, divisor: int | None) -> Any:
    plan = _plan(input._data.shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    dtype = input._data.dtype
    if len(kernel) == 3 and dtype in dtypes.HALF_TYPES or (
            dtype.kind in "biuc" and dtype != np.int64):
        raise no_kernel("avg_pool2d" if len(kernel) == 2 else "avg_pool3d_out_frame", dtype)
    return function(input, plan=plan)


def _check_positive(what: str, letter: str, values: tuple[int, ...]) -> None:
    if min(values) <= 0:
        raise RuntimeError(f"{what} should be greater than zero, but got "
                           f"{_named(letter, values)}")


def _named(prefix: str, values: Sequence[int]) -> str:
    return " ".join([f"{prefix}{axis}: {value}"
                     for axis, value in zip("THW"[-len(values):], values, strict=True)])


def _check_shape(shape: tuple, grid: tuple, kernel: tuple) -> None:
    spatial = len(grid)
    outer, planes, sizes = shape[:-spatial - 1], shape[-spatial - 1], shape[-spatial:]
    if spatial == 3:
        check_volume("avg_pool3d", shape)
        if any(size < k for size, k in zip(sizes, kernel, strict=True)):
            raise RuntimeError(f"input image ({_named('', sizes)}) smaller than kernel size "
                               f"({_named('k', kernel)})")
    elif len(outer) > 1 or 0 in (planes, *sizes):
        raise RuntimeError("Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size "
                           f"for input, but got:{list(shape)}")
    if min(grid) < 1:
        raise RuntimeError(f"Given input size: ({planes}x{'x'.join(map(str, sizes))}). Calculated "
                           f"output size: ({planes}x{'x'.join(map(str, grid))}). Output size is "
                           "too small")


def _each_dim(name: str, count: int, verb: str, kernel_size: Any, stride: Any, padding: Any
              ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    kernel = per_dim(name, "kernel_size", kernel_size, count, verb)
    stride = (kernel if stride in (None, (), []) else
              per_dim(name, "stride", stride, count, verb))
    return kernel, stride, per_dim(name, "padding", padding, count, verb)


def one_int(name: str, argument: str, position: int, value: Any) -> int:
    """The argument of a function of one dimension, which may be written as a tuple of one."""
    values = int_tuple(name, argument, position, value)
    if len(values) != 1:
        raise RuntimeError(f"{name}() argument '{argument}' should contain one int (got "
                           f"{len(values)})")
    return values[0]


def check_rows(name: str, input: Any) -> None:
    """A function of one dimension takes (C, L) or (N, C, L)."""
    if input._data.ndim not in (2, 3):
        raise RuntimeError(f"Expected 2 to 3 dimensions, but got {input._data.ndim}-dimensional "
                           "tensor for argument #1 'self' (while checking arguments for "
                           f"{name})")


def avg_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> Any:
    """The mean of each window over the last dimension: two-dimensional pooling of rows."""
    check_rows("avg_pool1d", input)
    kernel = one_int("avg_pool1d", "kernel_size", 2, kernel_size)
    stride = kernel if stride in (None, (), []) else one_int("avg_pool1d", "stride", 3, stride)
    padding = one_int("avg_pool1d", "padding", 4, padding)
    return _avg_pool(_avg_pool2d, input.unsqueeze(-2), (1, kernel), (1, stride), (0, padding),
                     ceil_mode, count_include_pad, None).squeeze(-2)


@takes_out
def avg_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Any:
    r"""$y_{ij} = \frac{1}{n_{ij}} \sum_{kl} x_{is+k,\,js+l}$ over the last two dimensions.

    n counts the window's places: with the padding, without it (`count_include_pad=False`), or
    it is `divisor_override`. `ceil_mode` adds windows that stick out at the end.
    """
    return _avg_pool(_avg_pool2d, input,
                     *_each_dim("avg_pool2d", 2, "must either be", kernel_size, stride, padding),
                     ceil_mode, count_include_pad, _divisor("avg_pool2d", divisor_override))


@autocasts
@takes_out(in_rows=True)
def avg_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Any:
    """The same over the last three dimensions."""
    return _avg_pool(_avg_pool3d, input,
                     *_each_dim("avg_pool3d", 3, "must be", kernel_size, stride, padding),
                     ceil_mode, count_include_pad, _divisor("avg_pool3d", divisor_override))


def _divisor(name: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
        raise TypeError(f"{name}(): argument 'divisor_override' must be int, not "
                        f"{type(value).__name__}")
    return None if value is None else value.__index__()
