"""`cupy.cuda` with one imagined GPU: devices, streams and events that have nothing to wait for."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

TOTAL_MEMORY = 16 << 30


class CUDARuntimeError(RuntimeError):
    """What the driver says no to."""


# Every array that owns memory, by the identity of the NumPy array that is this memory.
owners: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def live_bytes() -> int:
    """The bytes that the arrays hold, each rounded up as CuPy's allocator does."""
    return sum(-(-owner.nbytes // 512) * 512 for owner in owners.values())


class Device:
    """The one GPU; `with Device(0):` selects it."""

    def __init__(self, device: int | Device | None = None) -> None:
        number = device.id if isinstance(device, Device) else device or 0
        if not 0 <= number < runtime.getDeviceCount():
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.id = number

    compute_capability = "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        return runtime.memGetInfo()

    def use(self) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class MemoryPointer:
    """Where an array's memory begins."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr
        self.device_id = 0
        self.device = Device(0)


class Flags:
    """The memory layout; CuPy knows of nothing read-only."""

    def __init__(self, c_contiguous: bool, f_contiguous: bool, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = c_contiguous, f_contiguous, owndata
        self.fnc = f_contiguous and not c_contiguous
        self.forc = f_contiguous or c_contiguous

    def __getitem__(self, name: str) -> bool:
        return {"C_CONTIGUOUS": self.c_contiguous, "F_CONTIGUOUS": self.f_contiguous,
                "OWNDATA": self.owndata}[name]


class MemoryPool:
    """The pool that arrays are allocated from: it keeps nothing that is not in use."""

    def used_bytes(self) -> int:
        return live_bytes()

    def total_bytes(self) -> int:
        return live_bytes()

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        pass

    def n_free_blocks(self) -> int:
        return 0


class Event:
    """A point in time on a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False,
                 interprocess: bool = False) -> None:
        self.done = True
        self.time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        pass


class Stream:
    """A queue of work: the work is done before the call returns."""

    null: Stream
    done = True
    ptr = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False,
                 priority: int | None = None) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        pass

    def use(self) -> Stream:
        return self

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


Stream.null = Stream(null=True)


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two events."""
    return (end_event.time - start_event.time) * 1000


def set_device(device: int) -> None:
    Device(device)


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDevice=lambda: 0,
    setDevice=set_device,
    deviceSynchronize=lambda: None,
    runtimeGetVersion=lambda: 12090,
    driverGetVersion=lambda: 12090,
    memGetInfo=lambda: (TOTAL_MEMORY - live_bytes(), TOTAL_MEMORY),
    getDeviceProperties=lambda device: {
        "name": b"fake_cupy", "totalGlobalMem": TOTAL_MEMORY, "major": 9, "minor": 0,
        "multiProcessorCount": 1,
    },
)

NAMES: dict[str, Callable | type | SimpleNamespace] = {
    "Device": Device, "Event": Event, "MemoryPointer": MemoryPointer, "MemoryPool": MemoryPool,
    "Stream": Stream, "runtime": runtime, "get_elapsed_time": get_elapsed_time,
    "get_current_stream": lambda device_id=-1: Stream.null,
    "get_device_id": lambda: 0,
    "is_available": lambda: True,
}
