"""torch's oldest constructors: `FloatTensor([1.5])`, `LongTensor(2, 3)`, `Tensor(2, 3)`."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .core import TensorBase
from .ops.convert import detach
from .ops.creation import empty
from .ops.from_data import tensor


def construct(args: tuple, dtype: dtypes.dtype) -> Any:
    """From data, or uninitialised from sizes; nothing at all is an empty tensor."""
    if not args:
        return empty(0, dtype=dtype)
    (first, *more) = args
    if not more and isinstance(first, TensorBase):
        if first.dtype is not dtype:
            raise TypeError(f"expected Float (got {first.dtype.scalar_name})")
        return detach(first)
    if not more and not isinstance(first, int):
        return tensor(first, dtype=dtype)
    return empty(args, dtype=dtype)


class _TypedTensor(type):
    """A class that no object has: its instances are the CPU tensors of one dtype."""

    dtype: dtypes.dtype

    def __call__(cls, *args: Any) -> Any:
        return construct(args, cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return (isinstance(instance, TensorBase) and instance.dtype is cls.dtype
                and instance.device.type == "cpu")


def _typed(dtype: dtypes.dtype) -> Any:
    text = f"A tensor of {dtype.name}, from data or sizes; all such tensors are its instances."
    return _TypedTensor(f"{dtype.scalar_name}Tensor", (), {"dtype": dtype, "__doc__": text})


BoolTensor, ByteTensor, CharTensor = (
    _typed(dtypes.bool_), _typed(dtypes.uint8), _typed(dtypes.int8))
ShortTensor, IntTensor, LongTensor = (
    _typed(dtypes.int16), _typed(dtypes.int32), _typed(dtypes.int64))
HalfTensor, BFloat16Tensor = _typed(dtypes.float16), _typed(dtypes.bfloat16)
FloatTensor, DoubleTensor = _typed(dtypes.float32), _typed(dtypes.float64)
