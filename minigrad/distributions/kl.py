"""kl_divergence(p, q) = E_p[log p - log q], for the pairs that have a formula."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from .. import broadcast_shapes, full_like, inf, linalg
from ..nn.functional import softplus
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .dirichlet import Dirichlet
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .multivariate_normal import MultivariateNormal, mahalanobis
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import euler_constant, sum_rightmost

_FORMULAS: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """`@register_kl(P, Q)` makes a function of (p, q) the divergence of these classes."""
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def remember(function: Callable) -> Callable:
        _FORMULAS[type_p, type_q] = function
        return function

    return remember


def kl_divergence(p: Any, q: Any) -> Any:
    """The Kullback-Leibler divergence of q from p, for each of the batch."""
    function = _formula(type(p), type(q))
    if function is None:
        raise NotImplementedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and "
                                  f"q type {type(q).__name__}")
    return function(p, q)


def _formula(type_p: type, type_q: type) -> Callable | None:
    """The formula of the nearest classes; p's class counts first, but if q's says otherwise, so
    be it said."""
    matches = [pair for pair in _FORMULAS if issubclass(type_p, pair[0])
               and issubclass(type_q, pair[1])]
    if not matches:
        return None
    by_p = min(matches, key=lambda pair: (_steps(type_p, pair[0]), _steps(type_q, pair[1])))
    by_q = min(matches, key=lambda pair: (_steps(type_q, pair[1]), _steps(type_p, pair[0])))
    if _FORMULAS[by_p] is not _FORMULAS[by_q]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please register_kl("
            f"{by_p[0].__name__}, {by_q[1].__name__})", RuntimeWarning, stacklevel=3)
    return _FORMULAS[by_p]


def _steps(kind: type, ancestor: type) -> int:
    return kind.__mro__.index(ancestor)


# --- of one family -------------------------------------------------------------------------------

@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    ones[q.probs == 0] = inf
    ones[p.probs == 0] = 0
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    zeros[q.probs == 1] = inf
    zeros[p.probs == 1] = 0
    return ones + zeros


@register_kl(Beta, Beta)
def _beta(p, q):
    total_p = p.concentration1 + p.concentration0
    total_q = q.concentration1 + q.concentration0
    return (q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
            - (p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma())
            + (p.concentration1 - q.concentration1) * p.concentration1.digamma()
            + (p.concentration0 - q.concentration0) * p.concentration0.digamma()
            + (total_q - total_p) * total_p.digamma())


@register_kl(Binomial, Binomial)
def _binomial(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not "
                                  "implemented")
    kl = p.total_count * (
        p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    kl[p.total_count > q.total_count] = inf
    return kl


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    terms[(q.probs == 0).expand_as(terms)] = inf
    terms[(p.probs == 0).expand_as(terms)] = 0
    return terms.sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _cauchy(p, q):
    scales = ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log()
    return scales - (4 * p.scale * q.scale).log()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p, q):
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    return (total_p.lgamma() - total_q.lgamma()
            - (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
            + ((p.concentration - q.concentration)
               * (p.concentration.digamma() - total_p.digamma().unsqueeze(-1))).sum(-1))


@register_kl(Exponential, Exponential)
def _exponential(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Gamma, Gamma)
def _gamma(p, q):
    return (q.concentration * (p.rate / q.rate).log()
            + q.concentration.lgamma() - p.concentration.lgamma()
            + (p.concentration - q.concentration) * p.concentration.digamma()
            + (q.rate - p.rate) * (p.concentration / p.rate))


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _gumbel(p, q):
    ratio, there, here = p.scale / q.scale, q.loc / q.scale, p.loc / q.scale
    return (-ratio.log() - there + here + ratio * euler_constant
            + (there + (1 + ratio).lgamma() - here).exp() - (1 + euler_constant))


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p, q):
    return _normal(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return (-ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError("KL-divergence between two Multivariate Normals with                      "
                         "    different event shapes cannot be computed")
    tril_p, tril_q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    shape = tuple(broadcast_shapes(tril_q.shape[:-2], tril_p.shape[:-2])) + p.event_shape * 2
    solved = linalg.solve_triangular(tril_q.expand(shape), tril_p.expand(shape), upper=False)
    trace = solved.pow(2).sum((-2, -1))
    distance = mahalanobis(tril_q, q.loc - p.loc)
    return (q._half_log_det() - p._half_log_det()
            + 0.5 * (trace + distance - p.event_shape[0]))


@register_kl(Normal, Normal)
def _normal(p, q):
    variances = (p.scale / q.scale).pow(2)
    distance = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (variances + distance - 1 - variances.log())


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    result[(q.low > p.low) | (q.high < p.high)] = inf
    return result


# --- of two families -----------------------------------------------------------------------------

@register_kl(Exponential, Uniform)
@register_kl(Exponential, Beta)
def _from_exponential(p, q):
    return full_like(p.rate, inf)


@register_kl(Gamma, Uniform)
@register_kl(Gamma, Beta)
def _from_gamma(p, q):
    return full_like(p.concentration, inf)


@register_kl(Normal, Uniform)
@register_kl(Normal, Beta)
@register_kl(Normal, Exponential)
@register_kl(Normal, Gamma)
@register_kl(Laplace, Uniform)
@register_kl(Laplace, Beta)
@register_kl(Laplace, Exponential)
@register_kl(Laplace, Gamma)
def _from_the_whole_line(p, q):
    return full_like(p.loc, inf)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p, q):
    ratio = q.rate / p.rate
    return (-q.concentration * ratio.log() + ratio + q.concentration.lgamma()
            + q.concentration * euler_constant - (1 + euler_constant))


@register_kl(Exponential, Normal)
def _exponential_normal(p, q):
    variance, square = q.scale.pow(2), p.rate.pow(2)
    return (0.5 * (square * variance * 2 * math.pi).log() - 1
            + (square.reciprocal() - q.loc / p.rate + q.loc.pow(2) * 0.5) / variance)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p, q):
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Laplace, Normal)
def _laplace_normal(p, q):
    variance = q.scale.pow(2)
    ratio = p.scale.pow(2) / variance
    means = 0.5 * p.loc.pow(2) - p.loc * q.loc + 0.5 * q.loc.pow(2)
    return -(0.5 * (2 * ratio / math.pi).log()) + ratio + means / variance - 1


@register_kl(Normal, Laplace)
def _normal_laplace(p, q):
    distance = p.loc - q.loc
    steps = distance / p.scale
    mean = (math.sqrt(2 / math.pi) * p.scale * (-0.5 * steps.pow(2)).exp()
            + distance * (math.sqrt(0.5) * steps).erf())
    return -(p.scale / q.scale).log() + mean / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    width = p.high - p.low
    mean = ((p.high + p.low - 2 * q.loc) / 2).pow(2)
    return ((math.sqrt(math.pi * 2) * q.scale / width).log()
            + 0.5 * (width.pow(2) / 12 + mean) / q.scale.pow(2))


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _from_poisson(p, q):
    return full_like(p.rate, inf)
