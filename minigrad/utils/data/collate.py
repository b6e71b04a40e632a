"""From a list of items to a batch: tensors are stacked, containers keep their form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import TensorBase

UNKNOWN = ("default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
           "found {}")


def default_convert(data: Any) -> Any:
    """NumPy arrays, also inside containers, become tensors."""
    from ... import as_tensor
    if isinstance(data, np.ndarray | np.generic) and data.dtype.kind not in "SUOa":
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(each) for each in data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [default_convert(each) for each in data]
    return data


def default_collate(batch: Any) -> Any:
    """One batch from a list of items, by the type of the first."""
    from ... import as_tensor, stack, tensor
    from ...dtypes import float64
    first = batch[0]
    if isinstance(first, TensorBase):
        return stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(UNKNOWN.format(first.dtype))
        return stack([as_tensor(each) for each in batch], 0)
    if isinstance(first, np.generic):
        return as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([item[key] for item in batch])
                             for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(each) for each in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return [default_collate(each) for each in zip(*batch, strict=True)]
    raise TypeError(UNKNOWN.format(type(first)))


def _like(mapping: Any, items: dict) -> Any:
    """The items in a mapping of the same type, if that can be made of them."""
    try:
        return type(mapping)(items)
    except TypeError:
        return items
