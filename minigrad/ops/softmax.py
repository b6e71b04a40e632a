"""softmax and log_softmax: fused forward, a fused first derivative, and a rule for the second."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..out import takes_out
from ..primitive import derivative, primitive
from ..threads import in_halves
from .dims import wrap_dim

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]


def row_sums(xp, array):
    """The sums over the last axis, kept as a dimension; a product with ones is BLAS's work."""
    if xp is np and array.dtype.char in "fd" and array.flags.c_contiguous and array.size:
        ones = np.ones(array.shape[-1], array.dtype)
        total = np.vecdot(array, ones) if array.shape[-1] >= 64 else array @ ones
        return total[..., None]
    return array.sum(axis=-1, keepdims=True)


def dots_along(xp, a, b, dim):
    r"""$\sum_j a_j b_j$ along `dim`, kept as a dimension."""
    if xp is np and dim == a.ndim - 1 and a.dtype.char in "fd":
        return np.vecdot(a, b)[..., None]
    return (a * b).sum(axis=dim, keepdims=True)


def by_rows(xp, compute, array, dim=-1):
    """`compute(part)` for all of the array, cut across its first dimension (see Note [Two halves]);
    the sums along `dim` stay whole."""
    if xp is np and array.ndim > 1 and dim != 0:
        in_halves(compute, len(array), array.size)
    else:
        compute(slice(None))


def _last(array, dim):
    return array if dim == array.ndim - 1 or not array.ndim else array.swapaxes(dim, -1)


@primitive(name="softmax")
def _softmax(xp, input, *, dim):
    r"""$y_i = e^{a_i} / \sum_j e^{a_j}$, so $\bar a_i = y_i\,(\bar y_i - \sum_j \bar y_j y_j)$;
    the largest $a$ is taken from all, lest they overflow."""
    if not input.size:
        return input.copy()
    rows = _last(input, dim) if input.ndim else input.reshape(1)
    y = xp.empty_like(rows)

    def compute(part):
        xp.subtract(rows[part], rows[part].max(axis=-1, keepdims=True), out=y[part])
        xp.exp(y[part], out=y[part])
        y[part] /= row_sums(xp, y[part])

    by_rows(xp, compute, rows)
    return xp.ascontiguousarray(_last(y, dim)) if input.ndim else y.reshape(())


derivative(_softmax, input=lambda g, result, dim: _softmax_backward_data(g, result, dim=dim))


@primitive(refuses={"c": "softmax_lastdim_kernel_impl"})
def safe_softmax(xp, input, *, dim):
    r"""`softmax`, and 0 where all of a row is $-\infty$."""
    hidden = xp.isneginf(input).all(axis=dim, keepdims=True)
    zero = input.dtype.type(0)
    return xp.where(hidden, zero, _softmax.op.kernel(xp, xp.where(hidden, zero, input), dim=dim))


derivative(safe_softmax, input=lambda g, result, dim: _softmax_backward_data(g, result, dim=dim))


@primitive(name="softmax_backward_data", node_name="SoftmaxBackwardDataBackward0")
def _softmax_backward_data(xp, grad_output, output, *, dim):
    r"""$\bar a_i = y_i\,(\bar y_i - \sum_j \bar y_j y_j)$."""
    if not output.ndim:
        return grad_output * output - output * (grad_output * output)
    result = xp.empty_like(output)

    def compute(part):
        g, y, r = grad_output[part], output[part], result[part]
        xp.subtract(g, dots_along(xp, g, y, dim), out=r)
        r *= y

    by_rows(xp, compute, output, dim)
    return result


derivative(_softmax_backward_data,
    grad_output=lambda g, output, dim: _softmax_backward_data(g, output, dim=dim),
    output=lambda g, grad_output, output, dim: (
        g * grad_output - g * (grad_output * output).sum(dim, True)
        - grad_output * (g * output).sum(dim, True)))


@primitive(name="log_softmax")
def _log_softmax(xp, input, *, dim):
    r"""$y_i = a_i - \ln\sum_j e^{a_j}$, so $\bar a_i = \bar y_i - e^{y_i} \sum_j \bar y_j$;
    the largest $a$ is taken from all, lest they overflow."""
    if not input.size:
        return input.copy()
    rows = _last(input, dim) if input.ndim else input.reshape(1)
    y = xp.empty_like(rows)

    def compute(part):
        xp.subtract(rows[part], rows[part].max(axis=-1, keepdims=True), out=y[part])
        y[part] -= xp.log(row_sums(xp, xp.exp(y[part])))

    by_rows(xp, compute, rows)
    return xp.ascontiguousarray(_last(y, dim)) if input.ndim else y.reshape(())


derivative(_log_softmax,
    input=lambda g, result, dim: _log_softmax_backward_data(g, result, dim=dim))


@primitive(name="log_softmax_backward_data", node_name="LogSoftmaxBackwardDataBackward0")
def _log_softmax_backward_data(xp, grad_output, output, *, dim):
    r"""$\bar a_i = \bar y_i - e^{y_i} \sum_j \bar y_j$."""
    total = grad_output.sum(axis=dim, keepdims=True) if output.ndim else grad_output
    product = xp.exp(output)
    product *= total
    return xp.subtract(grad_output, product)


derivative(_log_softmax_backward_data,
    grad_output=lambda g, output, dim: g - (g * output.exp()).sum(dim, True),
    output=lambda g, grad_output, output, dim: (
        -g * grad_output.sum(dim, True) * output.exp()))


def _chosen(input: Any, dim: int | None, dtype: Any) -> tuple:
    """The input in the wanted dtype, and the dim (torch's old default where none is given)."""
    ndim = input._data.ndim
    if dim is None:
        dim = 0 if ndim in (0, 1, 3) else 1
    if dtype is not None:
        input = input.to(dtype)
    return input, wrap_dim(dim, ndim, input)


def _kernel_name(name: str, input: Any, dim: int) -> str:
    last = dim >= input._data.ndim - 1
    return f"{name}_lastdim_kernel_impl" if last else f"{name}_kernel_impl"


@autocasts
@takes_out
def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """Positive numbers that sum to 1 along `dim`, in the ratios of $e^a$."""
    input, dim = _chosen(input, dim, dtype)
    if input._data.dtype.kind in "biu":
        raise NotImplementedError(
            f"\"{_kernel_name('softmax', input, dim)}\" not implemented for "
            f"'{input.dtype.scalar_name}'")
    return _softmax(input, dim=dim)


@autocasts
@takes_out
def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3,
                dtype: Any = None) -> Any:
    """The logarithm of softmax, computed without the loss of small probabilities."""
    input, dim = _chosen(input, dim, dtype)
    if input._data.dtype.kind in "biu":
        raise NotImplementedError(f"\"{_kernel_name('log_softmax', input, dim)}\" not implemented "
                                  f"for '{input.dtype.scalar_name}'")
    return _log_softmax(input, dim=dim)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """`softmax(-input)`."""
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10,
                   dim: int = -1) -> Any:
    r"""The softmax of (logits + Gumbel noise) / `tau`: a soft sample of a class.

    With `hard` the sample is one-hot, and its gradient that of the soft one.
    """
    gumbels = -logits.detach().empty_like().exponential_().log()
    soft = softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    best = soft.max(dim, True)[1]
    one_hot = logits.detach().zeros_like().scatter_(dim, best, 1.0)
    return one_hot - soft.detach() + soft
