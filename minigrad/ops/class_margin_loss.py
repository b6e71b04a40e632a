"""Losses that ask for a margin between the scores of the right classes and of all others."""

from __future__ import annotations

import math
from typing import Any

from ..autocast_rules import autocasts
from ..primitive import derivative, no_kernel, primitive
from .activation import logsigmoid
from .loss import reduce_loss, reduction_name, refuse_gradient
from .no_derivative import no_derivative

__all__ = ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss"]


# --- shared --------------------------------------------------------------------------------------

def _rows(array):
    """One sample, or a batch of them, as a matrix: a row of scores per sample."""
    return array.reshape(-1, array.shape[-1] if array.ndim else 1)


def _reduced(losses, reduction, shape):
    """An array of losses, reduced; the mean of no losses is 0 here."""
    if reduction == "none":
        return losses.reshape(shape)
    return losses.sum() / losses.dtype.type(max(losses.size, 1) if reduction == "mean" else 1)


def _shares(grad_output, rows, reduction):
    """The gradient of each term of each row's sum, as a column: all sums are divided by the number
    of classes."""
    count = rows.size if reduction == "mean" else rows.shape[1]
    return grad_output.reshape(-1, 1) / rows.dtype.type(max(count, 1))


def _check_input(input: Any) -> None:
    shape = input._data.shape
    if len(shape) > 2 or shape and shape[-1] == 0:
        raise RuntimeError("Expected non-empty vector or matrix with optional 0-dim batch size, "
                           f"but got: {list(shape)}")


def _check_dtypes(input: Any, target: Any, label: str) -> None:
    if input.dtype.name not in ("float32", "float64"):
        raise no_kernel(label, input._data.dtype)
    if target.dtype.name != "int64":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.scalar_name}")


# --- one right class -----------------------------------------------------------------------------

def _excess(xp, rows, target, margin):
    """By how much each score comes too near to that of the right class (else 0), and which places
    are those of the right classes."""
    right = target.reshape(-1, 1) == xp.arange(rows.shape[1])
    excess = rows - xp.take_along_axis(rows, target.reshape(-1, 1), axis=1)
    excess += rows.dtype.type(margin)
    return xp.where((excess > 0) & ~right, excess, rows.dtype.type(0)), right


@primitive(name="multi_margin_loss")
def _multi_margin_loss(xp, input, target, weight=None, *, p, margin, reduction):
    r"""$\ell = \frac{w_y}{C}\sum_{c \ne y} \max(0, m - x_y + x_c)^p$ for $C$ classes."""
    rows = _rows(input)
    excess, _ = _excess(xp, rows, target, margin)
    losses = (excess if p == 1 else excess * excess).sum(axis=1) / rows.dtype.type(rows.shape[1])
    if weight is not None:
        losses = losses * weight[target.reshape(-1)]
    return _reduced(losses, reduction, target.shape)


@primitive(node_name="NotImplemented")
def multi_margin_loss_backward(xp, grad_output, input, target, weight, *, p, margin, reduction):
    """Each score that is too near is pushed down, and that of the right class up by as much."""
    rows = _rows(input)
    excess, right = _excess(xp, rows, target, margin)
    slopes = (excess > 0).astype(rows.dtype) if p == 1 else 2 * excess
    slopes *= _shares(grad_output, rows, reduction)
    if weight is not None:
        slopes *= weight[target.reshape(-1, 1)]
    return xp.where(right, -slopes.sum(axis=1, keepdims=True), slopes).reshape(input.shape)


derivative(_multi_margin_loss,
    input=lambda g, input, target, weight, p, margin, reduction: multi_margin_loss_backward(
        g, input, target, weight, p=p, margin=margin, reduction=reduction))
derivative(multi_margin_loss_backward,
    grad_output=no_derivative("multi_margin_loss_backward"),
    input=no_derivative("multi_margin_loss_backward"))


@autocasts
def multi_margin_loss(input: Any, target: Any, p: int = 1, margin: float = 1.0,
                      weight: Any = None, size_average: bool | None = None,
                      reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$\frac{w_y}{C}\sum_{c \ne y} \max(0, m - x_y + x_c)^p$ for scores `input` (N, C) or (C,)
    and classes `target` (N,); $p$ is 1 or 2."""
    reduction = reduction_name(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._data.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    refuse_gradient("multi_margin_loss", "weight", weight)
    _check_input(input)
    rows, places = _rows(input._data), target._data
    if places.ndim > 1 or places.size != len(rows):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{len(rows)}], but got "
            f"{list(places.shape)}. Input has shape {list(input._data.shape)}.")
    if weight is not None and weight._data.size != rows.shape[1]:
        raise RuntimeError(f"inconsistent weight size, expected {rows.shape[1]} but got "
                           f"{list(weight._data.shape)}")
    _check_dtypes(input, target, "multi_margin_loss_cpu_kernel")
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype.scalar_name} but found "
                           f"{weight.dtype.scalar_name}")
    if places.size and (int(places.min()) < 0 or int(places.max()) >= rows.shape[1]):
        raise RuntimeError("target out of range")
    return _multi_margin_loss(input, target, weight, p=p, margin=margin, reduction=reduction)


# --- several right classes -----------------------------------------------------------------------
# The right classes of a sample are listed in its row of `target`; the list ends at the first -1.

def _listed(xp, target, classes):
    """For each place in the lists which samples have a class there, and those classes; and a mask
    of all the classes listed."""
    lists = _rows(target)
    inside = xp.cumsum(lists < 0, axis=1) == 0
    longest = int(inside.sum(axis=1).max()) if lists.size else 0
    mask = xp.zeros((len(lists), classes), bool)
    places = []
    for at in range(longest):
        sample = xp.flatnonzero(inside[:, at])
        label = lists[sample, at]
        mask[sample, label] = True
        places.append((sample, label))
    return places, mask


@primitive(name="multilabel_margin_loss", outputs=("result", "is_target"))
def _multilabel_margin_loss(xp, input, target, *, reduction):
    r"""$\ell = \frac1C\sum_{y \in Y}\sum_{c \notin Y} \max(0, 1 - x_y + x_c)$; also which classes
    are in $Y$."""
    rows = _rows(input)
    places, mask = _listed(xp, target, rows.shape[1])
    losses = xp.zeros(len(rows), rows.dtype)
    for sample, label in places:
        excess = 1 - rows[sample, label][:, None] + rows[sample]
        counts = (excess > 0) & ~mask[sample]
        losses[sample] += xp.where(counts, excess, rows.dtype.type(0)).sum(axis=1)
    losses /= rows.dtype.type(rows.shape[1])
    shape = losses.shape if target.ndim > 1 else ()
    return _reduced(losses, reduction, shape), mask.astype(rows.dtype).reshape(target.shape)


@primitive(node_name="NotImplemented")
def multilabel_margin_loss_backward(xp, grad_output, input, target, *, reduction):
    """Each score that is too near to a right class is pushed down, and that one up by as much."""
    rows = _rows(input)
    places, mask = _listed(xp, target, rows.shape[1])
    result = xp.zeros(rows.shape, rows.dtype)
    for sample, label in places:
        near = (1 - rows[sample, label][:, None] + rows[sample] > 0) & ~mask[sample]
        result[sample] += near
        result[sample, label] -= near.sum(axis=1)
    return (result * _shares(grad_output, rows, reduction)).reshape(input.shape)


derivative(_multilabel_margin_loss,
    input=lambda grads, input, target, reduction: multilabel_margin_loss_backward(
        grads[0], input, target, reduction=reduction))
derivative(multilabel_margin_loss_backward,
    grad_output=no_derivative("multilabel_margin_loss_backward"),
    input=no_derivative("multilabel_margin_loss_backward"))


@autocasts
def multilabel_margin_loss(input: Any, target: Any, size_average: bool | None = None,
                           reduce: bool | None = None, reduction: str = "mean") -> Any:
    r"""$\frac1C\sum_{y \in Y}\sum_{c \notin Y} \max(0, 1 - x_y + x_c)$ for scores `input` (N, C)
    and lists of right classes `target` (N, C), each of which ends at the first -1."""
    reduction = reduction_name(size_average, reduce, reduction)
    _check_input(input)
    shape, places = input._data.shape, target._data
    fits = (places.shape == shape if len(shape) == 2
            else places.ndim <= 1 and places.size == math.prod(shape))
    if not fits:
        raise RuntimeError(f"inconsistent target size: {list(places.shape)} for input of size: "
                           f"{list(shape)}")
    _check_dtypes(input, target, "multilabel_margin_loss_forward_out_frame")
    if places.size and (int(places.min()) < -1
                        or int(places.max()) >= (shape[-1] if shape else 1)):
        raise RuntimeError("argument #2 'target' is out of range")
    return _multilabel_margin_loss(input, target, reduction=reduction)[0]


def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None,
                                size_average: bool | None = None, reduce: bool | None = None,
                                reduction: str = "mean") -> Any:
    r"""The mean over the classes of $-(y \ln\sigma(x) + (1 - y)\ln\sigma(-x))$."""
    if size_average is not None or reduce is not None:
        reduction = reduction_name(size_average, reduce, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    dim = input._data.ndim - 1
    loss = loss.sum(dim=dim) / input.size(dim)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduce_loss(loss, reduction)
