"""Dictionaries of tensors in the safetensors format: the functions of `safetensors.torch`.

The format holds names, dtypes, sizes and bytes, nothing that could be run. Reading and writing are
the `safetensors` package's, which is imported when first needed (`pip install
minigrad-engine[files]`); unlike its `safetensors.numpy` this has bfloat16.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import device as Device
from ..device import host, move
from ..names import missing_in

__all__ = ["load", "load_file", "save", "save_file"]

_DTYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "U16": dtypes.uint16, "U32": dtypes.uint32,
    "U64": dtypes.uint64, "I8": dtypes.int8, "I16": dtypes.int16, "I32": dtypes.int32,
    "I64": dtypes.int64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32,
    "F64": dtypes.float64, "C64": dtypes.complex64}


def save(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file with these tensors; `metadata` are texts beside them."""
    from safetensors import TensorSpec, serialize
    _check(tensors)
    arrays = {name: np.ascontiguousarray(host(tensor._data)) for name, tensor in tensors.items()}
    return serialize({name: TensorSpec(
        dtype=dtypes.of(array.dtype).name, shape=list(tensors[name].shape),
        data_ptr=array.ctypes.data, data_len=array.nbytes) for name, array in arrays.items()},
        metadata)


def save_file(tensors: dict[str, Any], filename: str | os.PathLike,
              metadata: dict[str, str] | None = None) -> None:
    """Write these tensors to a file, all or nothing (as `minigrad.save` does)."""
    from ..serialization.archive import replace_file
    data = save(tensors, metadata)
    replace_file(os.fspath(filename), lambda file: file.write(data))


def load(data: bytes, device: str | int = "cpu") -> dict[str, Any]:
    """The tensors in a file's bytes."""
    from safetensors import deserialize
    place = Device(device)
    tensors = {}
    for name, parts in deserialize(data):
        if parts["dtype"] not in _DTYPES:
            raise TypeError(f"minigrad has no dtype for the tensor '{name}' of {parts['dtype']}")
        kind = _DTYPES[parts["dtype"]].numpy
        array = np.frombuffer(parts["data"], kind) if parts["data"] else np.empty(0, kind)
        tensors[name] = wrap(move(array.reshape(parts["shape"]), place))
    return tensors


def load_file(filename: str | os.PathLike, device: str | int = "cpu") -> dict[str, Any]:
    """The tensors in a file, by name."""
    with open(filename, "rb") as file:
        return load(file.read(), device)


def _check(tensors: Any) -> None:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    for name, tensor in tensors.items():
        if not isinstance(tensor, TensorBase):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received "
                             f"{type(tensor)}")
    failing = [names for names in _sharing(tensors) if len(names) > 1]
    if failing:
        raise RuntimeError(
            "\n            Some tensors share memory, this will lead to duplicate memory on disk "
            f"and potential differences when loading them again: {failing}.\n            A "
            "potential way to correctly save your model is to use `save_model`.\n            More "
            "information at https://huggingface.co/docs/safetensors/torch_shared_tensors\n        "
            "    ")
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It"
                " either means you are trying to save tensors which are reference of each other in "
                "which case it's recommended to save only the full tensors, and reslice at load "
                "time, or simply call `.contiguous()` on your tensor to pack it before saving.")


def _sharing(tensors: dict[str, Any]) -> list[set[str]]:
    """The names in groups whose tensors overlap in memory."""
    by_storage = defaultdict(list)
    for name, tensor in tensors.items():
        if tensor.numel():
            start = tensor.data_ptr()
            reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
            stop = start + (reach + 1) * tensor.element_size()
            by_storage[tensor.untyped_storage()].append((start, stop, name))
    groups: list[set[str]] = []
    for places in by_storage.values():
        last = -1
        for start, stop, name in sorted(places):
            if start < last:
                groups[-1].add(name)
            else:
                groups.append({name})
            last = stop
    return groups


__getattr__ = missing_in(__name__)
