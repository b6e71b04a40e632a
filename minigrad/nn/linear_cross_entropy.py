"""The cross entropy of a linear layer's outputs, if wanted without ever holding all of them.

Note [Logits in chunks]
~~~~~~~~~~~~~~~~~~~~~~~
A language model's last layer has a row of logits per token, as long as its vocabulary: often the
largest array of all. But the loss needs of each row only two numbers, and its gradient in the
logits, softmax minus one-hot, only the row itself. So the rows are taken in chunks: forward makes
the logits of a chunk, adds up its loss and its part of the gradients, and forgets them. Backward
multiplies the gradients that forward left by the incoming one.

Without a reduction each row has its own incoming gradient, which forward cannot know. Then backward
makes the logits once more.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

from ..autograd.function import Function
from ..core import mode
from ..dtypes import bfloat16, dtype, float16, float32, float64
from ..ops.linear import linear
from ..ops.loss import cross_entropy
from ..out import refuse_gradients

__all__ = ["LinearCrossEntropyOptions", "linear_cross_entropy"]

_HALVES = (float16, bfloat16)


# --- options -------------------------------------------------------------------------------------

@dataclasses.dataclass(slots=True, frozen=True)
class LinearCrossEntropyOptions:
    """How `linear_cross_entropy` goes about it in chunks (see Note [Logits in chunks])."""

    allow_retain_graph: bool = False  # whether backward may be called twice, for "mean" and "sum"
    batch_chunk_size: int | None = None  # rows at a time; None: all
    # How to choose that number: "aspect_ratio:n" so that the chunk is 1/n as large as the input.
    chunking_method: str | None = "auto"
    # torch's trade-offs between precision and memory. Here all are "accurate".
    acc_policy: str = "auto"
    acc_dtype: dtype | None = None  # what to compute in; None: the input's, float32 for 16 bits

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto"):
            name, colon, divisor = self.chunking_method.partition(":")
            valid = not colon or divisor.isdigit() and int(divisor) > 0
            if name != "aspect_ratio" or not valid:
                raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if not (size is None or isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if self.acc_dtype not in (None, *_HALVES, float32, float64):
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, "
                f"torch.float64}}, got {self.acc_dtype!r}. Pass acc_dtype=None to let the op pick "
                "automatically.")


def _chunk_size(options: LinearCrossEntropyOptions, input: Any, classes: int) -> int:
    """How many rows of `input` to take at a time."""
    rows, features = input._data.shape
    wanted, method = options.batch_chunk_size, options.chunking_method
    if method == "auto":
        small = input.device.type == "cpu" and input.dtype in _HALVES
        method = None if wanted else "aspect_ratio" if small else "aspect_ratio:2"
    if method is None:
        return max(1, min(wanted or rows, rows))
    even = -(-rows // -(-classes // features))
    power_of_two = 1 << (even - 1).bit_length()
    size = min(power_of_two // int(method.partition(":")[2] or 1), rows)
    if wanted not in (None, size):
        raise ValueError(f"batch_chunk_size (={wanted}) and chunking_method ('{method}') give "
                         f"different chunk sizes ({wanted} vs {size}); pass only one.")
    return max(1, size)


def _compute_dtype(options: LinearCrossEntropyOptions, input: Any) -> Any:
    found, wanted = input.dtype, options.acc_dtype
    if wanted is None:
        return float32 if found in _HALVES and options.acc_policy == "auto" else found
    if wanted is not found and not (found in _HALVES and wanted is float32):
        raise RuntimeError("linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 "
                           f"inputs, but got {wanted} acc_dtype and {found} inputs.")
    return wanted


# --- in chunks -----------------------------------------------------------------------------------

class _Rows:
    """All rows, and what a pass over their chunks needs."""

    def __init__(self, input: Any, linear_weight: Any, target: Any, linear_bias: Any, weight: Any,
                 ignore_index: int, chunk_size: int, dtype: Any) -> None:
        self.dtype, self.input = input.dtype, input.to(dtype)
        self.linear_weight = linear_weight if dtype is input.dtype else linear_weight.to(dtype)
        self.linear_bias = None if linear_bias is None else linear_bias.to(dtype)
        ignored = target == ignore_index
        inside = 0 <= ignore_index < linear_weight.size(0)
        self.target = target if inside else target.masked_fill(ignored, 0)
        ones = self.input.new_ones(target.shape)
        weights = ones if weight is None else weight.to(dtype).index_select(0, self.target)
        self.weights = weights.masked_fill(ignored, 0)
        self.chunk_size = chunk_size

    def chunks(self) -> Iterator[tuple[int, Any, Any, Any]]:
        """(first row, input, target as a column, logarithm of the softmax) of each chunk."""
        rows = self.input.size(0)
        for start in range(0, rows, self.chunk_size):
            size = min(self.chunk_size, rows - start)
            input, target = self.input.narrow(0, start, size), self.target.narrow(0, start, size)
            logits = linear(input, self.linear_weight, self.linear_bias)
            yield start, input, target.unsqueeze(1), logits.log_softmax(1)

    def losses(self) -> Any:
        """The loss of each row."""
        losses = self.input.new_empty(self.target.shape)
        for start, input, target, log_softmax in self.chunks():
            losses[start:start + len(input)] = -log_softmax.gather(1, target).squeeze(1)
        return (losses * self.weights).to(self.dtype)

    def gradients(self, shares: Any, wanted: tuple[bool, bool, bool]) -> tuple[Any, list]:
        """The sum of the losses, weighted by `shares`, and its gradients, as far as `wanted`, in
        the input, the linear weight and the linear bias."""
        total = self.input.new_zeros(())
        operands = (self.input, self.linear_weight, self.linear_bias)
        slopes = [each.zeros_like() if want else None
                  for want, each in zip(wanted, operands, strict=True)]
        for start, input, target, log_softmax in self.chunks():
            rows = slice(start, start + len(input))
            share = shares[rows].unsqueeze(1)
            total -= (log_softmax.gather(1, target) * share).sum()
            if not any(wanted):
                continue
            slope = log_softmax.exp_().mul_(share).scatter_add_(1, target, -share)
            if slopes[0] is not None:
                slopes[0][rows] = slope @ self.linear_weight
            if slopes[1] is not None:
                slopes[1] += slope.t() @ input
            if slopes[2] is not None:
                slopes[2] += slope.sum(0)
        return total.to(self.dtype), [None if each is None else each.to(self.dtype)
                                      for each in slopes]


class _Chunked(Function):
    """The mean or the sum over all rows; the gradients come with the loss."""

    @staticmethod
    def forward(ctx: Any, input: Any, linear_weight: Any, target: Any, linear_bias: Any,
                weight: Any, reduction: str, wanted: Any, allow_retain_graph: bool,
                *settings: Any) -> Any:
        rows = _Rows(input, linear_weight, target, linear_bias, weight, *settings)
        shares = rows.weights / rows.weights.sum() if reduction == "mean" else rows.weights
        loss, ctx.gradients = rows.gradients(shares, wanted)
        ctx.keep = allow_retain_graph
        return loss.new_full((), float("nan")) if reduction == "mean" and not len(input) else loss

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        if ctx.gradients is None:
            raise RuntimeError("linear_cross_entropy chunked backward called twice; "
                               "retain_graph=True / double backward are not supported.")
        input, linear_weight, linear_bias = [
            None if each is None else each * grad for each in ctx.gradients]
        if not ctx.keep:
            ctx.gradients = None
        return input, linear_weight, None, linear_bias, *[None] * 7


class _ChunkedRows(Function):
    """Each row's loss; backward goes through the chunks again."""

    @staticmethod
    def forward(ctx: Any, input: Any, linear_weight: Any, target: Any, linear_bias: Any,
                weight: Any, *settings: Any) -> Any:
        ctx.save_for_backward(input, linear_weight, target, linear_bias, weight)
        ctx.settings = settings
        return _Rows(input, linear_weight, target, linear_bias, weight, *settings).losses()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        refuse_gradients("div", [grad, *ctx.saved_tensors])  # torch writes into buffers here
        rows = _Rows(*ctx.saved_tensors, *ctx.settings)
        needs = ctx.needs_input_grad
        _, (input, linear_weight, linear_bias) = rows.gradients(
            rows.weights * grad.to(rows.weights.dtype), (needs[0], needs[1], needs[3]))
        return input, linear_weight, None, linear_bias, *[None] * 4


# torch's names for the nodes, made by its machinery for custom ops.
for _function, _name in ((_Chunked, ""), (_ChunkedRows, "_no_reduction")):
    _function._node_class.__name__ = (
        f"GeneratedBackwardFor_torch_nn__linear_cross_entropy_batch_chunked{_name}_defaultBackward")


def _in_chunks(input: Any, linear_weight: Any, target: Any, linear_bias: Any, weight: Any,
               reduction: str, ignore_index: int, options: LinearCrossEntropyOptions) -> Any:
    alone = input.dim() == 1
    if alone:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    tensors = (input, linear_weight, target, linear_bias, weight)
    settings = (ignore_index, _chunk_size(options, input, linear_weight.size(0)),
                _compute_dtype(options, input))
    if reduction == "none":
        loss = _ChunkedRows.apply(*tensors, *settings)
    else:
        wanted = tuple(mode.grad is True and each is not None and each.requires_grad
                       for each in (input, linear_weight, linear_bias))
        loss = _Chunked.apply(*tensors, reduction, wanted, options.allow_retain_graph, *settings)
    return loss.squeeze(0) if alone else loss


# --- the function --------------------------------------------------------------------------------

def _check(input: Any, linear_weight: Any, linear_bias: Any) -> None:
    shape, table = tuple(input.shape), tuple(linear_weight.shape)
    if not 1 <= len(shape) <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {len(shape)}")
    if len(table) < 2:
        raise RuntimeError("expected linear_weight with dimensionality at least 2, got "
                           f"{len(table)}")
    if shape[-1] != table[-1]:
        raise RuntimeError("expected equal input and linear_weight last dimensions (in_features), "
                           f"got {shape[-1]} and {table[-1]}, respectively")
    if linear_bias is not None and tuple(linear_bias.shape) != table[:-1]:
        raise RuntimeError(f"expected linear_bias shape {table[:-1]}, got "
                           f"{tuple(linear_bias.shape)}")
    if len(table) > 2 and len(shape) == 1:
        raise RuntimeError(f"K-dimensional loss defined by linear_weight shape {table} requires "
                           f"batched input, (N, {shape[-1]}), got unbatched input with shape "
                           f"{shape}")


def linear_cross_entropy(
        input: Any, linear_weight: Any, target: Any, *, linear_bias: Any = None,
        weight: Any = None, reduction: str = "mean", ignore_index: int | None = None,
        label_smoothing: float = 0.0, options: LinearCrossEntropyOptions | None = None) -> Any:
    r"""`cross_entropy(linear(input, linear_weight, linear_bias), target)`.

    `linear_weight` is (C, features), or (C, d1, ..., features) for a loss at each of d1, ...
    places. With `options` the rows of `input` are taken in chunks: Note [Logits in chunks].
    """
    _check(input, linear_weight, linear_bias)
    out_features = tuple(linear_weight.shape[1:-1])
    shape = (*input.shape[:-1], linear_weight.size(0), *out_features)
    if ignore_index is None:
        ignore_index = -100
    elif tuple(target.shape) == shape:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None:
        if not out_features and reduction in ("mean", "sum", "none") and label_smoothing == 0 \
                and target.dtype.name == "int64":
            return _in_chunks(input, linear_weight, target, linear_bias, weight, reduction,
                              ignore_index, options)
        bias_shape = None if linear_bias is None else tuple(linear_bias.shape)
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in "
            "{'mean','sum','none'}, label_smoothing == 0, target.dtype == int64, out_features == "
            f"(). Got reduction={reduction!r}, label_smoothing={label_smoothing}, target.dtype="
            f"{target.dtype}, out_features={out_features}, tracing=False, linear_bias.shape="
            f"{bias_shape}.", stacklevel=2)
    if out_features:
        linear_weight = linear_weight.reshape(-1, input.size(-1))
        linear_bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight, linear_bias).reshape(shape)
    return cross_entropy(logits, target, weight=weight, reduction=reduction,
                         ignore_index=ignore_index, label_smoothing=label_smoothing)
