"""What every Module can do: registering, walking, converting, copying, printing."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from parity_tests.harness import candidate, check_error, program
from parity_tests.test_modules import weighted_sum


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
        # equal rows, or large ones after the tanh, would have variance 0: only rounding
        rows = torch.arange(6.0).view(3, 2) / 5 - 0.5
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


# --- the finer rules -----------------------------------------------------------------------------

def test_what_takes_whose_place():
    """Parameters, modules, buffers and plain attributes under one name, one after the other."""
    def run(torch):
        nn = torch.nn
        make = {"parameter": lambda: nn.Parameter(torch.ones(1)), "module": nn.ReLU,
                "buffer": lambda: nn.Buffer(torch.ones(1)),
                "fleeting": lambda: nn.Buffer(torch.ones(1), persistent=False),
                "tensor": lambda: torch.ones(2), "none": lambda: None, "number": lambda: 3}
        found = []
        for first in make:
            for second in make:
                model = nn.Module()
                model.x = make[first]()
                try:
                    model.x = make[second]()
                    problem = None
                except (TypeError, KeyError, AttributeError) as error:
                    problem = f"{type(error).__name__}: {error}"
                found.append((first, second, problem, list(model._parameters),
                              list(model._buffers), list(model._modules), "x" in vars(model),
                              sorted(model._non_persistent_buffers_set)))
        return found

    program(run)


def test_submodules_are_set():
    def run(torch):
        nn = torch.nn
        model = nested(torch)
        model.set_submodule("inner.1", nn.ReLU())
        model.set_submodule("inner.deep", nn.Sequential(nn.Linear(1, 1)))
        model.set_submodule("inner.deep.0", nn.GELU(), strict=True)
        model.set_submodule("norm", nn.Identity(), strict=True)
        return repr(model), model.get_submodule("inner.deep.0") is model.inner.deep[0]

    program(run)


MORE_WRONG = {
    "set_nothing": lambda torch, m: m.set_submodule("", torch.nn.ReLU()),
    "set_no_parent": lambda torch, m: m.set_submodule("absent.x", torch.nn.ReLU()),
    "set_strictly": lambda torch, m: m.set_submodule("inner.7", torch.nn.ReLU(), strict=True),
    "set_over_tensor": lambda torch, m: m.set_submodule("scale", torch.nn.ReLU()),
    "set_number": lambda torch, m: m.set_submodule("inner.0", 3),
    "module_over_parameter": lambda torch, m: setattr(m, "scale", torch.nn.ReLU()),
    "tensor_over_module": lambda torch, m: setattr(m, "inner", torch.ones(1)),
    "module_as_parameter": lambda torch, m: m.register_parameter("p", torch.nn.ReLU()),
    "class_as_module": lambda torch, m: m.add_module("x", torch.nn.ReLU),
    "not_a_leaf": lambda torch, m: m.register_parameter("p", type(m.scale)(m.scale * 2) * 2),
    "attribute_as_buffer": lambda torch, m: (setattr(m, "plain", 3), setattr(
        m, "plain", torch.nn.Buffer(torch.ones(1)))),
    "early_add": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: self.add_module("x", torch.nn.ReLU())})(),
    "early_buffer": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: setattr(self, "x", torch.nn.Buffer(torch.ones(1)))})(),
    "early_get": lambda torch, m: type("Early", (torch.nn.Module,), {
        "__init__": lambda self: self.x})(),
    "module_number": lambda torch, m: m.add_module(3, None),
    "buffer_empty": lambda torch, m: m.register_buffer("", None),
    "buffer_number": lambda torch, m: m.register_buffer(None, None),
    "init_of_subclass": lambda torch, m: type("Sub", (torch.nn.Module,), {
        "__init__": lambda self: torch.nn.Module.__init__(self, 1, 2)})(),
    "keyword_of_subclass": lambda torch, m: type("Sub", (torch.nn.Module,), {
        "__init__": lambda self: torch.nn.Module.__init__(self, size=2)})(),
    "no_forward": lambda torch, m: torch.nn.Module()(torch.ones(1)),
    "to_list": lambda torch, m: m.to([1]),
    "to_two_dtypes": lambda torch, m: m.to(torch.float64, torch.float32),
    "to_keyword": lambda torch, m: m.to(bad=3),
    "to_device": lambda torch, m: m.to("nowhere"),
    "to_copy": lambda torch, m: m.to(torch.float64, False, True),
    "to_integer_tensor": lambda torch, m: m.to(torch.ones(1, dtype=torch.int32)),
    "parameter_of_list": lambda torch, m: torch.nn.Parameter([1.0]),
    "parameter_of_integers": lambda torch, m: torch.nn.Parameter(torch.arange(2)),
    "buffer_of_number": lambda torch, m: torch.nn.Buffer(3),
    "data_of_integers": lambda torch, m: setattr(m.scale, "data", torch.ones(
        2, dtype=torch.int64)),
    "type_of_integers": lambda torch, m: m.type(torch.int64),
    "get_parameter_of_module": lambda torch, m: m.get_parameter("inner"),
    "get_buffer_of_module": lambda torch, m: m.get_buffer("inner"),
    "get_no_buffer": lambda torch, m: m.get_buffer("absent"),
    "get_below_parameter": lambda torch, m: m.get_parameter("scale.x"),
}


@pytest.mark.parametrize("name", MORE_WRONG)
def test_more_wrong(name):
    check_error([], lambda torch: MORE_WRONG[name](torch, nested(torch)))


def test_to_empty_needs_a_device():
    check_error([], lambda torch: torch.nn.Linear(1, 1).to_empty(),
                match=r"to_empty\(\) missing 1 required keyword-only argument: 'device'")


def test_conversions_keep_the_objects():
    def run(torch, device):
        found = []
        for change in (lambda m: m.double(), lambda m: m.to(device), lambda m: m.half(),
                       lambda m: m.to(device, torch.float64, True), lambda m: m.to(None),
                       lambda m: m.to(), lambda m: m.to(tensor=torch.ones(1).double()),
                       lambda m: m.to(dtype=torch.bfloat16, device=device),
                       lambda m: m.zero_grad(set_to_none=False), lambda m: m.float()):
            model = torch.nn.Linear(2, 2)
            model(torch.ones(1, 2)).sum().backward()
            weight, gradient = model.weight, model.weight.grad
            change(model)
            found.append((model.weight is weight, model.weight.grad is gradient, weight, gradient))
        return found

    program(run)


def test_complex_modules_are_warned_of():
    def run(torch):
        model = torch.nn.Linear(2, 2)
        with pytest.warns(UserWarning, match="Complex modules are a new feature") as caught:
            model.to(torch.complex64)
        return str(caught[0].message), model.weight, model.bias

    program(run)


def test_to_empty_and_memory_format():
    def run(torch, device):
        model = torch.nn.BatchNorm2d(3).double()
        weight = model.weight
        same = model.to_empty(device=device) is model
        conv = torch.nn.Module()
        conv.weight = torch.nn.Parameter(torch.arange(48.0).view(2, 3, 4, 2))
        conv.bias = torch.nn.Parameter(torch.ones(2))
        conv.to(memory_format=torch.channels_last)
        return (same, model.weight is weight, [(name, tensor.shape, tensor.dtype)
                                               for name, tensor in model.state_dict().items()],
                conv.weight, conv.weight.stride(), conv.bias, copy.deepcopy(conv).weight.stride())

    program(run)


def test_gradients_of_graphs_are_zeroed():
    def run(torch):
        model = torch.nn.Linear(2, 1)
        x = torch.tensor([[1.0, 2.0]])
        (model(x) ** 2).sum().backward(create_graph=True)
        gradient = model.weight.grad
        before = gradient.requires_grad
        model.zero_grad(set_to_none=False)
        return before, model.weight.grad is gradient, gradient, gradient.grad_fn

    program(run)


def test_init_goes_on_to_other_classes():
    def run(torch):
        class Other:
            def __init__(self, size, note="none"):
                self.size, self.note = size, note

        class Both(torch.nn.Module, Other):
            call_super_init = True

            def __init__(self, size, **more):
                super().__init__(size, **more)
                self.linear = torch.nn.Linear(1, 1)

        both = Both(3, note="yes")
        return both.size, both.note, repr(both)

    program(run)


class Described(torch.nn.Module):
    """Its description has several lines, one of them empty."""

    def extra_repr(self):
        return "first=1\n\n  second=2"


def test_repr():
    def run(torch):
        nn = torch.nn
        kind = type("Described", (nn.Module,), {"extra_repr": Described.extra_repr})
        one = type("One", (nn.Module,), {"extra_repr": lambda self: "only=1"})
        renamed = type("Plain", (nn.Module,), {"_get_name": lambda self: "Renamed"})
        model = nn.ModuleDict({"described": kind(), "one": one(), "renamed": renamed()})
        model.one.add_module("below", one())
        model.one.add_module("none", None)
        model["list"] = nn.ModuleList([kind(), kind(), nn.Sequential(kind()), None])
        return repr(model).split("\n"), str(kind()).split("\n"), repr(nn.Module())

    program(run)


def test_dir_and_vars():
    def run(torch):
        model = nested(torch)
        model.note = 3
        model.add_module("7", torch.nn.ReLU())
        some = {"scale", "count", "scratch", "later", "inner", "twin", "note", "7", "forward",
                "training", "missing", "nothing", "empty"}
        return (sorted(set(dir(model)) & some), "7" in dir(model), hasattr(model, "missing"),
                hasattr(model, "absent"), sorted(name for name in dir(model.inner)
                                                 if name.isdigit()))

    program(run)


def test_hooked_modules_are_copied_and_pickled():
    def run(torch):
        model = torch.nn.Linear(2, 1)
        model.register_forward_hook(double_output)
        twin, loaded = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        twin.register_forward_hook(double_output)
        x = torch.ones(1, 2)
        return model(x), twin(x), loaded(x)

    program(run)


def double_output(module, args, output):
    return output * 2


def test_state_setters():
    def run(torch):
        class Old(torch.nn.Linear):
            def __setstate__(self, state):
                super().__setstate__(state)
                self.since = "loaded"

        twin = copy.deepcopy(Old(1, 1))
        return twin.since, sorted(twin.__getstate__()["_parameters"])

    program(run)


def test_nothing_to_compile():
    model = candidate().nn.Linear(2, 1)
    x = candidate().ones(1, 2)
    before = model(x)
    assert model.compile(fullgraph=True) is None
    assert (model(x) == before).all()


def test_memory_is_not_shared():
    with pytest.raises(NotImplementedError, match="no shared memory between processes"):
        candidate().nn.Linear(2, 1).share_memory()
