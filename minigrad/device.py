"""Devices: which array library holds a tensor's numbers, NumPy (`cpu`) or CuPy (`cuda`).

No op asks which device it runs on. A kernel is handed the array library `xp` that its arguments
belong to, found in one table keyed by the array's type. CuPy is imported when `cuda` is first asked
for, and only then gets its row.
"""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import Any

import numpy

ARRAY_MODULES: dict[type, ModuleType] = {numpy.ndarray: numpy}

_KNOWN_TYPES = ("cpu", "cuda", "meta")
_TORCH_DEVICE_TYPES = (
    "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, "
    "mps, meta, hpu, mtia, privateuseone")


class device:
    """Where a tensor lives: `device("cpu")`, `device("cuda")`, `device("cuda", 0)`."""

    __slots__ = ("type", "index")
    type: str
    index: int | None

    def __init__(self, type: str | device | int, index: int | None = None) -> None:
        if isinstance(type, device):
            index, type = type.index, type.type
        elif isinstance(type, int):
            index, type = type, "cuda"
        elif ":" in type:
            kind, _, number = type.partition(":")
            if index is not None:
                raise RuntimeError("type (string) must not include an index because index was "
                                   f"passed explicitly: {type}")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            type, index = kind, int(number)
        if type not in _KNOWN_TYPES:
            raise RuntimeError(f"Expected one of {_TORCH_DEVICE_TYPES} device type at start of "
                               f"device string: {type}")
        self.type = type
        self.index = index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, device)
                and (self.type, self.index) == (other.type, other.index))

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        """Inside, new tensors are made here unless they are told where."""
        _default.before.append(_default.place)
        _default.place = self
        return self

    def __exit__(self, *error: object) -> None:
        _default.place = _default.before.pop()


CPU = device("cpu")


class _Default(threading.local):
    """Where this thread makes new tensors that are not told where."""

    place = CPU

    def __init__(self) -> None:
        self.before: list[device] = []


_default = _Default()


def get_default_device() -> device:
    """Where new tensors are made that are not told where."""
    return _default.place


def set_default_device(device: Any) -> None:
    """Make new tensors there from now on, in this thread; None is the CPU."""
    _default.place = CPU if device is None else as_device(device)


def as_device(place: Any) -> device:
    """A device, its name or its index, as a device."""
    return place if isinstance(place, device) else device(place)


def array_module(array: Any) -> ModuleType:
    """NumPy or CuPy, whichever `array` belongs to."""
    return ARRAY_MODULES[type(array)]


def device_of(array: Any) -> device:
    """The device that holds `array`."""
    if type(array) is numpy.ndarray:
        return CPU
    return device("cuda", array.device.id)


def special(xp: ModuleType) -> ModuleType:
    """The special functions that go with `xp`: scipy.special or cupyx.scipy.special."""
    name = "scipy.special" if xp is numpy else "cupyx.scipy.special"
    return importlib.import_module(name)


def cuda_device_count() -> int:
    """How many GPUs CuPy can use: 0 without CuPy or without a driver."""
    try:
        cupy = importlib.import_module("cupy")
        return cupy.cuda.runtime.getDeviceCount()
    except Exception:  # CuPy raises its own error classes, which exist only where it is installed
        return 0


def _cupy(index: int | None) -> ModuleType:
    """CuPy, with its row in the tables; torch's error where there is no GPU to be had."""
    count = cuda_device_count()
    if count == 0:
        try:
            importlib.import_module("cupy")
        except ImportError:
            raise AssertionError("Torch not compiled with CUDA enabled") from None
        raise RuntimeError("Found no NVIDIA driver on your system. Please check that you have an "
                           "NVIDIA GPU and installed a driver from "
                           "http://www.nvidia.com/Download/index.aspx")
    if index is not None and index >= count:
        raise RuntimeError("CUDA error: invalid device ordinal")
    cupy = importlib.import_module("cupy")
    ARRAY_MODULES.setdefault(cupy.ndarray, cupy)
    return cupy


def module_for(place: device) -> ModuleType:
    """The array library that makes new arrays on `place`."""
    if place.type == "cpu":
        return numpy
    if place.type == "cuda":
        return _cupy(place.index)
    raise NotImplementedError(f"minigrad has no '{place.type}' device")


def move(array: Any, place: device) -> Any:
    """`array` itself if it is on `place` already, else a copy there."""
    if place.type == "cpu":
        return array if type(array) is numpy.ndarray else array.get()
    cupy = module_for(place)
    if type(array) is numpy.ndarray or (place.index not in (None, array.device.id)):
        with cupy.cuda.Device(place.index or 0):
            return cupy.asarray(array)
    return array


def host(array: Any) -> numpy.ndarray:
    """The array in the host's memory (the very array when it is there already)."""
    return array if type(array) is numpy.ndarray else array.get()


def add_at(xp: ModuleType, target: Any, key: Any, values: Any) -> None:
    """`target[key] += values`, also where a place occurs several times.

    CuPy adds fewer types in this way than NumPy. The others go round: complex numbers by their
    parts, int64 as uint64 (the same bits add up to the same bits), the rest in a wider type.
    """
    kind = target.dtype
    if xp is numpy or kind.name in _CUPY_ADDS:
        xp.add.at(target, key, values)
    elif kind.kind == "c":
        add_at(xp, target.real, key, values.real)
        add_at(xp, target.imag, key, values.imag)
    elif kind == numpy.int64:
        xp.add.at(target.view(numpy.uint64), key, values.astype(kind).view(numpy.uint64))
    else:
        wide = target.astype(numpy.int32 if kind.kind in "biu" else numpy.float32)
        xp.add.at(wide, key, values.astype(wide.dtype))
        target[...] = wide.astype(kind)


def combine_at(xp: ModuleType, function: str, target: Any, key: tuple, values: Any) -> None:
    """`target[key] = function(target[key], values)` for NumPy's function of that name, also where a
    place occurs several times. CuPy has it for few functions and types: its arrays go by the host.
    """
    at = getattr(numpy, function).at
    if xp is numpy:
        at(target, key, values)
        return
    combined = host(target)
    at(combined, tuple([host(each) if hasattr(each, "get") else each for each in key]),
       host(values))
    target[...] = xp.asarray(combined)


_CUPY_ADDS = ("float16", "float32", "float64", "int32", "uint32", "uint64")


def address(array: Any) -> int:
    """Where the array's first element lies in memory."""
    return array.ctypes.data if hasattr(array, "ctypes") else array.data.ptr
