"""nn.utils.parametrize and the ready-made ones: orthogonal, spectral and weight norm."""

from __future__ import annotations

import copy
import pickle

import pytest

from parity_tests.harness import check, check_error, program
from parity_tests.test_modules import weighted_sum


def maps(torch):
    """Small parametrizations: with an inverse, without one, of two tensors, and wrong ones."""
    nn = torch.nn

    class Symmetric(nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    class Exponential(nn.Module):
        def forward(self, x):
            return x.exp()

        def right_inverse(self, x):
            return x.log()

    class Doubled(nn.Module):
        def forward(self, x):
            return x * 2

    class Sum(nn.Module):
        def forward(self, x, y):
            return x + y

        def right_inverse(self, z):
            return z * 0.25, z * 0.75

    class Undefined(Doubled):
        def right_inverse(self, x):
            raise NotImplementedError

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(3.0))

        def forward(self, x):
            return x * self.factor

    return {kind.__name__: kind for kind in (Symmetric, Exponential, Doubled, Sum, Undefined,
                                             Scaled)}


def look(torch, module):
    """What can be seen of a (parametrized) module."""
    parametrize = torch.nn.utils.parametrize
    return (repr(module), type(module).__name__, list(module.state_dict()),
            [(name, parameter) for name, parameter in module.named_parameters()],
            [name for name, _ in module.named_buffers()], module.weight,
            parametrize.is_parametrized(module), parametrize.is_parametrized(module, "weight"),
            parametrize.is_parametrized(module, "bias"),
            parametrize.type_before_parametrizations(module).__name__)


@pytest.mark.parametrize("names", [["Symmetric"], ["Doubled"], ["Sum"], ["Undefined"], ["Scaled"],
                                   ["Symmetric", "Exponential"], ["Sum", "Symmetric", "Doubled"],
                                   ["Doubled", "Scaled", "Scaled"]], ids=",".join)
def test_parametrized(names):
    def run(torch, device):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        module = torch.nn.Linear(3, 3)
        with torch.no_grad():
            module.weight.abs_().add_(0.5)
        weight = module.weight
        found = [look(torch, module)]
        for name in names:
            same = parametrize.register_parametrization(module, "weight", kinds[name]())
            found.append((same is module, look(torch, module)))
        module.to(device)
        loss = weighted_sum(torch, module(torch.ones(2, 3, device=device)) ** 2)
        loss.backward()
        chain = module.parametrizations.weight
        found += [loss, [parameter.grad for parameter in module.parameters()],
                  getattr(chain, "original", None) is weight, chain.is_tensor, chain.ntensors,
                  chain.unsafe, len(chain), module.weight.grad_fn is None]
        for parameter in module.parameters():
            parameter.data.add_(0.125)
        with parametrize.cached():
            found += [module.weight is module.weight]
            with parametrize.cached():
                first = module.weight
            found += [first is module.weight]
        found += [module.weight is module.weight, first]
        module.eval()
        found += [chain[0].training]
        parametrize.remove_parametrizations(module, "weight")
        return [*found, look(torch, module), module.weight is weight]

    program(run)


@pytest.mark.parametrize("names", [["Symmetric"], ["Exponential"], ["Sum"],
                                   ["Exponential", "Symmetric"]], ids=",".join)
def test_assigning(names):
    def run(torch):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        module = torch.nn.Linear(2, 2)
        with torch.no_grad():
            module.weight.abs_().add_(0.5)
        for name in names:
            parametrize.register_parametrization(module, "weight", kinds[name](), unsafe=True)
        originals = [(name, id(tensor)) for name, tensor in module.named_parameters()]
        module.weight = torch.tensor([[1.0, 2.0], [2.0, 5.0]])
        kept = originals == [(name, id(tensor)) for name, tensor in module.named_parameters()]
        return kept, module.weight, list(module.parameters()), "weight" in vars(module)

    program(run)


def test_buffers_and_several_tensors():
    def run(torch):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        module = torch.nn.Linear(2, 2)
        module.register_buffer("table", torch.arange(4.0).view(2, 2))
        register = parametrize.register_parametrization
        register(module, "table", kinds["Symmetric"]())
        register(module, "bias", kinds["Sum"]())
        found = [look(torch, module), module.table, module.bias, list(module.buffers())]
        kind = type(module)
        parametrize.remove_parametrizations(module, "table", leave_parametrized=False)
        found += [look(torch, module), type(module) is kind, module.table]
        parametrize.remove_parametrizations(module, "bias")
        module.bias.sum().backward()
        return [*found, look(torch, module), module.bias.grad, hasattr(module, "parametrizations")]

    program(run)


def test_originals_are_left():
    def run(torch):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        module = torch.nn.Linear(2, 2)
        weight = module.weight
        parametrize.register_parametrization(module, "weight", kinds["Doubled"]())
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        return module.weight is weight, weight, type(module).__name__, repr(module)

    program(run)


def test_copied_loaded_and_converted():
    def run(torch):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        make = lambda: parametrize.register_parametrization(
            torch.nn.Linear(2, 2), "weight", kinds["Symmetric"]())
        model, other = make(), make()
        twin = copy.deepcopy(model)
        with torch.no_grad():
            model.parametrizations.weight.original.mul_(2)
        other.load_state_dict(model.state_dict())
        found = [twin.weight, model.weight, other.weight, type(twin).__name__,
                 type(twin) is type(model)]
        model.double()
        with parametrize.cached():  # in torch a copy finds here what its model has cached
            found += [model.weight, model(torch.ones(1, 2).double())]
        return [*found, twin.weight]

    program(run)


def test_transferred():
    def run(torch):
        parametrize, kinds = torch.nn.utils.parametrize, maps(torch)
        source, target = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        register = parametrize.register_parametrization
        register(source, "weight", kinds["Symmetric"]())
        register(source, "weight", kinds["Doubled"]())
        register(source, "bias", kinds["Sum"]())
        transfer = parametrize.transfer_parametrizations_and_params
        one = transfer(source, torch.nn.Linear(2, 2), "bias")
        bare = transfer(source, torch.nn.Identity())
        plain = transfer(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
        transfer(source, target)
        return (look(torch, target), target.weight, target.bias, one.bias, look(torch, one),
                repr(bare), list(bare.state_dict()), repr(plain))

    program(run)


def wrong_maps(torch):
    module = torch.nn.Module
    make = lambda **methods: type("Wrong", (module,), methods)()
    identity = lambda self, *x: x[0]
    return {
        "list": make(forward=lambda self, x: [x]),
        "dtype": make(forward=lambda self, x: x.double()),
        "shape": make(forward=lambda self, x: x[0]),
        "inverse_number": make(forward=identity, right_inverse=lambda self, x: 3),
        "inverse_dtype": make(forward=identity, right_inverse=lambda self, x: x.double()),
        "inverse_shape": make(forward=identity, right_inverse=lambda self, x: x[0]),
        "inverse_numbers": make(forward=identity, right_inverse=lambda self, x: (x, 3)),
    }


@pytest.mark.parametrize("name", ["list", "dtype", "shape", "inverse_number", "inverse_dtype",
                                  "inverse_shape", "inverse_numbers"])
@pytest.mark.parametrize("further", [False, True])
def test_wrong_map(name, further):
    def run(torch):
        module = torch.nn.Linear(2, 2)
        register = torch.nn.utils.parametrize.register_parametrization
        if further:
            register(module, "weight", maps(torch)["Doubled"]())
        register(module, "weight", wrong_maps(torch)[name])

    check_error([], run)


def fickle(torch, value, several):
    """A parametrization whose inverse changed its mind after it was registered."""
    class Fickle(torch.nn.Module):
        answer = None

        def forward(self, *x):
            return x[0]

        def right_inverse(self, x):
            if self.answer is not None:
                return self.answer
            return (x * 1, x * 2) if several else x

    module = torch.nn.Linear(2, 2)
    torch.nn.utils.parametrize.register_parametrization(module, "weight", Fickle())
    module.parametrizations.weight[0].answer = value(torch)
    module.weight = torch.ones(2, 2)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("value", [
    lambda torch: 3, lambda torch: torch.ones(2, 2).double(), lambda torch: (torch.ones(2, 2),),
    lambda torch: (torch.ones(2, 2), 3),
    lambda torch: (torch.ones(2, 2), torch.ones(2, 2).double())])
def test_fickle_inverse(several, value):
    check_error([], lambda torch: fickle(torch, value, several))


def parametrized(torch, name="Symmetric"):
    module = torch.nn.Linear(2, 2)
    return torch.nn.utils.parametrize.register_parametrization(
        module, "weight", maps(torch)[name]())


REFUSED = {
    "no_tensor": lambda torch, p: p.register_parametrization(
        torch.nn.Linear(2, 2), "absent", torch.nn.Identity()),
    "not_parametrized": lambda torch, p: p.remove_parametrizations(torch.nn.Linear(2, 2), "weight"),
    "no_inverse": lambda torch, p: setattr(parametrized(torch, "Doubled"), "weight",
                                           torch.ones(2, 2)),
    "no_modules": lambda torch, p: p.ParametrizationList([], torch.ones(2)),
    "pickle": lambda torch, p: pickle.dumps(parametrized(torch)),
    "copy": lambda torch, p: copy.copy(parametrized(torch)),
    "parameter": lambda torch, p: setattr(parametrized(torch), "weight", torch.nn.Parameter(
        torch.ones(2, 2))),
    "leave": lambda torch, p: p.remove_parametrizations(
        parametrized(torch, "Sum"), "weight", leave_parametrized=False),
    "too_few_tensors": lambda torch, p: p.register_parametrization(
        torch.nn.Linear(3, 2), "weight", maps(torch)["Symmetric"]()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    if name == "too_few_tensors":
        match = "must match the size of tensor b|broadcast"
        check_error([], lambda torch: REFUSED[name](torch, torch.nn.utils.parametrize), match)
    else:
        check_error([], lambda torch: REFUSED[name](torch, torch.nn.utils.parametrize))


# --- orthogonal ----------------------------------------------------------------------------------

@pytest.mark.parametrize("map", ["matrix_exp", "cayley", "householder", None], ids=str)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("trivialization", [True, False])
def test_orthogonal(map, shape, trivialization):
    def run(torch, device):
        module = torch.nn.Linear(*reversed(shape), dtype=torch.float64)
        if not trivialization:  # else the map is where it was
            torch.nn.init.orthogonal_(module.weight)
        same = torch.nn.utils.parametrizations.orthogonal(
            module, orthogonal_map=map, use_trivialization=trivialization)
        module.to(device)  # from here on: random numbers are the CPU's
        weight = module.weight
        gram = weight @ weight.mT if shape[0] < shape[1] else weight.mT @ weight
        loss = weighted_sum(torch, module(
            torch.ones(2, shape[1], dtype=torch.float64, device=device)) ** 2)
        loss.backward()
        chain = module.parametrizations.weight
        step = chain.original.grad.clone()
        with torch.no_grad():
            chain.original.sub_(step * 0.1)
        return (same is module, weight, gram, loss, step, module.weight, list(module.state_dict()),
                repr(module).replace("_Orthogonal", "Orthogonal"), torch.rand(1))

    program(run, rtol=1e-9)


@pytest.mark.parametrize("map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
def test_orthogonal_is_assigned(map, shape):
    def run(torch):
        module = torch.nn.utils.parametrizations.orthogonal(
            torch.nn.Linear(*reversed(shape), dtype=torch.float64), orthogonal_map=map)
        goal = torch.nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64))
        module.weight = goal
        return goal, module.weight, module.parametrizations.weight.original

    program(run, rtol=1e-9)


def test_orthogonal_batches_and_complex():
    def run(torch):
        orthogonal = torch.nn.utils.parametrizations.orthogonal
        batch, complex_ = torch.nn.Module(), torch.nn.Module()
        batch.w = torch.nn.Parameter(torch.randn(2, 4, 3, dtype=torch.float64))
        orthogonal(batch, "w")
        complex_.w = torch.nn.Parameter(torch.randn(3, 3, dtype=torch.complex128))
        orthogonal(complex_, "w")
        return batch.w, batch.w.mT @ batch.w, complex_.w, complex_.w.mH @ complex_.w

    program(run, rtol=1e-9)


# --- spectral norm -------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3}, {"dim": 1}, {"eps": 0.1},
                                     {"name": "bias"}], ids=str)
def test_spectral_norm(options):
    def run(torch, device):
        module = torch.nn.Linear(4, 3, dtype=torch.float64)
        same = torch.nn.utils.parametrizations.spectral_norm(module, **options) is module
        module.to(device)
        x, found = torch.ones(2, 4, dtype=torch.float64, device=device), []
        for training in (True, True, False):
            module.train(training)
            loss = weighted_sum(torch, (module(x) - module(x * 2)) ** 2)
            module.zero_grad()
            loss.backward()
            found.append((loss, [p.grad for p in module.parameters()], list(module.buffers())))
        return same, found, list(module.state_dict()), torch.linalg.matrix_norm(
            module.weight, 2), torch.rand(1)

    program(run, rtol=1e-9)


# --- weight norm ---------------------------------------------------------------------------------

@pytest.mark.parametrize("dim", [0, 1, -1, None], ids=str)
def test_weight_norm(dim):
    def run(torch, device):
        module = torch.nn.Linear(4, 3, dtype=torch.float64).to(device)
        before = module.weight.detach().clone()
        torch.nn.utils.parametrizations.weight_norm(module, dim=dim)
        loss = weighted_sum(torch, module(torch.ones(2, 4, dtype=torch.float64,
                                                          device=device)) ** 2)
        loss.backward()
        return (before, module.weight, loss, dict(module.named_parameters()),
                [p.grad for p in module.parameters()], list(module.state_dict()))

    program(run)


def test_weight_norm_loads_the_old_names():
    def run(torch):
        module = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
        loaded = module.load_state_dict({"weight_g": torch.ones(2, 1), "weight_v": torch.ones(2, 2),
                                         "bias": torch.zeros(2)})
        return str(loaded), module.weight, list(module.parameters())

    program(run)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_weight_norm_op(dim):
    shape = [1, 1, 1]
    shape[dim] = (3, 4, 2)[dim]
    norms = (1,) if dim == -1 else tuple(shape)
    check([(3, 4, 2), norms], lambda torch, v, g: torch._weight_norm(v, g, dim),
          second=dim in (-1, 1), same_graph=dim in (0, 2))
    check([(3, 4, 2)], lambda torch, v: torch.norm_except_dim(v, 2, dim))
    check([(3, 4, 2)], lambda torch, v: torch.norm_except_dim(v, 1, dim), second=False)


def test_weight_norm_of_narrow_floats():
    for dtype in ("float16", "bfloat16"):
        check([(3, 4), (3, 1)], lambda torch, v, g: torch._weight_norm(v, g, 0), dtypes=[dtype],
              second=False)


@pytest.mark.parametrize("dim", [0, 2])
def test_weight_norm_second_derivative_is_that_of_the_formula(dim):
    """torch's own kernel takes the norms for constants in its second derivative; what follows from
    the formula is compared instead."""
    def norm(torch, v, g):
        if torch.__name__ == "minigrad":
            return torch._weight_norm(v, g, dim)
        return v * (g / torch.norm_except_dim(v, 2, dim))

    check([(3, 4, 2), (3, 1, 1) if dim == 0 else (1, 1, 2)],
          lambda torch, v, g: norm(torch, v, g), leaks=False)


@pytest.mark.parametrize("dim", [0])
def test_weight_norm_second_derivative_is_torchs(dim):
    check([(3, 4), (3, 1)], lambda torch, v, g: torch._weight_norm(v, g, dim))


BAD = {
    "no_weight": lambda torch, p: p.spectral_norm(torch.nn.ReLU()),
    "no_weight_orthogonal": lambda torch, p: p.orthogonal(torch.nn.ReLU()),
    "no_weight_norm": lambda torch, p: p.weight_norm(torch.nn.ReLU()),
    "iterations": lambda torch, p: p.spectral_norm(torch.nn.Linear(2, 2), n_power_iterations=0),
    "dim": lambda torch, p: p.spectral_norm(torch.nn.Linear(2, 2), dim=2),
    "vector": lambda torch, p: p.orthogonal(torch.nn.Linear(2, 2), "bias"),
    "map": lambda torch, p: p.orthogonal(torch.nn.Linear(2, 2), orthogonal_map="qr"),
    "complex": lambda torch, p: p.orthogonal(torch.nn.Linear(2, 2, dtype=torch.complex64),
                                             orthogonal_map="householder"),
    "assign_without_base": lambda torch, p: setattr(p.orthogonal(
        torch.nn.Linear(2, 2), use_trivialization=False), "weight", torch.eye(2)),
    "shape": lambda torch, p: setattr(p.orthogonal(torch.nn.Linear(2, 2)), "weight", torch.eye(3)),
    "norm_dim": lambda torch, p: torch.norm_except_dim(torch.ones(2, 3), 2, 5),
    "norm_scalar": lambda torch, p: torch.norm_except_dim(torch.ones(()), 2, 0),
    "weight_norm_dim": lambda torch, p: torch._weight_norm(torch.ones(2, 3), torch.ones(2, 1), 7),
    "weight_norm_dtypes": lambda torch, p: torch._weight_norm(
        torch.ones(2, 3), torch.ones(2, 1).double(), 0),
    "weight_norm_integers": lambda torch, p: torch._weight_norm(
        torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 1), 0),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    check_error([], lambda torch: BAD[name](torch, torch.nn.utils.parametrizations))
