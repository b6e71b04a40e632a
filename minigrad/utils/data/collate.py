"""From a list of items to a batch: tensors are stacked, containers keep their form."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ...core import TensorBase

UNKNOWN = ("default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
           "found {}")
_NO_NUMBERS = "SUOa"  # kinds of arrays that hold texts and objects


def default_convert(data: Any) -> Any:
    """NumPy arrays, also inside containers, become tensors."""
    from ... import as_tensor
    if isinstance(data, np.ndarray) and data.dtype.kind in _NO_NUMBERS:
        return data
    if isinstance(data, np.ndarray | np.generic) and not isinstance(data, np.str_):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, lambda key: default_convert(data[key]))
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(each) for each in data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _like_sequence(data, list(data), default_convert)
    return data


def collate(batch: Any, *, collate_fn_map: dict[Any, Callable] | None = None) -> Any:
    """One batch from a list of items, by the type of the first.

    `collate_fn_map` says for some types (or tuples of types) which function makes a batch of their
    items; it is called as `function(batch, collate_fn_map=...)`.
    """
    first = batch[0]
    functions = collate_fn_map or {}
    function = functions.get(type(first)) or next(
        (make for kind, make in functions.items() if isinstance(first, kind)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    inner = lambda items: collate(items, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return _like_mapping(first, lambda key: inner([item[key] for item in batch]))
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(inner, zip(*batch, strict=False)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _like_sequence(first, list(zip(*batch, strict=True)), inner)
    raise TypeError(UNKNOWN.format(type(first)))


def _like_mapping(mapping: Any, value: Callable[[Any], Any]) -> Any:
    """The mapping with other values. A mutable one is copied, for it may have more than items."""
    try:
        if not isinstance(mapping, MutableMapping):
            return type(mapping)({key: value(key) for key in mapping})
        clone = copy.copy(mapping)
        clone.update({key: value(key) for key in mapping})
        return clone
    except TypeError:  # it cannot be copied, updated or made of a dictionary
        return {key: value(key) for key in mapping}


def _like_sequence(sequence: Any, items: list, value: Callable[[Any], Any]) -> Any:
    """The values of the items in a sequence like this one; a list, where it is a tuple."""
    if isinstance(sequence, tuple):
        return [value(each) for each in items]
    try:
        if not isinstance(sequence, MutableSequence):
            return type(sequence)([value(each) for each in items])
        clone = copy.copy(sequence)
        for i, each in enumerate(items):
            clone[i] = value(each)
        return clone
    except TypeError:  # a range, for one
        return [value(each) for each in items]


# --- what becomes a tensor -----------------------------------------------------------------------

def collate_tensor_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    from ... import stack
    return stack(list(batch), 0)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    from ... import as_tensor
    if batch[0].dtype.kind in _NO_NUMBERS:
        raise TypeError(UNKNOWN.format(batch[0].dtype))
    return collate([as_tensor(each) for each in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    from ... import as_tensor
    return as_tensor(np.asarray(batch))


def collate_float_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    from ... import float64, tensor
    return tensor(batch, dtype=float64)


def collate_int_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    from ... import tensor
    return tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Callable] = {
    TensorBase: collate_tensor_fn, np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn, float: collate_float_fn,
    int: collate_int_fn, str: collate_str_fn, bytes: collate_str_fn}


def default_collate(batch: Any) -> Any:
    """One batch from a list of items: numbers and arrays become tensors, tensors are stacked."""
    return collate(batch, collate_fn_map=default_collate_fn_map)


def stacks_tensors(collate_fn: Any) -> bool:
    """Whether `collate_fn` makes of tuples of tensors the list of their stacks, nothing else."""
    return (collate_fn is default_collate
            and default_collate_fn_map.get(TensorBase) is collate_tensor_fn
            and len(default_collate_fn_map) == 7)
