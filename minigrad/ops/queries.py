"""Questions about tensors and their types, as functions."""

from __future__ import annotations

import builtins
from typing import Any

from .. import dtypes
from ..core import INFERENCE, TensorBase

__all__ = ["can_cast", "is_floating_point", "is_inference", "is_nonzero", "is_tensor", "numel",
           "promote_types", "result_type"]

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
