"""The engine under strain: missing gradients, many roots, errors half-way, threads, long runs."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest

from parity_tests.harness import candidate
from parity_tests.memory import growth_of_a_training
from parity_tests.traces import attempt, traced


@traced
def test_gradients_that_do_not_arrive(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    say(torch.autograd.grad((x * x).sum(), [x, v], allow_unused=True))
    say(attempt(lambda: torch.autograd.grad((x * x).sum(), [x, v])))
    say(torch.autograd.grad((x * x).sum(), [x, v], materialize_grads=True))
    say(attempt(lambda: torch.autograd.grad((x * x).sum(), [x, v], allow_unused=False,
                                            materialize_grads=True)))
    cut = (x * 2).detach() * v
    cut.sum().backward()
    say(x.grad, v.grad)
    values, indices = (x * v).sort()
    indices_as_numbers = indices.to(torch.float64) * v
    indices_as_numbers.sum().backward()
    return x.grad, v.grad, values.requires_grad, indices.requires_grad


@traced
def test_undefined_outputs(torch, say):
    x = say.leaf([[1.0, 5.0], [4.0, 2.0]])
    values, _ = x.max(1)
    low, high = torch.aminmax(x)
    a, b = (x * 2).split(1)
    say(*torch.autograd.grad(high, x, retain_graph=True))
    say(*torch.autograd.grad(b.sum(), x))
    u, s, vh = torch.linalg.svd(x)
    say(*torch.autograd.grad(s.sum(), x))
    return torch.autograd.grad(values.sum() + low, x)


@traced
def test_expanded_gradients(torch, say):
    """A gradient that is one number seen many times must become memory of its own."""
    x = say.leaf([1.0, 2.0, 3.0])
    x.sum().backward()
    x.grad[0] = 7
    say(x.grad, x.grad.stride())
    y = say.leaf([[1.0, 2.0], [3.0, 4.0]])
    y.t().sum().backward()
    y.grad.mul_(2)
    y.sum().backward()
    g = torch.ones(1, dtype=torch.float64, device=x.device).expand(3)
    z = say.leaf([1.0, 2.0, 3.0])
    z.backward(g)
    z.grad.add_(torch.arange(3.0, dtype=torch.float64, device=x.device))
    return y.grad, z.grad, g


@traced
def test_inputs_of_backward(torch, say):
    x, v, w = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0]), say.leaf([5.0, 6.0])
    y = (x * v * w).sum()
    y.backward(inputs=[x], retain_graph=True)
    y.backward(inputs=v, retain_graph=True)
    say(x.grad, v.grad, w.grad)
    say(attempt(lambda: y.backward(inputs=[])))
    say(attempt(lambda: y.backward(inputs=[torch.ones(2)])))
    say(attempt(lambda: torch.autograd.grad(y, [])))
    y.backward(inputs=[x, x], retain_graph=True)
    say(x.grad, torch.autograd.grad(y, [x, x, v], retain_graph=True))
    h = x * v
    z = (h * w).sum()
    say(torch.autograd.grad(z, [h, x], retain_graph=True))
    return torch.autograd.grad(z, h, create_graph=True)


@traced
def test_several_roots(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    a, b, c = (x * v).sum(), x.sum(), (x * x)
    one = torch.ones(2, dtype=torch.float64, device=x.device)
    torch.autograd.backward([a, b, c], [None, None, one], retain_graph=True)
    say(x.grad, v.grad)
    say(torch.autograd.grad([a, a, b], [x], retain_graph=True))
    say(attempt(lambda: torch.autograd.backward([a, b], [None])))
    say(attempt(lambda: torch.autograd.grad([a, c], [x], retain_graph=True)))
    say(torch.autograd.grad([c, a], [x, v], [one * 2, None], retain_graph=True))
    say(attempt(lambda: torch.autograd.backward([a, torch.ones(1)])))
    say(attempt(lambda: c.backward(torch.ones(3))), attempt(lambda: c.backward("text")))
    say(attempt(lambda: c.backward(torch.ones(2, dtype=torch.complex64))))
    leaf_root = torch.autograd.grad(x.sum() + 0 * x.sum(), x)
    return leaf_root, torch.autograd.grad(x, x, one)


@traced
def test_graphs_kept_and_freed(torch, say):
    x = say.leaf([1.0, 2.0])
    shared = x.exp()
    a, b = (shared * 2).sum(), (shared * shared).sum()
    a.backward()
    say(attempt(lambda: b.backward()))
    shared = x.exp()
    a, b = (shared * 2).sum(), (shared * shared).sum()
    a.backward(retain_graph=True)
    b.backward()
    y = x * 2  # saves nothing that is freed
    y.sum().backward()
    say(attempt(lambda: y.sum().backward()))
    z = x.sin()
    (g,) = torch.autograd.grad(z.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    say(g, h, torch.autograd.grad(h.sum(), x))
    return x.grad


@traced
def test_backward_inside_backward(torch, say):
    class Inner(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                t = x.detach().requires_grad_()
                u = (t * t * g.detach()).sum()
                u.backward()
            return t.grad

    x, w = say.leaf([1.0, 2.0]), say.leaf([2.0, 3.0])

    def hook(g):
        with torch.enable_grad():
            (w * w).sum().backward()

    y = Inner.apply(x * w)
    y.register_hook(hook)
    y.sum().backward()
    say(x.grad, w.grad)
    deep = x
    for _ in range(5):
        deep = Inner.apply(deep)
    deep.sum().backward()
    return x.grad, w.grad, torch.is_grad_enabled()


@pytest.mark.parametrize("where", ["node", "tensor hook", "leaf hook"])
@traced
def test_errors_half_way(torch, say, where):
    """Every .grad is either what it was or complete, and the next backward works."""
    class Fails(torch.autograd.Function):
        fail = True

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            if Fails.fail and where == "node":
                raise ValueError("half-way")
            return g * 2

    def hook(g):
        if Fails.fail and where.endswith("hook"):
            raise ValueError("half-way")

    leaves = [say.leaf([1.0, 2.0]) for _ in range(4)]
    for leaf in leaves:
        (leaf * 3).sum().backward()
    before = [leaf.grad.clone() for leaf in leaves]
    h = leaves[0] * leaves[1]
    h = Fails.apply(h) * leaves[2]
    (h if where == "tensor hook" else leaves[1]).register_hook(hook)
    y = (h * leaves[3]).sum()
    said = attempt(lambda: y.backward(retain_graph=True))
    say(said, torch.is_grad_enabled())
    complete = [torch.tensor([2 * 2.0, 2 * 8.0])] * 4
    for leaf, old in zip(leaves, before, strict=True):
        say(bool((leaf.grad == old).all()) or leaf.grad.tolist() not in complete)
    Fails.fail = False
    for leaf in leaves:
        leaf.grad = None
    y.backward()
    return [leaf.grad for leaf in leaves]


@traced
def test_a_graph_freed_half_way_by_an_error(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x.exp()
    z = y * y
    with torch.no_grad():
        y.add_(1)
    say(attempt(lambda: z.sum().backward()), x.grad)
    (x * x).sum().backward()
    return x.grad


def test_threads_add_to_one_leaf():
    """Eight threads, each with graphs of its own, and one leaf for all: no update is lost."""
    lib = candidate()
    shared = lib.zeros(100_000, requires_grad=True)
    ready = threading.Barrier(8)
    errors = []

    def work():
        try:
            ready.wait()
            for _ in range(10):
                (shared * 2.0).sum().backward()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (shared.grad == 160.0).all()


def test_threads_with_modes_of_their_own():
    lib = candidate()
    x = lib.ones(3, requires_grad=True)
    seen = {}

    def work(name, enter):
        with enter():
            for _ in range(200):
                y = (x * 2).exp()
            seen[name] = y.requires_grad, y.is_inference()

    packed = []
    modes = {
        "no_grad": lib.no_grad, "inference": lib.inference_mode, "plain": lib.enable_grad,
        "hooks": lambda: lib.autograd.graph.saved_tensors_hooks(
            lambda t: packed.append(1) or t, lambda t: t),
    }
    threads = [threading.Thread(target=work, args=item) for item in modes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"no_grad": (False, False), "inference": (False, True), "plain": (True, False),
                    "hooks": (True, False)}
    assert len(packed) == 200


@traced
def test_copies_of_leaves(torch, say):
    x = say.leaf([1.0, 2.0])
    x.grad = torch.ones(2, dtype=torch.float64, device=x.device)
    x.note = "kept"
    twin = copy.deepcopy(x)
    say(twin, twin.requires_grad, twin.is_leaf, twin.grad, twin.note)
    pair = copy.deepcopy([x, x])
    say(pair[0] is pair[1])
    say(attempt(lambda: copy.deepcopy(x * 2)))
    view = x.detach()[:1]
    say(copy.deepcopy(view), copy.copy(x).requires_grad)
    twin.detach().add_(1)
    return x, twin


@traced
def test_pickles_of_leaves(torch, say):
    for make in (lambda: say.leaf([1.0, 2.0]), lambda: torch.arange(6).view(2, 3).t(),
                 lambda: torch.ones(2, dtype=torch.bfloat16), lambda: torch.zeros(0, 3),
                 lambda: torch.tensor(3.5), lambda: torch.ones(2, dtype=torch.complex64)):
        t = make()
        back = pickle.loads(pickle.dumps(t))
        say(back, back.dtype, back.requires_grad, back.is_leaf, back.shape)
    parameter = torch.nn.Parameter(torch.ones(2))
    say(type(pickle.loads(pickle.dumps(parameter))).__name__)


def test_graphs_are_freed_without_the_collector():
    """Whatever happened to a graph, its memory falls with the last reference."""
    lib = candidate()
    gc.collect()
    gc.disable()
    try:
        cases = {
            "hooks": lambda x: (y := x.exp(), y.register_hook(lambda g: g))[0],
            "retain_grad": lambda x: (y := x.exp(), y.retain_grad())[0],
            "in place": lambda x: x.exp().mul_(2).exp_(),
            "view written": lambda x: (y := x.exp(), y[:2].mul_(3))[0],
            "checkpoint": lambda x: lib.utils.checkpoint.checkpoint(
                lambda t: t.exp().sin(), x, use_reentrant=False),
            "packed": lambda x: _packed(lib, x),
            "error": lambda x: _failed(lib, x),
            "double backward": lambda x: lib.autograd.grad(
                x.exp().sum(), x, create_graph=True)[0],
        }
        for name, make in cases.items():
            x = lib.ones(1000, requires_grad=True)
            y = make(x)
            array = weakref.ref(y._data)
            del y
            assert array() is None, name
            assert x.grad is None
    finally:
        gc.enable()


def _packed(lib, x):
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
        return x.exp()


def _failed(lib, x):
    y = x.exp()
    y.register_hook(lambda g: 1 / 0)
    try:
        y.sum().backward()
    except ZeroDivisionError:
        pass
    return y


def test_a_long_training_does_not_grow():
    assert growth_of_a_training(candidate(), steps=2_000) < 20_000


@traced
def test_a_wide_and_deep_graph(torch, say):
    x = say.leaf([1.0, 2.0])
    layer = [x * k for k in range(1, 20)]
    for _ in range(20):
        layer = [(a + b) * 0.5 for a, b in zip(layer, layer[1:] + layer[:1], strict=True)]
    sum(t.sum() for t in layer).backward()
    return x.grad


@traced
def test_orders_of_creation(torch, say):
    """Nodes run newest first, whichever way the gradients come."""
    x = say.leaf([1.0])
    a = x * 2
    b = x * 3
    c = a * 5
    for name, t in (("a", a), ("b", b), ("c", c)):
        t.register_hook(lambda g, name=name: say(name, g))
    (b + c + a).sum().backward()
    return x.grad
