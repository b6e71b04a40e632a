"""Hooks of modules: around forward, on gradients, on what is registered; one module's and all."""

from __future__ import annotations

import contextlib
import warnings

import pytest

from parity_tests.harness import check_error, program


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


def watched(torch, events):
    """A small tree of modules with every kind of hook; `events` tells what ran."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 1)))
    for name, module in model.named_modules():
        def note(kind, name=name):
            return lambda *rest: events.append((kind, name, len(rest)))

        module.register_forward_pre_hook(note("second before"))
        module.register_forward_pre_hook(note("first before"), prepend=True)
        module.register_forward_pre_hook(note("before, kwargs"), with_kwargs=True)
        module.register_forward_hook(note("second after"))
        module.register_forward_hook(note("first after"), prepend=True)
        module.register_forward_hook(note("after, kwargs"), with_kwargs=True, always_call=True)
        module.register_full_backward_pre_hook(note("second before backward"))
        module.register_full_backward_pre_hook(note("first before backward"), prepend=True)
        module.register_full_backward_hook(note("second after backward"))
        module.register_full_backward_hook(note("first after backward"), prepend=True)
    return model


@contextlib.contextmanager
def everywhere(torch, events):
    """Every kind of hook on all modules."""
    rooms = torch.nn.modules.module

    def note(kind):
        return lambda module, *rest: events.append((kind, type(module).__name__, len(rest)))

    handles = [rooms.register_module_forward_pre_hook(note("all before")),
               rooms.register_module_forward_hook(note("all after")),
               rooms.register_module_forward_hook(note("all after, kwargs"), with_kwargs=True),
               rooms.register_module_full_backward_pre_hook(note("all before backward")),
               rooms.register_module_full_backward_hook(note("all after backward"))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("needs_grad", [True, False])
def test_order(needs_grad):
    def run(torch):
        events = []
        model = watched(torch, events)
        x = torch.ones(4, 2, requires_grad=needs_grad)
        with everywhere(torch, events):
            model(x).sum().backward()
            events.append("without a graph")
            with torch.no_grad():
                model(x)
        events.append("only its own")
        model(x).sum().backward()
        return events

    program(run)


def test_hooks_taken_off_after_forward_still_run():
    """A call keeps the backward hooks that were there when it began."""
    def run(torch):
        events, model = [], torch.nn.Linear(2, 2)
        handle = model.register_full_backward_hook(lambda m, gi, go: events.append("early"))
        loss = model(torch.ones(1, 2, requires_grad=True)).sum()
        handle.remove()
        model.register_full_backward_hook(lambda m, gi, go: events.append("late"))
        loss.backward()
        return events

    program(run)


def test_a_hook_may_add_and_remove_hooks():
    def run(torch):
        events, model = [], torch.nn.Identity()

        def before(module, args):
            events.append("before")
            module.register_forward_hook(lambda m, a, out: events.append("added"))
            handle.remove()

        handle = model.register_forward_pre_hook(before)
        model(1)
        model(2)
        return events

    program(run)


def test_handles():
    def run(torch):
        events, model = [], torch.nn.Identity()
        with model.register_forward_hook(lambda *rest: events.append("inside")) as handle:
            model(1)
        model(2)
        handle.remove()
        other = model.register_forward_hook(lambda *rest: events.append("other"))
        model(3)
        del model
        other.remove()
        return events, handle.id < other.id

    program(run)


# --- forward fails -------------------------------------------------------------------------------

@pytest.mark.parametrize("fails", ["before", "forward", "after"])
def test_always_called(fails):
    def run(torch):
        events = []

        class Fragile(torch.nn.Module):
            def forward(self, x, y=0):
                if fails == "forward":
                    raise ValueError("forward failed")
                return x + y

        def fail(*rest):
            if fails in ("before", "after"):
                raise ValueError("hook failed")

        model, rooms = Fragile(), torch.nn.modules.module
        model.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
        if fails == "before":
            model.register_forward_pre_hook(fail)
        model.register_forward_hook(lambda m, args, out: events.append("first"), always_call=True)
        if fails == "after":
            model.register_forward_hook(fail)
        model.register_forward_hook(lambda m, args, kwargs, out: events.append(
            (args, kwargs, out)) or "other", always_call=True, with_kwargs=True)
        model.register_forward_hook(lambda m, args, out: events.append(out), always_call=True)
        model.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
        handles = [rooms.register_module_forward_hook(
                       lambda m, args, out: events.append(("all", args, out)), always_call=True),
                   rooms.register_module_forward_hook(
                       lambda m, args, kwargs, out: events.append("kwargs"), always_call=True,
                       with_kwargs=True)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model(1, y=2)
            except ValueError as error:
                events.append(str(error))
        for handle in handles:
            handle.remove()
        return events, [str(warning.message).replace("run.<locals>.", "").split(".<l")[0]
                        for warning in caught]

    program(run)


# --- hooks on what is registered -----------------------------------------------------------------

def test_registration_hooks():
    def run(torch):
        nn, events = torch.nn, []
        rooms = nn.modules.module

        def note(kind, replace=None):
            def hook(module, name, value):
                events.append((kind, type(module).__name__, name, type(value).__name__))
                return None if replace is None or value is None else replace(value)

            return hook

        handles = [
            rooms.register_module_parameter_registration_hook(note("parameter")),
            rooms.register_module_parameter_registration_hook(
                note("again", lambda p: nn.Parameter(torch.ones(p.shape)))),
            rooms.register_module_buffer_registration_hook(note("buffer", lambda b: b + 1)),
            rooms.register_module_module_registration_hook(
                note("module", lambda m: nn.Identity() if isinstance(m, nn.ReLU) else None))]
        try:
            model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.BatchNorm1d(1))
            model.more = nn.Tanh()
            model[0].bias = None
            model.add_module("none", None)
            model[2].running_mean = torch.zeros(1)
            model.more = None
        finally:
            for handle in handles:
                handle.remove()
        model.late = nn.ReLU()
        return events, repr(model), model.state_dict()

    program(run)
