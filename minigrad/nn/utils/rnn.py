"""Batches of sequences of several lengths: packed, padded, and from the one to the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...core import TensorBase
from ...ops import packing
from ...ops.from_data import as_tensor
from ...ops.ranges import arange
from ...ops.sorting import sort

__all__ = ["PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
           "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence"]

_BY_HAND = (
    "batch_sizes should always be on CPU. Instances of PackedSequence should never be created "
    "manually. They should be instantiated by functions like pack_sequence and "
    "pack_padded_sequences in nn.utils.rnn. "
    "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence")


class PackedSequence_(NamedTuple):
    """The four fields of a PackedSequence."""

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(PackedSequence_):
    """Sequences without padding: all elements of step 0, then those of step 1, and so on.

    `batch_sizes[t]` says how many sequences go on at step t; `sorted_indices` is the order in which
    they were put (the longest first), `unsorted_indices` the way back.
    """

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None,
                unsorted_indices: Any = None) -> Any:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, list | tuple) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(_BY_HAND)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """The elements in another dtype or on another device, where the order goes as well."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order = [None if each is None else each.to(data.device)
                 for each in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *order)

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        """The same on a GPU."""
        return self.to(*(args or ("cuda",)), **kwargs)

    def cpu(self, *args: Any, **kwargs: Any) -> Any:
        """The same in the host's memory."""
        return self.to(*(args or ("cpu",)), **kwargs)

    def double(self) -> Any:
        """The same with data of float64."""
        return self._as("double")

    def float(self) -> Any:
        """The same with data of float32."""
        return self._as("float")

    def half(self) -> Any:
        """The same with data of float16."""
        return self._as("half")

    def long(self) -> Any:
        """The same with data of int64."""
        return self._as("long")

    def int(self) -> Any:
        """The same with data of int32."""
        return self._as("int")

    def short(self) -> Any:
        """The same with data of int16."""
        return self._as("short")

    def char(self) -> Any:
        """The same with data of int8."""
        return self._as("char")

    def byte(self) -> Any:
        """The same with data of uint8."""
        return self._as("byte")

    def _as(self, dtype: str) -> Any:
        data = getattr(self.data, dtype)()
        return self if data is self.data else type(self)(data, *self[1:])

    @property
    def is_cuda(self) -> bool:
        """Whether the data are on a GPU."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the memory is page-locked: never."""
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes this one (None undoes None)."""
    if permutation is None:
        return None
    places = arange(0, permutation.numel(), device=permutation.device)
    return permutation.empty_like().scatter_(0, permutation, places)


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Pack the first `lengths[i]` elements of each sequence of (steps, batch, ...).

    With `enforce_sorted=False` the sequences are sorted here, and come back in their old order.
    """
    if isinstance(lengths, TensorBase):
        lengths = lengths.long()  # type: ignore[attr-defined]
    else:
        from ... import int64
        lengths = as_tensor(lengths, dtype=int64, device="cpu")
    order = None
    if not enforce_sorted:
        lengths, order = sort(lengths, descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    data, batch_sizes = packing.pack_padded_sequence(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, order)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False,
                        padding_value: float = 0.0, total_length: int | None = None) -> tuple:
    """(padded, lengths): the sequences side by side again, in the order they once had."""
    length = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < length:
            raise ValueError("Expected total_length to be at least the length of the longest "
                             f"sequence in input, but got total_length={total_length} and max "
                             f"sequence length being {length}")
        length = total_length
    padded, lengths = packing.pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, length)
    order = sequence.unsorted_indices
    if order is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, order), lengths[order.cpu()]


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Any:
    """Sequences (length, ...) side by side, as long as the longest."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError("pad_sequence: Expected iterable for input sequences, but got arg of "
                           f"type: {type(sequences)}")
    return packing.pad_sequence(tuple(sequences), batch_first, padding_value, padding_side)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list:
    """The sequences without their padding. Like torch's, it transposes the argument in place where
    the batch does not come first."""
    if not batch_first:
        padded_sequences.transpose_(0, 1)
    places = arange(padded_sequences.shape[1], device=lengths.device)
    return [sequence[places < length]
            for sequence, length in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (length, ...)."""
    lengths = as_tensor([each.size(0) for each in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list:
    """The list of sequences that was packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
