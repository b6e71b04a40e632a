"""Distances between vectors, and vectors cut to a length."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import takes_out
from ..primitive import derivative, joint_derivative, no_kernel, primitive
from .dims import wrap_dim
from .linear import matmul
from .no_derivative import declared_missing
from .vector_norm import (
    _norm_rule,
    vector_norm,
)
from .views import broadcast_shapes

__all__ = ["cdist", "pdist", "renorm"]

# --- all distances between two sets --------------------------------------------------------------
# Differences of all pairs are an array as large as both sets' product, times their dimension: they
# are made a block at a time.

_BLOCK = 1 << 20


def _blocks(count: int, width: int) -> Iterator[slice]:
    """`count` items of `width` numbers each, cut in slices of at most _BLOCK numbers."""
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, start + step)


def _length(xp, difference, p, largest):
    """The p-norm over the last dimension: for 0 how many are not 0, for inf what `largest` says."""
    size = xp.abs(difference)
    if p == 0:
        return xp.minimum(xp.ceil(size), 1).sum(axis=-1)
    if p == 1:
        return size.sum(axis=-1)
    if p == 2:
        return xp.sqrt((size * size).sum(axis=-1))
    if p == math.inf:
        return largest(xp, size)
    return (size ** p).sum(axis=-1) ** (1 / p)


def _largest(xp, size):
    """nan where there is one."""
    return size.max(axis=-1)


def _largest_number(xp, size):
    """nan passed over, as torch's cdist does."""
    return xp.where(xp.isnan(size), size.dtype.type(0), size).max(axis=-1)


def _slope(xp, difference, distance, p):
    """The derivative of the distance by the first of the two points; 0 where they are the same."""
    sign = xp.sign(difference)
    if p == 1:
        slope = sign
    elif p == 2:
        slope = difference / distance
    elif p == math.inf:
        slope = sign * (1 - xp.minimum(xp.ceil(xp.abs(xp.abs(difference) - distance)), 1))
    else:
        slope = sign * xp.abs(difference) ** (p - 1) / distance ** (p - 1)
    same = (distance == 0) | (difference == 0) if p < 1 else distance == 0
    return xp.where(same, slope.dtype.type(0), slope)


@primitive(name="_cdist", lies="rows")
def _cdist(xp, x1, x2, *, p):
    r"""$d_{ij} = \left(\sum_k |a_{ik} - b_{jk}|^p\right)^{1/p}$."""
    (rows, dims), columns = x1.shape[-2:], x2.shape[-2]
    batch = broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    result = xp.zeros((*batch, rows, columns), x1.dtype)
    if result.size and dims:
        for part in _blocks(rows, result.size // rows * dims):
            difference = x1[..., part, None, :] - x2[..., None, :, :]
            result[..., part, :] = _length(xp, difference, p, _largest_number)
    return result


@primitive(node_name="CdistBackwardBackward0", lies="rows")
def _cdist_backward(xp, grad, x1, x2, distance, *, p):
    r"""$\bar a_{ik} = \sum_j \bar d_{ij}\, \partial d_{ij} / \partial a_{ik}$."""
    rows, dims = x1.shape[-2:]
    result = xp.zeros((*grad.shape[:-1], dims), x1.dtype)
    if grad.size and dims and p:
        for part in _blocks(rows, grad.size // rows * dims):
            slope = _slope(xp, x1[..., part, None, :] - x2[..., None, :, :],
                           distance[..., part, :, None], p)
            slope *= grad[..., part, :, None]
            result[..., part, :] = slope.sum(axis=-2)
    return result


derivative(_cdist,
    x1=lambda g, x1, x2, result, p: _cdist_backward(g.contiguous(), x1, x2, result, p=p),
    x2=lambda g, x1, x2, result, p: _cdist_backward(
        g.mT.contiguous(), x2, x1, result.mT.contiguous(), p=p))
derivative(_cdist_backward, **dict.fromkeys(
    _cdist_backward.op.inputs, declared_missing("_cdist_backward")))


@primitive(name="_euclidean_dist", lies="rows")
def _euclidean_dist(xp, x1, x2):
    r"""$d_{ij} = \sqrt{|a_i|^2 - 2\,a_i \cdot b_j + |b_j|^2}$, which is one product of matrices:
    faster, and for points near each other less exact, than taking all differences."""
    squares1, squares2 = [(each * each).sum(axis=-1, keepdims=True) for each in (x1, x2)]
    left = xp.concatenate([-2 * x1, squares1, xp.ones_like(squares1)], axis=-1)
    right = xp.concatenate([x2, xp.ones_like(squares2), squares2], axis=-1)
    return xp.sqrt(xp.maximum(xp.matmul(left, right.swapaxes(-1, -2)), 0))


def _euclidean_rule(g, x1, x2, result):
    ratio = (g / result).masked_fill(result == 0, 0)
    return (x1 * ratio.sum(-1, True) - matmul(ratio, x2),
            x2 * ratio.sum(-2).unsqueeze(-1) - matmul(ratio.mT, x1))


joint_derivative(_euclidean_dist, ("x1", "x2"), _euclidean_rule)

_BY_PRODUCT = {"use_mm_for_euclid_dist_if_necessary": None, "use_mm_for_euclid_dist": True,
               "donot_use_mm_for_euclid_dist": False}
_MANY = 25  # more rows than these are many


@autocasts
def cdist(x1: Any, x2: Any, p: float = 2.0,
          compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    r"""The distance $\left(\sum_k |a_{ik} - b_{jk}|^p\right)^{1/p}$ of each row of `x1` to each of
    `x2`, batch by batch."""
    if compute_mode not in _BY_PRODUCT:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    _check_sets(x1, x2, p)
    (rows, dims), columns = x1._data.shape[-2:], x2._data.shape[-2]
    batches = x1._data.shape[:-2], x2._data.shape[:-2]
    batch = _common_batch(*batches)
    filled = x1._data.size and x2._data.size
    by_product = _BY_PRODUCT[compute_mode]
    if by_product is None:
        by_product = rows > _MANY or columns > _MANY
    if p != 2 or not by_product or not filled:
        if filled and math.prod(batch):
            _require_exact("cdist", x1)
            if x2.dtype is not x1.dtype:
                raise RuntimeError(f"expected scalar type {x1.dtype.scalar_name} but found "
                                   f"{x2.dtype.scalar_name}")
        return _cdist(x1, x2, p=float(p))
    if x1.dtype is not x2.dtype:
        raise RuntimeError("expected m1 and m2 to have the same dtype, but got: "
                           f"{x1.dtype.c_name} != {x2.dtype.c_name}")
    count = math.prod(batch)
    if count > 1:
        x1 = x1.expand((*batch, rows, dims)).contiguous().view((count, rows, dims))
        x2 = x2.expand((*batch, columns, dims)).contiguous().view((count, columns, dims))
    return _euclidean_dist(x1, x2).view((*batch, rows, columns))


def _check_sets(x1: Any, x2: Any, p: Any) -> None:
    for place, (name, each) in enumerate((("x1", x1), ("x2", x2)), 1):
        _require_tensor("cdist", name, place, each)
    _require_number("cdist", p, 3)
    for name, each in (("X1", x1), ("X2", x2)):
        if each._data.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: "
                               f"{each._data.ndim}D")
    if x1._data.shape[-1] != x2._data.shape[-1]:
        raise RuntimeError("X1 and X2 must have the same number of columns. X1: "
                           f"{x1._data.shape[-1]} X2: {x2._data.shape[-1]}")
    for name, each in (("X1", x1), ("X2", x2)):
        if not each.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: "
                               f"{each.dtype.scalar_name}")
    if not p >= 0:
        raise RuntimeError("cdist only supports non-negative p values")


def _common_batch(first: tuple, second: tuple) -> tuple:
    ndim = max(len(first), len(second))
    for back in range(1, min(len(first), len(second)) + 1):
        if first[-back] != second[-back] and 1 not in (first[-back], second[-back]):
            raise RuntimeError(f"The size of tensor a ({first[-back]}) must match the size of "
                               f"tensor b ({second[-back]}) at non-singleton dimension "
                               f"{ndim - back}")
    return tuple(broadcast_shapes(first, second))


def _require_tensor(name: str, argument: str, place: int, value: Any) -> None:
    if not isinstance(value, TensorBase):
        raise TypeError(f"{name}(): argument '{argument}' (position {place}) must be Tensor, not "
                        f"{type(value).__name__}")


def _require_number(name: str, p: Any, place: int) -> None:
    if not isinstance(p, numbers.Real):
        raise TypeError(f"{name}(): argument 'p' (position {place}) must be float, not "
                        f"{type(p).__name__}")


def _require_exact(name: str, input: Any) -> None:
    if input._data.dtype in dtypes.HALF_TYPES:
        raise no_kernel(name, input._data.dtype)


# --- all distances within a set ------------------------------------------------------------------

@primitive(name="_pdist")
def _pdist(xp, input, *, p):
    r"""$d_{ij}$ for $i < j$, row by row."""
    rows, dims = input.shape
    first, second = xp.triu_indices(rows, 1)
    result = xp.zeros(len(first), input.dtype)
    if dims:
        for part in _blocks(len(first), dims):
            result[part] = _length(xp, input[first[part]] - input[second[part]], p, _largest)
    return result


@primitive(node_name="PdistBackwardBackward0")
def _pdist_backward(xp, grad, input, distance, *, p):
    """Over all pairs, the point with itself among them: at distance 0, which adds nothing."""
    upper = xp.triu_indices(len(input), 1)
    squares = []
    for values in (grad, distance):
        square = xp.zeros((len(input), len(input)), input.dtype)
        square[upper] = square.T[upper] = values
        squares.append(square)
    return _cdist_backward.op.kernel(xp, squares[0], input, input, squares[1], p=p)


derivative(_pdist, input=lambda g, input, result, p: _pdist_backward(g, input, result, p=p))
derivative(_pdist_backward, **dict.fromkeys(
    _pdist_backward.op.inputs, declared_missing("_pdist_backward")))


@autocasts
def pdist(input: Any, p: float = 2) -> Any:
    r"""The distance $\left(\sum_k |a_{ik} - a_{jk}|^p\right)^{1/p}$ of each two rows $i < j$."""
    _require_tensor("pdist", "input", 1, input)
    _require_number("pdist", p, 2)
    if input._data.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input._data.ndim}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if not p >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if len(input._data) > 1 and input._data.size:
        _require_exact("pdist", input)
    return _pdist(input.contiguous(), p=float(p))


# --- vectors of bounded length -------------------------------------------------------------------

_NEVER_ZERO = 1e-7  # added to a norm that is divided by

# what a norm is computed in, where it is not the input's own dtype; and for the derivative
_NORM_DTYPES = {dtypes.float16: dtypes.float32, dtypes.bfloat16: dtypes.float32}
_RULE_DTYPES = {**_NORM_DTYPES, dtypes.float32: dtypes.float64,
                dtypes.complex64: dtypes.complex128}


@primitive(promote="exact", name="renorm", lies="rows")
def _renorm(xp, input, norm, *, p, dims, maxnorm):
    r"""$y = a \cdot \min(1, m / |a|)$ for each slice $a$."""
    factor = xp.where(norm > maxnorm, maxnorm / (norm + _NEVER_ZERO), norm.dtype.type(1))
    return input * (factor if input.dtype.kind == "c" else factor.astype(input.dtype))


def _renorm_rule(g, input, p, dims, maxnorm):
    norm = vector_norm(input, p, dims, True, dtype=_RULE_DTYPES.get(input.dtype))
    along = input.conj() * g
    along = (along.real if along.is_complex() else along).sum(dims, True, dtype=norm.dtype)
    inverse = (norm + _NEVER_ZERO).reciprocal()
    turned = g - inverse * _norm_rule(along, input, norm, p, dims)
    return (maxnorm * inverse * turned).to(g.dtype).where(norm > maxnorm, g)


derivative(_renorm, input=_renorm_rule)


@autocasts
@takes_out
def renorm(input: Any, p: Any, dim: int, maxnorm: Any) -> Any:
    """Each slice along `dim` whose p-norm is above `maxnorm` scaled down to it."""
    _require_tensor("renorm", "input", 1, input)
    for name, place, value in (("p", 2, p), ("maxnorm", 4, maxnorm)):
        if not isinstance(value, numbers.Number):
            raise TypeError(f"renorm(): argument '{name}' (position {place}) must be Number, not "
                            f"{type(value).__name__}")
    if isinstance(p, complex):
        raise RuntimeError("renorm: p must be real-valued")
    if not p > 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if isinstance(maxnorm, complex):
        raise RuntimeError("renorm: maxnorm must be real-valued")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    ndim = input._data.ndim
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    wrapped = wrap_dim(dim, ndim)
    dims = tuple([each for each in range(ndim) if each != wrapped])
    norm = vector_norm(input.detach(), p, dims, True, dtype=_NORM_DTYPES.get(input.dtype))
    return _renorm(input, norm, p=p, dims=dims, maxnorm=maxnorm)
