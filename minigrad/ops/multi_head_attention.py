"""Attention by several heads, with the projections before and after it, as a layer calls it.

Sequences come first: query (L, N, E), key and value (S, N, E), or without the batch N. Inside, a
head of a sample is a batch of its own: (N * heads, L, E / heads).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from .attention import scaled_dot_product_attention
from .dropout import dropout
from .joining import cat
from .linear import linear
from .matmul import baddbmm, bmm
from .padding import pad
from .shape import chunk, split
from .softmax import softmax

__all__ = ["multi_head_attention_forward"]


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise AssertionError(words)


# --- checks --------------------------------------------------------------------------------------

def _check_shapes(query: Any, key: Any, value: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Whether the inputs are batched."""
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError("query should be unbatched 2D or batched 3D tensor but received "
                             f"{dims}-D query tensor")
    case = f"For {'batched' if dims == 3 else 'unbatched'} ({dims}-D) `query`, expected"
    _require(key.dim() == value.dim() == dims,
             f"{case} `key` and `value` to be {dims}-D but found {key.dim()}-D and "
             f"{value.dim()}-D tensors respectively")
    if padding is not None:
        _require(padding.dim() == dims - 1,
                 f"{case} `key_padding_mask` to be `None` or {dims - 1}-D but found "
                 f"{padding.dim()}-D tensor instead")
    if mask is not None:
        _require(mask.dim() in (2, 3), f"{case} `attn_mask` to be `None`, 2-D or 3-D but found "
                                       f"{mask.dim()}-D tensor instead")
        if dims == 2 and mask.dim() == 3:
            expected = (heads, query.shape[0], key.shape[0])
            _require(tuple(mask.shape) == expected, f"Expected `attn_mask` shape to be {expected} "
                                                    f"but got {mask.shape}")
    return dims == 3


def _check_mask(mask: Any, length: int, count: int, batches: int) -> None:
    expected = (length, count) if mask.dim() == 2 else (batches, length, count)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should "
                           f"be {expected}.")


def _check_padding(padding: Any, batch: int, count: int) -> None:
    for dim, expected in enumerate((batch, count)):
        _require(padding.size(dim) == expected, f"Expected key_padded_mask.shape[{dim}] to be "
                                                f"{expected}, but got {padding.size(dim)}")


def _check_static(name: str, tensor: Any, batches: int, width: int) -> None:
    for dim, expected in ((0, batches), (2, width)):
        _require(tensor.size(dim) == expected,
                 f"expecting {name}.size({dim}) of {expected}, but got {tensor.size(dim)}")


def canonical_mask(mask: Any, name: str, dtype: Any, other: Any = None,
                   other_name: str = "") -> Any:
    """A mask as what to add to the scores; in a boolean one, True is -inf.

    `other` is a mask that should have come with the same dtype.
    """
    if mask is None:
        return None
    is_bool = mask._data.dtype.kind == "b"
    _require(is_bool or mask.dtype.is_floating_point,
             f"only bool and floating types of {name} are supported")
    if other is not None and other.dtype is not mask.dtype:
        warnings.warn(f"Support for mismatched {name} and {other_name} is deprecated. Use same "
                      "type for both instead.", stacklevel=3)
    return mask.zeros_like(dtype=dtype).masked_fill_(mask, -math.inf) if is_bool else mask


# --- projections ---------------------------------------------------------------------------------

def _project_together(query: Any, key: Any, value: Any, weight: Any, bias: Any) -> tuple:
    """Queries, keys and values by one stacked weight: in as few products as the inputs allow."""
    width = query.size(-1)
    if key is not value:
        weights = chunk(weight, 3)
        biases = (None,) * 3 if bias is None else chunk(bias, 3)
        return tuple([linear(*each) for each in zip((query, key, value), weights, biases,
                                                    strict=True)])
    if query is key:
        return _parts(linear(query, weight, bias), 3, width)
    of_query, of_rest = split(weight, [width, 2 * width])
    bias_of_query, bias_of_rest = (None, None) if bias is None else split(bias, [width, 2 * width])
    return (linear(query, of_query, bias_of_query),
            *_parts(linear(key, of_rest, bias_of_rest), 2, width))


def _parts(projected: Any, count: int, width: int) -> tuple:
    """The projections that lie side by side in the last dimension, each of its own."""
    apart = projected.unflatten(-1, (count, width)).unsqueeze(0)
    apart = apart.transpose(0, -2).squeeze(-2).contiguous()
    return tuple([apart[i] for i in range(count)])


def _project_apart(inputs: tuple, weights: tuple, bias: Any) -> tuple:
    """Queries, keys and values each by a weight of its own."""
    biases = (None,) * 3 if bias is None else chunk(bias, 3)
    names, width = ("query", "key", "value"), inputs[0].size(-1)
    for name, weight in zip("qkv", weights, strict=True):
        _require(weight is not None,
                 f"use_separate_proj_weight is True but {name}_proj_weight is None")
    for name, input, weight in zip(names, inputs, weights, strict=True):
        expected = (width, input.size(-1))
        _require(tuple(weight.shape) == expected,
                 f"expecting {name} weights shape of {expected}, but got {weight.shape}")
    for name, each in zip(names, biases, strict=True):
        _require(each is None or tuple(each.shape) == (width,),
                 f"expecting {name} bias shape of {(width,)}, but got "
                 f"{each is not None and each.shape}")
    return tuple([linear(*each) for each in zip(inputs, weights, biases, strict=True)])


# --- the function --------------------------------------------------------------------------------

def multi_head_attention_forward(
        query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int,
        in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool,
        dropout_p: float, out_proj_weight: Any, out_proj_bias: Any, training: bool = True,
        key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
        use_separate_proj_weight: bool = False, q_proj_weight: Any = None,
        k_proj_weight: Any = None, v_proj_weight: Any = None, static_k: Any = None,
        static_v: Any = None, average_attn_weights: bool = True, is_causal: bool = False) -> tuple:
    """What `nn.MultiheadAttention` computes: (output, weights), the weights averaged over the
    heads, or None without `need_weights`.

    `in_proj_weight` holds the three projections one above the other; `bias_k` and `bias_v` are one
    more key and value for all, `add_zero_attn` adds one of zeros; `static_k` and `static_v` take
    the place of the projected ones. `is_causal` only says that `attn_mask` is the causal one.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    padding = canonical_mask(key_padding_mask, "key_padding_mask", query.dtype, attn_mask,
                             "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint. You may use the "
                           "Transformer module method `generate_square_subsequent_mask` to create "
                           "this mask.")
    if is_causal and padding is None and not need_weights:
        mask = None  # the hint is enough
    else:
        mask = canonical_mask(attn_mask, "attn_mask", query.dtype)
        is_causal = is_causal and padding is None  # with padding the mask is no longer causal
    _require(width == embed_dim_to_check,
             f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    head_width = width // num_heads
    _require(head_width * num_heads == width,
             f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        _require(key.shape[:2] == value.shape[:2],
                 f"key's sequence and batch dims {key.shape[:2]} do not match value's "
                 f"{value.shape[:2]}")
        q, k, v = _project_apart((query, key, value),
                                 (q_proj_weight, k_proj_weight, v_proj_weight), in_proj_bias)
    else:
        _require(key.shape == value.shape,
                 f"key shape {key.shape} does not match value shape {value.shape}")
        _require(in_proj_weight is not None,
                 "use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _project_together(query, key, value, in_proj_weight, in_proj_bias)

    batches = batch * num_heads
    if mask is not None:
        _check_mask(mask, length, key.size(0), batches)
        mask = mask.unsqueeze(0) if mask.dim() == 2 else mask
    added = 0  # keys beyond those of the sequence
    if bias_k is not None and bias_v is not None:
        _require(static_k is None, "bias cannot be added to static key.")
        _require(static_v is None, "bias cannot be added to static value.")
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        added += 1
    else:
        _require(bias_k is None, "bias_k is set but bias_v is None")
        _require(bias_v is None, "bias_v is set but bias_k is None")

    q = _by_head(q, batches, head_width)
    if static_k is None:
        k = _by_head(k, batches, head_width)
    else:
        _check_static("static_k", static_k, batches, head_width)
        k = static_k
    if static_v is None:
        v = _by_head(v, batches, head_width)
    else:
        _check_static("static_v", static_v, batches, head_width)
        v = static_v
    if add_zero_attn:
        k, v = [cat([each, each.new_zeros((batches, 1, head_width))], dim=1) for each in (k, v)]
        added += 1
    for _ in range(added):
        mask = None if mask is None else pad(mask, (0, 1))
        padding = None if padding is None else pad(padding, (0, 1))
    count = k.size(1)
    if padding is not None:
        _check_padding(padding, batch, count)
        padding = padding.view(batch, 1, 1, count).expand(-1, num_heads, -1, -1)
        padding = padding.reshape(batches, 1, count)
        mask = padding if mask is None else mask + padding

    dropout_p = dropout_p if training else 0.0
    attend = _with_weights if need_weights else _without_weights
    output, weights = attend(q, k, v, mask, dropout_p, is_causal, (batch, num_heads))
    output = linear(output.reshape(length * batch, width), out_proj_weight, out_proj_bias)
    output = output.view(length, batch, output.size(1))
    if weights is not None:
        weights = weights.view(batch, num_heads, length, count)
        weights = weights.mean(dim=1) if average_attn_weights else weights
    if batched:
        return output, weights
    return output.squeeze(1), None if weights is None else weights.squeeze(0)


def _by_head(projected: Any, batches: int, width: int) -> Any:
    return projected.view(projected.size(0), batches, width).transpose(0, 1)


def _with_weights(q: Any, k: Any, v: Any, mask: Any, dropout_p: float, is_causal: bool,
                  sizes: tuple[int, int]) -> tuple[Any, Any]:
    scaled = q * math.sqrt(1 / q.size(-1))
    _require(not is_causal or mask is not None,
             "FIXME: is_causal not implemented for need_weights")
    keys = k.transpose(-2, -1)
    scores = bmm(scaled, keys) if mask is None else baddbmm(mask, scaled, keys)
    weights = softmax(scores, dim=-1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return bmm(weights, v).transpose(0, 1), weights


def _without_weights(q: Any, k: Any, v: Any, mask: Any, dropout_p: float, is_causal: bool,
                     sizes: tuple[int, int]) -> tuple[Any, None]:
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.size(0) == 1 and mask.dim() == 3 else mask.view(
            *sizes, -1, k.size(1))
    q, k, v = [each.view(*sizes, each.size(1), each.size(2)) for each in (q, k, v)]
    output = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    return output.permute(2, 0, 1, 3), None
