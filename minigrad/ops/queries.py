"""Questions about tensors and their types, as functions."""

from __future__ import annotations

import builtins
from typing import Any

from .. import dtypes
from ..core import INFERENCE, TensorBase
from ..device import address
from ..layout import memory_format
from .convert import type_

__all__ = ["can_cast", "get_device", "is_floating_point", "is_inference", "is_nonzero",
           "is_same_size", "is_set_to", "is_signed", "is_tensor", "numel", "promote_types",
           "result_type", "typename"]

promote_types = dtypes.promote_types


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor."""
    return isinstance(obj, TensorBase)


def is_floating_point(input: Any) -> bool:
    """Whether the dtype is one of the real floating-point types."""
    return input.dtype.is_floating_point


def is_inference(input: Any) -> bool:
    """Whether the tensor was made in inference mode."""
    return input._counter is INFERENCE


def is_nonzero(input: Any) -> bool:
    """The truth of a tensor with one element."""
    if input._data.size == 0:
        raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
    return builtins.bool(input)


def is_signed(input: Any) -> bool:
    """Whether the dtype has negative numbers."""
    _require_tensor("is_signed", "input", 1, input)
    return input.dtype.is_signed


def is_same_size(input: Any, other: Any) -> bool:
    """Whether both have the same sizes."""
    _require_tensor("is_same_size", "input", 1, input)
    _require_tensor("is_same_size", "other", 2, other)
    return input._data.shape == other._data.shape


def is_set_to(input: Any, tensor: Any) -> bool:
    """Whether both are the same elements of the same memory, in the same order."""
    _require_tensor("is_set_to", "tensor", 1, tensor)
    one, other = input._data, tensor._data
    return type(one) is type(other) and (address(one), one.shape, one.strides, one.dtype) == (
        address(other), other.shape, other.strides, other.dtype)


def _require_tensor(name: str, argument: str, position: int, value: Any) -> None:
    if not isinstance(value, TensorBase):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, "
                        f"not {type(value).__name__}")


def get_device(input: Any) -> int:
    """The number of the GPU that holds the tensor; -1 for the CPU."""
    index = input.device.index
    return -1 if index is None else index


def dim_order(input: Any, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from that with the largest stride to that with the smallest.

    `ambiguity_check` asks for an error where several orders describe the same memory: True, or a
    list of memory formats of which exactly one must fit.
    """
    formats = ambiguity_check if isinstance(ambiguity_check, list) else []
    if not (isinstance(ambiguity_check, bool | list)
            and all(isinstance(each, memory_format) for each in formats)):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    strides = input.stride()
    several = 1 in input._data.shape or len(set(strides)) < len(strides)
    fitting = [each for each in formats if is_contiguous(input, each)]
    if several and ambiguity_check is not False and len(fitting) != 1:
        raise RuntimeError("The tensor does not have unique dim order, or cannot map to exact one "
                           "of the given memory formats.")
    order = list(range(len(strides)))
    moving = [dim for dim in order if strides[dim]]  # an expanded dimension keeps its place
    for place, dim in zip(moving, sorted(moving, key=lambda dim: -strides[dim]), strict=True):
        order[place] = dim
    return tuple(order)


def is_contiguous(input: Any, memory_format: Any = None) -> bool:
    """Whether the elements lie in order without gaps: row by row, or as the format has it."""
    data = input._data
    if memory_format is not None and memory_format.name == "channels_last":
        if data.ndim != 4:
            return False
        data = data.transpose(0, 2, 3, 1)
    return builtins.bool(data.flags.c_contiguous)


def typename(obj: Any) -> str:
    """The full name of an object's type, or of a type itself."""
    if isinstance(obj, TensorBase):
        return type_(obj)
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None) or ""
    prefix = "" if module in ("builtins", "__builtin__") else f"{module}."
    return prefix + named.__qualname__


def numel(input: Any) -> int:
    """How many elements there are."""
    return input._data.size


def result_type(tensor: Any, other: Any) -> dtypes.dtype:
    """The dtype in which two operands (tensors or numbers) would be combined."""
    return dtypes.result_type(
        (each.dtype, 2 if each._data.ndim else 1) if isinstance(each, TensorBase)
        else (dtypes.of_number(each), 0) for each in (tensor, other))


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether a result of dtype `from_` may be written into a tensor of dtype `to`."""
    return from_.category <= to.category and not (
        from_.category == dtypes.INTEGER and to.category == dtypes.INTEGER
        and from_.is_signed and not to.is_signed)
