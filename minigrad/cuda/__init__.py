"""torch.cuda's questions, answered by CuPy; without a GPU `is_available()` is False."""

from __future__ import annotations

from ..device import cuda_device_count, device, module_for
from ..names import missing_in
from . import amp

__all__ = ["amp", "current_device", "device_count", "is_available", "manual_seed",
           "manual_seed_all", "synchronize"]


def device_count() -> int:
    """How many GPUs there are."""
    return cuda_device_count()


def is_available() -> bool:
    """Whether tensors can be moved to a GPU."""
    return cuda_device_count() > 0


def current_device() -> int:
    """The index of the GPU that `device("cuda")` means."""
    return module_for(device("cuda")).cuda.Device().id


def synchronize(device_or_index: object = None) -> None:
    """Wait until the GPU has done all that was asked of it."""
    module_for(device("cuda")).cuda.Device().synchronize()


def manual_seed(seed: int) -> None:
    """Nothing to seed without a GPU; random numbers on `cuda` come from the host's generator."""


def manual_seed_all(seed: int) -> None:
    """See `manual_seed`."""


__getattr__ = missing_in(__name__)
