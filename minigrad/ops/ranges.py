"""Ranges: arange, linspace, logspace."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..out import written
from .convert import item
from .creation import dtype_argument, finished, library_on

__all__ = ["arange", "linspace", "logspace", "range"]

# Note [The last bit of a range]
# torch evaluates the k-th element of a floating-point range as start + k * step in double precision
# for arange, and in the element's own precision for linspace, which also counts its second half
# back from the end, so that both ends are exact. NumPy's functions round differently. (torch's
# vector code starts anew every 8 or 16 elements, as the CPU has it: the last bit is the machine's.)


def arange(*bounds: Any, start: Any = None, end: Any = None, step: Any = None, out: Any = None,
           dtype: Any = None, layout: Any = None, device: Any = None,
           requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """The numbers start, start + step, ... below `end`: `arange([start,] end[, step])`."""
    if len(bounds) == 1 and end is None:
        bounds = (0, *bounds)
    given = dict(zip(("start", "end", "step"), bounds, strict=False))
    given.update({name: value for name, value in (("start", start), ("end", end), ("step", step))
                  if value is not None})
    if "end" not in given:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    first, last, stride = (_plain(given.get(name, default))
                           for name, default in (("start", 0), ("end", 0), ("step", 1)))
    whole = all(isinstance(value, numbers.Integral) for value in (first, last, stride))
    default = dtypes.int64 if whole else dtypes.get_default_dtype()
    kind = (out.dtype if out is not None else dtype_argument("arange", dtype, default)).numpy
    if kind.kind in "iu" and all(map(math.isfinite, (first, last, stride))):
        first, last = int(first), int(last)  # cut off to integers before anything is counted
        if stride and not int(stride):
            raise ValueError("step must be nonzero")
        stride = int(stride)
    if stride == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RuntimeError(f"unsupported range: {first} -> {last}")
    if (last - first) * stride < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count = max(math.ceil((last - first) / stride), 0)
    array = np.arange(count, dtype=np.int64 if kind.kind in "iu" else np.float64)
    array = (array * stride + first).astype(kind)
    if out is not None:
        if out._data.size != count:
            shape, size = list(out._data.shape), out._data.size
            warnings.warn(f"The number of elements in the out tensor of shape {shape} is {size} "
                          f"which does not match the computed number of elements {count}. Note "
                          "that this may occur as a result of rounding error. The out tensor will "
                          f"be resized to a tensor of shape ({count},).", UserWarning, stacklevel=2)
        return written(out, array, dtype, keeps_shape=True)
    return finished(library_on(device).asarray(array), requires_grad)


def _plain(value: Any) -> Any:
    """A number out of a 0-d tensor or a NumPy scalar."""
    if isinstance(value, TensorBase):
        return item(value)
    return value.item() if isinstance(value, np.generic) else value


def range(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Any:
    """`arange` including its end (deprecated in torch too)."""
    if end is None:
        start, end = 0, start
    kind = options.pop("dtype", None)
    count = math.floor((end - start) / step) + 1
    return arange(0, count, dtype=dtypes.get_default_dtype() if kind is None else kind,
                  **options) * step + start


def _steps(first: Any, last: Any, count: int, kind: np.dtype) -> np.ndarray:
    """`count` numbers from `first` to `last`, exact at both ends; see Note [The last bit of a
    range]."""
    compute = np.dtype(np.float32) if kind in dtypes.HALF_TYPES else kind
    compute = np.dtype(np.float64) if compute.kind in "biu" else compute
    number = compute.type
    if kind.kind in "biu":
        first, last = int(first), int(last)
    first, last = number(first), number(last)
    if count == 1:
        return np.array([first], compute)
    step = (last - first) / number(count - 1)
    index = np.arange(count)
    forward = index < count // 2
    multiples = np.where(forward, index, count - 1 - index).astype(compute) * step
    return np.where(forward, first + multiples, last - multiples)


def _checked_range(name: str, start: Any, end: Any, steps: int, dtype: Any) -> tuple:
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or isinstance(
            start, str) or isinstance(end, str):
        raise TypeError(f"{name}() received an invalid combination of arguments - got ("
                        f"{', '.join(type(each).__name__ for each in (start, end, steps))})")
    vectors = [f"{what} with {each._data.ndim} dimension(s)"
               for what, each in (("start", start), ("end", end))
               if isinstance(each, TensorBase) and each._data.ndim]
    if vectors:
        raise RuntimeError(f"{name} only supports 0-dimensional start and end tensors, but got "
                           f"{' and '.join(vectors)}.")
    steps = steps.__index__()
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    first, last = _plain(start), _plain(end)
    category = max(dtypes.of_number(first).category, dtypes.of_number(last).category,
                   dtypes.FLOATING)
    return first, last, steps, dtype_argument(name, dtype, dtypes.default_for(category)).numpy


def linspace(start: Any, end: Any, steps: int, *, out: Any = None, dtype: Any = None,
             layout: Any = None, device: Any = None, requires_grad: bool = False,
             pin_memory: bool = False) -> Any:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    first, last, steps, kind = _checked_range("linspace", start, end, steps, dtype)
    array = _steps(first, last, steps, kind).astype(kind)
    if out is not None:
        return written(out, array, dtype, keeps_shape=True)
    return finished(library_on(device).asarray(array), requires_grad)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, out: Any = None,
             dtype: Any = None, layout: Any = None, device: Any = None,
             requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """`base` to the power of `linspace(start, end, steps)`."""
    first, last, steps, kind = _checked_range("logspace", start, end, steps, dtype)
    exponents = _steps(first, last, steps, kind)
    if kind.kind in "iu":
        exponents = exponents.astype(np.float32)
    array = np.power(exponents.dtype.type(base), exponents).astype(kind)
    if out is not None:
        return written(out, array, dtype, keeps_shape=True)
    return finished(library_on(device).asarray(array), requires_grad)
