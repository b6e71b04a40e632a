"""Sequences of several lengths: side by side with padding, or packed without.

Packed, the elements of step 0 of all sequences come first, then those of step 1, and so on; the
sequences are sorted, the longest first, and `batch_sizes` says how many still go on at each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import TensorBase, wrap
from ..primitive import derivative, primitive

__all__ = ["pack_padded_sequence", "pad_packed_sequence", "pad_sequence"]

_UNSORTED = (
    "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can "
    "pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
    "requirement if you do not need ONNX exportability.")


def _runs(batch_sizes: tuple) -> Iterator[tuple[slice, int, slice]]:
    """Steps that follow each other with the same number of sequences: (the steps, that number, the
    packed rows)."""
    first = offset = 0
    for step in range(1, len(batch_sizes) + 1):
        count = batch_sizes[first]
        if step == len(batch_sizes) or batch_sizes[step] != count:
            end = offset + count * (step - first)
            yield slice(first, step), count, slice(offset, end)
            first, offset = step, end


@primitive(promote="exact", node_name="PackPaddedSequenceBackward0")
def _pack(xp, input, *, batch_sizes, batch_first=False):
    """The elements of (steps, sequences, ...) that are no padding, one after the other."""
    input = input.swapaxes(0, 1) if batch_first else input
    packed = xp.empty((sum(batch_sizes), *input.shape[2:]), input.dtype)
    for steps, count, rows in _runs(batch_sizes):
        packed[rows] = input[steps, :count].reshape(-1, *input.shape[2:])
    return packed


@primitive(promote="exact", node_name="PackPaddedSequenceBackwardBackward0")
def _unpack(xp, packed, *, batch_sizes, batch_first, shape):
    """The transpose of `_pack`: zeros where there is padding."""
    result = xp.zeros(shape, packed.dtype)
    padded = result.swapaxes(0, 1) if batch_first else result
    for steps, count, rows in _runs(batch_sizes):
        padded[steps, :count] = packed[rows].reshape(-1, count, *shape[2:])
    return result


derivative(_pack, input=lambda g, input_shape, batch_sizes, batch_first: _unpack(
    g, batch_sizes=batch_sizes, batch_first=batch_first, shape=input_shape))
derivative(_unpack, packed=lambda g, batch_sizes, batch_first: _pack(
    g, batch_sizes=batch_sizes, batch_first=batch_first))


def integers_of(lengths: Any) -> list[int]:
    """The numbers in a one-dimensional tensor of int64 on the CPU."""
    if lengths.dim() != 1 or lengths.device.type != "cpu" or lengths.dtype.name != "int64":
        raise RuntimeError("'lengths' argument should be a 1D CPU int64 tensor, but got "
                           f"{lengths.dim()}D {lengths.device.type} {lengths.dtype.scalar_name} "
                           "tensor")
    return lengths.tolist()


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool) -> tuple:
    """(packed, batch_sizes) of sequences that lie side by side, sorted by length."""
    counts = integers_of(lengths)
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    batch, steps = input.size(0 if batch_first else 1), input.size(1 if batch_first else 0)
    if len(counts) != batch:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got "
                           f"{len(counts)} (batch_size={batch})")
    if counts[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element "
                           "in 'lengths' that is <= 0")
    if any(a < b for a, b in zip(counts, counts[1:], strict=False)):
        raise RuntimeError(_UNSORTED)
    if counts[0] > steps:
        raise RuntimeError(f"Expected every length to be at most {steps}, the number of "
                           f"steps, but got {counts[0]}")
    sizes = np.searchsorted(-np.array(counts), -np.arange(counts[0]), side="left")
    packed = _pack(input, batch_sizes=tuple(sizes.tolist()), batch_first=bool(batch_first))
    return packed, wrap(sizes.astype(np.int64))


def pad_packed_sequence(data: Any, batch_sizes: Any, batch_first: bool, padding_value: float,
                        total_length: int) -> tuple:
    """(padded, lengths): packed sequences side by side again."""
    sizes = integers_of(batch_sizes)
    padded = data.new_full((max(len(sizes), total_length), sizes[0], *data.shape[1:]),
                           padding_value)
    lengths = np.searchsorted(-np.array(sizes), -np.arange(sizes[0]), side="left")
    for steps, count, rows in _runs(tuple(sizes)):
        padded[steps][:, :count].copy_(
            data[rows].view(steps.stop - steps.start, count, *data.shape[1:]))
    return padded.transpose(0, 1) if batch_first else padded, wrap(lengths.astype(np.int64))


def pad_sequence(sequences: tuple, batch_first: bool, padding_value: float,
                 padding_side: str) -> Any:
    """Sequences of several lengths side by side, the shorter ones padded at one end."""
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError("Expected padding_side to be one of left or right, but got "
                           f"{padding_side}.")
    for place, each in enumerate(sequences):
        if not isinstance(each, TensorBase):
            raise TypeError(f"expected Tensor as element {place} in argument 0, but got "
                            f"{type(each).__name__}")
    first: Any = sequences[0]
    if not first.dim():
        raise RuntimeError("ArrayRef: invalid slice, N = 1; size = 0")
    longest = max(each.size(0) for each in sequences)
    sizes = (len(sequences), longest) if batch_first else (longest, len(sequences))
    padded = first.new_full((*sizes, *first.shape[1:]), padding_value)
    for place, sequence in enumerate(sequences):
        length = sequence.size(0)
        start = 0 if padding_side == "right" else longest - length
        row = padded.select(0 if batch_first else 1, place)
        row.narrow(0, start, length).copy_(sequence)
    return padded
