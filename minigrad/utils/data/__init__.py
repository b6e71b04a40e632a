"""Datasets, samplers, and the DataLoader that makes batches of them."""

from __future__ import annotations

import sys
from typing import Any

from ...names import missing_in
from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .distributed import DistributedSampler
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataLoader", "Dataset", "IterableDataset",
    "RandomSampler", "Sampler", "SequentialSampler", "StackDataset", "Subset",
    "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "default_collate",
    "default_convert", "get_worker_info", "random_split",
]



def get_worker_info() -> Any:
    """Facts about the DataLoader's worker process that this is; None in the main process."""
    worker = sys.modules.get(f"{__name__}.worker")  # there once a worker was started
    return None if worker is None else worker.get_worker_info()


__getattr__ = missing_in(__name__)
