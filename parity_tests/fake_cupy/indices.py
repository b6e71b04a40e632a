"""Indices as CuPy reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .boundary import ArrayBase


def index_array(part: Any) -> np.ndarray | None:
    """The array in one part of an index, or None for an integer, slice, None or Ellipsis.

    Here, alone, CuPy takes lists and NumPy arrays without asking.
    """
    if part is None or part is Ellipsis or isinstance(part, slice):
        return None
    if np.isscalar(part) and not isinstance(part, bool | np.bool_):
        return None
    array = part._host if isinstance(part, ArrayBase) else np.asarray(part)
    if isinstance(part, list | tuple) and not array.size:
        return array.astype(np.int32)
    if array.dtype.kind not in "biu":
        raise IndexError("arrays used as indices must be of integer or boolean type. "
                         f"(actual: {array.dtype.type})")
    return array


def host_index(index: Any, shape: tuple[int, ...]) -> tuple[tuple, bool, bool]:
    """The index for NumPy, whether an array is in it, and whether an array of integers is.

    Integers in an array that are out of bounds wrap around, as on the GPU, where no one can raise.
    The Ellipsis at the end keeps a 0-d result an array.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    arrays = [index_array(part) for part in parts]
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
        arrays.append(None)
    widths = [0 if part is None or part is Ellipsis
              else 1 if array is None or array.dtype.kind != "b" else array.ndim
              for part, array in zip(parts, arrays, strict=True)]
    axis = 0
    for position, (part, array, width) in enumerate(zip(parts, arrays, widths, strict=True)):
        if array is not None:
            integers = array.dtype.kind != "b" and axis < len(shape) and shape[axis]
            parts[position] = array % shape[axis] if integers else array
        axis += len(shape) - sum(widths) if part is Ellipsis else width
    found = [array for array in arrays if array is not None]
    return tuple(parts), bool(found), any(array.dtype.kind != "b" for array in found)
