"""torch.distributions: densities, moments, samples from the same stream, gradients.

Constraints and errors are in test_distribution_errors.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.harness import candidate, program

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(3, 4))
SPREAD = RNG.uniform(0.3, 2.0, (3, 4))
PART = RNG.uniform(0.1, 0.9, (3, 4))
SIMPLEX = PART / PART.sum(-1, keepdims=True)
ROOT = np.tril(RNG.normal(size=(4, 4))) + 3 * np.eye(4)
COUNTS = RNG.integers(0, 4, (3, 4)).astype(float)

# name: (class, parameters as arrays, values inside the support); numbers go through as they are
CONTINUOUS = {
    "normal": ("Normal", dict(loc=REAL, scale=SPREAD), REAL * 2),
    "normal_of_numbers": ("Normal", dict(loc=0.5, scale=2.0), REAL),
    "normal_broadcast": ("Normal", dict(loc=REAL[:, :1], scale=SPREAD[0]), REAL),
    "log_normal": ("LogNormal", dict(loc=REAL, scale=SPREAD), SPREAD),
    "uniform": ("Uniform", dict(low=REAL, high=REAL + SPREAD), REAL + SPREAD * PART),
    "laplace": ("Laplace", dict(loc=REAL, scale=SPREAD), REAL * 2),
    "exponential": ("Exponential", dict(rate=SPREAD), SPREAD),
    "gamma": ("Gamma", dict(concentration=SPREAD * 3, rate=SPREAD), SPREAD),
    "gamma_small": ("Gamma", dict(concentration=SPREAD / 3, rate=1.5), SPREAD),
    "gamma_large": ("Gamma", dict(concentration=SPREAD * 30, rate=SPREAD), SPREAD * 20),
    "chi2": ("Chi2", dict(df=SPREAD * 3), SPREAD),
    "beta": ("Beta", dict(concentration1=SPREAD * 2, concentration0=SPREAD), PART),
    "beta_of_numbers": ("Beta", dict(concentration1=2.0, concentration0=3.0), PART),
    "dirichlet": ("Dirichlet", dict(concentration=SPREAD * 2), SIMPLEX),
    "half_normal": ("HalfNormal", dict(scale=SPREAD), SPREAD),
    "half_cauchy": ("HalfCauchy", dict(scale=SPREAD), SPREAD),
    "cauchy": ("Cauchy", dict(loc=REAL, scale=SPREAD), REAL * 2),
    "gumbel": ("Gumbel", dict(loc=REAL, scale=SPREAD), REAL * 2),
    "student_t": ("StudentT", dict(df=SPREAD * 2, loc=REAL, scale=SPREAD), REAL * 2),
    "multivariate_normal": ("MultivariateNormal", dict(loc=REAL, scale_tril=ROOT), REAL * 2),
    "multivariate_normal_covariance": (
        "MultivariateNormal", dict(loc=REAL[0], covariance_matrix=ROOT @ ROOT.T), REAL * 2),
    "multivariate_normal_precision": (
        "MultivariateNormal", dict(loc=REAL, precision_matrix=ROOT @ ROOT.T), REAL * 2),
    "multivariate_normal_batches": (
        "MultivariateNormal", dict(loc=REAL[:, None], scale_tril=np.stack([ROOT, 2 * ROOT])),
        REAL[:, None] * np.ones((1, 2, 1))),
}
DISCRETE = {
    "bernoulli": ("Bernoulli", dict(probs=PART), (PART > 0.5).astype(float)),
    "bernoulli_logits": ("Bernoulli", dict(logits=REAL), (PART > 0.5).astype(float)),
    "bernoulli_of_a_number": ("Bernoulli", dict(probs=0.3), (PART > 0.5).astype(float)),
    "categorical": ("Categorical", dict(probs=PART), np.array([0, 3, 1])),
    "categorical_logits": ("Categorical", dict(logits=REAL), np.array([0, 3, 1])),
    "one_hot": ("OneHotCategorical", dict(probs=PART), np.eye(4)[[0, 3, 1]]),
    "straight_through": ("OneHotCategoricalStraightThrough", dict(logits=REAL),
                         np.eye(4)[[0, 3, 1]]),
    "multinomial": ("Multinomial", dict(total_count=6, probs=PART),
                    np.array([[6.0, 0, 0, 0], [1, 2, 3, 0], [0, 0, 5, 1]])),
    "multinomial_logits": ("Multinomial", dict(total_count=3, logits=REAL),
                           np.array([[3.0, 0, 0, 0], [1, 2, 0, 0], [0, 0, 2, 1]])),
    "binomial": ("Binomial", dict(total_count=5, probs=PART), COUNTS),
    "binomial_logits": ("Binomial", dict(total_count=COUNTS + 3, logits=REAL), COUNTS),
    "binomial_large": ("Binomial", dict(total_count=100, probs=PART), COUNTS),
    "geometric": ("Geometric", dict(probs=PART), COUNTS),
    "geometric_logits": ("Geometric", dict(logits=REAL), COUNTS),
    "poisson": ("Poisson", dict(rate=SPREAD * 3), COUNTS),
    "poisson_large": ("Poisson", dict(rate=SPREAD * 30), COUNTS),
}
FAMILIES = CONTINUOUS | DISCRETE


def tensors(lib, parameters, dtype="float64", grad=False):
    make = lambda value: lib.tensor(value, dtype=getattr(lib, dtype), requires_grad=grad)
    return {name: make(value) if isinstance(value, np.ndarray) else value
            for name, value in parameters.items()}


def distribution(lib, name, **options):
    kind, parameters, value = FAMILIES[name]
    whole = value.dtype.kind == "i"
    return (getattr(lib.distributions, kind)(**tensors(lib, parameters, **options)),
            lib.tensor(value) if whole else lib.tensor(value, dtype=getattr(
                lib, options.get("dtype", "float64"))))


def attempt(compute):
    try:
        return compute()
    except NotImplementedError:
        return "not implemented"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FAMILIES)
def test_facts(name, dtype):
    def run(torch):
        d, value = distribution(torch, name, dtype=dtype)
        facts = [attempt(lambda fact=fact: getattr(d, fact)) for fact in (
            "mean", "mode", "variance", "stddev", "batch_shape", "event_shape", "has_rsample",
            "has_enumerate_support")]
        return (facts, repr(d), repr(d.support), d.support.is_discrete, d.support.event_dim,
                d.log_prob(value), attempt(lambda: d.cdf(value)), attempt(d.entropy))

    program(run, rtol=1e-4 if dtype == "float32" or "number" in name else 1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles(name):
    def run(torch):
        d, _ = distribution(torch, name)
        return attempt(lambda: d.icdf(torch.tensor(PART))), attempt(lambda: d.perplexity())

    program(run, rtol=1e-5 if "number" in name else 1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FAMILIES)
def test_samples(name, dtype):
    def run(torch):
        d, _ = distribution(torch, name, dtype=dtype)
        return (d.sample(), d.sample((2,)), d.sample(torch.Size([2, 5])), torch.rand(1),
                attempt(lambda: d.rsample((3,))).detach() if name not in DISCRETE else None)

    program(run, rtol=1e-5 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("name", [name for name in CONTINUOUS if not name.endswith("numbers")])
def test_gradients_of_samples(name):
    def run(torch):
        kind, parameters, _ = FAMILIES[name]
        leaves = tensors(torch, parameters, grad=True)
        sample = getattr(torch.distributions, kind)(**leaves).rsample((2,))
        weights = torch.arange(float(sample.numel()), dtype=torch.float64).reshape(sample.shape)
        (sample * weights).sum().backward()
        return sample, [leaf.grad for leaf in leaves.values() if hasattr(leaf, "grad")]

    program(run, rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_log_prob(name):
    def run(torch):
        kind, parameters, _ = FAMILIES[name]
        leaves = tensors(torch, parameters, grad=name != "binomial_logits")
        if name == "binomial_logits":
            leaves["logits"].requires_grad_()
        _, value = distribution(torch, name)
        d = getattr(torch.distributions, kind)(**leaves)
        d.log_prob(value).sum().backward()
        first = [leaf.grad for leaf in leaves.values() if hasattr(leaf, "grad")]
        entropy = attempt(getattr(torch.distributions, kind)(**leaves).entropy)
        if isinstance(entropy, str) or not entropy.requires_grad:
            return first
        return first, torch.autograd.grad(
            entropy.sum(), [leaf for leaf in leaves.values() if hasattr(leaf, "grad")
                            and leaf.requires_grad], allow_unused=True)

    if name == "poisson" or not name.endswith(("number", "numbers")):
        program(run, rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_expand(name):
    def run(torch):
        d, value = distribution(torch, name)
        batch = value.shape[:value.dim() - len(d.event_shape)]
        wide = d.expand((2, *batch))
        return (repr(wide), wide.batch_shape, wide.event_shape, wide.mean, wide.log_prob(value),
                wide.sample(), wide.sample((2,)).shape)

    program(run, rtol=1e-5 if "number" in name else 1e-9)


@pytest.mark.parametrize("name", [name for name in DISCRETE
                                  if "straight" not in name and "binomial_l" not in name])
def test_enumerate_support(name):
    def run(torch):
        d, _ = distribution(torch, name)
        return (attempt(d.enumerate_support),
                attempt(lambda: d.enumerate_support(expand=False)))

    program(run)


# torch's gradients of gamma and Dirichlet samples are approximations: see Note [The gradient of a
# sample] in ops/gamma_samples.py. What is exact can be had from the inverse distribution functions.
AS_TORCH_APPROXIMATES = 5e-3


def by_differences(inverse, alpha):
    step = 1e-4 * alpha
    return (inverse(alpha + step) - inverse(alpha - step)) / (2 * step)


def test_the_gamma_gradient_everywhere():
    alpha = np.repeat(np.geomspace(0.1, 1000, 40), 30)

    def run(torch):
        shape = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        sample = torch.distributions.Gamma(shape, 1.0).rsample()
        sample.sum().backward()
        return sample, shape.grad

    program(run, rtol=AS_TORCH_APPROXIMATES)
    from scipy.special import gammainc, gammaincinv

    lib = candidate()
    lib.manual_seed(0)
    sample, gradient = (np.array(each.tolist()) for each in run(lib))
    level = gammainc(alpha, sample)
    inside = (level > 1e-4) & (level < 1 - 1e-4)
    exact = by_differences(lambda a: gammaincinv(a, level), alpha)
    np.testing.assert_allclose(gradient[inside], exact[inside], rtol=1e-6, atol=1e-9)


def test_the_beta_gradient_everywhere():
    rng = np.random.default_rng(1)
    alpha = np.exp(rng.uniform(np.log(0.2), np.log(100), (600, 2)))

    def run(torch):
        concentration = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        sample = torch.distributions.Dirichlet(concentration).rsample()
        sample[:, 0].sum().backward()
        return sample, concentration.grad

    program(run, rtol=AS_TORCH_APPROXIMATES, atol=1e-4)
    from scipy.special import betainc, betaincinv

    lib = candidate()
    lib.manual_seed(0)
    sample, gradient = (np.array(each.tolist()) for each in run(lib))
    x, (first, second) = sample[:, 0], alpha.T
    level = betainc(first, second, x)
    inside = (level > 1e-4) & (level < 1 - 1e-4) & (x > 1e-6) & (x < 1 - 1e-6)
    exact = by_differences(lambda a: betaincinv(a, second, level), first)
    np.testing.assert_allclose(gradient[inside, 0], exact[inside], rtol=1e-5, atol=1e-8)


def test_the_gamma_gradient_is_recorded():
    def run(torch):
        x = torch.tensor(SPREAD, requires_grad=True)
        sample = torch.distributions.Gamma(x, 2.0).rsample()
        nodes = [sample.grad_fn.name(), sample.grad_fn.next_functions[0][0].name()]
        (g,) = torch.autograd.grad(sample.sum(), x, create_graph=True)
        return nodes, g.requires_grad

    program(run)


# --- divergences ---------------------------------------------------------------------------------

PAIRS = [(p, q) for p in (
    "normal", "uniform", "laplace", "exponential", "gamma", "beta", "dirichlet", "half_normal",
    "cauchy", "gumbel", "log_normal", "multivariate_normal", "bernoulli", "categorical", "one_hot",
    "geometric", "poisson", "binomial", "chi2") for q in {
        p, *{"normal": ("uniform", "beta", "exponential", "gamma", "laplace"),
             "uniform": ("normal",), "laplace": ("normal", "uniform", "gamma", "beta"),
             "exponential": ("gamma", "normal", "uniform", "beta"),
             "gamma": ("exponential", "uniform", "beta"), "bernoulli": ("poisson",),
             "poisson": ("bernoulli", "binomial"), "chi2": ("gamma",)}.get(p, ())}]


@pytest.mark.parametrize("p, q", sorted(PAIRS))
def test_kl(p, q):
    def run(torch):
        first, _ = distribution(torch, p)
        second, _ = distribution(torch, q)
        kind, parameters, _ = FAMILIES[q]
        other = getattr(torch.distributions, kind)(**tensors(torch, {
            name: value[::-1].copy() if isinstance(value, np.ndarray) and p == q
            and value.shape == (3, 4) else value for name, value in parameters.items()}))
        return [torch.distributions.kl_divergence(first, each) for each in (second, other)]

    program(run, rtol=1e-9, atol=1e-12)


def test_kl_of_independent_and_registered():
    def run(torch):
        d = torch.distributions
        p, _ = distribution(torch, "normal")
        q, _ = distribution(torch, "normal_of_numbers")
        q = q.expand((3, 4))

        class Mine(d.Normal):
            pass

        @d.register_kl(Mine, d.Normal)
        def mine(p, q):
            return torch.tensor(42.0)

        own = Mine(torch.zeros(2), torch.ones(2))
        return (d.kl_divergence(d.Independent(p, 1), d.Independent(q, 1)),
                d.kl_divergence(own, d.Normal(0.0, 1.0)), d.kl_divergence(d.Normal(0.0, 1.0), own))

    program(run)


# --- Independent, transforms ---------------------------------------------------------------------

def test_independent():
    def run(torch):
        base, value = distribution(torch, "normal")
        d = torch.distributions.Independent(base, 1)
        all_of_it = torch.distributions.Independent(base, 2)
        return (repr(d), d.batch_shape, d.event_shape, d.log_prob(value), all_of_it.log_prob(value),
                d.entropy(), d.sample((2,)), d.mean, d.variance, d.expand((2, 3)).batch_shape,
                repr(d.support), d.has_rsample, d.has_enumerate_support)

    program(run)


TRANSFORMS = {
    "exp": (lambda t, lib: t.ExpTransform(), REAL),
    "tanh": (lambda t, lib: t.TanhTransform(), REAL),
    "sigmoid": (lambda t, lib: t.SigmoidTransform(), REAL),
    "softplus": (lambda t, lib: t.SoftplusTransform(), REAL),
    "power": (lambda t, lib: t.PowerTransform(lib.tensor(2.5, dtype=lib.float64)), SPREAD),
    "affine": (lambda t, lib: t.AffineTransform(1.5, -2.0), REAL),
    "affine_tensors": (lambda t, lib: t.AffineTransform(
        lib.tensor(REAL[0]), lib.tensor(SPREAD[0])), REAL),
    "affine_events": (lambda t, lib: t.AffineTransform(0.5, 3.0, event_dim=1), REAL),
    "compose": (lambda t, lib: t.ComposeTransform(
        [t.AffineTransform(0.0, 0.5), t.TanhTransform(), t.AffineTransform(1.0, 2.0)]), REAL),
    "independent": (lambda t, lib: t.IndependentTransform(t.ExpTransform(), 1), REAL),
    "reshape": (lambda t, lib: t.ReshapeTransform((4,), (2, 2)), REAL),
    "stick_breaking": (lambda t, lib: t.StickBreakingTransform(), REAL),
    "inverse": (lambda t, lib: t.ExpTransform().inv, SPREAD),
    "compose_vectors": (lambda t, lib: t.ComposeTransform(
        [t.AffineTransform(0.0, 0.5), t.StickBreakingTransform()]), REAL),
    "identity": (lambda t, lib: t.identity_transform, REAL),
    "softmax": (lambda t, lib: t.SoftmaxTransform(), REAL),
    "abs": (lambda t, lib: t.AbsTransform(), REAL),
    "lower_cholesky": (lambda t, lib: t.LowerCholeskyTransform(), ROOT),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name):
    def run(torch):
        make, x = TRANSFORMS[name]
        t = make(torch.distributions.transforms, torch)
        x = torch.tensor(x)
        y = t(x)
        return (y, t.inv(y), attempt(lambda: t.log_abs_det_jacobian(x, y)),
                attempt(lambda: t.inv.log_abs_det_jacobian(y, x)), repr(t), repr(t.inv),
                attempt(lambda: t.sign), bool(t.bijective), repr(t.domain), repr(t.codomain),
                tuple(t.forward_shape(x.shape)), tuple(t.inverse_shape(y.shape)),
                t == make(torch.distributions.transforms, torch), t.inv.inv is t)

    program(run, rtol=1e-10)


def test_cached_transforms():
    def run(torch):
        t = torch.distributions.transforms
        outcome = []
        for made in (t.ExpTransform(cache_size=1), t.AffineTransform(1.0, 2.0).with_cache(),
                     t.ComposeTransform([t.TanhTransform(), t.ExpTransform()]).with_cache()):
            x = torch.tensor(REAL)
            y = made(x)
            outcome += [made.inv(y) is x, made(x) is y, made.with_cache() is made]
        return outcome

    program(run)


TRANSFORMED = {
    "log_normal": lambda d, lib: (d.Normal(lib.tensor(REAL), 1.0), [d.ExpTransform()], SPREAD),
    "squashed": lambda d, lib: (d.Normal(lib.tensor(REAL), 1.0), [d.TanhTransform()], PART),
    "logistic": lambda d, lib: (
        d.Uniform(lib.tensor(0.0 * PART), 1.0), [d.SigmoidTransform().inv,
                                                 d.AffineTransform(1.0, 2.0)], REAL),
    "falling": lambda d, lib: (d.Normal(lib.tensor(REAL), 1.0), [d.AffineTransform(1.0, -2.0)],
                               REAL),
    "sticks": lambda d, lib: (d.Normal(lib.tensor(REAL[:, :3]), 1.0),
                              [d.StickBreakingTransform()], SIMPLEX),
    "widened": lambda d, lib: (d.Normal(lib.tensor(0.0, dtype=lib.float64), 1.0),
                               [d.AffineTransform(lib.tensor(REAL), 2.0)], REAL),
    "nothing": lambda d, lib: (d.Normal(lib.tensor(REAL), 1.0), [], REAL),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed_distribution(name):
    def run(torch):
        base, transforms, value = TRANSFORMED[name](torch.distributions, torch)
        d = torch.distributions.TransformedDistribution(base, transforms)
        value = torch.tensor(value)
        return (d.batch_shape, d.event_shape, d.log_prob(value), d.sample((2,)), d.rsample(),
                attempt(lambda: d.cdf(value)),
                attempt(lambda: d.icdf(torch.tensor(PART))) if name != "sticks" else None,
                repr(d.support), d.has_rsample, d.expand((2, *d.batch_shape)).sample(),
                d.base_dist.batch_shape)

    program(run, rtol=1e-10)


def test_registries():
    def run(torch):
        d, c = torch.distributions, torch.distributions.constraints
        outcome = []
        for constraint in (c.real, c.positive, c.nonnegative, c.greater_than(2.0),
                           c.less_than(1.0), c.unit_interval, c.interval(-1.0, 3.0), c.simplex,
                           c.real_vector, c.independent(c.positive, 1)):
            for table in (d.biject_to, d.transform_to):
                transform = table(constraint)
                y = transform(torch.tensor(REAL))
                outcome += [repr(transform), y, constraint.check(y).all().item()]
        return outcome

    program(run)


def test_on_the_device():
    def run(torch, device):
        d = torch.distributions
        loc = torch.zeros(3, device=device)
        made = [d.Normal(loc, 1.0), d.Gamma(loc + 2, 1.0), d.Categorical(logits=loc),
                d.Bernoulli(probs=loc + 0.5), d.Poisson(loc + 3), d.Dirichlet(loc + 1),
                d.Laplace(loc, 1.0), d.StudentT(loc + 3), d.Binomial(4, loc + 0.5),
                d.MultivariateNormal(loc, torch.eye(3, device=device))]
        samples = [each.sample((2,)) for each in made]
        return ([each.device.type == loc.device.type for each in samples], samples,
                [each.log_prob(sample) for each, sample in zip(made, samples, strict=True)])

    program(run)
