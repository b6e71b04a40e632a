r"""Orthogonal polynomials $p_n(x)$, by the recurrence that links three neighbours.

The degree is a tensor, too: each element takes as many steps as its own degree says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..primitive import primitive
from .scipy_functions import refuse_halves

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
    "chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he",
    "laguerre_polynomial_l", "legendre_polynomial_p", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w"]


# Note [Fused steps and rounded functions]
# A recurrence subtracts numbers that nearly cancel, so what was rounded on the way shows. torch's
# compiled loop computes a*b - c with one rounding: `fused` finds the product's rounding error from
# the halves of its factors (Dekker), the difference's from its operands (Knuth), and adds both at
# the end. float32 goes through float64, where the product is exact; and so do its sines and arc
# cosines, which C rounds almost always correctly.

def fused(xp: Any, a: Any, b: Any, c: Any) -> Any:
    """a*b - c, rounded once."""
    if b.dtype == np.float32:
        return (xp.asarray(a, np.float64) * b - c).astype(np.float32)
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    difference = product - c
    lost = difference - product
    error = error + ((product - (difference - lost)) - (c + lost))
    return difference + xp.where(xp.isfinite(error), error, 0)


def _halves(a):
    """A float64 as the sum of two with 26 digits each (Veltkamp)."""
    scaled = a * 134217729.0
    high = scaled - (scaled - a)
    return high, a - high


def rounded(function: Callable, x: Any) -> Any:
    """`function` in float64, rounded to the dtype of x."""
    return function(x.astype(np.float64)).astype(x.dtype)


def degrees(xp: Any, n: Any) -> Any:
    """Degrees as integers, towards zero; -1 for what is none (nan, infinity, beyond int64)."""
    fits = xp.abs(n) < 2.0**63
    return xp.where(fits, xp.trunc(xp.where(fits, n, 0)), -1).astype(xp.int64)


class Recurrence(NamedTuple):
    """$p_{k+1} = (s_k p_k - w_k p_{k-1}) / d_k$ with $s_k$ = `slope(k, x)`, $w_k$ = `weight(k)` and
    $d_k$ = `divisor(k)`; x may be a number or an array."""

    slope: Callable
    weight: Callable
    divisor: Callable | None = None


_FEW = 4  # so many elements are better off one by one, as Python's numbers


def by_recurrence(xp: Any, n: Any, x: Any, first: Any, terms: Recurrence) -> Any:
    """$p_n(x)$ from $p_0 = 1$, $p_1$ = `first` and the recurrence; 0 for n < 0.

    An element is done at its own degree, or when it has become nan. Those that are done are put
    aside whenever k has doubled: torch lets degrees of millions run, and few elements get there.
    """
    n, x, first = xp.broadcast_arrays(n, x, first)
    number = first.dtype.type
    result = xp.where(n > 0, first, xp.where(n == 0, number(1), number(0))).reshape(-1)
    places = xp.flatnonzero(n > 1)
    n, shape, x, last = n.reshape(-1)[places], n.shape, x.reshape(-1)[places], result[places]
    before = xp.ones_like(last)
    start = 1
    while len(places):
        if len(places) <= _FEW and last.dtype == np.float64:
            for i, place in enumerate(places.tolist()):
                result[place] = _alone(terms, start, int(n[i]), float(x[i]), float(before[i]),
                                       float(last[i]))
            break
        for k in range(start, 2 * start):
            open_ = (n > k) & ~xp.isnan(last)
            if not open_.any():
                break
            following = fused(xp, terms.slope(k, x), last, terms.weight(k) * before)
            if terms.divisor is not None:
                following = following / terms.divisor(k)
            before, last = xp.where(open_, last, before), xp.where(open_, following, last)
        start *= 2
        result[places] = last
        left = (n > start) & ~xp.isnan(last)
        places, n, x, before, last = (each[left] for each in (places, n, x, before, last))
    return result.reshape(shape)


def _alone(terms: Recurrence, start: int, n: int, x: float, before: float, last: float) -> float:
    """The recurrence of one float64 from `start` on: the steps of `fused`, written out."""
    slope, weight, divisor = terms
    for k in range(start, n):
        a, c = slope(k, x), weight(k) * before
        product = a * last
        scaled = a * 134217729.0
        a_high = scaled - (scaled - a)
        a_low = a - a_high
        scaled = last * 134217729.0
        high = scaled - (scaled - last)
        low = last - high
        difference = product - c
        lost = difference - product
        error = ((a_high * high - product) + a_high * low + a_low * high) + a_low * low
        error += (product - (difference - lost)) - (c + lost)
        before, last = last, difference + error if error - error == 0 else difference
        if divisor is not None:
            last /= divisor(k)
        if last != last:
            break
    return last


# --- Chebyshev's ---------------------------------------------------------------------------------

class Kind(NamedTuple):
    """One of Chebyshev's four kinds, which share the recurrence $p_{k+1} = 2x\\,p_k - p_{k-1}$."""

    formula: str
    first: Callable  # p_1 from 2x
    closed: Callable  # p_n(cos t) from (cos, sin, n, t)
    right: Callable  # p_n(1) from n
    left: Callable  # |p_n(-1)| from n
    recurrence_up_to: int  # the degree up to which torch takes the recurrence inside (-1, 1)


KINDS = {
    "t": Kind(r"$T_n(\cos t) = \cos nt$.", lambda double: double / 2,
              lambda cos, sin, n, t: cos(n * t), lambda n: n * 0 + 1, lambda n: n * 0 + 1, 6),
    "u": Kind(r"$U_n(\cos t) = \sin((n+1)t)/\sin t$.", lambda double: double,
              lambda cos, sin, n, t: sin((n + 1) * t) / sin(t),
              lambda n: n + 1, lambda n: n + 1, 8),
    "v": Kind(r"$V_n(\cos t) = \cos((n+\frac12)t)/\cos\frac t2$.", lambda double: double - 1,
              lambda cos, sin, n, t: cos((n + 0.5) * t) / cos(t / 2),
              lambda n: n * 0 + 1, lambda n: n + n + 1, 8),
    "w": Kind(r"$W_n(\cos t) = \sin((n+\frac12)t)/\sin\frac t2$.", lambda double: double + 1,
              lambda cos, sin, n, t: sin((n + 0.5) * t) / sin(t / 2),
              lambda n: n + n + 1, lambda n: n * 0 + 1, 8),
}


def _chebyshev(xp, kind, x, n, recurrence_up_to):
    n, x = xp.broadcast_arrays(degrees(xp, n), x)
    inside = (xp.abs(x) < 1) & (n > recurrence_up_to)
    edge = (xp.abs(x) == 1) & (n >= 0)
    result = by_recurrence(xp, xp.where(inside | edge, 0, n), x, kind.first(x + x),
                           Recurrence(lambda k, x: x + x, lambda k: 1))
    number = x.dtype.type
    angle = rounded(xp.arccos, xp.where(inside, x, number(0)))
    closed = kind.closed(functools.partial(rounded, xp.cos), functools.partial(rounded, xp.sin),
                         n.astype(x.dtype), angle)
    signed = xp.where(x > 0, kind.right(n), xp.where(n % 2 == 0, 1, -1) * kind.left(n))
    return xp.where(edge, signed.astype(x.dtype), xp.where(inside, closed, result))


def _polynomial(name: str, formula: str, evaluate: Callable) -> Any:
    """The primitive `special.NAME(input, n)` of `evaluate(xp, x, n)`; it has no derivative."""
    def kernel(xp, input, n):
        with np.errstate(all="ignore"):
            return evaluate(xp, input, n).astype(input.dtype, copy=False)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = formula
    return refuse_halves(primitive(kernel, promote="int_to_float", name=f"special_{name}",
                                   refuses={"c": f"{name}_cpu"}), f"{name}_cpu")


def _chebyshev_pair(letter: str) -> tuple[Any, Any]:
    """A kind of Chebyshev polynomials, on [-1, 1] and shifted to [0, 1]."""
    kind = KINDS[letter]
    return (
        _polynomial(f"chebyshev_polynomial_{letter}", kind.formula, lambda xp, x, n: _chebyshev(
            xp, kind, x, n, kind.recurrence_up_to)),
        _polynomial(f"shifted_chebyshev_polynomial_{letter}",
                    f"The polynomial at $2x - 1$: {kind.formula}", lambda xp, x, n: _chebyshev(
                        xp, kind, x + x - 1, n, 6)))


chebyshev_polynomial_t, shifted_chebyshev_polynomial_t = _chebyshev_pair("t")
chebyshev_polynomial_u, shifted_chebyshev_polynomial_u = _chebyshev_pair("u")
chebyshev_polynomial_v, shifted_chebyshev_polynomial_v = _chebyshev_pair("v")
chebyshev_polynomial_w, shifted_chebyshev_polynomial_w = _chebyshev_pair("w")


# --- Hermite's, Laguerre's, Legendre's -----------------------------------------------------------

def _hermite(xp, n, x, first, terms):
    """Beyond degree 512 (128 in float32) torch gives nan."""
    n = degrees(xp, n)
    too_high = n > (128 if first.dtype == np.float32 else 512)
    result = by_recurrence(xp, xp.where(too_high, 0, n), x, first, terms)
    return xp.where(too_high, first.dtype.type(np.nan), result)


_H = Recurrence(lambda k, x: x + x, lambda k: 2 * k)
_HE = Recurrence(lambda k, x: x, lambda k: k)
_L = Recurrence(lambda k, x: 2 * k + (1 - x), lambda k: k, lambda k: k + 1)
_P = Recurrence(lambda k, x: (2 * k + 1) * x, lambda k: k, lambda k: k + 1)

hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h", "Physicists': $H_{k+1} = 2x H_k - 2k H_{k-1}$.",
    lambda xp, x, n: _hermite(xp, n, x, x + x, _H))
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he", r"Probabilists': $He_{k+1} = x\,He_k - k\,He_{k-1}$.",
    lambda xp, x, n: _hermite(xp, n, x, x, _HE))
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l", "$(k+1) L_{k+1} = (2k + 1 - x) L_k - k L_{k-1}$.",
    lambda xp, x, n: by_recurrence(xp, degrees(xp, n), x, 1 - x, _L))
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p", "$(k+1) P_{k+1} = (2k + 1) x P_k - k P_{k-1}$.",
    lambda xp, x, n: by_recurrence(xp, degrees(xp, n), x, x, _P))
