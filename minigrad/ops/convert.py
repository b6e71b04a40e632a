"""Leaving and changing representation: dtype, device, Python numbers, NumPy arrays, the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import device as devices
from .. import dtypes
from ..core import TensorBase, mode, version_of, wrap
from ..device import device, host
from ..inplace import inplace
from ..overlap import is_same_memory
from ..primitive import derivative, primitive
from ..strides import as_operands_lie, has_channels_last
from .strided import copy

_RANKS = {"channels_last": 4, "channels_last_3d": 5}


@primitive(promote="exact", name="ToCopy", node_name="ToCopyBackward0")
def _to_copy(xp, input, *, dtype, place, format=None):
    """The same values in another dtype, on another device or in another order of strides; complex
    to real drops a part."""
    if input.dtype.kind == "c" and dtype.kind not in "cb":
        input = input.real
    array = devices.move(input, place)
    if format == "contiguous_format":
        return array.astype(dtype, order="C")
    if format in _RANKS:
        return xp.moveaxis(xp.moveaxis(array, 1, -1).astype(dtype, order="C"), -1, 1)
    if array is not input and array.dtype is dtype:
        return array
    return as_operands_lie(xp, array.astype(dtype), [array])


derivative(_to_copy, input=lambda g, input_dtype, input_place: _to_copy(
    g, dtype=input_dtype, place=input_place))


def cast(input: Any, dtype: np.dtype) -> Any:
    """`input` in a NumPy dtype; `input` itself if it has it already."""
    return input if input._data.dtype is dtype else _convert(input, dtype, input.device)


def _convert(input: Any, dtype: np.dtype, place: device, format: str | None = None) -> Any:
    if dtype in dtypes.DIFFERENTIABLE:
        return _to_copy(input, dtype=dtype, place=place, format=format)
    enabled, mode.grad = mode.grad, False
    try:
        return _to_copy(input, dtype=dtype, place=place, format=format)
    finally:
        mode.grad = enabled


def to(input: Any, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False,
       copy: bool = False, memory_format: Any = None) -> Any:
    """`input` with another dtype and/or device; `input` itself where nothing changes.

    Call as `to(dtype)`, `to(device)`, `to(device, dtype)` or `to(other)`.
    """
    flags = [argument for argument in args if isinstance(argument, bool)]  # non_blocking, copy
    copy = flags[1] if len(flags) > 1 else copy
    for argument in args:
        if isinstance(argument, dtypes.dtype):
            dtype = argument
        elif isinstance(argument, TensorBase):
            device, dtype = argument.device, argument.dtype
        elif isinstance(argument, str | int | devices.device) and not isinstance(argument, bool):
            device = argument
        elif argument is not None and not isinstance(argument, bool):
            raise TypeError("to() received an invalid combination of arguments - got "
                            f"({type(argument).__name__})")
    new_dtype = input._data.dtype if dtype is None else dtype.numpy
    place = input.device if device is None else devices.device(device)
    here = place.type == input.device.type and place.index in (None, input.device.index)
    format = None if memory_format is None else memory_format.name
    if new_dtype is input._data.dtype and here and not copy and _lies(input._data, format):
        return input
    return _convert(input, new_dtype, place, format)


def _lies(data: Any, format: str | None) -> bool:
    """Whether torch takes the array to lie as asked: with its channels last if the strides of 4 or
    5 dims grow in that order, else contiguous, gaps or not."""
    if format not in (*_RANKS, "contiguous_format"):
        return True
    rank = _RANKS.get(format, data.ndim)
    if data.ndim != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {format} format")
    return has_channels_last(data) == (format in _RANKS)


def type_as(input: Any, other: Any) -> Any:
    """`input` in the dtype and on the device of `other`."""
    return to(input, other)


def type_(input: Any, dtype: Any = None) -> Any:
    """Without `dtype` the legacy type name ("torch.FloatTensor"), else `input` in that dtype."""
    if dtype is None:
        prefix = "" if input.device.type == "cpu" else "cuda."
        return f"torch.{prefix}{input.dtype.scalar_name}Tensor"
    if isinstance(dtype, dtypes.dtype):
        return to(input, dtype)
    if not isinstance(dtype, str | type):
        raise TypeError("dtype must be a type, str, or dtype object")
    name = dtype if isinstance(dtype, str) else dtype.__name__
    for known in dtypes.ALL:
        if name.removeprefix("torch.") == f"{known.scalar_name}Tensor":
            return to(input, known)
    raise ValueError(f"invalid type: '{name}'")


def cpu(input: Any, memory_format: Any = None) -> Any:
    """The tensor in the host's memory."""
    return to(input, devices.CPU, memory_format=memory_format)


def cuda(input: Any, device: Any = None, non_blocking: bool = False) -> Any:
    """The tensor on a GPU (the current one by default)."""
    return to(input, devices.device("cuda") if device is None else device)


_copy_ = inplace(copy, "copy_")
_copy_over_itself_ = inplace(copy, "copy_", overlap=None)


def copy_(input: Any, src: Any, non_blocking: bool = False) -> Any:
    """Write `src` over `input`, whatever its dtype and device."""
    if isinstance(src, TensorBase) and type(src._data) is not type(input._data):
        src = to(src, input.device)
    return (_copy_over_itself_ if is_same_memory(input, src) else _copy_)(input, src)


def _caster(dtype: dtypes.dtype, doc_name: str) -> Any:
    def method(input: Any, memory_format: Any = None) -> Any:
        return to(input, dtype, memory_format=memory_format)
    method.__name__ = doc_name
    method.__doc__ = f"`input.to({dtype})`."
    return method


float_ = _caster(dtypes.float32, "float")
double = _caster(dtypes.float64, "double")
half = _caster(dtypes.float16, "half")
bfloat16 = _caster(dtypes.bfloat16, "bfloat16")
int_ = _caster(dtypes.int32, "int")
long = _caster(dtypes.int64, "long")
short = _caster(dtypes.int16, "short")
char = _caster(dtypes.int8, "char")
byte = _caster(dtypes.uint8, "byte")
bool_ = _caster(dtypes.bool_, "bool")
cfloat = _caster(dtypes.complex64, "cfloat")
cdouble = _caster(dtypes.complex128, "cdouble")


# --- out of the graph ----------------------------------------------------------------------------

def detach(input: Any) -> Any:
    """The same memory outside the graph; it shares the version counter, so writes are noticed."""
    result = wrap(input._data)
    result._counter = version_of(input)
    return result


def detach_(input: Any) -> Any:
    """Cut this tensor's own history off, in place: it becomes a leaf that needs no gradient."""
    if input._view is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead. If you are using "
                           "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view"
                           " is set as True, gradients are views of DDP buckets, and hence "
                           "detach_() cannot be called on these gradients. To fix this error, "
                           "please refer to the Optimizer.zero_grad() function in "
                           "torch/optim/optimizer.py as the solution.")
    input._node, input._output, input._tracked = None, 0, False
    version_of(input)  # so that whoever saved it looks at it again
    return input


# --- Python numbers and NumPy arrays -------------------------------------------------------------

def item(input: Any) -> Any:
    """The one element as a Python number."""
    if input._data.size != 1:
        raise RuntimeError(f"a Tensor with {input._data.size} elements cannot be converted to "
                           "Scalar")
    value = input._data.item()
    return float(value) if input._data.dtype == dtypes.bfloat16.numpy else value


def tolist(input: Any) -> Any:
    """The elements as nested lists of Python numbers."""
    data = host(input._data)
    return (data.astype(np.float32) if data.dtype == dtypes.bfloat16.numpy else data).tolist()


def numpy(input: Any, *, force: bool = False) -> np.ndarray:
    """The tensor's memory as a NumPy array: no copy, so a write to one is seen in the other."""
    if force:
        return host(input._data)
    if input.requires_grad:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use "
                           "tensor.detach().numpy() instead.")
    if type(input._data) is not np.ndarray:
        raise TypeError(f"can't convert {input.device} device type tensor to numpy. Use "
                        "Tensor.cpu() to copy the tensor to host memory first.")
    if input._data.dtype == dtypes.bfloat16.numpy:
        raise TypeError("Got unsupported ScalarType BFloat16")
    return input._data


def array(input: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """`numpy.asarray(tensor)`: what matplotlib and NumPy functions call."""
    data = numpy(input)
    return data if dtype is None else data.astype(dtype, copy=False)


def array_wrap(input: Any, result: np.ndarray, context: Any = None,
               return_scalar: bool = False) -> Any:
    """What NumPy makes of a NumPy function's result when a tensor went in: a tensor again."""
    return wrap(np.asarray(result))


def truth(input: Any) -> bool:
    """`bool(tensor)`: the truth of its one element."""
    if input._data.size != 1:
        if input._data.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    return bool(input._data.item())


def index(input: Any) -> int:
    """`range(10)[tensor]`: an integer tensor with one element serves as an index."""
    if input._data.size != 1 or input._data.dtype.kind not in "biu":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(input._data.item())


def _one(input: Any) -> Any:
    if input._data.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return item(input)


def to_float(input: Any) -> float:
    """`float(tensor)`, for a tensor with one element."""
    return float(_one(input))


def to_int(input: Any) -> int:
    """`int(tensor)`, for a tensor with one element."""
    return int(_one(input))


def to_complex_number(input: Any) -> complex:
    """`complex(tensor)`, for a tensor with one element."""
    return complex(_one(input))
