"""What a DataLoader's iterators have in common, and the one that loads in this process."""

from __future__ import annotations

import warnings
from typing import Any

from .dataset import IterableDataset
from .fetch import fetcher_of
from .sampler import random_seed


class LoaderIterator:
    """Draws a seed from the loader's generator when it begins: torch's stream has it there."""

    def __init__(self, loader: Any) -> None:
        self._index_sampler = loader._index_sampler
        self._indices = iter(self._index_sampler)
        self._base_seed = random_seed(loader.generator)
        self._dataset = loader.dataset
        self._stream = isinstance(loader.dataset, IterableDataset)
        self._begin(loader)

    def _begin(self, loader: Any) -> None:
        self._promised, self._yielded = loader._promised_length, 0

    def __iter__(self) -> LoaderIterator:
        return self

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __next__(self) -> Any:
        data = self._next()
        self._yielded += 1
        if self._stream and self._promised is not None and self._yielded > self._promised:
            self._warn_of_more()
        return data

    def _next(self) -> Any:
        raise NotImplementedError

    _hint = ""

    def _warn_of_more(self) -> None:
        warnings.warn(
            f"Length of IterableDataset {self._dataset} was reported to be {self._promised}(when "
            f"accessing len(dataloader)), but {self._yielded} samples have been fetched. "
            f"{self._hint}", stacklevel=3)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class SingleProcessIterator(LoaderIterator):
    """Loads each batch when it is asked for."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetch = fetcher_of(loader.dataset, loader.batch_sampler is not None,
                                 loader.collate_fn, loader.drop_last).fetch

    def _next(self) -> Any:
        return self._fetch(next(self._indices))
