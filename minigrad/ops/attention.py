"""Attention: each query gets the mean of the values, weighted by how well their keys fit."""

from __future__ import annotations

import math
from typing import Any

from .dropout import dropout

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:
    r"""$\mathrm{softmax}(Q K^\mathsf{T} s + M)\,V$, with $s = 1/\sqrt{d}$ unless given.

    A boolean mask says which keys a query may see; `is_causal` lets query i see the keys 0 ... i.
    A query that may see none gets zeros. With `enable_gqa` groups of queries share a head of keys.
    Vaswani et al., "Attention is all you need", 2017.
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        heads = query.size(-3)
        key = key.repeat_interleave(heads // key.size(-3), -3)
        value = value.repeat_interleave(heads // value.size(-3), -3)
    root = math.sqrt(1 / math.sqrt(query.size(-1)) if scale is None else abs(scale))
    left = query * (-root if scale is not None and scale < 0 else root)
    scores = left @ (key * root).transpose(-2, -1)
    hidden = _hidden(scores, attn_mask, is_causal)
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    if attn_mask is not None and attn_mask.dtype.is_floating_point:
        scores = scores + attn_mask
    if attn_mask is None:
        weights = scores.softmax(-1)
    else:  # a row of -inf alone has no softmax, and its gradient must stay out of the sums
        blind = (scores.detach() == -math.inf).all(-1, keepdim=True)
        weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return weights @ value


def _hidden(scores: Any, mask: Any, is_causal: bool) -> Any:
    """Which keys each query must not see, or None."""
    if is_causal:
        return scores.new_ones(scores.shape[-2:]).triu(1).bool()
    return mask.logical_not() if mask is not None and mask._data.dtype.kind == "b" else None


def _check(query: Any, key: Any, value: Any, mask: Any, is_causal: bool) -> None:
    if not query.dtype is key.dtype is value.dtype:
        words = [tensor.dtype.scalar_name.lower() for tensor in (query, key, value)]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{words[0]} key.dtype: {words[1]} and value.dtype: {words[2]} instead.")
    dims = [tensor.dim() for tensor in (query, key, value)]
    if min(dims) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{dims[0]} key.dim: {dims[1]} and value.dim: {dims[2]} instead.")
    if mask is not None and is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set "
                           "when is_causal=True")
    if mask is not None and not (mask._data.dtype.kind == "b" or mask.dtype.is_floating_point):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {mask.dtype.scalar_name.lower()} int and  query.dtype: "
            f"{query.dtype.scalar_name.lower()} instead.")
