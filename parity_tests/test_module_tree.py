"""What every Module can do: registering, walking, hooks, converting, saving, loading."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch as reference

from parity_tests.harness import candidate, check_error, program
from parity_tests.test_modules import numbers, weighted_sum


def nested(torch):
    """A module with a parameter, buffers, shared and empty places, and two levels below it."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((2,), 3.0))
            self.register_buffer("count", torch.tensor([1.0, 2.0]))
            self.register_buffer("scratch", torch.zeros(2), persistent=False)
            self.register_buffer("later", None)
            self.register_parameter("missing", None)
            self.inner = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
            self.norm = nn.BatchNorm1d(2)
            self.twin = self.inner[0]
            self.nothing = None
            self.add_module("empty", None)

        def forward(self, x):
            return self.twin(self.norm(self.inner(x * self.scale) + self.count))

    return Block()


# --- names, walking ------------------------------------------------------------------------------

def test_walking():
    def walk(torch):
        model = nested(torch)
        kind = lambda pairs: [(name, type(each).__name__) for name, each in pairs]
        return [
            repr(model), kind(model.named_modules()), kind(model.named_children()),
            kind(model.named_modules(remove_duplicate=False)),
            kind(model.named_modules(prefix="a")),
            list(model.named_parameters()), list(model.named_buffers()),
            [name for name, _ in model.named_parameters(prefix="p", recurse=False)],
            [name for name, _ in model.named_parameters(remove_duplicate=False)],
            [name for name, _ in model.named_buffers(recurse=False)],
            len(list(model.modules())), len(list(model.children())),
            len(list(model.parameters())), len(list(model.buffers())),
            list(model.state_dict()), model.state_dict()._metadata,
            list(model.state_dict(prefix="x.")), type(model.state_dict()).__name__,
            model.get_submodule("inner.0") is model.twin, model.get_submodule("") is model,
            model.get_parameter("inner.0.weight"), model.get_buffer("norm.running_mean"),
            sorted(name for name in dir(model) if name in ("scale", "count", "inner", "missing")),
            "inner.0" in dict(model.named_modules()), model.nothing, model.later, model.missing,
        ]

    program(walk)


def test_assigning_attributes():
    def assign(torch):
        nn = torch.nn
        model = nested(torch)
        found = []
        look = lambda: found.append((list(model._parameters), list(model._buffers),
                                     list(model._modules), list(model.state_dict())))
        model.scale = None
        look()
        model.scale = nn.Parameter(torch.ones(3))
        model.extra = nn.Parameter(torch.zeros(1), requires_grad=False)
        look()
        model.count = torch.ones(4)
        model.later = torch.zeros(1)
        model.plain = torch.ones(1)
        look()
        model.inner = nn.Identity()
        model.nothing = nn.ReLU()
        look()
        del model.scale, model.count, model.norm
        look()
        model.fresh = nn.Buffer(torch.ones(2), persistent=False)
        model.saved = nn.Buffer(torch.ones(2))
        look()
        model.twin = None
        return found, model.plain, model.twin, repr(model)

    program(assign)


WRONG = {
    "unknown": lambda torch, m: m.absent,
    "parameter_name": lambda torch, m: m.register_parameter("a.b", None),
    "parameter_empty": lambda torch, m: m.register_parameter("", None),
    "parameter_number": lambda torch, m: m.register_parameter(3, None),
    "parameter_taken": lambda torch, m: m.register_parameter("inner", None),
    "parameter_type": lambda torch, m: m.register_parameter("p", torch.ones(1)),
    "parameter_word": lambda torch, m: m.register_parameter("p", "word"),
    "buffer_name": lambda torch, m: m.register_buffer("a.b", None),
    "buffer_taken": lambda torch, m: m.register_buffer("scale", None),
    "buffer_type": lambda torch, m: m.register_buffer("b", [1]),
    "module_name": lambda torch, m: m.add_module("a.b", None),
    "module_empty": lambda torch, m: m.add_module("", None),
    "module_taken": lambda torch, m: m.add_module("scale", torch.nn.ReLU()),
    "module_type": lambda torch, m: m.add_module("x", 3),
    "assign_tensor": lambda torch, m: setattr(m, "scale", torch.ones(2)),
    "assign_number": lambda torch, m: setattr(m, "inner", 3),
    "assign_buffer": lambda torch, m: setattr(m, "count", "word"),
    "delete": lambda torch, m: delattr(m, "absent"),
    "no_submodule": lambda torch, m: m.get_submodule("inner.7"),
    "not_a_submodule": lambda torch, m: m.get_submodule("scale"),
    "no_parameter": lambda torch, m: m.get_parameter("inner.0.absent"),
    "not_a_parameter": lambda torch, m: m.get_parameter("count"),
    "not_a_buffer": lambda torch, m: m.get_buffer("scale"),
    "train_mode": lambda torch, m: m.train("yes"),
    "to_integers": lambda torch, m: m.to(torch.int64),
    "before_init": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: setattr(self, "x", torch.nn.Linear(1, 1))})(),
    "before_init_parameter": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: setattr(self, "x", torch.nn.Parameter(torch.ones(1)))})(),
    "before_init_buffer": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: self.register_buffer("x", torch.ones(1))})(),
    "extra_state": lambda torch, m: m.get_extra_state(),
    "positional_init": lambda torch, m: torch.nn.Module(3),
    "keyword_init": lambda torch, m: torch.nn.Module(size=3),
    "load_list": lambda torch, m: m.load_state_dict([1]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    check_error([], lambda torch: WRONG[name](torch, nested(torch)))


# --- converting and copying ----------------------------------------------------------------------

def test_conversions():
    def convert(torch, device):
        found = []
        for change in (lambda m: m.double(), lambda m: m.half(), lambda m: m.bfloat16(),
                       lambda m: m.float(), lambda m: m.to(torch.float64),
                       lambda m: m.to(device, torch.float16), lambda m: m.to(device=device),
                       lambda m: m.to(torch.ones(1, dtype=torch.float64)), lambda m: m.cpu(),
                       lambda m: m.type(torch.float64), lambda m: m.requires_grad_(False),
                       lambda m: m.to("cpu"), lambda m: m.eval(), lambda m: m.train()):
            model = nested(torch)
            weight = model.scale
            weighted_sum(torch, model(torch.ones(3, 2))).backward()
            same = change(model) is model
            found.append((same, model.scale is weight, list(model.state_dict().values()),
                          [p.grad for p in model.parameters()],
                          [m.training for m in model.modules()], model.scratch))
        return found

    program(convert, rtol=2e-3, atol=2e-3)


def test_apply_and_zero_grad():
    def apply(torch):
        model, seen = nested(torch), []

        def visit(module):
            seen.append(type(module).__name__)
            if isinstance(module, torch.nn.Linear):
                module.weight.data.fill_(0.5)

        same = model.apply(visit) is model
        weighted_sum(torch, model(torch.ones(3, 2))).backward()
        before = [p.grad.clone() for p in model.parameters()]
        model.zero_grad(set_to_none=False)
        zeros = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        return same, seen, before, zeros, [p.grad for p in model.parameters()]

    program(apply, atol=1e-4)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=lambda f: f.__name__)
def test_copies(duplicate):
    def run(torch):
        model = nested(torch)
        twin = duplicate(model)
        with torch.no_grad():
            model.scale.fill_(7.0)
        rows = torch.arange(6.0).view(3, 2)  # equal rows would have variance 0: only rounding
        return (repr(twin), twin.scale, twin.twin is twin.inner[0], list(twin.state_dict()),
                type(twin.scale).__name__, twin(rows), model(rows))

    program(run)


def test_pickled_layers():
    def run(torch):
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4),
                                    torch.nn.ModuleList([torch.nn.ReLU()]), torch.nn.PReLU())
        model[0].weight.requires_grad_(False)
        loaded = pickle.loads(pickle.dumps(model.eval()))
        return repr(loaded), list(loaded.parameters()), loaded.state_dict(), loaded.training

    program(run)


# --- state_dict ----------------------------------------------------------------------------------

def test_state_dict_shares_memory_and_is_detached():
    def run(torch):
        model = nested(torch)
        state, kept = model.state_dict(), model.state_dict(keep_vars=True)
        with torch.no_grad():
            model.scale.fill_(9.0)
        return state, kept, kept["scale"] is model.scale

    program(run)


def test_round_trip():
    def run(torch):
        model, other = nested(torch), nested(torch)
        model(torch.randn(5, 2))
        result = other.load_state_dict(model.state_dict())
        pointers = [p for p in other.parameters()]
        assigned = nested(torch)
        assigned.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
        return (str(result), result.missing_keys, result.unexpected_keys, other.state_dict(),
                all(a is b for a, b in zip(pointers, other.parameters(), strict=True)),
                list(assigned.parameters()), assigned.twin(torch.ones(1, 2)))

    program(run)


def test_state_comes_from_torch_through_numpy():
    """What torch trained, minigrad runs."""
    make = lambda torch: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4),
                                             torch.nn.Linear(4, 2))
    reference.manual_seed(3)
    theirs, lib = make(reference), candidate()
    theirs(reference.randn(6, 3))
    ours = make(lib)
    ours.load_state_dict({name: lib.from_numpy(tensor.numpy().copy())
                          for name, tensor in theirs.state_dict().items()})
    program(lambda torch: (ours if torch is lib else theirs).eval()(torch.ones(2, 3)))


def change_state(torch, change, **options):
    model = nested(torch)
    state = model.state_dict()
    change(torch, state)
    return model.load_state_dict(state, **options)


BAD_STATES = {
    "missing": lambda torch, s: s.pop("scale"),
    "unexpected": lambda torch, s: s.update(extra=torch.ones(1)),
    "unexpected_below": lambda torch, s: s.update({"inner.0.x": torch.ones(1)}),
    "unexpected_path": lambda torch, s: s.update({"inner.9.x": torch.ones(1), "scale.x": 1}),
    "both": lambda torch, s: (s.pop("inner.0.weight"), s.update(a=1, b=2)),
    "size": lambda torch, s: s.update({"inner.0.weight": torch.ones(3, 2)}),
    "sizes": lambda torch, s: s.update({"scale": torch.ones(3), "norm.weight": torch.ones(5)}),
    "not_a_tensor": lambda torch, s: s.update(scale=[1.0, 2.0]),
    "all": lambda torch, s: s.clear(),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_bad_state(name):
    check_error([], lambda torch: change_state(torch, BAD_STATES[name]))


@pytest.mark.parametrize("name", ["missing", "unexpected", "unexpected_path", "both", "all"])
def test_bad_state_is_let_pass(name):
    def run(torch):
        result = change_state(torch, BAD_STATES[name], strict=False)
        return result.missing_keys, result.unexpected_keys, str(result)

    program(run)


def test_extra_state_and_state_hooks():
    def run(torch):
        events = []

        class Extra(torch.nn.Linear):
            def get_extra_state(self):
                return {"note": 3}

            def set_extra_state(self, state):
                events.append(state)

        model = torch.nn.Sequential(Extra(1, 1))
        model[0].register_state_dict_pre_hook(lambda m, prefix, keep: events.append((prefix, keep)))
        model.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(more=1))
        model.register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest: events.append((prefix, state.pop("more"))))
        model.register_load_state_dict_post_hook(
            lambda m, keys: events.append((list(keys.missing_keys), list(keys.unexpected_keys))))
        state = model.state_dict()
        model.load_state_dict(state)
        return list(state), events

    program(run)


# --- hooks ---------------------------------------------------------------------------------------

def scaled(torch):
    """A module with a keyword argument and, if asked, two results."""
    class Scaled(torch.nn.Module):
        def forward(self, x, y=None, *, factor=1.0):
            return x * factor if y is None else (x * factor, y)

    return Scaled()


def test_forward_hooks():
    def run(torch):
        model, events = scaled(torch), []
        x = torch.tensor([1.0, 2.0], requires_grad=True)

        def before(module, args):
            events.append(("before", len(args)))
            return args[0] + 1

        def before_kwargs(module, args, kwargs):
            events.append(("kwargs", dict(kwargs)))
            return args, {"factor": 3.0}

        def after(module, args, output):
            events.append(("after", args[0], output))
            return output * 2

        def after_kwargs(module, args, kwargs, output):
            events.append(("after kwargs", kwargs))

        handles = [model.register_forward_pre_hook(before),
                   model.register_forward_pre_hook(before_kwargs, with_kwargs=True, prepend=True),
                   model.register_forward_hook(after),
                   model.register_forward_hook(after_kwargs, with_kwargs=True, prepend=True)]
        found = [model(x, factor=2.0)]
        while handles:
            handles.pop().remove()
            found.append(model(x, factor=2.0))
        return found, events

    program(run)


def test_forward_hook_that_is_always_called():
    def run(torch):
        events = []
        model = torch.nn.Linear(2, 3)
        model.register_forward_hook(lambda m, args, out: events.append("never"))
        model.register_forward_hook(lambda m, args, out: events.append(out), always_call=True)
        try:
            model(torch.ones(1, 5))
        except RuntimeError:
            events.append("raised")
        return events

    program(run)


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


def test_hooks_on_parameters_and_global_hooks():
    def run(torch):
        model, events = torch.nn.Linear(2, 2), []
        model.weight.register_hook(lambda g: g * 2)
        hooks = torch.nn.modules.module
        handles = [hooks.register_module_forward_pre_hook(
                       lambda m, args: events.append(type(m).__name__)),
                   hooks.register_module_forward_hook(lambda m, args, out: events.append(out)),
                   hooks.register_module_full_backward_hook(
                       lambda m, gi, go: events.append(go))]
        model(torch.ones(1, 2)).sum().backward()
        for handle in handles:
            handle.remove()
        model(torch.ones(1, 2)).sum().backward()
        return events, model.weight.grad

    program(run)


def test_wrong_hooks():
    check_error([], lambda torch: hooked(torch)(torch.ones(1, 2)))


def hooked(torch):
    model = torch.nn.Linear(2, 2)
    model.register_forward_pre_hook(lambda m, args, kwargs: (1, 2, 3), with_kwargs=True)
    return model
