"""From indices to a batch, in whichever process.

Note [A whole batch at once]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A batch of a TensorDataset, item by item, is 64 tuples of 64 small tensors each, stacked again. The
result is what indexing the whole tensors with all indices gives. So, where nobody looks at the
items in between (default_collate, no gradients, no method overridden), that is done:
`dataset._batch(indices)` gives the collated batch, or None where it must go item by item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .collate import stacks_tensors
from .dataset import IterableDataset


class MapFetcher:
    """Items by their indices."""

    def __init__(self, dataset: Any, batches: bool, collate_fn: Callable) -> None:
        self.dataset, self.batches, self.collate_fn = dataset, batches, collate_fn
        self.whole = getattr(dataset, "_batch", None) if stacks_tensors(collate_fn) else None
        self.several = getattr(dataset, "__getitems__", None)

    def fetch(self, index: Any) -> Any:
        if not self.batches:
            return self.collate_fn(self.dataset[index])
        if self.whole is not None:
            batch = self.whole(index)
            if batch is not None:
                return batch
        if self.several:
            return self.collate_fn(self.several(index))
        return self.collate_fn([self.dataset[i] for i in index])


class StreamFetcher:
    """The next items of a stream; of the indices only the number counts."""

    def __init__(self, dataset: Any, batches: bool, collate_fn: Callable, drop_last: bool) -> None:
        self.items, self.batches, self.collate_fn = iter(dataset), batches, collate_fn
        self.drop_last, self.ended = drop_last, False

    def fetch(self, index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.batches:
            return self.collate_fn(next(self.items))
        batch = [item for _, item in zip(index, self.items, strict=False)]
        self.ended = len(batch) < len(index)
        if not batch or self.drop_last and self.ended:
            raise StopIteration
        return self.collate_fn(batch)


def fetcher_of(dataset: Any, batches: bool, collate_fn: Callable, drop_last: bool) -> Any:
    if isinstance(dataset, IterableDataset):
        return StreamFetcher(dataset, batches, collate_fn, drop_last)
    return MapFetcher(dataset, batches, collate_fn)
