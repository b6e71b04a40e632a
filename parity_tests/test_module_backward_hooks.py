"""Hooks on the gradients that pass a module: full ones, and the old ones on its last node."""

from __future__ import annotations

import warnings
from collections import namedtuple

import pytest

from parity_tests.harness import check_error, program
from parity_tests.test_module_hooks import scaled
from parity_tests.test_modules import numbers, weighted_sum


@pytest.mark.parametrize("needs_grad", [True, False])
@pytest.mark.parametrize("two", [True, False])
def test_backward_hooks(two, needs_grad):
    def run(torch, device):
        model, events = scaled(torch), []
        inner = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh()).to(device)
        x = numbers(torch, (2, 3), device, "float64", 0).detach().requires_grad_(needs_grad)
        inner.double()
        inner.register_full_backward_pre_hook(lambda m, g: (events.append(("pre", g)), None)[1])
        inner.register_full_backward_hook(lambda m, gi, go: (events.append((gi, go)), None)[1])
        inner[1].register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
        inner[0].register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
        model.register_full_backward_hook(lambda m, gi, go: (events.append((gi, go)), None)[1])
        y = inner(x)
        out = model(y, x, factor=2.0) if two else model(y, factor=2.0)
        loss = sum(weighted_sum(torch, o) for o in out) if two else weighted_sum(torch, out)
        loss.backward()
        return loss, x.grad, events, [p.grad for p in inner.parameters()]

    program(run)


# --- the order of everything ---------------------------------------------------------------------

Pair = namedtuple("Pair", ["first", "second"])


# --- what hooks may change -----------------------------------------------------------------------

def test_gradients_are_replaced():
    def run(torch):
        class Named(torch.nn.Module):
            def forward(self, x, note, y):
                return Pair(x * y, x + y)

        events, model = [], Named()

        def before(module, grads):
            events.append(("before", grads))
            return grads[0] * 2, None

        def before_again(module, grads):
            events.append(("again", grads))

        def after(module, inputs, outputs):
            events.append((inputs, outputs))
            return [inputs[0] + 1, None, inputs[2]]

        model.register_full_backward_pre_hook(before)
        model.register_full_backward_pre_hook(before_again)
        model.register_full_backward_hook(after)
        x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 4.0])
        result = model(x, "note", y)
        (result.first + 0 * result.second).sum().backward()
        return type(result).__name__, result, x.grad, events

    program(run)


def test_a_tensor_is_taken_apart():
    """A hook that forgets the comma: torch takes the rows of what it returns."""
    def run(torch):
        model = torch.nn.Tanh()
        model.register_full_backward_hook(lambda m, gi, go: gi[0].unsqueeze(0) * 5)
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        model(x).sum().backward()
        return x.grad

    program(run)


BAD_BACKWARD_HOOKS = {
    "inputs": ("register_full_backward_hook", lambda m, gi, go: (gi[0], gi[0]), True),
    "tensor": ("register_full_backward_hook", lambda m, gi, go: gi[0], True),
    "outputs": ("register_full_backward_pre_hook", lambda m, go: go * 2, True),
    "no_inputs": ("register_full_backward_hook", lambda m, gi, go: (go[0],), False),
}


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("name", BAD_BACKWARD_HOOKS)
def test_bad_backward_hook(name):
    register, hook, needs_grad = BAD_BACKWARD_HOOKS[name]

    def run(torch):
        model = torch.nn.Linear(2, 2)
        getattr(model, register)(hook)
        model(torch.ones(3, 2, requires_grad=needs_grad)).sum().backward()

    check_error([], run)


def in_place_hooked(torch, where):
    class Wrong(torch.nn.Module):
        def forward(self, x):
            if where == "input":
                x.add_(1)
            return x * 2

    model = Wrong()
    model.register_full_backward_hook(lambda m, gi, go: None)
    result = model(torch.ones(2, requires_grad=True) * 1)
    if where == "output":
        result.mul_(3)


@pytest.mark.parametrize("where", ["input", "output"])
def test_hooked_tensors_are_not_written_to(where):
    check_error([], lambda torch: in_place_hooked(torch, where))


def test_twice_backward_through_hooks():
    def run(torch):
        events, model = [], torch.nn.Tanh()
        model.register_full_backward_hook(lambda m, gi, go: events.append((gi, go)))
        x = torch.tensor([0.5, 1.0], requires_grad=True)
        (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        gradient.sum().backward()
        return [[tensor.detach() for pair in event for tensor in pair] for event in events], x.grad

    program(run)


# --- what is warned of ---------------------------------------------------------------------------

def warned(run, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(*arguments)
    return result, [(str(warning.message), warning.category.__name__) for warning in caught]


def test_warnings_of_full_hooks():
    def run(torch):
        class Listed(torch.nn.Module):
            def forward(self, x):
                return [x * 2]

        listed, linear = Listed(), torch.nn.Linear(2, 2)
        for module in (listed, linear):
            module.register_full_backward_hook(lambda m, gi, go: None)
        x = torch.ones(1, 2)
        return (warned(lambda: listed(x.clone().requires_grad_())[0].sum().backward())[1],
                warned(lambda: linear(x).sum().backward())[1])

    program(run)


# --- the old backward hooks ----------------------------------------------------------------------

OLD = {
    "one_node": lambda torch, x, y: torch.tanh(x),
    "several_nodes": lambda torch, x, y: torch.tanh(x * 2) + 1,
    "two_inputs": lambda torch, x, y: x * y,
    "tuple": lambda torch, x, y: (x * y, x + y),
    "one_node_tuple": lambda torch, x, y: torch.unbind(torch.stack([x, y])),
    "list": lambda torch, x, y: [x * y],
    "dict": lambda torch, x, y: {"note": 3, "value": x * y},
    "no_graph": lambda torch, x, y: x.detach() * 1,
}


@pytest.mark.parametrize("name", OLD)
def test_old_backward_hook(name):
    def run(torch):
        events = []

        class Module(torch.nn.Module):
            def forward(self, *inputs):
                return OLD[name](torch, *inputs)

        model = Module()
        x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
        model.register_backward_hook(lambda m, gi, go: events.append((type(m).__name__, gi, go)))
        model.register_backward_hook(
            lambda m, gi, go: tuple(g if g is None else g * 3 for g in gi))
        inputs = [(x * 1).requires_grad_() * 1, (y * 1).requires_grad_() * 1]
        for each in inputs:
            each.retain_grad()
        result, words = warned(model, *inputs)
        if name != "no_graph":
            first = result if not isinstance(result, tuple | list | dict) else \
                list(result.values())[1] if isinstance(result, dict) else sum(result)
            first.sum().backward()
        return events, words, [each.grad for each in inputs]

    program(run)


def test_old_backward_hook_of_all_modules():
    def run(torch):
        events, rooms = [], torch.nn.modules.module
        kept = rooms_flag(rooms)
        rooms_flag(rooms, None)
        try:
            handle = rooms.register_module_backward_hook(
                lambda m, gi, go: events.append((type(m).__name__, go)))
            model = torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Sigmoid())
            words = warned(lambda: model(torch.ones(2, requires_grad=True)).sum().backward())[1]
            try:
                rooms.register_module_full_backward_hook(print)
            except RuntimeError as error:
                events.append(str(error))
            handle.remove()
            return events, words
        finally:
            rooms_flag(rooms, kept)

    program(run)


def rooms_flag(rooms, *value):
    """Read, or set back, which kind of backward hooks all modules have: it outlives the hooks."""
    owner, name = (rooms.EVERY_MODULE, "full") if hasattr(rooms, "EVERY_MODULE") else \
        (rooms, "_global_is_full_backward_hook")
    if value:
        setattr(owner, name, *value)
    return getattr(owner, name)


def both_kinds(torch, first, second):
    model = torch.nn.ReLU()
    getattr(model, first)(print)
    getattr(model, second)(print)


def test_both_kinds_of_backward_hooks():
    check_error([], lambda torch: both_kinds(torch, "register_backward_hook",
                                             "register_full_backward_hook"))
    check_error([], lambda torch: both_kinds(torch, "register_full_backward_hook",
                                             "register_backward_hook"))
