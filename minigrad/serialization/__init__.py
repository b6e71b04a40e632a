"""`save` and `load`: any object with tensors in it, in torch's own file format, both ways.

A file is a zip archive, without compression, of one pickle and of the memory that its tensors see:

    archive/data.pkl     the object; a tensor is (which storage, offset, sizes, strides)
    archive/data/0       the bytes of storage 0; further storages follow
    archive/byteorder    "little", on all machines that matter

so tensors that share memory share it again after loading. The names in the pickle are torch's: what
torch wrote loads here without torch, and what is written here loads in torch. pickling.py writes
the pickle, unpickling.py reads it, archive.py is the zip file, legacy.py reads what torch wrote
before version 1.6.

Note [Loading what one does not trust]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Unpickling calls whatever function the file names. With `weights_only` (the default) only the few
names in a table are looked up, only what came from that table is called, and only the pickle
instructions that tensors and plain containers need are known. `add_safe_globals` adds to the table.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..names import missing_in
from .safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals",
           "get_unsafe_globals_in_checkpoint", "load", "safe_globals", "save"]

DEFAULT_PROTOCOL = 2


def save(obj: Any, f: Any, pickle_module: Any = pickle, pickle_protocol: int = DEFAULT_PROTOCOL,
         _use_new_zipfile_serialization: bool = True,
         _disable_byteorder_record: bool = False) -> None:
    """Write `obj` to a path or to an open binary file.

    A path is written all or nothing: to a file beside it, which takes its place when it is complete
    and on the disk. Whatever happens before that, the old file stays as it was.
    """
    from . import archive, pickling
    if pickle_module is not pickle:
        raise NotImplementedError("minigrad's save writes with Python's own pickle only")
    if not _use_new_zipfile_serialization:
        raise NotImplementedError("minigrad's save writes torch's zip format only")
    if not isinstance(f, str | os.PathLike) and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a "
                             "'write' attribute")
    data, storages = pickling.pickled(obj, pickle_protocol)
    write = lambda file: archive.write(file, data, storages, not _disable_byteorder_record)
    if isinstance(f, str | os.PathLike):
        archive.replace_file(os.fspath(f), write)
    else:
        write(f)
        if hasattr(f, "flush"):
            f.flush()


def load(f: Any, map_location: Any = None, pickle_module: Any = None, *,
         weights_only: bool | None = None, mmap: bool | None = None,
         **pickle_load_args: Any) -> Any:
    """Read what `save`, here or in torch, has written.

    Tensors come to the device they were on, or to where `map_location` says: a device or its name,
    a dictionary from names to names, or a function of (storage on the CPU, name) that returns a
    storage or None. `mmap` reads a tensor's bytes only when they are used, and writes stay in
    memory. `weights_only=False` runs whatever the file asks for: only for files one trusts.
    """
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if pickle_load_args and weights_only:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    pickle_load_args.setdefault("encoding", "utf-8")
    is_path = isinstance(f, str | os.PathLike)
    if is_path and os.fspath(f).endswith(".safetensors"):
        return _load_safetensors(f, map_location)
    with _opened(f) as file:
        return _load(file, f if is_path else None, map_location, pickle_module or pickle,
                     weights_only, bool(mmap), pickle_load_args)


def _load(file: Any, path: Any, map_location: Any, pickle_module: Any, weights_only: bool,
          mmap: bool, options: dict) -> Any:
    from . import archive, legacy, unpickling
    from .locations import mover
    restore = mover(map_location)
    read: Callable
    if weights_only:
        read = lambda data, storages: unpickling.SafeUnpickler(data, storages, options).load()
    else:
        read = lambda data, storages: unpickling.full_unpickler(
            pickle_module, data, storages, options).load()
    if archive.is_zip(file):
        if mmap and path is None:
            raise ValueError("f must be a file path in order to use the mmap argument")
        with archive.Reader(file, path if mmap else None) as records:
            storages = unpickling.Storages(records, restore)
            return _explained(weights_only, lambda: read(records.pickle(), storages))
    if mmap:
        name = f"{path}, " if isinstance(path, str) else ""
        raise RuntimeError(
            f"mmap can only be used with files saved with `torch.save({name}"
            "_use_new_zipfile_serialization=True), please torch.save your checkpoint with this "
            "option in order to use mmap.")
    return _explained(weights_only, lambda: legacy.load(file, restore, read))


def _explained(weights_only: bool, read: Callable) -> Any:
    from . import unpickling
    try:
        return read()
    except pickle.UnpicklingError as error:
        if not weights_only:
            raise
        raise pickle.UnpicklingError(unpickling.refusal(str(error))) from None


def _load_safetensors(f: Any, map_location: Any) -> dict:
    from ..device import device
    from ..utils import safetensors
    if isinstance(map_location, dict) or callable(map_location):
        kind = "dict" if isinstance(map_location, dict) else "callable"
        raise RuntimeError(f"Loading safetensors file with {kind} map_location is not supported. "
                           "Use a device string or torch.device instead.")
    place = "cpu" if map_location is None else map_location
    return safetensors.load_file(f, device=str(place) if isinstance(place, device) else place)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file that `weights_only=True` refuses; nothing is loaded."""
    from . import archive, unpickling
    with _opened(f) as file:
        if not archive.is_zip(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        with archive.Reader(file, None) as records:
            return unpickling.unsafe_names(records.pickle())


@contextmanager
def _opened(f: Any) -> Iterator[Any]:
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            yield file
        return
    try:
        f.seek(f.tell())
    except (OSError, AttributeError) as error:
        raise type(error)(
            f"{error}. You can only torch.load from a file that is seekable. Please pre-load the "
            "data into a buffer like io.BytesIO and try to load from it instead.") from None
    yield f


__getattr__ = missing_in(__name__)
