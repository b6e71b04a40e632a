"""Embedding: rows of a table by number, and the sum of their gradients back into it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import mode
from ..device import add_at, host
from ..primitive import derivative, primitive

__all__ = ["embedding", "one_hot"]


@primitive(promote="exact", name="embedding")
def _embedding(xp, weight, indices, *, padding_idx, scale_grad_by_freq):
    """$y_i = W_{k_i}$, so $\\bar W_k = \\sum_{i: k_i = k} \\bar y_i$."""
    return weight.take(indices, axis=0)


@primitive(promote="keep")
def embedding_dense_backward(xp, grad_output, indices, *, num_weights, padding_idx,
                             scale_grad_by_freq):
    """The rows of `grad_output` added up by their index; the padding row gets nothing."""
    width = grad_output.shape[-1]
    rows, places = grad_output.reshape(-1, width), indices.reshape(-1)
    if scale_grad_by_freq:
        counts = xp.bincount(places, minlength=num_weights)
        rows = rows / counts[places][:, None].astype(rows.dtype)
    table = add_rows(xp, places, rows, num_weights)
    if padding_idx >= 0:
        table[padding_idx] = 0
    return table


def add_rows(xp, places, rows, count):
    """The sum of the rows at each place: a sparse one-hot matrix times the rows, which is up to
    fifty times faster than `np.add.at`."""
    if xp is np and rows.size:
        from scipy.sparse import csc_array

        n = len(places)
        one_hot = csc_array((np.ones(n, rows.dtype), places, np.arange(n + 1)), shape=(count, n))
        return np.ascontiguousarray(one_hot @ np.ascontiguousarray(rows))
    table = xp.zeros((count, rows.shape[-1]), rows.dtype)
    add_at(xp, table, places, rows)
    return table


derivative(_embedding, weight=lambda g, weight_shape, indices, padding_idx, scale_grad_by_freq: (
    embedding_dense_backward(g, indices, num_weights=weight_shape[0], padding_idx=padding_idx,
                             scale_grad_by_freq=scale_grad_by_freq)))
derivative(embedding_dense_backward, grad_output=lambda g, indices, padding_idx: (
    g[indices] if padding_idx < 0
    else g[indices].masked_fill((indices == padding_idx).unsqueeze(-1), 0)))


def embedding(input: Any, weight: Any, padding_idx: int | None = None,
              max_norm: float | None = None, norm_type: float = 2.0,
              scale_grad_by_freq: bool = False, sparse: bool = False) -> Any:
    """The rows of `weight` (count, width) numbered by `input`; `padding_idx` gets no gradient.

    With `max_norm`, the rows that are looked up are first scaled down to it, in place.
    """
    if sparse:
        raise NotImplementedError("minigrad has no sparse gradients: embedding(sparse=True)")
    if weight._data.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    data, count = input._data, weight._data.shape[0]
    if data.dtype.kind not in "iu":
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {input.type()} instead (while checking arguments for embedding)")
    if padding_idx is not None:
        if padding_idx >= count or padding_idx < -count:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= count
    if data.size and (int(data.min()) < 0 or int(data.max()) >= count):
        raise IndexError("index out of range in self")
    if max_norm is not None:
        renorm_rows(weight, data, max_norm, norm_type)
    return _embedding(weight, input, padding_idx=-1 if padding_idx is None else padding_idx,
                      scale_grad_by_freq=scale_grad_by_freq)


def renorm_rows(weight: Any, indices: Any, max_norm: float, norm_type: float) -> None:
    enabled, mode.grad = mode.grad, False
    try:
        for row in np.unique(host(indices)).tolist():
            norm = weight[row].norm(norm_type).item()
            if norm > max_norm:
                weight[row].mul_(max_norm / (norm + 1e-7))
    finally:
        mode.grad = enabled


@primitive(promote="exact", name="one_hot")
def _one_hot(xp, input, *, num_classes):
    return (input[..., None] == xp.arange(num_classes)).astype(xp.int64)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """A 1 at each index among zeros: shape (*, num_classes), int64."""
    data = tensor._data
    if tensor.dtype.name != "int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if data.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if data.size and int(data.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(data.max()) + 1
    elif data.size and int(data.max()) >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return _one_hot(tensor, num_classes=num_classes)
