"""Random numbers: every stream from the same seed, value for value, and the same state after it.

After each program the generator's 5056 bytes must agree too: so many words were drawn, no more.
"""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch

from parity_tests.compare import to_numpy
from parity_tests.harness import candidate, check_error, program

SEEDS = (0, 1, -3, 2**40 + 7)
SIZES = (0, 1, 3, 15, 16, 17, 33, 1000, 100003)
FLOATS = ("float32", "float64", "float16", "bfloat16", "complex64", "complex128")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
EXACT = dict(rtol=0, atol=0)
LIBM = dict(rtol=1e-12, atol=1e-12)  # float64 goes through libm's functions, or SIMD ones like them


def streams(draw, *, seeds=SEEDS[:1], exact=True):
    """`draw(lib)` from each seed: the same numbers, and the same state of the generator after."""
    def run(lib):
        return draw(lib), lib.get_rng_state()

    for seed in seeds:
        program(run, seed=seed, **(EXACT if exact else LIBM))


def exact_in(dtype):
    return dtype not in ("float64", "complex128")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_rand_and_randn(size, dtype):
    streams(lambda lib: lib.rand(size, dtype=getattr(lib, dtype)), seeds=SEEDS)
    streams(lambda lib: lib.randn(size, dtype=getattr(lib, dtype)),
            seeds=SEEDS, exact=exact_in(dtype))


FILLS = {
    "uniform": lambda x: x.uniform_(-2, 3),
    "normal": lambda x: x.normal_(1.5, 0.3),
    "exponential": lambda x: x.exponential_(2.5),
    "cauchy": lambda x: x.cauchy_(0.5, 2),
    "log_normal": lambda x: x.log_normal_(0.1, 0.5),
    "geometric": lambda x: x.geometric_(0.3),
    "bernoulli": lambda x: x.bernoulli_(0.3),
    "bernoulli of a tensor": lambda x: x.bernoulli_(x.new_ones(x.shape[-1]) * 0.3),
    "random": lambda x: x.random_(),
    "random to": lambda x: x.random_(17),
    "random from, to": lambda x: x.random_(3, 100),
}
LAYOUTS = {
    "contiguous": lambda lib, dtype: lib.zeros(7, 5, dtype=dtype),
    "transposed": lambda lib, dtype: lib.zeros(7, 5, dtype=dtype).t(),
    "permuted": lambda lib, dtype: lib.zeros(2, 3, 4, 5, dtype=dtype).permute(0, 2, 3, 1),
    "gaps": lambda lib, dtype: lib.zeros(6, 8, dtype=dtype)[:, ::2],
    "transposed gaps": lambda lib, dtype: lib.zeros(6, 8, dtype=dtype)[:, ::2].t(),
    "few": lambda lib, dtype: lib.zeros(3, 1, dtype=dtype),
    "none": lambda lib, dtype: lib.zeros(0, 4, dtype=dtype),
}


@pytest.mark.parametrize("dtype", FLOATS[:4])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fill", FILLS)
def test_fills(fill, layout, dtype):
    streams(lambda lib: FILLS[fill](LAYOUTS[layout](lib, getattr(lib, dtype))),
            exact=exact_in(dtype))


@pytest.mark.parametrize("dtype", FLOATS[4:])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fill", ["uniform", "normal"])
def test_complex_fills(fill, layout, dtype):
    streams(lambda lib: FILLS[fill](LAYOUTS[layout](lib, getattr(lib, dtype))),
            exact=exact_in(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("fill", ["random", "random to", "random from, to", "bernoulli",
                                  "geometric"])
def test_integer_fills(fill, dtype):
    streams(lambda lib: FILLS[fill](lib.zeros(7, 5, dtype=getattr(lib, dtype)).t()), seeds=SEEDS)


INTERLEAVED = {
    "normal": lambda lib: lib.randn(3),
    "one normal": lambda lib: lib.randn(1, dtype=lib.float64),
    "block": lambda lib: lib.randn(16),
    "ragged": lambda lib: lib.randn(21),
    "uniform": lambda lib: lib.rand(5),
    "strided": lambda lib: lib.zeros(5, 7).t().normal_(2, 3),
    "integers": lambda lib: lib.randint(10, (3,)),
}


@pytest.mark.parametrize("names", list(itertools.permutations(INTERLEAVED, 3)), ids=" ".join)
def test_a_cached_normal_waits(names):
    streams(lambda lib: [INTERLEAVED[name](lib) for name in (*names, "one normal", "normal")],
            exact=False)


LIKE = {
    "rand_like": lambda lib, x: lib.rand_like(x),
    "randn_like": lambda lib, x: lib.randn_like(x),
    "randint_like": lambda lib, x: lib.randint_like(x, 3, 9),
    "dtype": lambda lib, x: lib.rand_like(x, dtype=lib.float64),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("make", LIKE)
def test_like(make, layout):
    streams(lambda lib: LIKE[make](lib, LAYOUTS[layout](lib, lib.float32)))


RANGES = [(0, 1), (0, 2), (-5, 5), (3, 1000), (0, 2**28 - 1), (0, 2**28), (0, 2**28 + 1),
          (-2**31, 2**31), (0, 2**32), (-2**63, 2**63 - 1), (2**62, 2**63 - 1)]


@pytest.mark.parametrize("low, high", RANGES)
def test_randint(low, high):
    streams(lambda lib: lib.randint(low, high, (5, 40)), seeds=SEEDS)
    streams(lambda lib: lib.zeros(100, dtype=lib.int64).random_(low, high))


def test_random_without_end():
    streams(lambda lib: lib.zeros(50, dtype=lib.int64).random_(-2**63, None))
    streams(lambda lib: lib.zeros(50, dtype=lib.int32).random_(-7, None))


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_randperm_of_other_dtypes(n, dtype):
    streams(lambda lib: lib.randperm(n, dtype=getattr(lib, dtype)))


@pytest.mark.parametrize("n", [1, 2, 16, 399, 400, 401, 10000, 70000])
def test_randperm(n):
    streams(lambda lib: lib.randperm(n), seeds=SEEDS)


def weights(lib, dtype="float32"):
    return (lib.arange(40, dtype=lib.float32).reshape(4, 10) % 7 + 0.5).to(getattr(lib, dtype))


def parameters(lib, dtype="float32"):
    return weights(lib, dtype) / 8


CHOICES = {
    "bernoulli": lambda lib, d: lib.bernoulli(parameters(lib, d)),
    "bernoulli, transposed": lambda lib, d: lib.bernoulli(parameters(lib, d).t()),
    "bernoulli with p": lambda lib, d: lib.bernoulli(parameters(lib, d), 0.2),
    "bernoulli, 0 and 1": lambda lib, d: lib.bernoulli(
        lib.tensor([0.0, 1.0, 0.0, 1.0]).to(getattr(lib, d))),
    "multinomial of 1": lambda lib, d: lib.multinomial(weights(lib, d), 1),
    "multinomial": lambda lib, d: lib.multinomial(weights(lib, d), 7),
    "multinomial of a row": lambda lib, d: lib.multinomial(weights(lib, d)[0], 10),
    "multinomial, transposed": lambda lib, d: lib.multinomial(weights(lib, d).t(), 3),
    "multinomial, replacement": lambda lib, d: lib.multinomial(weights(lib, d), 50, True),
    "multinomial, replacement, row": lambda lib, d: lib.multinomial(
        weights(lib, d)[2], 5, replacement=True),
    "poisson": lambda lib, d: lib.poisson(weights(lib, d)),
    "poisson, large": lambda lib, d: lib.poisson(weights(lib, d) * 30),
}


@pytest.mark.parametrize("dtype", FLOATS[:4])
@pytest.mark.parametrize("choice", CHOICES)
def test_choices(choice, dtype):
    streams(lambda lib: CHOICES[choice](lib, dtype), seeds=SEEDS)


@pytest.mark.parametrize("dtype", FLOATS[:2])
@pytest.mark.parametrize("count", [0, 5, 100, 10000])
def test_binomial(count, dtype):
    streams(lambda lib: lib.binomial(lib.full((4, 10), float(count), dtype=getattr(lib, dtype)),
                                     parameters(lib, dtype)), seeds=SEEDS)


NORMALS = {
    "numbers": lambda lib, m, s: lib.normal(1.0, 2.0, (5, 7)),
    "number, number, few": lambda lib, m, s: lib.normal(1.0, 2.0, size=(3,)),
    "mean": lambda lib, m, s: lib.normal(m, 2.0),
    "mean alone": lambda lib, m, s: lib.normal(m),
    "deviation": lambda lib, m, s: lib.normal(1.0, s),
    "both": lambda lib, m, s: lib.normal(m, s),
    "both, broadcast": lambda lib, m, s: lib.normal(m[:, :1], s[0]),
    "both, transposed": lambda lib, m, s: lib.normal(m.t(), s.t()),
    "mean, transposed": lambda lib, m, s: lib.normal(m.t(), 0.5),
}


@pytest.mark.parametrize("dtype", FLOATS[:4])
@pytest.mark.parametrize("overload", NORMALS)
def test_normal(overload, dtype):
    streams(lambda lib: NORMALS[overload](lib, weights(lib, dtype), parameters(lib, dtype)),
            exact=exact_in(dtype))


# --- the generator --------------------------------------------------------------------------------

MIX = [INTERLEAVED[name] for name in ("normal", "uniform", "block", "integers")]


def mixed(lib):
    return [draw(lib) for draw in MIX]


@pytest.mark.parametrize("before", [0, 1, 3, 623, 624, 625, 2000])
def test_a_state_is_put_back(before):
    def run(lib):
        lib.rand(before), lib.randn(1)
        state = lib.get_rng_state()
        first = mixed(lib)
        lib.set_rng_state(state)
        return first, mixed(lib)

    streams(run, exact=False)


@pytest.mark.parametrize("before", [0, 1, 623, 624, 625])
@pytest.mark.parametrize("normals", [0, 1])
def test_states_travel_between_the_engines(before, normals):
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch)):
        source.manual_seed(11)
        source.rand(before), source.randn(normals)
        target.set_rng_state(target.tensor(to_numpy(source.get_rng_state())))
        for got, want in zip(mixed(source), mixed(target), strict=True):
            np.testing.assert_array_equal(to_numpy(got), to_numpy(want))


def test_generators_are_independent():
    def run(lib):
        first, second = lib.Generator(), lib.Generator(device="cpu")
        assert first.manual_seed(5) is first
        draws = [lib.rand(3, generator=first), lib.randn(3), lib.randn(3, generator=second),
                 lib.randperm(9, generator=first), lib.zeros(20).normal_(generator=second),
                 lib.randint(9, (4,), generator=first),
                 lib.bernoulli(lib.full((5,), 0.5), generator=second),
                 lib.multinomial(lib.ones(5), 3, generator=first),
                 lib.normal(lib.zeros(4), 1.0, generator=second),
                 lib.rand_like(lib.zeros(2), generator=first)]
        second.set_state(first.get_state())
        return (draws, lib.rand(3, generator=second), lib.rand(3, generator=first),
                first.initial_seed(), lib.Generator().initial_seed(), first.get_state(),
                first.device.type, second.clone_state().get_state())

    streams(run)


def test_seeds():
    for seed in (0, -1, 2**63, 2**64 - 1, -2**63, "3", 1.5, True):
        streams(lambda lib, seed=seed: (lib.manual_seed(seed).initial_seed(), lib.initial_seed(),
                                        lib.rand(4), lib.random.initial_seed()))
    lib = candidate()
    seed = lib.seed()
    first = lib.rand(5)
    lib.manual_seed(seed)
    np.testing.assert_array_equal(to_numpy(first), to_numpy(lib.rand(5)))
    assert lib.default_generator is lib.random.default_generator


def test_fork_rng():
    def run(lib):
        with lib.random.fork_rng():
            inside = lib.rand(5)
        with lib.random.fork_rng(enabled=False):
            kept = lib.rand(5)
        return inside, kept, lib.rand(5)

    streams(run)


def test_a_generator_can_be_pickled():
    lib = candidate()
    generator = lib.Generator().manual_seed(3)
    lib.randn(3, generator=generator)
    copy = pickle.loads(pickle.dumps(generator))
    np.testing.assert_array_equal(to_numpy(lib.randn(5, generator=generator)),
                                  to_numpy(lib.randn(5, generator=copy)))


# --- places in the graph -------------------------------------------------------------------------

RECORDED = {
    **{name: lambda lib, x, fill=fill: fill(x) for name, fill in FILLS.items()},
    "bernoulli of a recorded tensor": lambda lib, x: lib.zeros(5).bernoulli_(x / 9),
    "bernoulli anew": lambda lib, x: lib.bernoulli(x / 9),
    "poisson": lambda lib, x: lib.poisson(x),
    "mean": lambda lib, x: lib.normal(x, 2.0),
    "deviation": lambda lib, x: lib.normal(0.0, x),
    "both": lambda lib, x: lib.normal(x, x),
    "one of both": lambda lib, x: lib.normal(lib.zeros(5), x),
}


@pytest.mark.parametrize("op", RECORDED)
def test_gradients_are_zero(op):
    def run(lib):
        leaf = lib.arange(1.0, 6.0).requires_grad_()
        result = RECORDED[op](lib, leaf * 1)
        (result.sum() + 0 * leaf.sum()).backward()
        edges = [node and node.name() for node, _ in result.grad_fn.next_functions]
        return result.grad_fn.name(), edges, result._version, leaf.grad

    streams(run)


@pytest.mark.parametrize("fill", FILLS)
def test_leaves_and_their_views_refuse(fill):
    check_error([(3, 5)], lambda x: FILLS[fill](x), grad=True)
    check_error([(3, 5)], lambda x: FILLS[fill](x[1:]), grad=True)


# --- errors --------------------------------------------------------------------------------------

REFUSED = {
    "negative deviation": lambda lib, x: x.normal_(0, -1),
    "negative deviation, new": lambda lib, x: lib.normal(0.0, -1.0, (3,)),
    "negative deviation, mean": lambda lib, x: lib.normal(x, -1.0),
    "negative deviations": lambda lib, x: lib.normal(0.0, x - 9),
    "shapes": lambda lib, x: lib.normal(x, x.new_ones(4)),
    "normal of integers": lambda lib, x: x.long().normal_(),
    "normal around integers": lambda lib, x: lib.normal(x.long(), 1.0),
    "uniform reversed": lambda lib, x: x.uniform_(2, 1),
    "uniform to infinity": lambda lib, x: x.uniform_(0, float("inf")),
    "uniform too wide": lambda lib, x: x.uniform_(-3e38, 3e38),
    "uniform of integers": lambda lib, x: x.long().uniform_(),
    "exponential rate": lambda lib, x: x.exponential_(-1),
    "exponential of integers": lambda lib, x: x.long().exponential_(),
    "p above 1": lambda lib, x: x.bernoulli_(1.5),
    "p nan": lambda lib, x: x.bernoulli_(float("nan")),
    "p tensor above 1": lambda lib, x: lib.bernoulli(x * 0 + 2),
    "p tensor of integers": lambda lib, x: lib.bernoulli(x.long()),
    "p of complex": lambda lib, x: lib.zeros(3, dtype=lib.complex64).bernoulli_(0.5),
    "geometric p": lambda lib, x: x.geometric_(1),
    "geometric of bools": lambda lib, x: x.bool().geometric_(0.5),
    "cauchy": lambda lib, x: x.cauchy_(0, 0),
    "cauchy of integers": lambda lib, x: x.long().cauchy_(),
    "log_normal": lambda lib, x: x.log_normal_(0, 0),
    "log_normal of integers": lambda lib, x: x.long().log_normal_(),
    "random reversed": lambda lib, x: x.random_(5, 5),
    "random below 0": lambda lib, x: x.random_(-1),
    "random of bytes": lambda lib, x: x.byte().random_(300),
    "random of halves": lambda lib, x: x.half().random_(0, 70000),
    "random of complex": lambda lib, x: lib.zeros(3, dtype=lib.complex64).random_(),
    "random of complex, to": lambda lib, x: lib.zeros(3, dtype=lib.complex64).random_(5),
    "randint reversed": lambda lib, x: lib.randint(5, 5, (2,)),
    "randint out of dtype": lambda lib, x: lib.randint(0, 300, (2,), dtype=lib.uint8),
    "randint of a fraction": lambda lib, x: lib.randint(2.5, (2,)),
    "randint with a gradient": lambda lib, x: lib.randint(5, (2,), requires_grad=True),
    "randperm": lambda lib, x: lib.randperm(-1),
    "randperm of a fraction": lambda lib, x: lib.randperm(3.0),
    "randperm of bytes": lambda lib, x: lib.randperm(300, dtype=lib.uint8),
    "randperm of halves": lambda lib, x: lib.randperm(3000, dtype=lib.float16),
    "rand of integers": lambda lib, x: lib.rand(3, dtype=lib.int64),
    "randn of integers": lambda lib, x: lib.randn(3, dtype=lib.int64),
    "rand of a negative size": lambda lib, x: lib.rand(-1),
    "rand_like of integers": lambda lib, x: lib.rand_like(x.long()),
    "poisson": lambda lib, x: lib.poisson(x - 9),
    "poisson of integers": lambda lib, x: lib.poisson(x.long()),
    "binomial of integers": lambda lib, x: lib.binomial(x.long(), x),
    "binomial of two dtypes": lambda lib, x: lib.binomial(x, x.double()),
    "multinomial, negative": lambda lib, x: lib.multinomial(x - 9, 1),
    "multinomial, zero": lambda lib, x: lib.multinomial(x * 0, 1),
    "multinomial, too many": lambda lib, x: lib.multinomial(x.abs() + 1, 4),
    "multinomial, none": lambda lib, x: lib.multinomial(x.abs() + 1, 0),
    "multinomial, 3 dims": lambda lib, x: lib.multinomial(lib.ones(2, 2, 2), 1),
    "multinomial of integers": lambda lib, x: lib.multinomial(x.long(), 1),
    "seed too large": lambda lib, x: lib.manual_seed(2**64),
    "seed of nothing": lambda lib, x: lib.manual_seed(None),
    "seed of a float": lambda lib, x: lib.Generator().manual_seed(1.5),
    "state of floats": lambda lib, x: lib.set_rng_state(lib.zeros(5056)),
    "state too short": lambda lib, x: lib.set_rng_state(lib.zeros(5, dtype=lib.uint8)),
    "state of zeros": lambda lib, x: lib.set_rng_state(lib.zeros(5056, dtype=lib.uint8)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors(case):
    check_error([(3,)], lambda lib, x: REFUSED[case](lib, x), domain=(0, 0.9))


# --- what is built on it -------------------------------------------------------------------------

DROPOUTS = {
    "dropout": lambda F, x: F.dropout(x, 0.3),
    "dropout, strided": lambda F, x: F.dropout(x.transpose(1, 2), 0.3),
    "dropout, none": lambda F, x: F.dropout(x, 0.0),
    "dropout, all": lambda F, x: F.dropout(x, 1.0),
    "dropout, evaluation": lambda F, x: F.dropout(x, 0.5, training=False),
    "dropout1d": lambda F, x: F.dropout1d(x, 0.4),
    "dropout2d": lambda F, x: F.dropout2d(x.unsqueeze(-1), 0.4),
    "alpha": lambda F, x: F.alpha_dropout(x, 0.4, training=True),
    "feature alpha": lambda F, x: F.feature_alpha_dropout(x, 0.4, training=True),
    "rrelu": lambda F, x: F.rrelu(x - 3, training=True),
    "gumbel": lambda F, x: F.gumbel_softmax(x, dim=1),
}


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_dropout(dropout):
    def run(lib):
        x = lib.linspace(-5, 5, 5 * 6 * 7).reshape(5, 6, 7)
        return DROPOUTS[dropout](lib.nn.functional, x), lib.get_rng_state()

    program(run)


INITS = {
    "uniform": lambda init, x: init.uniform_(x, -1, 2),
    "normal": lambda init, x: init.normal_(x, 1, 2),
    "xavier uniform": lambda init, x: init.xavier_uniform_(x, gain=1.7),
    "xavier normal": lambda init, x: init.xavier_normal_(x),
    "kaiming uniform": lambda init, x: init.kaiming_uniform_(x, a=0.3, mode="fan_out"),
    "kaiming normal": lambda init, x: init.kaiming_normal_(x, nonlinearity="relu"),
    "truncated": lambda init, x: init.trunc_normal_(x),
    "truncated, narrow": lambda init, x: init.trunc_normal_(x, 0, 1, 0.9, 1.1),
    "sparse": lambda init, x: init.sparse_(x, 0.3),
    "orthogonal": lambda init, x: init.orthogonal_(x),
}


@pytest.mark.parametrize("fill", INITS)
def test_initialisation(fill):
    def run(lib):
        return INITS[fill](lib.nn.init, lib.empty(9, 14)), lib.get_rng_state()

    program(run)


LAYERS = {
    "Linear": lambda nn: nn.Linear(7, 5),
    "Bilinear": lambda nn: nn.Bilinear(3, 4, 5),
    "Embedding": lambda nn: nn.Embedding(10, 4, padding_idx=2),
    "Sequential": lambda nn: nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_new_layers(layer):
    streams(lambda lib: list(LAYERS[layer](lib.nn).parameters()))


@pytest.mark.parametrize("own", [False, True], ids=["default", "own generator"])
@pytest.mark.parametrize("sampler", ["in order", "shuffle", "replacement", "weighted", "subset"])
def test_order_of_data(sampler, own):
    def run(lib):
        data = lib.utils.data
        numbers = data.TensorDataset(lib.arange(71))
        generator = lib.Generator().manual_seed(4) if own else None
        if sampler == "in order":
            loader = data.DataLoader(numbers, batch_size=8, generator=generator)
        elif sampler == "shuffle":
            loader = data.DataLoader(numbers, batch_size=8, shuffle=True, generator=generator)
        else:
            order = {
                "replacement": lambda: data.RandomSampler(numbers, replacement=True,
                                                          generator=generator),
                "weighted": lambda: data.WeightedRandomSampler([1.0, 2.0, 3.0] * 20, 30,
                                                               generator=generator),
                "subset": lambda: data.SubsetRandomSampler(list(range(9, 60)),
                                                           generator=generator),
            }[sampler]()
            loader = data.DataLoader(numbers, batch_size=8, sampler=order)
        epochs = [[batch for (batch,) in loader] for _ in range(2)]
        return epochs, lib.get_rng_state(), generator and generator.get_state()

    program(run, **EXACT)


def test_random_split():
    def run(lib):
        parts = lib.utils.data.random_split(range(20), [0.5, 0.25, 0.25])
        return [list(part) for part in parts], lib.get_rng_state()

    program(run, **EXACT)
