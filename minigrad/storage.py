"""Storages: the memory behind tensors, as one flat piece, whatever views see of it.

A tensor is a window (offset, sizes, strides) onto a storage. Here the storage is the array that
owns the memory: two tensors share one exactly when `a.untyped_storage() == b.untyped_storage()`.
NumPy and CuPy allocate what a tensor needs, so unlike torch's a storage never grows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import dtypes
from .core import TensorBase, give_array, mode, version_of, wrap
from .device import address, array_module, device, device_of, host, module_for, move
from .ops.strided import in_memory_order, memory_of, restrided


class UntypedStorage:
    """A piece of memory, counted in bytes: `UntypedStorage(nbytes)` or `UntypedStorage(bytes)`."""

    __slots__ = ("_owner", "__weakref__")
    _owner: Any  # the array that owns the memory

    def __init__(self, source: int | Sequence[int] = 0, *, device: Any = "cpu") -> None:
        xp = module_for(_device(device))
        self._owner = (xp.zeros(source, xp.uint8) if isinstance(source, int)
                       else xp.asarray(np.array(list(source), np.uint8)))

    @classmethod
    def of(cls, owner: Any) -> UntypedStorage:
        """The memory that the array `owner` owns."""
        storage = object.__new__(cls)
        storage._owner = owner
        return storage

    @property
    def _bytes(self) -> Any:
        return in_memory_order(self._owner).view(np.uint8)

    # --- as facts
    def nbytes(self) -> int:
        """How many bytes there are."""
        return self._owner.nbytes

    size = __len__ = nbytes

    def element_size(self) -> int:
        """One: it is counted in bytes."""
        return 1

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return address(self._owner) if self._owner.nbytes else 0

    @property
    def device(self) -> device:
        """Where the memory is."""
        return device_of(self._owner)

    @property
    def is_cuda(self) -> bool:
        """Whether it is on a GPU."""
        return self.device.type == "cuda"

    def untyped(self) -> UntypedStorage:
        """The storage itself."""
        return self

    # Two handles of one memory are equal: torch hands out the very same object.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self._owner is other._owner

    def __hash__(self) -> int:
        return id(self._owner)

    # --- the bytes
    def __getitem__(self, index: Any) -> Any:
        found = self._bytes[index]
        return UntypedStorage.of(found) if isinstance(index, slice) else int(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._bytes[index] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return host(self._bytes).tolist()

    def fill_(self, value: int) -> UntypedStorage:
        """Write one value into every byte."""
        self._bytes[...] = value
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> UntypedStorage:
        """Write the bytes of `source` over these."""
        if self.nbytes() != source.nbytes():
            raise RuntimeError(f"size does not match, self was {self.nbytes()} bytes but src was "
                               f"{source.nbytes()} bytes")
        self._bytes[...] = move(source._bytes, self.device)
        return self

    # --- other storages
    def clone(self) -> UntypedStorage:
        """A copy."""
        return UntypedStorage.of(self._bytes.copy())

    def __deepcopy__(self, memo: dict) -> UntypedStorage:
        return memo.setdefault(id(self), self.clone())

    def to(self, device: Any) -> UntypedStorage:
        """This storage, or a copy of it on another device."""
        place = _device(device)
        here = self.device
        if here.type == place.type and place.index in (None, here.index):
            return self
        return UntypedStorage.of(move(self._bytes, place))

    def cpu(self) -> UntypedStorage:
        """This storage, or a copy of it in the host's memory."""
        return self.to("cpu")

    def cuda(self, device: int | None = None, non_blocking: bool = False) -> UntypedStorage:
        """This storage, or a copy of it on a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def __repr__(self) -> str:
        return "\n".join([*(f" {value}" for value in self.tolist()),
                          f"[torch.storage.UntypedStorage(device={self.device}) of size "
                          f"{len(self)}]"])


class TypedStorage:
    """A storage counted in elements of a dtype: what `tensor.storage()` gives (deprecated)."""

    __slots__ = ("_untyped_storage", "dtype")

    def __init__(self, *, wrap_storage: UntypedStorage, dtype: dtypes.dtype) -> None:
        self._untyped_storage, self.dtype = wrap_storage, dtype

    @property
    def _elements(self) -> Any:
        return self._untyped_storage._bytes.view(self.dtype.numpy)

    @property
    def device(self) -> device:
        """Where the memory is."""
        return self._untyped_storage.device

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return self._untyped_storage

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._untyped_storage.data_ptr()

    def nbytes(self) -> int:
        """How many bytes there are."""
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        """The bytes of an element."""
        return self.dtype.itemsize

    def size(self) -> int:
        """How many elements there are."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def __getitem__(self, index: int) -> Any:
        return self._elements[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements[index] = value

    def __iter__(self) -> Iterator:
        return iter(self.tolist())

    def tolist(self) -> list:
        """The elements as numbers."""
        return host(self._elements).tolist()

    def __repr__(self) -> str:
        return "\n".join([*(f" {value}" for value in self.tolist()),
                          f"[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) "
                          f"of size {len(self)}]"])


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage, typed or not."""
    return isinstance(obj, UntypedStorage | TypedStorage)


def _device(place: Any) -> device:
    return place if isinstance(place, device) else device(place)


# --- between tensors and storages ----------------------------------------------------------------

def untyped_storage(self: Any) -> UntypedStorage:
    """The memory that this tensor sees a part of, in bytes."""
    return UntypedStorage.of(memory_of(self._data))


def storage(self: Any) -> TypedStorage:
    """The memory that this tensor sees a part of, in elements."""
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be "
        "the only storage class. This should only matter to you if you are using storages "
        "directly.  To access UntypedStorage directly, use tensor.untyped_storage() instead of "
        "tensor.storage()", stacklevel=2)
    return TypedStorage(wrap_storage=untyped_storage(self), dtype=self.dtype)


def seen(memory: UntypedStorage, dtype: dtypes.dtype, offset: int, size: Sequence[int],
         stride: Sequence[int]) -> Any:
    """The array of `dtype` at these places (in elements) of `memory`; outside of it, an error."""
    size, stride, item = tuple(size), tuple(stride), dtype.itemsize
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if len(size) != len(stride):
        raise RuntimeError(f"mismatch in length of strides and shape: {len(size)} sizes, "
                           f"{len(stride)} strides")
    if min(size, default=0) < 0:
        raise RuntimeError("numel: integer multiplication overflow")
    if min(stride, default=0) < 0:
        raise RuntimeError("Storage size calculation overflowed with sizes="
                           f"{list(size)} and strides={list(stride)}")
    xp = array_module(memory._owner)
    if 0 in size:
        return xp.empty(size, dtype.numpy)
    needed = (offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))) * item
    if needed > memory.nbytes():
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and "
            f"itemsize {item} requiring a storage size of {needed} are out of bounds for storage "
            f"of size {memory.nbytes()}")
    elements = memory._bytes[:memory.nbytes() // item * item].view(dtype.numpy)
    return restrided(xp, elements, size, [s * item for s in stride], offset * item)


def _row_by_row(size: Sequence[int]) -> tuple[int, ...]:
    return tuple([math.prod(max(n, 1) for n in size[i + 1:]) for i in range(len(size))])


def set_(self: Any, source: Any = None, storage_offset: int = 0, size: Any = None,
         stride: Any = None) -> Any:
    """Let this tensor see the memory of `source`, a tensor or a storage, from now on."""
    if mode.grad and self.requires_grad and self.grad_fn is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place "
                           "operation.")
    if source is None:
        data = array_module(self._data).empty(0, self._data.dtype)
    elif isinstance(source, TensorBase):
        if source._data.dtype != self._data.dtype:
            raise RuntimeError(f"Could not set tensor of type {source.dtype.c_name} to a tensor of "
                               f"type {self.dtype.c_name}")
        data = source._data if size is None else seen(
            untyped_storage(source), self.dtype, storage_offset, size,
            _row_by_row(size) if stride is None else stride)
    elif is_storage(source):
        if isinstance(source, TypedStorage) and source.dtype is not self.dtype:
            raise RuntimeError(f"Expected a Storage of type {self.dtype.c_name} or an "
                               f"UntypedStorage, but got type {source.dtype.scalar_name} for "
                               "argument 1 'storage'")
        memory = source.untyped()
        if size is None:
            size = (memory.nbytes() // self.dtype.itemsize - storage_offset,)
        data = seen(memory, self.dtype, storage_offset, size,
                    _row_by_row(size) if stride is None else stride)
    else:
        raise TypeError("set_() received an invalid combination of arguments - got "
                        f"({type(source).__name__})")
    version_of(self).count += 1
    give_array(self, data)
    return self


def tensor_of(memory: UntypedStorage, dtype: dtypes.dtype, offset: int, size: Sequence[int],
              stride: Sequence[int]) -> Any:
    """A tensor that sees these places (in elements) of `memory`."""
    return wrap(seen(memory, dtype, offset, size, stride))
