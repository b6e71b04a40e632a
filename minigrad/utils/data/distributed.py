"""DistributedSampler: each of several processes takes its own part of one order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...random import Generator
from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Indices rank, rank + n, rank + 2 n, ... of an order that all n replicas agree on.

    The order is made from `seed` and the epoch (`set_epoch`). It is filled up from its front, or
    cut (`drop_last`), so that all replicas get equally many.
    """

    def __init__(self, dataset: Any, num_replicas: int | None = None, rank: int | None = None,
                 shuffle: bool = True, seed: int = 0, drop_last: bool = False) -> None:
        if num_replicas is None or rank is None:
            raise ValueError("Default process group has not been initialized, please make sure to "
                             "call init_process_group.")
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval "
                             f"[0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.epoch, self.shuffle, self.seed, self.drop_last = 0, shuffle, seed, drop_last
        uneven = drop_last and len(dataset) % num_replicas
        self.num_samples = math.ceil(
            (len(dataset) - (num_replicas if uneven else 0)) / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        from ...ops.random import randperm
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            generator = Generator().manual_seed(self.seed + self.epoch)
            indices = randperm(len(self.dataset), generator=generator).tolist()
        missing = self.total_size - len(indices)
        if missing > 0:
            indices += (indices * math.ceil(missing / len(indices)))[:missing]
        return iter(indices[:self.total_size][self.rank::self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Make another order: to be called before each epoch."""
        self.epoch = epoch
