"""torch.random: seeding and the state of the default generator (its numbers: random_streams.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .names import missing_in
from .random_streams import Generator, default_generator

__all__ = ["Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed",
           "manual_seed", "seed", "set_rng_state"]


def manual_seed(seed: Any) -> Generator:
    """Start the default generator anew from `seed`, -2**63 to 2**64 - 1."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start the default generator anew from the operating system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The default generator's whole state, as a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator go on from a state that `get_rng_state` returned."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True,
             device_type: str = "cuda") -> Iterator[None]:
    """Inside, random numbers are drawn as usual; afterwards it is as if they had not been."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


__getattr__ = missing_in(__name__)
