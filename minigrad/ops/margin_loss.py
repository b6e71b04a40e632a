"""Losses with a margin, and the distances they are made of. The shared parts are in loss.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autocast_rules import autocasts
from ..dtypes import HALF_TYPES
from ..primitive import derivative, primitive
from .arithmetic import sub, sub_number
from .choosing import where
from .loss import (
    add_double,
    reduce_loss,
    reduced,
    reduction_name,
    refuse_gradient,
    share,
    shared,
    summed_over,
)
from .queries import result_type
from .vector_norm import norm_over
from .views import broadcast_tensors

__all__ = [
    "cosine_embedding_loss", "cosine_similarity", "hinge_embedding_loss", "margin_ranking_loss",
    "pairwise_distance", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss"]


@autocasts
def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Any:
    r"""$\max(0, -y(a - b) + m)$."""
    reduction = reduction_name(size_average, reduce, reduction)
    if not input1._data.ndim == input2._data.ndim == target._data.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} ")
    loss = add_double(-target * (input1 - input2), margin).clamp_min(0)
    return reduce_loss(loss, reduction)


@autocasts
def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0,
                         size_average: bool | None = None, reduce: bool | None = None,
                         reduction: str = "mean") -> Any:
    r"""$x$ where $y = 1$, $\max(0, m - x)$ where $y = -1$."""
    reduction = reduction_name(size_average, reduce, reduction)
    zeros = input.detach().zeros_like()
    beyond = where(target != 1, (input.new_full((), margin) - input).clamp_min(0), zeros)
    within = where(target != -1, input, zeros)
    return reduce_loss(beyond + within, reduction)


@primitive(promote="default", name="soft_margin_loss")
def _soft_margin_loss(xp, input, target, *, reduction, half=None):
    r"""$\ell = \ln(1 + e^{-yx})$, each step of it rounded to a 16-bit type `half`, if that is the
    dtype: torch makes it of four ops, and the exponential overflows early."""
    def rounded(step):
        return step if half is None else step.astype(half).astype(step.dtype)

    power = rounded(xp.exp(rounded(-target * input)))
    return reduced(rounded(xp.log1p(power)), reduction)


@primitive(promote="default")
def soft_margin_loss_backward(xp, grad_output, input, target, *, reduction):
    r"""$\bar x = -\bar\ell\,y\,\sigma(-yx)$."""
    return -target / (1 + xp.exp(target * input)) * shared(grad_output, input, reduction)


def _soft_margin_curve(g, grad_output, input, target, input_shape, reduction):
    s = (input * -target).sigmoid()
    slope = g * grad_output * (target * target) * s * sub(1.0, s)
    return share(slope, input_shape, reduction)


derivative(_soft_margin_loss, input=lambda g, input, target, reduction: (
    soft_margin_loss_backward(g, input, target, reduction=reduction)))
derivative(soft_margin_loss_backward,
    grad_output=lambda g, grad_output, input, target, reduction: summed_over(
        soft_margin_loss_backward, g, grad_output, input, target, reduction=reduction),
    input=_soft_margin_curve)


@autocasts
def soft_margin_loss(input: Any, target: Any, size_average: bool | None = None,
                     reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$\ln(1 + e^{-yx})$ for $y = \pm 1$."""
    reduction = reduction_name(size_average, reduce, reduction)
    refuse_gradient("soft_margin_loss", "target", target)
    common = result_type(input, target).numpy
    return _soft_margin_loss(input, target, reduction=reduction,
                             half=common if common in HALF_TYPES else None)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6,
                      keepdim: bool = False) -> Any:
    r"""$\|a - b + \epsilon\|_p$ over the last dimension."""
    return norm_over(add_double(x1 - x2, eps), ord=p, dim=(-1,), keepdim=keepdim)


@autocasts
def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-6, swap: bool = False,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Any:
    r"""$\max(0, m + d(a, p) - d(a, n))$."""
    reduction = reduction_name(size_average, reduce, reduction)
    _check_triplet(anchor, positive, negative, margin)
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduce_loss((add_double(near, margin) - far).clamp_min(0), reduction)


def _check_triplet(anchor: Any, positive: Any, negative: Any, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = [each._data.ndim for each in (anchor, positive, negative)]
    if len(set(dims)) > 1:
        raise RuntimeError("The anchor, positive, and negative tensors are expected to have the "
                           "same number of dimensions, but got: anchor {}D, positive {}D, and "
                           "negative {}D inputs".format(*dims))


def triplet_margin_with_distance_loss(
        anchor: Any, positive: Any, negative: Any, *,
        distance_function: Callable[[Any, Any], Any] | None = None, margin: float = 1.0,
        swap: bool = False, reduction: str = "mean") -> Any:
    r"""$\max(0, m + d(a, p) - d(a, n))$ for any distance $d$; `pairwise_distance` if none is
    given."""
    reduction_name(None, None, reduction)
    _check_triplet(anchor, positive, negative, margin)
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduce_loss((margin + near - far).clamp_min(0), reduction)


@autocasts
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    r"""$a \cdot b / (\max(\|a\|, \epsilon)\max(\|b\|, \epsilon))$ along `dim`."""
    x1, x2 = broadcast_tensors(x1, x2) if x1._data.shape != x2._data.shape else (x1, x2)

    def unit(x: Any) -> Any:
        length = x.norm(2, dim, True).clone()
        length.detach().clamp_min_(eps)
        return x / length

    return (unit(x1) * unit(x2)).sum(dim)


@autocasts
def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Any:
    r"""$1 - \cos(a, b)$ where $y = 1$, $\max(0, \cos(a, b) - m)$ where $y = -1$."""
    reduction = reduction_name(size_average, reduce, reduction)
    eps, dim = 1e-12, target._data.ndim
    if dim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1._data.ndim == input2._data.ndim == dim + 1:
        raise RuntimeError(f"{dim}D target tensor expects {dim + 1}D input tensors, but found "
                           f"inputs with sizes {list(input1._data.shape)} and "
                           f"{list(input2._data.shape)}.")
    product = (input1 * input2).sum(dim)
    length1 = add_double((input1 * input1).sum(dim), eps)
    length2 = add_double((input2 * input2).sum(dim), eps)
    cosine = product / (length1 * length2).sqrt()
    zeros = cosine.detach().zeros_like()
    same = where(target == 1, zeros.ones_like() - cosine, zeros)
    other = where(target == -1, sub_number(cosine, other=margin).clamp_min(0), zeros)
    return reduce_loss(same + other, reduction)
