"""torch.distributions: what constraints accept, and what is refused, in torch's words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from parity_tests.harness import check_error, program
from parity_tests.test_distributions import COUNTS, PART, REAL, ROOT, SIMPLEX, SPREAD

CONSTRAINTS = {
    "boolean": lambda c: c.boolean, "real": lambda c: c.real, "positive": lambda c: c.positive,
    "nonnegative": lambda c: c.nonnegative, "unit_interval": lambda c: c.unit_interval,
    "interval": lambda c: c.interval(-0.5, 0.5), "half": lambda c: c.half_open_interval(0.0, 1.0),
    "greater": lambda c: c.greater_than(0.5), "greater_eq": lambda c: c.greater_than_eq(0.5),
    "less": lambda c: c.less_than(0.5), "integers": lambda c: c.integer_interval(0, 2),
    "nonnegative_integer": lambda c: c.nonnegative_integer,
    "positive_integer": lambda c: c.positive_integer, "simplex": lambda c: c.simplex,
    "one_hot": lambda c: c.one_hot, "multinomial": lambda c: c.multinomial(3),
    "real_vector": lambda c: c.real_vector, "independent": lambda c: c.independent(c.positive, 2),
}
MATRICES = {"lower_triangular": lambda c: c.lower_triangular,
            "lower_cholesky": lambda c: c.lower_cholesky, "square": lambda c: c.square,
            "symmetric": lambda c: c.symmetric, "positive_definite": lambda c: c.positive_definite,
            "positive_semidefinite": lambda c: c.positive_semidefinite}


@pytest.mark.parametrize("name", CONSTRAINTS | MATRICES)
def test_constraint(name):
    def run(torch):
        constraint = (CONSTRAINTS | MATRICES)[name](torch.distributions.constraints)
        values = [ROOT, ROOT @ ROOT.T, -np.eye(3), np.stack([np.eye(2), np.ones((2, 2))])] \
            if name in MATRICES else [REAL, SPREAD, PART, SIMPLEX, COUNTS, np.eye(3),
                                      np.array([[0.0, 1.0], [np.nan, np.inf]])]
        return ([constraint.check(torch.tensor(value)) for value in values], repr(constraint),
                constraint.is_discrete, constraint.event_dim)

    program(run)


ERRORS = {
    "scale": lambda d, t: d.Normal(t.zeros(2), t.tensor([1.0, -1.0])),
    "scale_of_a_number": lambda d, t: d.Normal(0.0, -1.0),
    "loc_nan": lambda d, t: d.Normal(t.tensor(float("nan")), 1.0),
    "value_type": lambda d, t: d.Normal(0.0, 1.0).log_prob(3.0),
    "value_shape": lambda d, t: d.Normal(t.zeros(2), 1.0).log_prob(t.zeros(3)),
    "event_shape": lambda d, t: d.Dirichlet(t.ones(3)).log_prob(t.ones(2)),
    "value_outside": lambda d, t: d.Exponential(1.0).log_prob(t.tensor([-1.0, 2.0])),
    "value_nan": lambda d, t: d.Normal(0.0, 1.0).log_prob(t.tensor(float("nan"))),
    "low_high": lambda d, t: d.Uniform(t.ones(2), t.zeros(2)),
    "probs": lambda d, t: d.Bernoulli(t.tensor([0.5, 1.5])),
    "both": lambda d, t: d.Bernoulli(0.5, 0.5),
    "neither": lambda d, t: d.Categorical(),
    "simplex": lambda d, t: d.Categorical(t.tensor([-0.5, 1.5])),
    "scalar_probs": lambda d, t: d.Categorical(t.tensor(0.5)),
    "count": lambda d, t: d.Binomial(t.tensor(-1.0), t.tensor(0.5)),
    "binomial_value": lambda d, t: d.Binomial(3, t.tensor(0.5)).log_prob(t.tensor(4.0)),
    "uneven_counts": lambda d, t: d.Binomial(t.tensor([1.0, 2.0]), t.tensor(0.5)).entropy(),
    "geometric": lambda d, t: d.Geometric(t.tensor([0.0, 0.5])),
    "multinomial": lambda d, t: d.Multinomial(t.ones(2), t.ones(2)),
    "covariance": lambda d, t: d.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 2], [2, 1]])),
    "two_matrices": lambda d, t: d.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)),
    "no_vector": lambda d, t: d.MultivariateNormal(t.zeros(()), t.eye(2)),
    "no_matrix": lambda d, t: d.MultivariateNormal(t.zeros(2), t.ones(2)),
    "dirichlet": lambda d, t: d.Dirichlet(t.tensor(1.0)),
    "independent": lambda d, t: d.Independent(d.Normal(0.0, 1.0), 1),
    "transforms": lambda d, t: d.TransformedDistribution(d.Normal(0.0, 1.0), 3),
    "transform_list": lambda d, t: d.TransformedDistribution(d.Normal(0.0, 1.0), [3]),
    "few_dimensions": lambda d, t: d.TransformedDistribution(
        d.Normal(0.0, 1.0), d.StickBreakingTransform()),
    "cache": lambda d, t: d.ExpTransform(cache_size=2),
    "reshape": lambda d, t: d.ReshapeTransform((2,), (3,)),
    "no_kl": lambda d, t: d.kl_divergence(d.Uniform(0.0, 1.0), d.Cauchy(0.0, 1.0)),
    "number": lambda d, t: d.Normal("a", 1.0),
    "mode": lambda d, t: d.Distribution(validate_args=False).mode,
    "dependent": lambda d, t: d.constraints.dependent.check(t.ones(1)),
    "dependent_event": lambda d, t: d.constraints.dependent.event_dim,
    "no_transform": lambda d, t: d.biject_to(d.constraints.boolean),
    "expand_of_a_subclass": lambda d, t: type("Mine", (d.Normal,), {
        "__init__": lambda self: d.Normal.__init__(self, 0.0, 1.0)})().expand((2,)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], lambda torch: ERRORS[name](torch.distributions, torch),
                match="does not implement mode" if name == "mode" else None)


def test_checks_can_be_left_out():
    def run(torch):
        d = torch.distributions
        outcome = [d.Normal(0.0, -1.0, validate_args=False).log_prob(torch.tensor(1.0)),
                   d.Exponential(1.0, validate_args=False).log_prob(torch.tensor(-1.0))]
        d.Distribution.set_default_validate_args(False)
        try:
            outcome.append(d.Normal(0.0, -1.0).mean)
        finally:
            d.Distribution.set_default_validate_args(True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome.append(d.Normal(0.0, 1.0).sample_n(2))
        return outcome, [str(each.message) for each in caught]

    program(run)
