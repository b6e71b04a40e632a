"""From an op's operands to the arrays its kernel computes on: devices, Python numbers, dtypes.

A primitive says with one word how its operands are converted (primitive.py). Here is what each word
means; the lattice of types itself is in dtypes.py, Note [Type promotion]. A conversion depends only
on the operands' dtypes and priorities, so each is worked out once and then looked up.

float16 and bfloat16 are computed in float32 and rounded once at the end, as torch's CPU kernels do.
"""

from __future__ import annotations

import numbers
from types import ModuleType
from typing import Any

import numpy as np

from . import dtypes
from .core import NUMBER, TensorBase, wrap
from .device import ARRAY_MODULES, device_of

_Target = tuple[np.dtype, np.dtype | None]  # what to compute in; what to round to, if not the same
_ALL = frozenset(d.numpy for d in dtypes.ALL)


def as_array(xp: ModuleType, data: Any) -> Any:
    """NumPy turns 0-d results into scalars; turn them back."""
    return data if type(data) in ARRAY_MODULES else xp.asarray(data)


def round_to(dtype: np.dtype, data: Any) -> Any:
    """Floating results (not masks or indices) in `dtype`."""
    if type(data) is tuple:
        return tuple([round_to(dtype, each) for each in data])
    return data.astype(dtype) if data.dtype.kind == "f" else data


def wrap_number(data: Any) -> Any:
    """A Python number as a tensor, among the operands of an op; the user never sees it."""
    tensor = wrap(data, in_rows=True)
    tensor._output = NUMBER
    return tensor


def number_array(xp: ModuleType, value: Any, dtype: np.dtype) -> Any:
    """A Python number as a 0-d array; integers wrap around in narrow types, as in torch."""
    if dtype.kind in "iu":
        return xp.asarray(np.asarray(value).astype(dtype))
    return xp.asarray(value, dtype=dtype)


def library_of(arrays: list) -> ModuleType:
    """The one array library that all arrays belong to; a 0-d CPU array may visit a GPU."""
    found: type = np.ndarray
    for array in arrays:
        if array is not None and type(array) is not np.ndarray:
            found = type(array)
    xp = ARRAY_MODULES[found]
    if found is not np.ndarray:
        for i, array in enumerate(arrays):
            if type(array) is np.ndarray:
                if array.ndim:
                    other = next(a for a in arrays if type(a) is found)
                    raise RuntimeError(
                        "Expected all tensors to be on the same device, but found at least two "
                        f"devices, {device_of(other)} and {device_of(array)}!")
                arrays[i] = xp.asarray(array)
    return xp


def _operands(op: Any, inputs: tuple) -> tuple[list, list]:
    """The operands' arrays and (dtype, priority) pairs; a number has no array yet."""
    arrays, votes = [], []
    for position, operand in enumerate(inputs):
        if isinstance(operand, TensorBase):
            data = operand._data
            arrays.append(data)
            votes.append((data.dtype, 2 if data.ndim else 1))
        elif operand is None:
            arrays.append(None)
        elif isinstance(operand, numbers.Number | np.bool_) and _may_be_number(op, inputs,
                                                                               position):
            arrays.append(None)
            votes.append((dtypes.of_number(operand).numpy, 0))
        else:
            name = op.inputs[min(position, len(op.inputs) - 1)]
            raise TypeError(f"{op.name}(): argument '{name}' (position {position + 1}) must be "
                            f"Tensor, not {type(operand).__name__}")
    return arrays, votes


def _may_be_number(op: Any, inputs: tuple, position: int) -> bool:
    if op.numbers == "any":
        return any(isinstance(each, TensorBase) for each in inputs)
    return op.numbers == "last" and position == len(inputs) - 1


def _default_target(votes: tuple) -> _Target:
    common = dtypes.result_type((dtypes.of(d), priority) for d, priority in votes).numpy
    return (np.dtype(np.float32), common) if common in dtypes.HALF_TYPES else (common, None)


def _float_target(votes: tuple) -> _Target:
    common = dtypes.result_type((dtypes.of(d), priority) for d, priority in votes)
    if common.category < dtypes.FLOATING:
        return dtypes.get_default_dtype().numpy, None
    return _default_target(votes)


def _converter(target_of: Any) -> Any:
    """The conversion of all operands to one dtype, with `target_of`'s answers remembered."""
    targets: dict[tuple, _Target] = {}
    dtypes.on_default_change.append(targets.clear)

    def convert(op: Any, inputs: tuple) -> tuple:
        arrays, votes = _operands(op, inputs)
        key = tuple(votes)
        target = targets.get(key)
        if target is None:
            target = targets[key] = target_of(key)
        compute, result = target
        xp = library_of(arrays)
        tensors = list(inputs)
        for i, array in enumerate(arrays):
            if array is not None:
                if array.dtype is not compute:
                    arrays[i] = array.astype(compute)
            elif tensors[i] is not None:
                arrays[i] = number_array(xp, tensors[i], compute)
                tensors[i] = wrap_number(arrays[i])
        return tensors, arrays, xp, result

    return convert


def _keep(op: Any, inputs: tuple) -> tuple:
    """Operands as they are, 16-bit floats in float32."""
    arrays, xp = _exact_arrays(op, inputs)
    half = None
    for i, array in enumerate(arrays):
        if array is not None and array.dtype in dtypes.HALF_TYPES:
            half = half or array.dtype
            arrays[i] = array.astype(np.float32)
    return inputs, arrays, xp, half


def _exact(op: Any, inputs: tuple) -> tuple:
    """Operands as they are: the kernel only moves data."""
    arrays, xp = _exact_arrays(op, inputs)
    return inputs, arrays, xp, None


def _exact_arrays(op: Any, inputs: tuple) -> tuple[list, ModuleType]:
    arrays, _ = _operands(op, inputs)
    for position, (operand, array) in enumerate(zip(inputs, arrays, strict=True)):
        if array is None and operand is not None:
            raise TypeError(f"{op.name}(): argument '{op.inputs[position]}' (position "
                            f"{position + 1}) must be Tensor, not {type(operand).__name__}")
    return arrays, library_of(arrays)


CONVERTERS = {
    "default": _converter(_default_target),
    "int_to_float": _converter(_float_target),
    "keep": _keep,
    "exact": _exact,
}

# The dtypes on which a kernel of that kind can be called at once.
READY = {
    "default": _ALL - dtypes.HALF_TYPES,
    "int_to_float": dtypes.DIFFERENTIABLE - dtypes.HALF_TYPES,
    "keep": _ALL - dtypes.HALF_TYPES,
    "exact": _ALL,
}


def explain(op: Any, arrays: tuple, error: ValueError) -> Exception:
    """torch's words for shapes that do not broadcast; other errors pass as they are."""
    shapes = [array.shape for array in arrays if array is not None]
    if op.reflected:
        shapes.reverse()
    for a in shapes:
        for b in shapes:
            for back in range(1, min(len(a), len(b)) + 1):
                if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
                    dim = max(len(a), len(b)) - back
                    return RuntimeError(
                        f"The size of tensor a ({a[-back]}) must match the size of tensor b "
                        f"({b[-back]}) at non-singleton dimension {dim}")
    return error
