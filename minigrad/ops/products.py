"""Products made of matrix products, and others over chosen dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, primitive
from .arithmetic import mul
from .dims import wrap_dims
from .views import unsafe_view

__all__ = ["bilinear", "inner", "kron", "tensordot", "trace"]

# --- bilinear ------------------------------------------------------------------------------------

@primitive(name="trilinear", node_name="TrilinearBackward0")
def _trilinear(xp, input1, weight, input2):
    r"""$y_{no} = \sum_{ij} a_{ni} W_{oij} b_{nj}$."""
    return xp.einsum("ni,oij,nj->no", input1, weight, input2, **_PLANNED[xp is np])


_PLANNED: dict[bool, dict] = {True: {"optimize": True}, False: {}}  # CuPy always plans


derivative(_trilinear,
    input1=lambda g, weight, input2: (g @ weight.flatten(1)).view(
        -1, *weight.shape[1:]).bmm(input2.unsqueeze(2)).squeeze(2),
    weight=lambda g, input1, input2: (g.t() @ (
        input1.unsqueeze(2) * input2.unsqueeze(1)).flatten(1)).view(
            g.shape[1], input1.shape[1], input2.shape[1]),
    input2=lambda g, input1, weight: input1.unsqueeze(1).bmm(
        (g @ weight.flatten(1)).view(-1, *weight.shape[1:])).squeeze(1))


@autocasts
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    r"""$y_o = a^T W_o b + c_o$ for `weight` (out, in1, in2)."""
    if input1._data.ndim != input2._data.ndim:
        raise RuntimeError("bilinear(): input dimensions do not match: got "
                           f"{input1._data.ndim} and {input2._data.ndim}")
    for dim in range(input1._data.ndim - 1):
        if input1._data.shape[dim] != input2._data.shape[dim]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {dim}: got "
                f"{input1._data.shape[dim]} and {input2._data.shape[dim]}")
    for number, tensor in ((1, input1), (2, input2)):
        if tensor._data.shape[-1] != weight._data.shape[number]:
            raise RuntimeError(f"bilinear(): input{number} size does not match weight size: got "
                               f"{tensor._data.shape[-1]} but expected "
                               f"{weight._data.shape[number]}")
    *batch, width = input1._data.shape
    result = _trilinear(input1.reshape(-1, width), weight,
                        input2.reshape(-1, input2._data.shape[-1]))
    result = result.view(*batch, weight._data.shape[0])
    return result if bias is None else result + bias


# --- products along chosen dimensions ------------------------------------------------------------

@autocasts
@takes_out(words="tensordot: Expected the output tensor to have dtype {found}, but got an output "
                 "tensor with dtype {wanted}", recorded=True)
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """The sum of products over pairs of dimensions: those of two lists, or, for a number n, the
    last n of a with the first n of b."""
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a._data.ndim, b._data.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        left, right = tuple(range(-dims, 0)), tuple(range(dims))
    else:
        left, right = ((each,) if isinstance(each, int) else tuple(each) for each in dims)
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    if a._data.dtype is not b._data.dtype:
        raise RuntimeError("both inputs should have same dtype")
    for i, j in zip(left, right, strict=True):
        if b.size(j) == 1:
            a = a.sum(i, True, dtype=a.dtype)
        elif a.size(i) == 1:
            b = b.sum(j, True, dtype=b.dtype)
        elif a.size(i) != b.size(j):
            raise RuntimeError("contracted dimensions need to match, but first has size "
                               f"{a.size(i)} in dim {i} and second has size {b.size(j)} in dim "
                               f"{j}")
    left, right = wrap_dims(left, a._data.ndim), wrap_dims(right, b._data.ndim)
    rows = [i for i in range(a._data.ndim) if i not in left]
    columns = [j for j in range(b._data.ndim) if j not in right]
    inner = math.prod(a._data.shape[i] for i in left)
    shape = [a._data.shape[i] for i in rows] + [b._data.shape[j] for j in columns]
    if math.prod(shape) == 1:
        return _dot_all(a.permute([*rows, *left]), b.permute([*right, *columns])).view(shape)
    first = a.permute([*rows, *left]).reshape(math.prod(shape[:len(rows)]), inner)
    second = b.permute([*right, *columns]).reshape(inner, math.prod(shape[len(rows):]))
    return first.mm(second).reshape(shape)


def _dot_all(a: Any, b: Any) -> Any:
    """The sum of all products, of two tensors that differ in dimensions of size 1 only."""
    if a.is_contiguous() and b.is_contiguous():
        return (a if a._data.ndim == 1 else a.view(-1)).dot(b if b._data.ndim == 1 else b.view(-1))
    return (a.squeeze() * b.squeeze()).sum(dtype=a.dtype)


def inner(input: Any, other: Any, *, out: Any = None) -> Any:
    """The sum of products over the last dimension of both."""
    if not input._data.ndim or not other._data.ndim:
        return mul(input, other, out=out)
    if input._data.shape[-1] != other._data.shape[-1]:
        raise RuntimeError("inner() the last dimension must match on both input tensors but got "
                           f"shapes {list(input._data.shape)} and {list(other._data.shape)}")
    return tensordot(input, other, ([-1], [-1]), out=out)


@takes_out(casts=True)
def kron(input: Any, other: Any) -> Any:
    """The Kronecker product: every element of `input` times the whole of `other`."""
    dims = max(input._data.ndim, other._data.ndim)
    a = [1] * (dims - input._data.ndim) + list(input._data.shape)
    b = [1] * (dims - other._data.ndim) + list(other._data.shape)
    left = unsafe_view(input, size=[n for each in a for n in (each, 1)])
    right = unsafe_view(other, size=[n for each in b for n in (1, each)])
    return unsafe_view(left * right, size=[m * n for m, n in zip(a, b, strict=True)])


@primitive(promote="exact", name="trace")
def _trace(xp, input):
    return xp.trace(input, dtype=np.int64 if input.dtype.kind in "biu" else None)


@primitive(promote="exact", name="trace_backward")
def _on_diagonal(xp, g, *, shape):
    result = xp.zeros(shape, g.dtype)
    places = xp.arange(min(shape))
    result[places, places] = g
    return result


derivative(_trace, input=lambda g, input_shape: _on_diagonal(g, shape=input_shape))
derivative(_on_diagonal, g=lambda g: g.trace())


@autocasts
def trace(input: Any) -> Any:
    """The sum of a matrix's diagonal."""
    if input._data.ndim != 2:
        raise RuntimeError("trace: expected a matrix, but got tensor with dim "
                           f"{input._data.ndim}")
    return _trace(input)
