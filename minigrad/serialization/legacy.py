"""torch's format before version 1.6: pickles one after the other, then the bytes of the storages.

A magic number, the version, facts about the machine, the object, the storages' keys; and for each
key the number of elements (int64) and the elements.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..storage import TypedStorage, UntypedStorage
from .locations import Mover
from .unpickling import StorageKind, parts_of

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Storages:
    """The storages by key. Their bytes come after the object, which already refers to them."""

    def __init__(self, restore: Mover) -> None:
        self.restore = restore
        self.known: dict[str, TypedStorage] = {}

    def __call__(self, saved_id: Any) -> TypedStorage:
        kind, key, location, count, *view = parts_of(saved_id)
        dtype = kind.dtype if isinstance(kind, StorageKind) else dtypes.uint8
        if key not in self.known:
            memory = self.restore(UntypedStorage(count * dtype.itemsize), location)
            self.known[key] = TypedStorage(wrap_storage=memory, dtype=dtype)
        if view and view[0] is not None:
            raise NotImplementedError("minigrad reads no storages that are views (torch 0.3)")
        return self.known[key]


def load(file: Any, restore: Mover, read: Callable[[Any, Callable], Any]) -> Any:
    """Read such a file; `read(file, storages)` reads one pickle of it."""
    storages = _Storages(restore)
    try:
        magic = read(file, storages)
        if magic != _MAGIC:
            raise RuntimeError("Invalid magic number; corrupt file?")
        version = read(file, storages)
        if version != _PROTOCOL:
            raise RuntimeError(f"Invalid protocol version: {version}")
        if not read(file, storages)["little_endian"]:
            raise NotImplementedError("minigrad reads no legacy files of big-endian machines")
        result, keys = read(file, storages), read(file, storages)
        for key in keys:
            _fill(storages.known[key], file)
    except (EOFError, KeyError, TypeError, struct.error) as error:
        raise pickle.UnpicklingError(
            f"the file is neither a zip archive nor a whole legacy file: {error}") from error
    return result


def _fill(storage: TypedStorage, file: Any) -> None:
    (count,) = struct.unpack("<q", file.read(8))
    if count != len(storage):
        raise RuntimeError(f"storage has wrong byte size: expected {len(storage)} elements, the "
                           f"file has {count}")
    data = np.frombuffer(file.read(storage.nbytes()), np.uint8)
    if data.size != storage.nbytes():
        raise EOFError("the file ends too early")
    storage.untyped().copy_(UntypedStorage.of(data))
