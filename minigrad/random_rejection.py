"""Random numbers by rejection: the words decide how many words an element takes, hence loops."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .random_kernels import cast
from .random_streams import Generator


def _each(dtype: np.dtype, values: Iterable[float]) -> np.ndarray:
    return cast(np.array(list(values), np.float64), dtype)


def poisson(generator: Generator, rates: np.ndarray) -> np.ndarray:
    """A Poisson number for each rate, in its dtype. Below 10: Knuth's product of uniforms."""
    return _each(rates.dtype, (
        _poisson_knuth(generator, rate) if rate < 10 else _poisson_ptrs(generator, rate)
        for rate in rates.reshape(-1).astype(np.float64).tolist()))


def _poisson_knuth(generator: Generator, rate: float) -> int:
    if rate == 0:
        return 0
    count, product, limit = 0, generator.next_u53(), math.exp(-rate)
    while product > limit:
        count, product = count + 1, product * generator.next_u53()
    return count


def _poisson_ptrs(generator: Generator, rate: float) -> int:
    """Hörmann's PTRS, "The transformed rejection method for generating Poisson random variables",
    1993."""
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = generator.next_u53() - 0.5, generator.next_u53()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or us < 0.013 and v > us:
            continue
        height = _log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if height <= -rate + k * log_rate - math.lgamma(k + 1):
            return k


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def binomial(generator: Generator, counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Successes in counts[i] trials of probability p[i], of one float dtype (for p above 1/2 the
    failures are drawn and counted off)."""
    return _each(counts.dtype, (
        _binomial(generator, count, prob)
        for count, prob in zip(counts.reshape(-1), p.reshape(-1), strict=True)))


def _binomial(generator: Generator, count: np.floating, p: np.floating) -> float:
    """`count` and `p` are NumPy scalars, for the parameters are computed in their precision."""
    if count <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return float(count)
    if not p <= 0.5:
        return float(count) - _binomial(generator, count, 1 - p) if p == p else math.nan
    sample = _binomial_btrs if count * p >= 10 else _binomial_inversion
    return sample(generator, count, p)


def _binomial_inversion(generator: Generator, count: np.floating, p: np.floating) -> float:
    """How many geometric waiting times fit into `count` trials."""
    successes, trials, log_failure = 0, 0.0, float(np.log1p(-p))
    while True:
        trials += math.ceil(_log(generator.next_u53()) / log_failure)
        if trials > count:
            return successes
        successes += 1


# log(k!) - Stirling's formula, for k < 10; beyond that a series does
_STIRLING_TAIL = [math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1)
                  - 0.5 * math.log(2 * math.pi) for k in range(10)]


def _stirling_tail(k: float) -> float:
    if k < 10:
        return _STIRLING_TAIL[int(k)]
    square = (k + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _binomial_btrs(generator: Generator, count: np.floating, p: np.floating) -> float:
    """Hörmann's BTRS, "The generation of binomial random variates", 1993, for count p >= 10 and
    p <= 1/2."""
    spread = float(np.sqrt(count * p * (1 - p)))
    centre = float(count * p) + 0.5
    odds = float(p / (1 - p))
    mode = float(np.floor((count + 1) * p))
    trials = float(count)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * float(p)
    v_r = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    while True:
        u, v = generator.next_u53() - 0.5, generator.next_u53()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + centre) if us else -1
        if not 0 <= k <= trials:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        bound = ((mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
                 + (trials + 1) * math.log((trials - mode + 1) / (trials - k + 1))
                 + (k + 0.5) * math.log(odds * (trials - k + 1) / (k + 1))
                 + _stirling_tail(mode) + _stirling_tail(trials - mode)
                 - _stirling_tail(k) - _stirling_tail(trials - k))
        if _log(v * alpha / (a / (us * us) + b)) <= bound:
            return k


_ONE_THIRD, _SQUEEZE = float(np.float32(1) / np.float32(3)), float(np.float32(0.0331))


def standard_gamma(generator: Generator, alphas: np.ndarray) -> np.ndarray:
    """A gamma number of scale 1 for each shape, in the shapes' dtype and never below its smallest
    normal number."""
    tiny = float(np.finfo(alphas.dtype).tiny)
    return _each(alphas.dtype, (max(tiny, _standard_gamma(generator, alpha))
                                for alpha in alphas.reshape(-1).astype(np.float64).tolist()))


def _standard_gamma(generator: Generator, alpha: float) -> float:
    """Marsaglia and Tsang, "A simple method for generating gamma variables" (2000)."""
    if alpha == 0:
        return 0.0
    scale = 1.0
    if alpha < 1:
        scale = (1 - generator.next_u53()) ** (1 / alpha)
        alpha += 1
    d = alpha - _ONE_THIRD
    c = 1 / math.sqrt(9 * d)
    while True:
        x = generator.next_normal()
        v = 1 + c * x
        if v <= 0:
            continue
        v = v * v * v
        u = 1 - generator.next_u53()
        square = x * x
        if (u < 1 - _SQUEEZE * square * square
                or math.log(u) < 0.5 * square + d * (1 - v + math.log(v))):
            return scale * d * v
