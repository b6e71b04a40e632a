"""The optimisers: 20 steps with every option, groups, closures, saved state, errors."""

from __future__ import annotations

import copy
import importlib
import pickle
import tracemalloc

import numpy as np
import pytest

from parity_tests.harness import candidate, check_error, program

OPTIONS = {
    "SGD": [
        {}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
        {"momentum": 0.9, "dampening": 0.3}, {"maximize": True},
        {"momentum": 0.8, "weight_decay": 0.1, "maximize": True, "nesterov": True},
    ],
    "Adam": [
        {}, {"lr": 0.05}, {"betas": (0.7, 0.8)}, {"eps": 1e-3}, {"weight_decay": 0.1},
        {"amsgrad": True}, {"maximize": True}, {"lr": 0.05, "decoupled_weight_decay": True,
                                                "weight_decay": 0.2},
        {"amsgrad": True, "weight_decay": 0.1, "maximize": True},
    ],
    "AdamW": [
        {}, {"lr": 0.05, "weight_decay": 0.3}, {"amsgrad": True, "lr": 0.05}, {"maximize": True},
        {"betas": (0.5, 0.6), "eps": 1e-4}, {"weight_decay": 0},
    ],
    "RMSprop": [
        {}, {"alpha": 0.5}, {"momentum": 0.9}, {"centered": True}, {"weight_decay": 0.1},
        {"centered": True, "momentum": 0.5, "weight_decay": 0.1, "maximize": True, "eps": 1e-4},
    ],
    "Adagrad": [
        {}, {"lr_decay": 0.1}, {"weight_decay": 0.1}, {"initial_accumulator_value": 0.5},
        {"maximize": True, "eps": 1e-3, "lr": 0.1},
    ],
}
CASES = [(name, options) for name, each in OPTIONS.items() for options in each]
case_id = lambda case: "-".join([case[0], *(f"{k}={v}" for k, v in case[1].items())])
DEFAULT = {"SGD": {"lr": 0.05}}  # with a rate at which the problem below does not blow up


def problem(torch, device, dtype="float64"):
    """Parameters (one gets no gradient, one has no dimension) and the loss to be made small."""
    rng = np.random.default_rng(5)
    draw = lambda *shape: torch.tensor(rng.standard_normal(shape)).to(
        dtype=getattr(torch, dtype)).to(device)
    parameters = [draw(3, 4), draw(4), draw(), draw(2)]
    for parameter in parameters:
        parameter.requires_grad_()
    x, y = draw(5, 3), draw(5, 4)

    def loss():
        weight, bias, scale, _ = parameters
        return ((torch.tanh(x @ weight + bias) * scale - y) ** 2).mean()

    return parameters, loss


def train(optimizer, loss, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def make(torch, name, parameters, options):
    return getattr(torch.optim, name)(parameters, **{**DEFAULT.get(name, {}), **options})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_twenty_steps(case, dtype):
    def run(torch, device):
        parameters, loss = problem(torch, device, dtype)
        optimizer = make(torch, *case[:1], parameters, case[1])
        losses = train(optimizer, loss, 20)
        return losses, parameters, optimizer.state_dict(), repr(optimizer), optimizer.defaults

    # Adam divides by roots of tiny squares: what one step rounds, the next ones carry on.
    program(run, rtol=1e-10 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_steps(name, dtype):
    def run(torch, device):
        parameter = torch.tensor([1.0, -2.0, 3.0]).to(getattr(torch, dtype)).to(device)
        parameter.requires_grad_()
        optimizer = make(torch, name, [parameter], {"eps": 1e-4} if name != "SGD" else
                         {"momentum": 0.9})
        for _ in range(3):
            parameter.grad = torch.tensor([0.5, 0.25, -1.0]).to(parameter.dtype).to(device)
            optimizer.step()
        return parameter, optimizer.state_dict()

    program(run)


@pytest.mark.parametrize("name", OPTIONS)
def test_groups_with_options_of_their_own(name):
    def run(torch, device):
        parameters, loss = problem(torch, device)
        optimizer = make(torch, name, [
            {"params": parameters[:1], "lr": 0.01}, {"params": parameters[1]}], {"lr": 0.02})
        first = train(optimizer, loss, 3)
        optimizer.add_param_group({"params": parameters[2:], "weight_decay": 0.1})
        optimizer.param_groups[0]["lr"] = 0.5
        return first, train(optimizer, loss, 3), optimizer.state_dict(), repr(optimizer)

    program(run)


def test_named_parameters():
    def run(torch):
        model = torch.nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
        fresh = torch.optim.SGD(model.parameters(), lr=0.3)
        fresh.load_state_dict(optimizer.state_dict())
        return optimizer.state_dict(), fresh.state_dict(), repr(fresh)

    program(run)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("through", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
                         ids=["copied", "pickled"])
def test_state_goes_on_where_it_was_saved(name, through):
    def run(torch, device):
        parameters, loss = problem(torch, device)
        optimizer = make(torch, name, parameters, {"weight_decay": 0.01})
        train(optimizer, loss, 4)
        saved, values = optimizer.state_dict(), [p.detach().clone() for p in parameters]
        saved = through(saved)
        rest = train(optimizer, loss, 4)

        again, loss = problem(torch, device)
        with torch.no_grad():
            for parameter, value in zip(again, values, strict=True):
                parameter.copy_(value)
        resumed = make(torch, name, again, {"lr": 7.0})
        resumed.load_state_dict(saved)
        return rest, train(resumed, loss, 4), again, resumed.state_dict(), repr(resumed)

    program(run)


def test_state_takes_the_parameters_dtype():
    def run(torch):
        parameter = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.Adam([parameter])
        parameter.sum().backward()
        optimizer.step()
        other = torch.optim.Adam([torch.ones(2, dtype=torch.float64, requires_grad=True)])
        other.load_state_dict(optimizer.state_dict())
        return other.state_dict()

    program(run)


def test_closure():
    def run(torch, device):
        parameters, loss = problem(torch, device)
        optimizer = torch.optim.SGD(parameters, lr=0.1)

        def closure():
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        with torch.no_grad():  # the closure has gradients all the same
            values = [optimizer.step(closure) for _ in range(3)]
        return values, parameters

    program(run)


def test_hooks_and_zero_grad():
    def run(torch):
        parameter = torch.ones(2, requires_grad=True)
        optimizer, events = torch.optim.SGD([parameter], lr=0.5), []
        before = optimizer.register_step_pre_hook(lambda o, args, kwargs: events.append("before"))
        optimizer.register_step_post_hook(lambda o, args, kwargs: events.append(parameter.clone()))
        (parameter * 3).sum().backward()
        optimizer.step()
        before.remove()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        zeros = parameter.grad.clone()
        optimizer.zero_grad()
        return events, zeros, parameter.grad, parameter, parameter._version

    program(run)


def test_hooks_of_all_optimisers_and_of_the_state():
    def run(torch):
        from_optimizer = importlib.import_module(f"{torch.__name__}.optim.optimizer")
        parameter, events = torch.ones(2, requires_grad=True), []
        note = lambda word: lambda *args: events.append((word, len(args)))
        handles = [from_optimizer.register_optimizer_step_pre_hook(note("before any")),
                   from_optimizer.register_optimizer_step_post_hook(note("after any"))]
        optimizer = torch.optim.SGD([parameter], lr=0.5, momentum=0.9)
        optimizer.register_step_pre_hook(note("before"))
        optimizer.register_step_post_hook(note("after"))
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((*args, lambda: 3.0), kwargs))
        parameter.grad = torch.ones(2)
        loss = optimizer.step()
        for handle in handles:
            handle.remove()
        optimizer.register_state_dict_pre_hook(note("look"))
        optimizer.register_state_dict_post_hook(note("looked"))
        optimizer.register_state_dict_post_hook(lambda o, d: {**d, "more": 1}, prepend=True)
        optimizer.register_load_state_dict_pre_hook(
            lambda o, d: {**d, "param_groups": [{**g, "lr": 7.0} for g in d["param_groups"]]})
        optimizer.register_load_state_dict_post_hook(note("loaded"))
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
        optimizer.step()
        bad = torch.optim.SGD([parameter])
        bad.register_step_pre_hook(lambda *args: 3)
        with pytest.raises(RuntimeError) as caught:
            bad.step()
        return events, loss, optimizer.state_dict(), str(caught.value)

    program(run)


@pytest.mark.parametrize("wanted", ["lr", "weight_decay", "betas"])
def test_gradients_reach_the_options(wanted):
    def run(torch):
        found = []
        for name in ("SGD", "Adam", "AdamW"):
            if name == "SGD" and wanted == "betas":
                continue
            numbers = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in
                       ((0.8, 0.95) if wanted == "betas" else (0.1,))]
            value = tuple(numbers) if wanted == "betas" else numbers[0]
            start = torch.arange(4.0, dtype=torch.float64).requires_grad_()
            parameter = start.clone()
            optimizer = getattr(torch.optim, name)([parameter], differentiable=True,
                                                   **{wanted: value})
            if name == "SGD" and wanted == "weight_decay":  # torch takes it for a number
                continue
            parameter.grad = torch.linspace(-1, 2, 4, dtype=torch.float64) * start
            optimizer.step()
            found.append(torch.autograd.grad((parameter**2).sum(), [start, *numbers],
                                             allow_unused=True))
        return found

    program(run, rtol=1e-6)  # torch's corrections of the moments are float32 tensors


@pytest.mark.parametrize("name", [*OPTIONS, "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD",
                                  "Adafactor", "Rprop"])
def test_a_step_needs_memory_for_one_parameter(name):
    lib = candidate()
    parameter = lib.ones(1000, 1000, requires_grad=True)
    optimizer = getattr(lib.optim, name)([parameter], lr=0.1, weight_decay=0.1) \
        if name != "Rprop" else lib.optim.Rprop([parameter])
    parameter.grad = lib.ones(1000, 1000)
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= parameter.numel() * 4 * 1.15  # and for a block of it


def test_an_optimiser_of_ones_own():
    def run(torch):
        class Halving(torch.optim.Optimizer):
            def __init__(self, params, amount=0.5):
                super().__init__(params, dict(amount=amount))

            @torch.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for parameter in group["params"]:
                        if parameter.grad is not None:
                            state = self.state[parameter]
                            state["seen"] = state.get("seen", 0) + 1
                            parameter.mul_(group["amount"]).add_(parameter.grad, alpha=-0.1)

        parameter = torch.ones(3, requires_grad=True)
        optimizer = Halving([parameter])
        for _ in range(3):
            (parameter**2).sum().backward()
            optimizer.step()
        return parameter, optimizer.state_dict(), repr(optimizer)

    program(run)


def test_tensor_learning_rate_and_complex_parameters():
    def run(torch):
        found = []
        for name in OPTIONS:
            parameter = torch.tensor([1 + 2j, -0.5j, 3.0], requires_grad=True)
            optimizer = getattr(torch.optim, name)([parameter], lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                ((parameter * (1 - 1j)).abs() ** 2).sum().backward()
                optimizer.step()
            found.append((parameter, optimizer.state_dict()["state"]))
        weight = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.Adam([weight], lr=torch.tensor(0.25))
        (weight * 2).sum().backward()
        optimizer.step()
        return found, weight, optimizer.param_groups[0]["lr"]

    program(run)


ERRORS = {
    **{f"{name}_lr": lambda torch, name=name: getattr(torch.optim, name)(one(torch), lr=-1.0)
       for name in OPTIONS},
    **{f"{name}_decay": lambda torch, name=name: getattr(torch.optim, name)(
        one(torch), lr=0.1, weight_decay=-1.0) for name in OPTIONS},
    "momentum": lambda torch: torch.optim.SGD(one(torch), lr=0.1, momentum=-1.0),
    "nesterov": lambda torch: torch.optim.SGD(one(torch), lr=0.1, nesterov=True),
    "beta_1": lambda torch: torch.optim.Adam(one(torch), betas=(1.0, 0.9)),
    "beta_2": lambda torch: torch.optim.AdamW(one(torch), betas=(0.9, -1.0)),
    "eps": lambda torch: torch.optim.Adam(one(torch), eps=-1.0),
    "alpha": lambda torch: torch.optim.RMSprop(one(torch), alpha=-1.0),
    "rms_momentum": lambda torch: torch.optim.RMSprop(one(torch), momentum=-1.0),
    "lr_decay": lambda torch: torch.optim.Adagrad(one(torch), lr_decay=-1.0),
    "accumulator": lambda torch: torch.optim.Adagrad(one(torch), initial_accumulator_value=-1.0),
    "empty": lambda torch: torch.optim.SGD([], lr=0.1),
    "empty_generator": lambda torch: torch.optim.Adam(torch.nn.ReLU().parameters()),
    "tensor": lambda torch: torch.optim.SGD(one(torch)[0], lr=0.1),
    "numbers": lambda torch: torch.optim.SGD([1.0], lr=0.1),
    "not_a_leaf": lambda torch: torch.optim.SGD([one(torch)[0] * 2], lr=0.1),
    "set": lambda torch: torch.optim.SGD([{"params": set(one(torch))}], lr=0.1),
    "twice": lambda torch: torch.optim.SGD([{"params": (p := one(torch))}, {"params": p}], lr=0.1),
    "group_type": lambda torch: torch.optim.SGD(one(torch), lr=0.1).add_param_group([1]),
    "load_groups": lambda torch: torch.optim.SGD(one(torch), lr=0.1).load_state_dict(
        torch.optim.SGD([{"params": one(torch)}, {"params": one(torch)}], lr=0.1).state_dict()),
    "load_sizes": lambda torch: torch.optim.SGD(one(torch), lr=0.1).load_state_dict(
        torch.optim.SGD(one(torch) + one(torch), lr=0.1).state_dict()),
}


def one(torch):
    return [torch.ones(2, requires_grad=True)]


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])


def test_duplicate_parameters_warn():
    def run(torch):
        parameter = one(torch)[0]
        with pytest.warns(UserWarning) as caught:
            torch.optim.SGD([parameter, parameter], lr=0.1)
        return [str(warning.message) for warning in caught]

    program(run)
