"""Hooks on tensors, leaves and nodes: when they run, what they see, what they can replace."""

from __future__ import annotations

from parity_tests.traces import attempt, traced


@traced
def test_tensor_hooks_run_in_order_and_replace(torch, say):
    x = say.leaf([1.0, 2.0, 3.0])
    y = x * 2
    y.register_hook(lambda g: say("first", g))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: say("third sees", g))
    x.register_hook(lambda g: say("leaf", g))
    x.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    return x.grad


@traced
def test_a_hook_sees_the_complete_gradient_once(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: say("y", g))
    x.register_hook(lambda g: say("x", g))
    (y.sum() + (y * y).sum() + x.sum()).backward()
    (y_grad,) = torch.autograd.grad((x * 2).sum(), x)
    return x.grad, y_grad


@traced
def test_removal(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    handle = y.register_hook(lambda g: say("removed before"))
    handle.remove()
    handle.remove()
    handles = []

    def once(g):
        say("once", g)
        handles[0].remove()
        handles[1].remove()

    handles.append(y.register_hook(once))
    handles.append(y.register_hook(lambda g: say("removed while running")))
    with y.register_hook(lambda g: say("inside with", g)):
        y.sum().backward(retain_graph=True)
    y.sum().backward()
    return x.grad


@traced
def test_hooks_that_are_refused(torch, say):
    x = say.leaf([1.0, 2.0])
    say(attempt(lambda: x.detach().register_hook(print)))
    say(attempt(lambda: x.detach().register_post_accumulate_grad_hook(print)))
    say(attempt(lambda: (x * 2).register_post_accumulate_grad_hook(print)))
    say(attempt(lambda: x.detach().retain_grad()))
    y = x * 2
    y.register_hook(lambda g: "not a tensor")
    say(attempt(lambda: y.sum().backward()))
    z = x * 2
    z.register_hook(lambda g: g[:1])
    say(attempt(lambda: z.sum().backward()))
    w = x * 2
    w.register_hook(lambda g: g.to(torch.float32))
    say(attempt(lambda: w.sum().backward()))
    return x.grad


@traced
def test_post_accumulate_hooks(torch, say):
    x = say.leaf([1.0, 2.0])
    x.register_post_accumulate_grad_hook(lambda t: say("after", t is x, t.grad))
    x.register_hook(lambda g: say("before", x.grad is None, g))
    (x * 3).sum().backward()
    (x * 3).sum().backward()

    def step(t):
        with torch.no_grad():
            t -= 0.1 * t.grad
        t.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    returns = x.register_post_accumulate_grad_hook(lambda t: "not None")
    say(attempt(lambda: (x * x).sum().backward()))
    returns.remove()
    say("grad() does not accumulate", torch.autograd.grad((x * x).sum(), x))
    return x, x.grad


@traced
def test_node_hooks(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    y = x * v
    node = y.grad_fn
    node.register_prehook(lambda grads: say("pre", *grads))
    node.register_prehook(lambda grads: (grads[0] * 2,))
    node.register_hook(lambda inputs, outputs: say("post", *inputs, *outputs))
    node.register_hook(lambda inputs, outputs: (inputs[0] + 1, inputs[1]))
    node.register_hook(lambda inputs, outputs: say("after", *inputs))
    y.sum().backward()
    return x.grad, v.grad


@traced
def test_hooks_of_the_accumulating_node(torch, say):
    x = say.leaf([1.0, 2.0])
    accumulator = x.view_as(x).grad_fn.next_functions[0][0]
    say(accumulator.name(), accumulator.variable is x)
    x.register_hook(lambda g: say("tensor", g))
    x.register_post_accumulate_grad_hook(lambda t: say("accumulated", t.grad))
    accumulator.register_prehook(lambda grads: say("pre", *grads))
    accumulator.register_hook(lambda inputs, outputs: say("post", len(inputs), *outputs, x.grad))
    (x * 2).sum().backward()
    return x.grad


@traced
def test_node_hooks_that_return_nonsense(torch, say):
    x = say.leaf([1.0, 2.0])
    for hook in (lambda i, o: (i[0],), lambda i, o: "text", lambda i, o: (None, None),
                 lambda i, o: (i[0][:1], i[1])):
        y = x * say.leaf([1.0, 1.0])
        y.grad_fn.register_hook(hook)
        say(attempt(lambda y=y: y.sum().backward()))
    for hook in (lambda o: (o[0], o[0]), lambda o: "text", lambda o: None):
        y = x * 2
        y.grad_fn.register_prehook(hook)
        say(attempt(lambda y=y: y.sum().backward()))
    return x.grad


@traced
def test_retain_grad(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    say(y.retains_grad, x.retains_grad, y.grad is None)
    y.register_hook(lambda g: g * 5)
    (y * y).sum().backward(retain_graph=True)
    say(y.grad)
    (y * y).sum().backward()
    say(y.grad)
    x.retain_grad()
    return x.grad, x.retains_grad


@traced
def test_retain_grad_and_writes_in_place(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: say("of the old y", g))
    y.mul_(3)
    say(y.retains_grad)
    y.register_hook(lambda g: say("of the new y", g))
    y.add_(1)
    (y * y).sum().backward()
    return x.grad, y.grad


@traced
def test_retain_grad_of_a_base_written_through_a_view(torch, say):
    x = say.leaf([1.0, 2.0, 3.0])
    base = x * 2
    base.retain_grad()
    base.register_hook(lambda g: say("before", g))
    view = base[:2]
    view.retain_grad()
    view.mul_(5)
    say(base.grad_fn.name(), view.grad_fn.name(), view.retains_grad, base.retains_grad)
    ((base * base).sum() + (view * 7).sum()).backward()
    return x.grad, base.grad, view.grad


@traced
def test_hooks_of_a_leaf_written_in_place(torch, say):
    x = say.leaf([1.0, 2.0])
    x.register_hook(lambda g: say("hook", g))
    with torch.no_grad():
        x.mul_(2)
    (x * x).sum().backward()
    return x.grad


@traced
def test_multi_grad_hooks(torch, say):
    a, b, c = say.leaf([1.0]), say.leaf([2.0]), say.leaf([3.0])
    d = say.leaf([4.0])
    graph = torch.autograd.graph

    def told(label):
        def hook(grads):
            say(label, [g is None for g in grads], *[g for g in grads if g is not None])
        return hook

    y = a * b
    all_of = graph.register_multi_grad_hook((a, b, y, d), told("all"))
    graph.register_multi_grad_hook((b, c), lambda g: say("any", g), mode="any")
    (y * c).sum().backward()
    (a * b * c * d).sum().backward()
    say(attempt(lambda: torch.autograd.grad((a * b).sum(), a)))
    all_of.remove()
    (a * b * d).sum().backward()
    say(attempt(lambda: graph.register_multi_grad_hook((a,), print, mode="some")))
    return a.grad


@traced
def test_hooks_and_gradients_of_gradients(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return g, h


@traced
def test_a_hook_that_raises_leaves_the_engine_usable(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])

    def wrong(g):
        raise ValueError("from the hook")

    y = x * v
    handle = y.register_hook(wrong)
    say(attempt(lambda: y.sum().backward(retain_graph=True)), x.grad is None, v.grad is None)
    say(torch.is_grad_enabled())
    handle.remove()
    y.sum().backward()
    return x.grad, v.grad


@traced
def test_hooks_that_run_backward(torch, say):
    x = say.leaf([1.0, 2.0])

    def inner(g):
        z = say.leaf([5.0])
        with torch.enable_grad():
            (z * z).sum().backward()
        say("inner", z.grad)

    y = x * 2
    y.register_hook(inner)
    (y * y).sum().backward()
    return x.grad


@traced
def test_hooks_of_several_outputs(torch, say):
    x = say.leaf([[1.0, 5.0], [4.0, 2.0]])
    values, indices = x.max(dim=1)
    values.register_hook(lambda g: say("values", g))
    first, second = x.unbind(0)
    first.register_hook(lambda g: say("first", g))
    second.register_hook(lambda g: g * 100)
    (values.sum() + (first * second).sum()).backward()
    return x.grad
