"""nn.init: the same numbers from the same seed, the old names, the refusals."""

from __future__ import annotations

import warnings

import pytest

from parity_tests.harness import check_error, program

NAMES = ["uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal",
         "kaiming_uniform", "kaiming_normal", "orthogonal", "sparse"]
MORE = {"constant": (0.5,), "sparse": (0.4,)}


@pytest.mark.parametrize("name", NAMES)
def test_old_names(name):
    def run(torch):
        weight = torch.empty((4, 2, 3) if name == "dirac" else (4, 6))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function = getattr(torch.nn.init, name)
            found = function(weight, *MORE.get(name, ()))
        return (found is weight, weight, function.__name__, torch.rand(1),
                [(str(warning.message), warning.category.__name__) for warning in caught])

    program(run, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("dirac", "orthogonal")])
def test_dtypes(name, dtype):
    def run(torch):
        weight = torch.nn.Parameter(torch.empty(9, 14, dtype=getattr(torch, dtype)))
        return getattr(torch.nn.init, name + "_")(weight, *MORE.get(name, ())), torch.rand(1)

    program(run)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("bounds", [(0, 1, -2, 2), (0, 1, 0.9, 1.1), (1, 2, 1.5, 9), (5, 1, 0, 1),
                                    (0, 0.02, -0.01, 0.03), (0, -1, -2, 2), (0, 1, 1, 1)], ids=str)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_truncated_normals(bounds, dtype):
    def run(torch):
        weight = torch.nn.Parameter(torch.empty(7, 9, dtype=getattr(torch, dtype)))
        return torch.nn.init.trunc_normal_(weight, *bounds), torch.rand(1)

    program(run, rtol=None if dtype.endswith("16") else 1e-5)


@pytest.mark.parametrize("shape", [(4, 2, 3), (6, 2, 2, 5), (2, 4, 1, 2, 3)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_dirac(shape, groups, dtype):
    program(lambda torch: torch.nn.init.dirac_(
        torch.ones(shape, dtype=getattr(torch, dtype)), groups))


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3), (0, 3), (1, 1)], ids=str)
def test_orthogonal(shape):
    def run(torch):
        weight = torch.nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64), gain=2.0)
        rows = weight.reshape(shape[0], -1) if shape[0] else weight
        return weight, rows @ rows.mT, rows.mT @ rows

    program(run, rtol=1e-11)


def test_generators():
    """All draw from the generator they are given; sparse_ takes its rows from the default one."""
    def run(torch):
        found, init = [], torch.nn.init
        for fill in (init.uniform_, init.normal_, init.xavier_uniform_, init.xavier_normal_,
                     init.kaiming_uniform_, init.kaiming_normal_, init.trunc_normal_,
                     lambda w, generator: init.sparse_(w, 0.5, generator=generator)):
            generator = torch.Generator().manual_seed(5)
            found.append((fill(torch.empty(4, 5), generator=generator),
                          torch.rand(1, generator=generator), torch.rand(1)))
        return found

    program(run, rtol=1e-5)


def test_gains():
    def run(torch):
        gain = torch.nn.init.calculate_gain
        names = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu",
                 *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))]
        return [gain(name) for name in names], gain("leaky_relu", 0.3), gain("leaky_relu", 2)

    program(run)


def test_nothing_to_fill():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            init = torch.nn.init
            found = [init.kaiming_normal_(torch.empty(0, 3)),
                     init.kaiming_uniform_(torch.empty(3, 0)), init.trunc_normal_(torch.empty(0)),
                     init.orthogonal_(torch.empty(0, 3)), init.xavier_normal_(torch.empty(0, 3))]
            init.trunc_normal_(torch.empty(3), mean=9.0)
        return found, [str(warning.message) for warning in caught]

    program(run)


def test_graphs_are_not_recorded():
    def run(torch):
        weight = torch.nn.Parameter(torch.empty(4, 4))
        for name in ("eye_", "orthogonal_", "ones_", "zeros_", "xavier_normal_"):
            getattr(torch.nn.init, name)(weight)
        return weight.grad_fn, weight.is_leaf, weight.requires_grad

    program(run)


WRONG = [
    lambda torch, init: init.trunc_normal_(torch.empty(3), std=0),
    lambda torch, init: init.trunc_normal_(torch.empty(3), a=2, b=1),
    lambda torch, init: init.kaiming_normal_(torch.empty(3)),
    lambda torch, init: init.kaiming_uniform_(torch.empty(3, 3), a="x"),
    lambda torch, init: init.kaiming_uniform_(torch.empty(3, 3), nonlinearity="x"),
    lambda torch, init: init.kaiming_uniform_(torch.empty(3, 3), mode="FAN"),
    lambda torch, init: init.dirac_(torch.empty(3, 3, 3), 2),
    lambda torch, init: init.calculate_gain("leaky_relu", True),
    lambda torch, init: init.normal_(torch.empty(3), std=-1),
    lambda torch, init: init.uniform_(torch.empty(3), 2, 1),
    lambda torch, init: init.uniform_(torch.empty(3, dtype=torch.int64)),
    lambda torch, init: init.orthogonal_(torch.empty(3, 3).half()),
    lambda torch, init: init.orthogonal_(torch.empty(3, 3, dtype=torch.int64)),
    lambda torch, init: init.sparse_(torch.empty(3, 3, 3), 0.5),
    lambda torch, init: init.eye_(torch.empty(3, 3, 3)),
    lambda torch, init: init.xavier_uniform_(torch.empty(())),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong(number):
    check_error([], lambda torch: WRONG[number](torch, torch.nn.init))
