"""Memory statistics, from CuPy's pool.

CuPy counts what is in use and what its pool holds, but remembers no peak. So a peak is what was in
use at the moments when somebody asked: `max_memory_allocated` is at least what any call of this
module has seen since the last reset.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .. import device as devices
from ..device import cuda_device_count, module_for

_peak = {"allocated": 0, "reserved": 0}


def _cupy() -> Any:
    return module_for(devices.device("cuda"))


def _pool() -> Any:
    return _cupy().get_default_memory_pool()


def _measured() -> dict[str, int]:
    if not cuda_device_count():
        return {"allocated": 0, "reserved": 0}
    pool = _pool()
    now = {"allocated": pool.used_bytes(), "reserved": pool.total_bytes()}
    for name, value in now.items():
        _peak[name] = max(_peak[name], value)
    return now


def memory_allocated(device: Any = None) -> int:
    """The bytes that arrays on the GPU hold."""
    return _measured()["allocated"]


def memory_reserved(device: Any = None) -> int:
    """The bytes that the pool has from the driver."""
    return _measured()["reserved"]


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes in use at any moment looked at since the last reset."""
    _measured()
    return _peak["allocated"]


def max_memory_reserved(device: Any = None) -> int:
    """The same of what the pool holds."""
    _measured()
    return _peak["reserved"]


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin anew with what is in use now."""
    _peak.update(allocated=0, reserved=0)
    _measured()


def empty_cache() -> None:
    """Give back to the driver what the pool holds and nobody uses."""
    if cuda_device_count():
        _pool().free_all_blocks()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of the GPU."""
    return tuple(_cupy().cuda.runtime.memGetInfo())


def memory_stats(device: Any = None) -> OrderedDict:
    """The statistics under torch's names; empty without a GPU."""
    if not cuda_device_count():
        return OrderedDict()
    now = _measured()
    return OrderedDict(sorted(
        (f"{kind}_bytes.all.{when}", values[kind])
        for when, values in (("current", now), ("peak", _peak)) for kind in now))


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The same as a table for people."""
    now = _measured()
    rows = [f"{kind:>10} {now[kind] / 2**20:12.1f} MiB now {_peak[kind] / 2**20:12.1f} MiB at most"
            for kind in now]
    return "\n".join(rows)
