"""`make_tensor`: random tensors for tests, from the default generator's stream."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import dtypes
from ..ops.complex import view_as_real
from ..ops.creation import empty
from ..ops.random import randint, uniform_
from ..type_info import finfo, iinfo


def make_tensor(*shape: Any, dtype: Any, device: Any, low: float | None = None,
                high: float | None = None, requires_grad: bool = False,
                noncontiguous: bool = False, exclude_zero: bool = False,
                memory_format: Any = None) -> Any:
    """A tensor of numbers drawn evenly from [low, high): by default [-9, 10) for integers, [0, 2)
    for bool and [-9, 9) for the rest, cut to what the dtype can hold.

    `noncontiguous` leaves a gap between neighbours; `exclude_zero` puts 1 or the smallest normal
    number in the place of zeros. ValueError for an empty or impossible range, and where an integer
    is to require a gradient.
    """
    if len(shape) == 1 and isinstance(shape[0], list | tuple):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ValueError("The parameters `noncontiguous` and `memory_format` are mutually "
                         f"exclusive, but got {noncontiguous=} and {memory_format=}")
    whole = not (dtype.is_floating_point or dtype.is_complex)
    if requires_grad and whole:
        raise ValueError("`requires_grad=True` is not supported for boolean and integral dtypes, "
                         f"but got {dtype=}")
    noncontiguous = noncontiguous and math.prod(shape) > 1
    size = (*shape[:-1], 2 * shape[-1]) if noncontiguous else shape
    low, high = _range(dtype, low, high)
    if whole:
        result = randint(math.ceil(low), math.ceil(high), size, dtype=dtype, device=device)
    else:
        result = empty(size, dtype=dtype, device=device)
        _fill(view_as_real(result) if dtype.is_complex else result, low, high)
    if noncontiguous:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = 1 if whole else finfo(dtype).tiny
    return result.requires_grad_(requires_grad) if requires_grad else result


def _range(dtype: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The range that was asked for, checked, and cut to what the dtype can hold."""
    least: Any
    end: Any
    default = (-9, 9)
    if dtype is dtypes.bool_:
        default, least, end = (0, 2), 0, 2
    elif dtype.is_floating_point or dtype.is_complex:
        least, end = finfo(dtype).min, finfo(dtype).max
    else:
        default, least = (-9, 10), iinfo(dtype).min
        end = iinfo(dtype).max + (dtype is not dtypes.int64)  # randint's own bounds are int64
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if any(isinstance(value, float) and math.isnan(value) for value in (low, high)):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and (dtype.is_floating_point or dtype.is_complex):
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning, stacklevel=3)
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= end:
        raise ValueError(f"The value interval specified by `low` and `high` is [{low}, {high}), "
                         f"but {dtype} only supports [{least}, {end})")
    return min(max(low, least), end), min(max(high, least), end)


def _fill(result: Any, low: float, high: float) -> None:
    """Even numbers from [low, high); a range too wide for the dtype at half its size."""
    if high - low >= finfo(result.dtype).max:
        uniform_(result, low / 2, high / 2).mul_(2)
    else:
        uniform_(result, low, high)
