"""torch.cuda's questions, answered by CuPy; without a GPU `is_available()` is False."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import device as devices
from ..device import cuda_device_count, module_for
from ..names import missing_in
from ..random import get_rng_state, set_rng_state
from . import amp
from .memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_peak_memory_stats,
)
from .streams import (
    Event,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)

__all__ = [
    "Event", "Stream", "StreamContext", "amp", "current_device", "current_stream",
    "default_stream", "device", "device_count", "empty_cache", "get_arch_list",
    "get_device_capability", "get_device_name", "get_device_properties", "get_rng_state",
    "get_rng_state_all", "init", "initial_seed", "ipc_collect", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "memory_stats", "memory_summary", "reset_peak_memory_stats", "seed",
    "seed_all", "set_device", "set_rng_state", "set_rng_state_all", "set_stream", "stream",
    "synchronize"]


def _cupy() -> Any:
    """CuPy; torch's error where there is no GPU."""
    return module_for(devices.device("cuda"))


def device_count() -> int:
    """How many GPUs there are."""
    return cuda_device_count()


def is_available() -> bool:
    """Whether tensors can be moved to a GPU."""
    return cuda_device_count() > 0


def is_initialized() -> bool:
    """Whether a GPU can be used; CuPy needs no further initialisation."""
    return is_available()


def init() -> None:
    """Nothing to do but to say whether there is a GPU."""
    _cupy()


def current_device() -> int:
    """The index of the GPU that `device("cuda")` means."""
    return _cupy().cuda.Device().id


def set_device(device: Any) -> None:
    """Let `device("cuda")` mean this GPU from now on."""
    _cupy().cuda.Device(_index(device)).use()


class device:
    """A context in which `device("cuda")` means this GPU; None or a negative index changes
    nothing."""

    def __init__(self, device: Any) -> None:
        self.selected: Any = None
        index = -1 if device is None else _index(device)
        if index >= 0:
            self.selected = _cupy().cuda.Device(index)

    def __enter__(self) -> None:
        if self.selected is not None:
            self.selected.__enter__()

    def __exit__(self, *error: object) -> None:
        if self.selected is not None:
            self.selected.__exit__(*error)


def _index(place: Any) -> int:
    if isinstance(place, int):
        return place
    index = None if place is None else devices.device(place).index
    return current_device() if index is None else index


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done all that was asked of it."""
    _cupy().cuda.Device(_index(device)).synchronize()


# --- what kind of GPU it is ----------------------------------------------------------------------

class DeviceProperties(NamedTuple):
    """What a GPU is and has."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, compute capability, memory and number of multiprocessors of a GPU."""
    found = _cupy().cuda.runtime.getDeviceProperties(_index(device))
    return DeviceProperties(found["name"].decode(), found["major"], found["minor"],
                            found["totalGlobalMem"], found["multiProcessorCount"])


def get_device_name(device: Any = None) -> str:
    """What the GPU is called."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Its compute capability, (major, minor)."""
    properties = get_device_properties(device)
    return properties.major, properties.minor


def get_arch_list() -> list[str]:
    """The architectures that kernels were compiled for: CuPy compiles them when they are needed."""
    return []


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 can be used, which minigrad computes in float32 and rounds."""
    return is_available()


def ipc_collect() -> None:
    """Nothing to collect: memory is not shared between processes."""
    _cupy()


# --- random numbers, which come from the host's generator on all devices -------------------------

def manual_seed(seed: int) -> None:
    """Nothing to seed: `minigrad.manual_seed` seeds the one generator of all devices."""


def manual_seed_all(seed: int) -> None:
    """See `manual_seed`."""


def seed() -> None:
    """See `manual_seed`."""


def seed_all() -> None:
    """See `manual_seed`."""


def initial_seed() -> int:
    """The seed that the one generator started from."""
    from ..random import initial_seed

    _cupy()
    return initial_seed()


def get_rng_state_all() -> list:
    """The generator's state once for each GPU."""
    return [get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Let the generator go on from the first of these states."""
    for state in list(new_states)[:1]:
        set_rng_state(state)


__getattr__ = missing_in(__name__)
