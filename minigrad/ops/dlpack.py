"""DLPack: memory shared with other array libraries, without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import wrap
from ..device import array_module

__all__ = ["from_dlpack", "to_dlpack"]

_CPU = 1  # DLPack's number of the device


class _Holder:
    """A capsule as the object that libraries ask for one."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU, 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array of any library (or a capsule of its memory on the CPU) as a tensor that shares it;
    with `copy`, or on another `device`, as one that does not."""
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Holder(ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError("from_dlpack received an invalid capsule. Note that DLTensor capsules "
                           "can be consumed only once, so you might have already constructed a "
                           "tensor from it once.")
    library: Any = np
    if ext_tensor.__dlpack_device__()[0] != _CPU:
        import cupy

        library = cupy
    tensor = wrap(library.from_dlpack(ext_tensor))
    if copy:
        tensor = tensor.clone()
    return tensor if device is None else tensor.to(device)


def to_dlpack(tensor: Any) -> Any:
    """The tensor's memory as a capsule, which can be used once."""
    return dlpack(tensor.detach())


def dlpack(tensor: Any, *, stream: Any = -1, max_version: Any = None, dl_device: Any = None,
           copy: bool | None = None) -> Any:
    """`Tensor.__dlpack__`: the memory as a capsule."""
    if tensor.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if array_module(tensor._data) is not np:
        return tensor._data.__dlpack__(stream=None if stream == -1 else stream)
    if stream is not None and stream != -1:
        raise AssertionError("stream should be None on cpu.")
    return tensor._data.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)


def dlpack_device(tensor: Any) -> tuple[int, int]:
    """`Tensor.__dlpack_device__`: DLPack's numbers of the kind of device and of the device."""
    return tensor._data.__dlpack_device__()
