"""Where loaded memory goes: the device it was on, or what `map_location` makes of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..device import cuda_device_count, device
from ..storage import UntypedStorage

Mover = Callable[[UntypedStorage, str], UntypedStorage]


def mover(map_location: Any) -> Mover:
    """The function that takes a storage from the CPU to its place, by the name in the file."""
    if map_location is None:
        return moved
    if isinstance(map_location, dict):
        return lambda storage, name: moved(storage, map_location.get(name, name))
    if isinstance(map_location, str | bytes | device):
        place = map_location.decode() if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, name: moved(storage, place)

    def by_function(storage: UntypedStorage, name: str) -> UntypedStorage:
        result = map_location(storage, name)
        return moved(storage, name) if result is None else result.untyped()

    return by_function


def moved(storage: UntypedStorage, name: Any) -> UntypedStorage:
    """The storage on the device of that name."""
    name = str(name)
    if name == "cpu":
        return storage
    kind, _, number = name.partition(":")
    if kind != "cuda":
        raise RuntimeError("don't know how to restore data location of "
                           f"torch.storage.UntypedStorage (tagged with {name})")
    count = cuda_device_count()
    if count == 0:
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is "
            "False. If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU.")
    if number and int(number) >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {number} but "
            f"torch.cuda.device_count() is {count}. Please use torch.load with map_location to map "
            "your storages to an existing device.")
    return storage.to(name)
