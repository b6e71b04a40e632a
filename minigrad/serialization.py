"""`save` and `load`: any object with tensors in it, as a pickle.

A tensor is written as its bytes, dtype, shape and device. Tensors that show the same elements of
the same memory (tied weights) are written once and share memory again after loading; views that
differ become tensors of their own.

Note [Loading what one does not trust]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Unpickling calls whatever function the file names. With `weights_only` (the default) only the names
in ALLOWED are looked up: tensors, dtypes, devices and plain containers. Anything else is refused.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .core import TensorBase, wrap
from .device import address, device, host, move
from .nn.parameter import Parameter, adopt
from .tensor import Size, Tensor

ALLOWED: dict[tuple[str, str], Any] = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (OrderedDict, defaultdict, Counter, dict, list, tuple, set, frozenset, complex,
                 bytearray, slice, Size, device)}
DTYPES = {kind.name: kind for kind in vars(dtypes).values() if isinstance(kind, dtypes.dtype)}
KINDS = {"Tensor": Tensor, "Parameter": Parameter}


class _Values:
    """The elements of a tensor on their way into the file."""

    def __init__(self, array: Any, place: str) -> None:
        self.array, self.place = array, place


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.written: dict[tuple, _Values] = {}

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _Values):
            array = host(value.array)
            name = dtypes.of(array.dtype).name
            return new_values, (array.tobytes(), name, array.shape, value.place)
        if isinstance(value, dtypes.dtype):
            return find_dtype, (value.name,)
        if type(value) in KINDS.values():
            return new_tensor, (self._values(value), type(value).__name__, value.requires_grad)
        return NotImplemented

    def _values(self, tensor: TensorBase) -> _Values:
        array = tensor._data
        key = (str(tensor.device), address(array), array.shape, array.strides, array.dtype.name)
        return self.written.setdefault(key, _Values(array, str(tensor.device)))


def new_values(data: bytes, dtype_name: str, shape: tuple, place: str) -> Any:
    """A tensor of the bytes, on the CPU."""
    dtype = find_dtype(dtype_name).numpy
    return wrap(np.frombuffer(bytearray(data), dtype).reshape(shape))


def new_tensor(values: Any, kind: str, requires_grad: bool) -> Any:
    """A leaf of the class named `kind` that shares the memory of `values`."""
    return adopt(KINDS[kind], values, requires_grad)


def find_dtype(name: str) -> Any:
    return DTYPES[name]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, map_location: Any, weights_only: bool) -> None:
        super().__init__(file)
        self.map_location, self.weights_only = map_location, weights_only

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__:
            return {"new_values": self._new_values, "new_tensor": new_tensor,
                    "find_dtype": find_dtype}[name]
        if not self.weights_only:
            return super().find_class(module, name)
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                "Weights only load failed. The file names "
                f"{module}.{name}, which is not among the tensors and plain containers that "
                "`weights_only=True` allows. Re-running `torch.load` with `weights_only=False` "
                "will likely succeed, but it can result in arbitrary code execution: do it only if "
                "you got the file from a trusted source.")
        return ALLOWED[module, name]

    def _new_values(self, data: bytes, dtype_name: str, shape: tuple, place: str) -> Any:
        tensor = new_values(data, dtype_name, shape, place)
        location = self.map_location
        if isinstance(location, dict):
            location = location.get(place, place)
        return wrap(move(tensor._data, device(place if location is None else location)))


def _opened(file: Any, mode: str, use: Callable[[Any], Any]) -> Any:
    if not isinstance(file, str | os.PathLike):
        return use(file)
    with open(file, mode) as opened:
        return use(opened)


def save(obj: Any, f: Any, pickle_protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
    """Write `obj` to a path or an open binary file."""
    _opened(f, "wb", lambda file: _Pickler(file, pickle_protocol).dump(obj))


def load(f: Any, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` wrote, onto the device it was on or onto `map_location`.

    `map_location` is a device, its name, or a dictionary from names to names.
    """
    if callable(map_location):
        raise NotImplementedError("minigrad's load takes no function as map_location")

    def read(file: Any) -> Any:
        start = file.read(2)
        file.seek(-len(start), os.SEEK_CUR)
        if start == b"PK":
            raise pickle.UnpicklingError("This is one of PyTorch's own zip files: load it there "
                                         "and bring the tensors over with .numpy().")
        return _Unpickler(file, map_location, weights_only).load()

    return _opened(f, "rb", read)
