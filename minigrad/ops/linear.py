"""`matmul` and `linear`: composites of the products in matmul.py.

They leave torch's own graph behind: which views and which product they record depends on the
shapes, on contiguity, and on whether the second operand needs a gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..out import takes_out
from .matmul import WORDS_OF_DOT, WORDS_OF_MV, addmm, dot, mm, mv, require_operands
from .views import unsafe_view

__all__ = ["linear", "matmul"]


@autocasts
def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """The product of vectors, matrices or batches of matrices; batch dimensions broadcast."""
    if out is None:
        return _matmul(input, other)
    return _product_into(out, "matmul", _matmul, input, other)


def _product_into(out: Any, name: str, function: Any, input: Any, other: Any, *more: Any) -> Any:
    """torch hands out on to the product that the shapes call for, each of which refuses a dtype in
    its own words; a vector times a matrix is a product of matrices, so out becomes a row first."""
    dims = input._data.ndim, other._data.ndim
    words = WORDS_OF_DOT if dims == (1, 1) else WORDS_OF_MV if dims[1] == 1 else None
    if dims != (1, 2):
        return takes_out(function, name=name, words=words)(input, other, *more, out=out)
    takes_out(lambda *args: function(*args).unsqueeze(0), name=name)(input, other, *more, out=out)
    out._data = out._data[0]
    return out


def _matmul(input: Any, other: Any) -> Any:
    require_operands("matmul", input=input, other=other)
    a, b = input._data.ndim, other._data.ndim
    if not a or not b:
        raise RuntimeError("both arguments to matmul need to be at least 1D, but they are "
                           f"{a}D and {b}D")
    if a == 1 and b == 1:
        return dot(input, other)
    if a == 2 and b == 1:
        return mv(input, other)
    if a == 1 and b == 2:
        return input.unsqueeze(0).mm(other).squeeze_(0)
    if a == 2 and b == 2:
        return mm(input, other)
    if a == b == 3:
        batches = input._data.shape[0], other._data.shape[0]
        if batches[0] != 1 == batches[1] and other.requires_grad:
            return matmul(input, other.squeeze(0))
        if batches[1] != 1 == batches[0] and input.requires_grad:
            return matmul(input.squeeze(0), other)
    if _folds(input, other):
        return _folded(input, other)
    return _batched(input, other)


def _folds(input: Any, other: Any) -> bool:
    """Whether one product of matrices does it, the larger operand's batch being more rows."""
    larger, smaller = (input, other) if input._data.ndim >= other._data.ndim else (other, input)
    if larger._data.ndim < 3 or smaller._data.ndim > 2:
        return False
    if smaller.requires_grad:
        return True  # the batched product would expand it, and its gradient would be as large
    if input._data.ndim == 2:
        return False
    if not larger._data.size:
        return True
    data = larger._data if larger is input else larger._data.swapaxes(-1, -2)
    return all(data.strides[i] == data.strides[i + 1] * data.shape[i + 1]
               for i in range(data.ndim - 2))


def _folded(input: Any, other: Any) -> Any:
    """(b, n, k) times (k, m) as (bn, k) times (k, m); the other way round on transposes."""
    straight = input._data.ndim >= other._data.ndim
    larger = input if straight else other.mT
    smaller = other if straight else (input.t() if input._data.ndim == 2 else input)
    *batch, inner = larger._data.shape
    rows = larger.reshape(math.prod(batch), inner)
    if smaller._data.ndim == 1:
        return unsafe_view(rows.mv(smaller), size=batch)
    result = unsafe_view(rows.mm(smaller), size=[*batch, smaller._data.shape[1]])
    return result if straight else result.mT.contiguous()


def _batched(input: Any, other: Any) -> Any:
    """Both operands expanded to one batch of matrices, then `bmm`."""
    a, b = input._data.shape, other._data.shape
    rows, inner = (a[-2] if len(a) > 1 else 1), a[-1]
    inner_of_other = b[-2] if len(b) > 1 else b[-1]
    try:
        batch = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise RuntimeError(_no_common_batch(a[:-2], b[:-2])) from None
    count = math.prod(batch)
    left = input.expand([*batch, rows, inner]).reshape(count, rows, inner)
    own = [inner_of_other] if len(b) == 1 else [inner_of_other, b[-1]]
    right = other.expand([*batch, *own]).reshape(count, *own)
    if len(b) == 1:
        product = left.bmm(right.unsqueeze(2)).squeeze(-1)
    else:
        product = left.bmm(right)
    shape = [*batch] + ([rows] if len(a) > 1 else []) + ([b[-1]] if len(b) > 1 else [])
    return unsafe_view(product, size=shape)


def _no_common_batch(a: tuple, b: tuple) -> str:
    for back in range(1, min(len(a), len(b)) + 1):
        if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
            return (f"The size of tensor a ({a[-back]}) must match the size of tensor b "
                    f"({b[-back]}) at non-singleton dimension {max(len(a), len(b)) - back}")
    return "shapes do not broadcast"


@autocasts
def linear(input: Any, weight: Any, bias: Any = None, *, out: Any = None) -> Any:
    r"""$y = x W^T + b$ for `weight` (out, in) and `input` (*, in)."""
    if out is None:
        return _linear(input, weight, bias)
    return _product_into(out, "linear", _linear, input, weight, bias)


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    require_operands("linear", input=input, weight=weight)
    dims = input._data.ndim
    if not dims or not weight._data.ndim:
        raise RuntimeError("both arguments to linear need to be at least 1D, but they are "
                           f"{dims}D and {weight._data.ndim}D")
    if bias is not None:
        if dims == 2:
            return addmm(bias, input, weight.t())
        if input._data.flags.c_contiguous and weight._data.ndim == 2 and bias._data.ndim == 1:
            *batch, width = input._data.shape
            rows = input.reshape(math.prod(batch), width)
            return addmm(bias, rows, weight.t()).view(*batch, weight._data.shape[0])
    result = matmul(input, weight.t())
    return result if bias is None else result.add_(bias)
