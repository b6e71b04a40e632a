"""Running sums and products: each place holds the reduction of all up to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import any_dtype, takes_out
from ..primitive import derivative, primitive
from .dims import wrap_dim
from .joining import cat
from .pointwise import logaddexp
from .reduction import summable

__all__ = ["cumprod", "cumsum", "logcumsumexp"]


@primitive(name="cumsum", lies="rows")
def _cumsum(xp, input, *, dim):
    r"""$y_i = \sum_{j \le i} a_j$, so $\bar a_i = \sum_{j \ge i} \bar y_j$."""
    return input.cumsum(axis=dim) if input.ndim else input.copy()


derivative(_cumsum, input=lambda g, dim: reversed_cumsum(g, dim))


def reversed_cumsum(g: Any, dim: int) -> Any:
    """The sums from each place to the end: the transpose of `cumsum`."""
    return g.flip(dim).cumsum(dim).flip(dim) if g._data.ndim else g


@autocasts
def cumsum(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    r"""$y_i = \sum_{j \le i} a_j$ along `dim`; added up in the dtype of `out`, if there is one."""
    return _cumsum_into(input, dim, _dtype_of_sums(dtype, out), out=out)


def _dtype_of_sums(dtype: Any, out: Any) -> Any:
    return out.dtype if dtype is None and isinstance(out, TensorBase) else dtype


@takes_out(name="cumsum", check=any_dtype)
def _cumsum_into(input: Any, dim: int, dtype: Any) -> Any:
    return _cumsum(summable(input, dtype), dim=wrap_dim(dim, input._data.ndim, input))


@primitive(name="cumprod", lies="rows")
def _cumprod(xp, input, *, dim):
    r"""$y_i = \prod_{j \le i} a_j$."""
    return input.cumprod(axis=dim) if input.ndim else input.copy()


derivative(_cumprod, input=lambda g, input, result, dim: _cumprod_rule(g, input, result, dim))


def _cumprod_rule(g, input, result, dim):
    r"""$\bar a_k = \sum_{i \ge k} \bar y_i \prod_{j \le i, j \ne k} a_j$, without dividing by $a_k$
    where there is a zero."""
    if not input._data.ndim or not input._data.size or input._data.shape[dim] == 1:
        return g
    if not bool((input == 0).any()):
        return reversed_cumsum(g * result.conj(), dim) / input.conj()
    size, parts = input._data.shape[dim], []
    for k in range(size):
        before = input.narrow(dim, 0, k).prod(dim, keepdim=True)
        rest = cat([before, input.narrow(dim, k + 1, size - k - 1)], dim).cumprod(dim)
        parts.append((g.narrow(dim, k, size - k) * rest.conj()).sum(dim, keepdim=True))
    return cat(parts, dim)


@autocasts
def cumprod(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    r"""$y_i = \prod_{j \le i} a_j$ along `dim`, multiplied in the dtype of `out`, if there is
    one."""
    return _cumprod_into(input, dim, _dtype_of_sums(dtype, out), out=out)


@takes_out(name="cumprod", check=any_dtype)
def _cumprod_into(input: Any, dim: int, dtype: Any) -> Any:
    return _cumprod(summable(input, dtype), dim=wrap_dim(dim, input._data.ndim, input))


@takes_out(words="expected scalar_type {found} but found {wanted}")
def logcumsumexp(input: Any, dim: int) -> Any:
    r"""$\ln\sum_{j \le i} e^{a_j}$ along `dim`."""
    return _logcumsumexp(input, dim=wrap_dim(dim, input._data.ndim, input))


@primitive(promote="int_to_float", name="logcumsumexp", lies="rows")
def _logcumsumexp(xp, input, *, dim):
    r"""$y_i = \ln\sum_{j \le i} e^{a_j}$."""
    if not input.ndim:
        return input.copy()
    if xp is np and input.dtype.kind == "f":
        return np.logaddexp.accumulate(input, axis=dim)
    result = input.copy()
    steps = xp.moveaxis(result, dim, 0)  # CuPy's logaddexp, and the complex one, do not accumulate
    for i in range(1, len(steps)):
        steps[i] = logaddexp.op.kernel(xp, steps[i - 1], steps[i])
    return result


def _logcumsumexp_rule(g, input, result, dim):
    r"""$\bar a_i = e^{a_i}\sum_{j \ge i} \bar y_j e^{-y_j}$, positive and negative $\bar y$ apart.

    Apart, both sums can be taken as logarithms: $e^{a_i}$ alone would overflow. "log 0" is a huge
    negative number, not -inf, whose own derivative would be nan.
    """
    if g.is_complex():
        later = (g.conj().log() - result).flip(dim).logcumsumexp(dim).flip(dim)
        return (later + input).exp().conj()
    never = float(np.finfo(g._data.dtype).min) / 4

    def part(positive):
        none = positive <= 0
        log_g = positive.masked_fill(none, 1).log().masked_fill(none, never)
        later = (log_g - result).flip(dim).logcumsumexp(dim).flip(dim)
        return (later + input).exp()

    return part(g) - part(-g)


derivative(_logcumsumexp, input=_logcumsumexp_rule)
