"""Checkpointing: the same results and gradients, run again in the same circumstances."""

from __future__ import annotations

import contextlib
import gc
import importlib
import tracemalloc

import pytest

from parity_tests.harness import candidate
from parity_tests.traces import attempt, traced

BOTH = pytest.mark.parametrize("reentrant", [False, True])


def tools(torch):
    return importlib.import_module(f"{torch.__name__}.utils.checkpoint")


def block(torch, say, label="block"):
    def function(x, w=None, scale=1.0):
        say(label)
        h = (x * x).tanh() * scale
        return h if w is None else h * w.exp()

    return function


@BOTH
@traced
def test_gradients_and_number_of_runs(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x, w = say.leaf([1.0, 2.0]), say.leaf([0.5, 0.25])
    y = checkpoint(block(torch, say), x, w, 3.0, use_reentrant=reentrant)
    say("forward done", y)
    y.sum().backward(retain_graph=True)
    say(x.grad, w.grad)
    y.sum().backward()
    say(attempt(lambda: y.sum().backward()) if not reentrant else "")
    return x.grad, w.grad


@traced
def test_higher_orders_hooks_and_grad(torch, say):
    checkpoint = tools(torch).checkpoint
    x, w = say.leaf([1.0, 2.0]), say.leaf([0.5, 0.25])
    y = checkpoint(block(torch, say), x, w, use_reentrant=False)
    first = torch.autograd.grad(y.sum(), [x, w], create_graph=True)
    second = torch.autograd.grad(sum(g.sum() for g in first), [x, w])
    y = checkpoint(block(torch, say), x, w=w, use_reentrant=False)
    say(y.grad_fn.name())
    y.register_hook(lambda g: say("hook", g))
    y.sum().backward(inputs=[w])
    return first, second, x.grad, w.grad


@traced
def test_the_reentrant_one_refuses_grad(torch, say):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    y = checkpoint(block(torch, say), x, use_reentrant=True)
    say(y.grad_fn.name())
    say(attempt(lambda: torch.autograd.grad(y.sum(), x)))
    say(attempt(lambda: checkpoint(block(torch, say), x, w=x, use_reentrant=True)))
    say(attempt(lambda: checkpoint(block(torch, say), x, use_reentrant=True, debug=True)))
    z = checkpoint(lambda t: t.detach(), x, use_reentrant=True)
    say(z.requires_grad, attempt(lambda: z.sum().backward()))
    checkpoint(block(torch, say), x.detach(), use_reentrant=True)
    return attempt(lambda: checkpoint(block(torch, say), x, use_reentrant=False,
                                      determinism_check="some"))


@BOTH
@pytest.mark.parametrize("preserve", [True, False])
@traced
def test_random_numbers(torch, say, reentrant, preserve):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0] * 20)
    seen = []

    def function(t):
        mask = (torch.rand(20, dtype=torch.float64) > 0.5).to(t.device)
        seen.append(mask.tolist())
        return t * mask

    y = checkpoint(function, x, use_reentrant=reentrant, preserve_rng_state=preserve)
    y.sum().backward()
    say(seen, x.grad)
    return torch.rand(3)


@traced
def test_stopping_early(torch, say):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])

    def function(t):
        h = t.exp()
        say("after exp")
        h = h.sin()
        say("after sin")
        h = h + 1
        say("at the end")
        return h

    checkpoint(function, x, use_reentrant=False).sum().backward()
    say("no early stop")
    with tools(torch).set_checkpoint_early_stop(False):
        checkpoint(function, x, use_reentrant=False).sum().backward()
    say("by argument")
    checkpoint(function, x, use_reentrant=False, early_stop=False).sum().backward()
    return x.grad


@BOTH
@traced
def test_nested(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])

    def inner(t):
        say("inner")
        return t.sin().exp()

    def outer(t):
        say("outer")
        t = checkpoint(inner, t * 2, use_reentrant=reentrant)
        return checkpoint(inner, t, use_reentrant=reentrant) * t

    y = checkpoint(outer, x, use_reentrant=reentrant)
    say("backward")
    y.sum().backward()
    return x.grad


@traced
def test_contexts_of_both_runs(torch, say):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])

    @contextlib.contextmanager
    def told(label):
        say("enter", label)
        yield
        say("leave", label)

    y = checkpoint(block(torch, say), x, use_reentrant=False,
                   context_fn=lambda: (told("first"), told("second")))
    y.sum().backward()
    return x.grad


@traced
def test_runs_that_differ(torch, say):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    runs = []

    def fewer(t):
        runs.append(1)
        return t.exp().sin() if len(runs) == 1 else t.exp()

    said = attempt(lambda: checkpoint(fewer, x, use_reentrant=False).sum().backward())
    say(said.split(". Tip")[0], "Tip" in said)
    runs.clear()

    def other_shape(t):
        runs.append(1)
        return t.exp().sum() if len(runs) == 1 else t[:1].exp().sum()

    said = attempt(lambda: checkpoint(other_shape, x, use_reentrant=False).backward())
    say(said.split("saved metadata")[0])
    runs.clear()
    said = attempt(lambda: checkpoint(fewer, x, use_reentrant=False, debug=True).sum().backward())
    say("An error happened" in said or "saved by the first run" in said)
    runs.clear()
    say(type(attempt(lambda: checkpoint(other_shape, x, use_reentrant=False,
                                        determinism_check="none").backward())).__name__)


@BOTH
@traced
def test_without_gradients(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    with torch.no_grad():
        y = checkpoint(block(torch, say), x, use_reentrant=reentrant)
    z = checkpoint(block(torch, say), x.detach(), use_reentrant=reentrant)
    return y, z, y.requires_grad, z.requires_grad


@BOTH
@traced
def test_outputs_of_all_kinds(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    a, b, c = checkpoint(lambda t: (t.exp(), 3, t.detach() * 2), x, use_reentrant=reentrant)
    say(a, b, c, c.requires_grad)
    a.sum().backward()
    return x.grad


@BOTH
@traced
def test_inputs_written_in_between(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    h = x * 1
    y = checkpoint(lambda t: t.exp(), h, use_reentrant=reentrant)
    with torch.no_grad():
        h.add_(1)
    return attempt(lambda: y.sum().backward())


@BOTH
@traced
def test_functions_that_raise(torch, say, reentrant):
    checkpoint = tools(torch).checkpoint
    x = say.leaf([1.0, 2.0])
    runs = []

    def function(t):
        runs.append(1)
        if len(runs) == 2:
            raise ValueError("in the second run")
        return t.exp()

    y = checkpoint(function, x, use_reentrant=reentrant)
    say(attempt(lambda: y.sum().backward(retain_graph=True)), torch.is_grad_enabled())
    y.sum().backward()
    return x.grad


@BOTH
@traced
def test_sequential(torch, say, reentrant):
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(3, 3), nn.Tanh())])
    model = model.to(torch.float64).to(say.leaf([1.0]).device)
    x = say.leaf([[1.0, 2.0, 3.0]])
    y = tools(torch).checkpoint_sequential(model, 3, x, use_reentrant=reentrant)
    y.sum().backward()
    say(x.grad, [p.grad for p in model.parameters()])
    z = tools(torch).checkpoint_sequential([torch.sin, torch.exp], 1, x, use_reentrant=reentrant)
    return z, attempt(lambda: tools(torch).checkpoint_sequential(model, 2, x, use_reentrant=True,
                                                                 unknown=1))


@traced
def test_the_argument_that_must_be_given(torch, say):
    x = say.leaf([1.0, 2.0])
    y = tools(torch).checkpoint(block(torch, say), x)
    tools(torch).checkpoint_sequential([torch.sin], 1, x)
    return y.grad_fn.name()


@traced
def test_looking_at_what_a_checkpointed_node_saved(torch, say):
    x = say.leaf([1.0, 2.0])
    y = tools(torch).checkpoint(lambda t: say("run") or t.exp(), x, use_reentrant=False)
    say(y.grad_fn._saved_result)
    say(y.grad_fn._saved_result)
    y.sum().backward()
    return x.grad


@pytest.mark.parametrize("reentrant", [False, True])
def test_memory_falls(reentrant):
    """Eight layers of a megabyte each: checkpointed, only the inputs of the pieces stay."""
    lib = candidate()
    checkpoint = tools(lib).checkpoint

    def peak(wrapped):
        x = lib.ones(1 << 17, dtype=lib.float64, requires_grad=True)

        def piece(t):
            for _ in range(4):
                t = t.sin().exp()
            return t

        gc.collect()
        tracemalloc.start()
        y = x
        for _ in range(4):
            y = checkpoint(piece, y, use_reentrant=reentrant) if wrapped else piece(y)
        held = tracemalloc.get_traced_memory()[0]
        y.sum().backward()
        tracemalloc.stop()
        return held

    assert peak(wrapped=True) < 0.3 * peak(wrapped=False)
