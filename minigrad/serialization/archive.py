"""The file itself: a zip archive without compression, each record's bytes aligned and checked."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..device import host
from ..storage import UntypedStorage

ALIGNMENT = 64
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # ... the lengths of the name and of the extra field
_MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 24
_NEWEST_VERSION = 10  # of the format, that torch reads too


# --- writing -------------------------------------------------------------------------------------

def write(file: Any, data: bytes, storages: list[UntypedStorage], byteorder: bool = True) -> None:
    """Write the records in torch's order."""
    with zipfile.ZipFile(file, "w") as records:
        _write_record(records, "data.pkl", data)
        _write_record(records, ".format_version", b"1")
        _write_record(records, ".storage_alignment", str(ALIGNMENT).encode())
        if byteorder:
            _write_record(records, "byteorder", sys.byteorder.encode())
        for number, storage in enumerate(storages):
            _write_record(records, f"data/{number}", host(storage._bytes).data)
        _write_record(records, "version", b"3\n")


def _write_record(records: zipfile.ZipFile, name: str, data: Any) -> None:
    info = zipfile.ZipInfo(f"archive/{name}")  # dated 1980: equal objects make equal files
    size = len(data)
    large = size >= 2**31
    # An extra field "FB" of zeros moves the data to the next multiple of the alignment.
    start = records.start_dir + _LOCAL_HEADER.size + len(info.filename) + 4 + 20 * large
    padding = -start % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
    with records.open(info, "w", force_zip64=large) as record:
        record.write(data)
    info.extra = b""  # in the directory at the end it would be of no use


def replace_file(path: str, write: Callable[[Any], None]) -> None:
    """Let `write` fill a new file that then takes the place of `path`, at once.

    The rename comes after the bytes are on the disk, so that at any moment `path` is the whole old
    file or the whole new one.
    """
    path = os.path.realpath(path)  # a link stays a link
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {folder} does not exist.")
    mode = None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
    if mode is not None and not stat.S_ISREG(mode):  # a pipe, /dev/null
        with open(path, "wb") as file:
            write(file)
        return
    temporary = os.path.join(folder, f".{name[:100]}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Let the new name outlive a loss of power, where the system can be asked for that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# --- reading -------------------------------------------------------------------------------------

def is_zip(file: Any) -> bool:
    """Whether a zip file begins here."""
    start = file.read(len(_MAGIC))
    file.seek(-len(start), os.SEEK_CUR)
    return start == _MAGIC


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Whatever is wrong with the file, one kind of error says so."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError,
            EOFError, ValueError, OSError, OverflowError) as error:
        why = str(error)
        if why == "File is not a zip file":
            why = "failed finding central directory"
        raise RuntimeError(f"PytorchStreamReader failed {what}: {why}") from error


class Reader:
    """The records of a file; each is checked against its checksum when it is read.

    With `mapped_path` storages are mapped into memory instead: nothing is read before it is used,
    and so nothing is checked.
    """

    def __init__(self, file: Any, mapped_path: Any) -> None:
        self.file, self.mapped_path = file, mapped_path
        with _explained("reading zip archive"):
            self.zip = zipfile.ZipFile(file)
            self.infos = {info.filename: info for info in self.zip.infolist()}
        self.folder = next(iter(self.infos), "").partition("/")[0]
        if self._info("constants.pkl", None) is not None:
            raise RuntimeError("minigrad reads no TorchScript archives")
        version = self.record("version", b"3")
        if not version.strip().isdigit() or int(version) > _NEWEST_VERSION:
            raise RuntimeError(
                "Attempted to read a PyTorch file with version "
                f"{version.strip().decode(errors='replace')}, but the maximum supported version "
                f"for reading is {_NEWEST_VERSION}. Your PyTorch installation may be too old.")
        order = self.record("byteorder", b"little")
        if order not in (b"little", b"big"):
            raise ValueError(f"Unknown endianness type: {order.decode(errors='replace')}")
        self.swapped = order.decode() != sys.byteorder

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: Any) -> None:
        self.zip.close()

    def _info(self, name: str, default: Any = KeyError) -> Any:
        info = self.infos.get(f"{self.folder}/{name}", default)
        if info is KeyError:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found")
        return info

    def record(self, name: str, default: bytes | None = None) -> bytes:
        """A small record as it is; `default` if it is not there."""
        info = self._info(name, KeyError if default is None else None)
        if info is None:
            assert default is not None
            return default
        with _explained(f"reading file {name}"):
            return self.zip.read(info)

    def pickle(self) -> bytes:
        return self.record("data.pkl")

    def storage(self, key: str, count: int, dtype: np.dtype) -> UntypedStorage:
        """A storage of `count` elements, on the CPU."""
        name = f"data/{key}"
        info, nbytes = self._info(name), count * dtype.itemsize
        if info.file_size != nbytes:
            raise RuntimeError(f"PytorchStreamReader failed reading file {name}: it has "
                               f"{info.file_size} bytes, not {nbytes}")
        with _explained(f"reading file {name}"):
            memory = self._mapped(info) if self.mapped_path and nbytes else self._read(info)
        if self.swapped and dtype.itemsize > 1:
            plain = memory.view(f"u{dtype.itemsize}") if dtype.kind == "V" else memory.view(dtype)
            memory = plain.byteswap().view(np.uint8)
        return UntypedStorage.of(memory)

    def _read(self, info: zipfile.ZipInfo) -> np.ndarray:
        memory = np.empty(info.file_size, np.uint8)
        with self.zip.open(info) as record:
            for start in range(0, len(memory), _CHUNK):
                part = memory[start:start + _CHUNK]
                if record.readinto(part.data) != len(part):  # type: ignore[attr-defined]
                    raise EOFError("the file ends too early")
            record.read(1)  # the end, where the checksum is compared
        return memory

    def _mapped(self, info: zipfile.ZipInfo) -> np.ndarray:
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError("a compressed record cannot be mapped into memory")
        self.file.seek(info.header_offset)
        magic, *_, name, extra = _LOCAL_HEADER.unpack(self.file.read(_LOCAL_HEADER.size))
        if magic != _MAGIC:
            raise zipfile.BadZipFile("Bad magic number for file header")
        start = info.header_offset + _LOCAL_HEADER.size + name + extra
        return np.asarray(np.memmap(self.mapped_path, np.uint8, "c", start, info.file_size))
