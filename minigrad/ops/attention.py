"""Attention: each query gets the mean of the values, weighted by how well their keys fit.

Note [Two ways to attend]
~~~~~~~~~~~~~~~~~~~~~~~~~
torch's CPU has one op for the usual case, batches of heads without dropout: one node in the graph,
which keeps a number per query instead of all weights and computes the weights again in backward
(Dao et al., "FlashAttention", 2022). It has no second derivative. All other cases are composed of
products and a softmax. Which of the two it is shows in the graph, so `_fits_one_op` follows torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..dtypes import HALF_TYPES, float32
from ..primitive import joint_derivative, primitive
from .arithmetic import mul_number
from .dropout import dropout
from .no_derivative import no_derivative
from .softmax import dots_along, row_sums, safe_softmax

__all__ = ["scaled_dot_product_attention"]


# --- as one op -----------------------------------------------------------------------------------

def _repeated(xp, array, heads):
    """Heads of keys or values, each for as many heads of queries as share it."""
    return array if array.shape[1] == heads else xp.repeat(array, heads // array.shape[1], axis=1)


def _summed(array, heads):
    """The transpose of `_repeated`."""
    if array.shape[1] == heads:
        return array
    batch, _, *rest = array.shape
    return array.reshape(batch, heads, -1, *rest).sum(axis=2)


def _transposed(xp, array):
    """For each head. BLAS has a quick way with small matrices, if they lie row by row."""
    transposed = array.swapaxes(-2, -1)
    small = array.shape[-1] * array.shape[-2] <= _SMALL
    return xp.ascontiguousarray(transposed) if small else transposed


_SMALL = 1 << 12


def _scores(xp, query, key, mask, is_causal, scale):
    """$z$; scaled after the product, as torch does: large scores tell the difference."""
    scores = xp.matmul(query, _transposed(xp, key))
    scores *= scores.dtype.type(scale)
    if mask is not None:
        scores += mask
    if is_causal:
        seen = xp.arange(scores.shape[-1]) <= xp.arange(scores.shape[-2])[:, None]
        limit = xp.where(seen, scores.dtype.type("inf"), scores.dtype.type("-inf"))
        xp.minimum(scores, limit, out=scores)  # half the time of a `where` of all scores
    return scores


# The scores of all queries may have one largest value taken off, instead of each query its own,
# which takes NumPy longer than the exponentials: as long as no query's scores lie so far below it
# that the difference is rounded too much. Their sum says how far they lie.
_LEAST_SUM = 1e-6


def _exponentials(xp, scores):
    r"""($e^{z - m}$, their sums, $m$), in the memory of the scores."""
    top = scores.max()
    if xp is np and np.isfinite(top):
        weights = xp.exp(xp.subtract(scores, top))
        total = row_sums(xp, weights)
        if total.min() > _LEAST_SUM:
            return weights, total, top
    top = scores.max(axis=-1, keepdims=True)
    top = xp.where(xp.isneginf(top), top.dtype.type(0), top)
    scores -= top
    weights = xp.exp(scores, out=scores)
    total = row_sums(xp, weights)
    return weights, xp.where(total == 0, total.dtype.type(1), total), top


@primitive(name="scaled_dot_product_flash_attention_for_cpu", outputs=("output", "logsumexp"))
def _attention(xp, query, key, value, mask=None, *, is_causal, scale):
    r"""$y = e^{z - \ell}\,V$ for the scores $z = Q K^\mathsf{T} s + M$ and
    $\ell = \ln \sum_j e^{z_j}$; both results are 0 where a query may see no key."""
    heads = query.shape[1]
    key, value = _repeated(xp, key, heads), _repeated(xp, value, heads)
    weights, total, top = _exponentials(xp, _scores(xp, query, key, mask, is_causal, scale))
    result = xp.empty_like(query)  # laid out as the query is
    xp.divide(xp.matmul(weights, value), total, out=result)
    return result, (top + xp.log(total))[..., 0]


@primitive(node_name="NotImplemented", outputs=("grad_query", "grad_key", "grad_value"))
def _attention_backward(xp, grad_output, query, key, value, output, logsumexp, mask=None, *,
                        is_causal, scale):
    r"""With the weights $w = e^{z - \ell}$ again: $\bar V = w^\mathsf{T} \bar y$,
    $\bar z = w\,(\bar y V^\mathsf{T} - \bar y \cdot y)$, $\bar Q = s\,\bar z K$,
    $\bar K = s\,\bar z^\mathsf{T} Q$."""
    heads, shared = query.shape[1], key.shape[1]
    key, value = _repeated(xp, key, heads), _repeated(xp, value, heads)
    weights = _scores(xp, query, key, mask, is_causal, scale)
    weights -= logsumexp[..., None]
    xp.exp(weights, out=weights)
    grad_value = xp.matmul(weights.swapaxes(-2, -1), grad_output)
    slopes = xp.matmul(grad_output, _transposed(xp, value))
    slopes -= dots_along(xp, grad_output, output, output.ndim - 1)
    slopes *= weights
    grad_query = xp.matmul(slopes, key)
    grad_key = xp.matmul(slopes.swapaxes(-2, -1), query)
    for gradient in (grad_query, grad_key):
        gradient *= gradient.dtype.type(scale)  # after the products, there are fewer numbers
    return grad_query, _summed(grad_key, shared), _summed(grad_value, shared)


joint_derivative(_attention, ("query", "key", "value"), lambda grads, query, key, value, mask,
                 output, logsumexp, is_causal, scale: _attention_backward(
                     grads[0], query, key, value, output, logsumexp, mask,
                     is_causal=is_causal, scale=scale))
_refuse = no_derivative("_scaled_dot_product_flash_attention_for_cpu_backward")
joint_derivative(_attention_backward, ("grad_output", "query", "key", "value", "output"), _refuse)


def _fits_one_op(query: Any, key: Any, value: Any, mask: Any, dropout_p: float,
                 enable_gqa: bool) -> bool:
    """Whether torch's CPU computes it in one op: see Note [Two ways to attend]."""
    tensors = (query, key, value)
    if dropout_p > 0 or not query.dtype.is_floating_point \
            or any(each._data.ndim != 4 for each in tensors):
        return False
    (batch, heads, length, width), (_, shared, count, _) = query._data.shape, key._data.shape
    if enable_gqa:
        same_heads = value.size(1) == shared and heads % shared == 0
    else:
        same_heads = heads == shared == value.size(1)
    return (same_heads and key.size(0) == value.size(0) == batch
            and key.size(3) == value.size(3) == width
            and (width == 1 or all(each.stride(-1) == 1 for each in tensors))
            and (mask is None or _fits(mask, (batch, heads, length, count))))


def _fits(mask: Any, shape: tuple[int, int, int, int]) -> bool:
    """Whether the mask is a constant of torch's two forms: for all heads, or for each."""
    if mask.requires_grad or mask.size(-2) not in (1, shape[2]) or mask.size(-1) not in (
            1, shape[3]):
        return False
    return mask.dim() == 2 or mask.dim() == 4 and (
        mask.size(0) in (1, shape[0]) and mask.size(1) in (1, shape[1]))


# --- as several ----------------------------------------------------------------------------------

def _composed(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool,
              scale: float, enable_gqa: bool) -> Any:
    if mask is not None and is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set "
                           "when is_causal=True")
    if not 0 <= dropout_p <= 1:
        raise RuntimeError("dropout probability has to be between 0 and 1, but got "
                           f"{dropout_p:g}")
    dtype = query.dtype
    if dtype.numpy in HALF_TYPES:
        query, key, value = query.to(float32), key.to(float32), value.to(float32)
    if enable_gqa:
        key, value = _shared(key, query), _shared(value, query)
    root = math.sqrt(abs(scale))
    left = mul_number(query, other=root if scale >= 0 else -root)
    if is_causal:
        seen = left.new_ones((query.size(-2), key.size(-2))).tril()
        mask = _added(seen.bool(), query.dtype)
    scores = left @ mul_number(key.transpose(-2, -1), other=root)
    if mask is not None:
        scores = scores.add_(mask)
    weights = safe_softmax(scores, dim=scores.dim() - 1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return (weights @ value).to(dtype)


def _shared(tensor: Any, query: Any) -> Any:
    """A head of keys or values for each head of queries."""
    heads, shared = query.size(-3), tensor.size(-3)
    if heads % shared:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in ")
    return tensor if heads == shared else tensor.repeat_interleave(heads // shared, -3)


# --- the function --------------------------------------------------------------------------------

def _added(mask: Any, dtype: Any) -> Any:
    """A boolean mask as what to add to the scores: 0, or -inf where a key must not be seen."""
    if mask is None or mask._data.dtype.kind != "b":
        return mask
    return mask.zeros_like(dtype=dtype).masked_fill(mask.logical_not(), -math.inf)


@autocasts
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:
    r"""$\mathrm{softmax}(Q K^\mathsf{T} s + M)\,V$, with $s = 1/\sqrt{d}$ unless given.

    A boolean mask says which keys a query may see; `is_causal` lets query i see the keys 0 ... i.
    A query that may see none gets zeros. With `enable_gqa` groups of queries share a head of keys.
    Vaswani et al., "Attention is all you need", 2017.
    """
    _check(query, key, value, attn_mask)
    tensors = (query, key, value)
    if not all(each._data.size for each in tensors):
        zeros = query.new_zeros((*query.shape[:-1], value.size(-1)))
        return zeros + mul_number(query.sum() + key.sum() + value.sum(), other=0)
    if scale is None:
        scale = 1 / math.sqrt(query.size(-1))
    mask = _added(attn_mask, query.dtype)
    if not _fits_one_op(*tensors, mask, dropout_p, enable_gqa):
        return _composed(*tensors, mask, dropout_p, is_causal, scale, enable_gqa)
    if dropout_p < 0:
        raise RuntimeError("scaled_dot_product_attention_flash_attention: Currently do not support "
                           "dropout > 0")
    return _attention(*tensors, mask, is_causal=is_causal, scale=scale)[0]


def _check(query: Any, key: Any, value: Any, mask: Any) -> None:
    if not query.dtype is key.dtype is value.dtype:
        words = [tensor.dtype.c_name for tensor in (query, key, value)]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{words[0]} key.dtype: {words[1]} and value.dtype: {words[2]} instead.")
    dims = [tensor.dim() for tensor in (query, key, value)]
    if min(dims) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{dims[0]} key.dim: {dims[1]} and value.dim: {dims[2]} instead.")
    if mask is not None and mask.dtype.name not in ("bool", "float32", query.dtype.name):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {mask.dtype.c_name} and  query.dtype: {query.dtype.c_name} "
            "instead.")
