"""Bags of embeddings: the rows of a table that the indices of each bag number, reduced to one.

The indices of all bags stand in one vector; `offsets` says where each bag begins. What a bag
becomes is a number in torch's core: 0 the sum of its rows, 1 their mean, 2 their maximum.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..device import add_at
from ..dtypes import promote_types
from ..primitive import derivative, primitive
from .embedding import add_rows, renorm_rows
from .no_derivative import declared_missing, no_derivative
from .ranges import arange

__all__ = ["bag_of_embeddings", "embedding_bag"]

SUM, MEAN, MAX = range(3)


# --- kernels -------------------------------------------------------------------------------------

@primitive(name="embedding_bag", outputs=("result", "offset2bag", "bag_size", "maximum_indices"))
def _embedding_bag(xp, weight, indices, offsets, per_sample_weights=None, *, mode, padding_idx,
                   scale_grad_by_freq):
    r"""$y_b = \sum_{i \in b} s_i W_{k_i}$, or the mean or the maximum; without the indices that
    equal `padding_idx`.

    Also the bag of each index; and, except for the sum, how many indices each bag has and, for the
    maximum, which index gave each of its elements.
    """
    count, bags = len(indices), len(offsets)
    starts = xp.bincount(offsets, minlength=count + 1)[:count]
    bag_of = (xp.cumsum(starts) - 1).astype(offsets.dtype)
    kept = indices != padding_idx
    sizes = xp.zeros(bags, offsets.dtype)
    if mode != SUM and bags:
        sizes[:-1] = offsets[1:] - offsets[:-1]
        sizes[-1] = count - offsets[-1]
        sizes -= xp.bincount(bag_of[~kept], minlength=bags).astype(sizes.dtype)
    if mode == MAX:
        result, chosen = _largest_rows(xp, weight, indices[kept], bag_of[kept], bags)
        return result, bag_of, sizes, chosen
    rows = weight.take(indices[kept], axis=0)
    if per_sample_weights is not None:
        rows *= per_sample_weights[kept][:, None]
    result = add_rows(xp, bag_of[kept], rows, bags)
    if mode == MEAN:
        result /= xp.maximum(sizes, 1)[:, None].astype(result.dtype)
    return result, bag_of, sizes, sizes.copy()


def _largest_rows(xp, weight, indices, bag_of, bags):
    """The elementwise maximum of each bag's rows, 0 of an empty bag, and the index it came from,
    the first of equal ones. Goes through all bags at once, one row of each at a time."""
    result = xp.zeros((bags, weight.shape[1]), weight.dtype)
    chosen = xp.zeros(result.shape, indices.dtype)
    sizes = xp.bincount(bag_of, minlength=bags)
    firsts = xp.cumsum(sizes) - sizes
    for at in range(int(sizes.max()) if len(indices) else 0):
        bag = xp.flatnonzero(sizes > at)
        index = indices[firsts[bag] + at]
        rows = weight[index]
        better = rows > result[bag] if at else xp.ones(rows.shape, bool)
        result[bag] = xp.where(better, rows, result[bag])
        chosen[bag] = xp.where(better, index[:, None], chosen[bag])
    return result, chosen


@primitive
def embedding_bag_backward(xp, grad_output, indices, offset2bag, bag_size, maximum_indices,
                           per_sample_weights=None, *, num_weights, mode, padding_idx,
                           scale_grad_by_freq):
    """Each row's sum of the gradients of the bags that it is in."""
    if mode == MAX:
        filled = xp.flatnonzero(bag_size)
        table = xp.zeros((num_weights, grad_output.shape[1]), grad_output.dtype)
        columns = xp.arange(grad_output.shape[1])[None]
        add_at(xp, table, (maximum_indices[filled], columns), grad_output[filled])
        return table
    kept = indices != padding_idx
    places, bag_of = indices[kept], offset2bag[kept]
    rows = grad_output[bag_of]
    if per_sample_weights is not None:
        rows *= per_sample_weights[kept][:, None]
    if mode == MEAN:
        rows /= bag_size[bag_of][:, None].astype(rows.dtype)
    if scale_grad_by_freq:
        rows /= xp.bincount(places, minlength=num_weights)[places][:, None].astype(rows.dtype)
    return add_rows(xp, places, rows, num_weights)


@primitive(node_name="NotImplemented")
def embedding_bag_per_sample_weights_backward(xp, grad_output, weight, indices, offset2bag, *,
                                              padding_idx):
    r"""$\bar s_i = \bar y_b \cdot W_{k_i}$."""
    slopes = xp.einsum("ij,ij->i", grad_output[offset2bag], weight[indices])
    return xp.where(indices == padding_idx, slopes.dtype.type(0), slopes)


derivative(_embedding_bag,
    weight=lambda grads, weight_shape, indices, offset2bag, bag_size, maximum_indices,
        per_sample_weights, mode, padding_idx, scale_grad_by_freq: embedding_bag_backward(
            grads[0], indices, offset2bag, bag_size, maximum_indices, per_sample_weights,
            num_weights=weight_shape[0], mode=mode, padding_idx=padding_idx,
            scale_grad_by_freq=scale_grad_by_freq),
    per_sample_weights=lambda grads, weight, indices, offset2bag, padding_idx: (
        embedding_bag_per_sample_weights_backward(grads[0], weight, indices, offset2bag,
                                                  padding_idx=padding_idx)))
derivative(embedding_bag_backward,
    grad_output=declared_missing("_embedding_bag_backward"),
    per_sample_weights=declared_missing("_embedding_bag_backward"))
_refuse = no_derivative("_embedding_bag_per_sample_weights_backward")
derivative(embedding_bag_per_sample_weights_backward, grad_output=_refuse, weight=_refuse)


# --- torch.embedding_bag -------------------------------------------------------------------------

_INDICES, _TABLES = ("Long", "Int"), ("Half", "BFloat16", "Float", "Double")


def _check_type(tensor: Any, name: str, allowed: tuple[str, ...]) -> None:
    if tensor.dtype.scalar_name not in allowed:
        raise RuntimeError(
            f"Expected tensor for argument #1 '{name}' to have one of the following scalar types: "
            f"{', '.join(allowed)}; but got {tensor.type()} instead (while checking arguments for "
            "embedding_bag)")


def _check_offsets(indices: Any, offsets: Any, include_last_offset: bool) -> None:
    data, count = offsets._data, indices._data.size
    if data.size == 0:
        if include_last_offset:
            raise RuntimeError("include_last_offset: number of offset should be at least 1")
        return
    if int(data[0]) != 0:
        raise RuntimeError("offsets[0] has to be 0, i.e., the first sequence in the mini-batch has "
                           f"to start from position 0. However, got {int(data[0])}\n[ "
                           f"{offsets.type()}{{}} ]")
    if int(data[-1]) > count:
        raise RuntimeError(f"offsets[-1] can not be greater than input's length {count} but got "
                           f"offsets[-1] of {int(data[-1])}")
    if int(data.min()) < 0 or int(data.max()) > count:
        raise IndexError("index out of range in self")


def _check_weights(weight: Any, indices: Any, per_sample_weights: Any, mode: int) -> None:
    if mode != SUM:
        raise RuntimeError("embedding_bag: per_sample_weights only supported with mode='sum'")
    if per_sample_weights.dtype is not weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument "
            f"#1 'per_sample_weights'; but type {weight.type()} does not equal "
            f"{per_sample_weights.type()} (while checking arguments for embedding_bag)")
    if per_sample_weights._data.ndim != 1:
        raise RuntimeError(
            "Expected 1-dimensional tensor, but got "
            f"{per_sample_weights._data.ndim}-dimensional tensor for argument #1 "
            "'per_sample_weights' (while checking arguments for embedding_bag)")
    if per_sample_weights._data.size != indices._data.size:
        raise RuntimeError(
            "Expected per_sample_weights.value().numel() == indices.numel() to be true, but got "
            "false.  (Could this error message be improved?  If so, please report an enhancement "
            "request to PyTorch.)")


def embedding_bag(weight: Any, indices: Any, offsets: Any, scale_grad_by_freq: bool = False,
                  mode: int = SUM, sparse: bool = False, per_sample_weights: Any = None,
                  include_last_offset: bool = False, padding_idx: int | None = None) -> Any:
    """(bags, bag of each index, size of each bag, index of each maximum): the core's function;
    people mean `nn.functional.embedding_bag`.

    With `include_last_offset` the last of the offsets is the end of the last bag.
    """
    if sparse:
        raise NotImplementedError("minigrad has no sparse gradients: embedding_bag(sparse=True)")
    for name, tensor, dims in (("weight", weight, 2), ("offsets", offsets, 1)):
        if tensor._data.ndim != dims:
            raise RuntimeError(f"{name} has to be a {dims}D Tensor, but got Tensor of dimension "
                               f"{tensor._data.ndim}")
    if indices._data.ndim != 1:
        raise RuntimeError("input has to be a 1D Tensor, but got Tensor of dimension "
                           f"{indices._data.ndim}")
    count = weight._data.shape[0]
    if padding_idx is not None and not -count <= padding_idx < count:
        raise RuntimeError(f"padding_idx must be within the number of embeddings, {-count} through "
                           f"{count - 1}, but got {padding_idx}")
    if indices.dtype is not offsets.dtype:
        common = promote_types(indices.dtype, offsets.dtype)
        indices, offsets = indices.to(common), offsets.to(common)
    _check_type(indices, "indices", _INDICES)
    _check_type(weight, "weight", _TABLES)
    if mode not in (SUM, MEAN, MAX):
        raise RuntimeError("`mode` must be sum, mean, or max.")
    _check_offsets(indices, offsets, include_last_offset)
    if per_sample_weights is not None:
        _check_weights(weight, indices, per_sample_weights, mode)
    data = indices._data
    wrong = data[(data < 0) | (data >= count)]
    if wrong.size:
        raise RuntimeError("embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx "
                           f"to be {int(wrong[0])}")
    return _embedding_bag(
        weight, indices, offsets[:-1] if include_last_offset else offsets, per_sample_weights,
        mode=mode, padding_idx=-1 if padding_idx is None else padding_idx % count,
        scale_grad_by_freq=scale_grad_by_freq)


# --- torch.nn.functional.embedding_bag -----------------------------------------------------------

_MODES = {"sum": SUM, "mean": MEAN, "max": MAX}


def bag_of_embeddings(
        input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
        norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
        padding_idx: int | None = None) -> Any:
    """The sum, mean or maximum of the rows of `weight` (count, width) in each bag of `input`.

    A row of a 2-d `input` is a bag; a 1-d one is divided at `offsets`. Indices equal to
    `padding_idx` are left out. With `max_norm`, the rows that are looked up are first scaled down
    to it, in place.
    """
    if weight.dtype.name == "int64" and input.dtype.is_floating_point:
        warnings.warn("Argument order of nn.functional.embedding_bag was changed. Usage "
                      "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
                      "`embedding_bag(input, weight, ...)`.", stacklevel=2)
        weight, input = input, weight
    if per_sample_weights is not None and input._data.shape != per_sample_weights._data.shape:
        raise ValueError(f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is "
                         f"not None, then it must have the same shape as the input ({input.shape})")
    if weight._data.ndim != 2:
        raise ValueError("weight has to be a 2D Tensor, but got Tensor of dimension "
                         f"{weight._data.ndim}")
    if input._data.ndim == 2:
        if offsets is not None:
            raise ValueError("if input is 2D, then offsets has to be None, as input is treated is "
                             "a mini-batch of fixed length sequences. However, found offsets of "
                             f"type {type(offsets)}")
        offsets = arange(0, input._data.size, input.size(1), dtype=input.dtype,
                         device=input.device)
        include_last_offset = False
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input._data.ndim != 1:
        raise ValueError("input has to be 1D or 2D Tensor, but got Tensor of dimension "
                         f"{input._data.ndim}")
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets._data.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        renorm_rows(weight, input._data, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub.")
    return embedding_bag(weight, input, offsets, scale_grad_by_freq, _MODES[mode], sparse,
                         per_sample_weights, include_last_offset, padding_idx)[0]
