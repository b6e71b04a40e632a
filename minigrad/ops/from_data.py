"""Tensors from data that exists: Python lists, NumPy arrays, buffers, other tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import device as device_type
from ..device import get_default_device, move
from .convert import item, to
from .creation import dtype_argument, element, finished

__all__ = ["as_tensor", "asarray", "frombuffer", "from_numpy", "tensor"]


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
           pin_memory: bool = False) -> Any:
    """A copy of `data` as a new leaf.

    Python numbers become bool, int64, the default float or its complex; arrays keep their dtype.
    """
    if isinstance(data, TensorBase):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach()"
            ".clone() or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).", stacklevel=2)
    return _tensor("tensor", data, dtype, device, requires_grad, copy=True)


def _tensor(name: str, data: Any, dtype: Any, device: Any, requires_grad: bool,
            copy: bool) -> Any:
    wanted = None if dtype is None else dtype_argument(name, dtype)
    if isinstance(data, TensorBase):
        array = data._data
    elif isinstance(data, np.ndarray):
        array = data
        dtypes.of(array.dtype)  # raises for what torch has no name for
    else:
        array, copy = array_of(data, wanted), False
    if wanted is not None and array.dtype is not wanted.numpy:
        array, copy = array.astype(wanted.numpy), False
    if device is None and get_default_device().type != "cpu":
        device = get_default_device()
    if device is not None:
        moved = move(array, device_type(device))
        array, copy = moved, copy and moved is array
    return finished(array.copy() if copy else array, requires_grad)


def array_of(data: Any, wanted: dtypes.dtype | None) -> np.ndarray:
    """Nested sequences of numbers as an array; NumPy does the work once the shape is checked."""
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    leaf = data
    while _is_sequence(leaf) and len(leaf):
        leaf = leaf[0]
    if isinstance(leaf, np.ndarray | np.generic | TensorBase):
        return _from_pieces(data, wanted)
    try:
        array = np.array(data)
    except (ValueError, OverflowError, TypeError):
        _explain(data)
        raise
    if array.dtype.kind not in "biufc" or array.dtype == np.uint64:
        _explain(data)
        return _from_pieces(data, wanted)
    if wanted is None:
        if not array.size and not _is_number(data):
            return array.astype(dtypes.get_default_dtype().numpy)
        category = dtypes.of(array.dtype).category
        return array.astype(dtypes.default_for(category).numpy)
    return _converted(array, wanted.numpy)


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Python numbers in an explicit dtype; what cannot be represented is refused."""
    if array.dtype.kind == "c" and dtype.kind not in "cb":
        raise TypeError("must be real number, not complex")
    if dtype.kind in "iu" and array.size:
        for extreme in (array.min(), array.max()):
            element(extreme.item(), dtype, dtypes.of(dtype).name)
    return array.astype(dtype)


def _is_number(data: Any) -> bool:
    return isinstance(data, bool | int | float | complex)


def _is_sequence(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str | bytes)


def _from_pieces(data: Any, wanted: dtypes.dtype | None) -> np.ndarray:
    """Sequences of arrays, NumPy scalars or tensors: their common dtype decides."""
    if isinstance(data, TensorBase):
        if data._data.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        array = np.asarray(item(data), data._data.dtype)
    elif _is_sequence(data):
        pieces = [_from_pieces(each, None) for each in data]
        common = dtypes.of(pieces[0].dtype)
        for piece in pieces:
            common = dtypes.promote_types(common, dtypes.of(piece.dtype))
            if piece.shape != pieces[0].shape:
                raise ValueError(f"expected sequence of length {len(pieces[0])} at dim 1 "
                                 f"(got {len(piece)})")
        array = np.stack([piece.astype(common.numpy) for piece in pieces])
    elif isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
        dtypes.of(array.dtype)
    else:
        array = array_of(data, None)
    return array if wanted is None else array.astype(wanted.numpy)


def _explain(data: Any) -> None:
    """Raise torch's error for data that is no regular nest of numbers."""
    shape = []
    first = data
    while _is_sequence(first):
        shape.append(len(first))
        if not len(first):
            break
        first = first[0]
    if isinstance(first, str):
        raise ValueError(f"too many dimensions '{type(first).__name__}'")
    _check_nest(data, shape, 0)


def _check_nest(data: Any, shape: list[int], depth: int) -> None:
    if depth == len(shape):
        if isinstance(data, int) and not -2**63 <= data < 2**63:
            raise ValueError("Overflow when unpacking long long")
        if _is_sequence(data):
            raise TypeError(f"'{type(data).__name__}' object cannot be interpreted as an integer")
        if not isinstance(data, bool | int | float | complex | np.generic | TensorBase):
            raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
        return
    if not _is_sequence(data):
        raise TypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} "
                         f"(got {len(data)})")
    for each in data:
        _check_nest(each, shape, depth + 1)


def from_numpy(ndarray: np.ndarray) -> Any:
    """The array's own memory as a tensor: a write to one is seen in the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.of(ndarray.dtype)
    if any(stride < 0 for stride in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) ")
    if not ndarray.flags.writeable:
        warnings.warn("The given NumPy array is not writable, and PyTorch does not support "
                      "non-writable tensors.", stacklevel=2)
    return wrap(ndarray.view(np.ndarray))


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor, sharing its memory (and, for a tensor, its history) where it can."""
    if isinstance(data, TensorBase):
        if dtype is None and device is None:
            return data
        return to(data, device=device, dtype=None if dtype is None
                  else dtype_argument("as_tensor", dtype))
    return _tensor("as_tensor", data, dtype, device, False, copy=False)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
            requires_grad: bool = False) -> Any:
    """`as_tensor` with a say about copying: never (False), always (True), where needed (None)."""
    result = as_tensor(obj, dtype, device)
    if copy and isinstance(obj, np.ndarray | TensorBase):
        result = result.clone()
    if copy is False and isinstance(obj, Sequence):
        raise ValueError("can't alias data that is a sequence: copy=False")
    return result.requires_grad_() if requires_grad else result


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0,
               requires_grad: bool = False) -> Any:
    """The bytes of a buffer as a 1-d tensor that shares its memory."""
    kind = dtype_argument("frombuffer", dtype).numpy
    length = memoryview(buffer).nbytes
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer "
                         f"length ({length} bytes) minus 1")
    if count < 0 and (length - offset) % kind.itemsize:
        raise ValueError(f"buffer length ({length - offset} bytes) after offset ({offset} bytes) "
                         f"must be a multiple of element size ({kind.itemsize})")
    return finished(np.frombuffer(buffer, kind, count, offset), requires_grad)


def new_tensor(self: Any, data: Any, *, dtype: Any = None, device: Any = None,
               requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """`tensor(data)` in this tensor's dtype and place."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype,
                  device=self.device if device is None else device, requires_grad=requires_grad)
