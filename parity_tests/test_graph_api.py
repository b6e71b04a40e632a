"""The graph as its user sees it: nodes and what they saved, edges, hooks on saved tensors."""

from __future__ import annotations

import pytest

from parity_tests.traces import attempt, traced


@traced
def test_nodes(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    y = (x * v).exp().sum()
    node = y.grad_fn
    while node is not None:
        say(node.name(), isinstance(node, torch.autograd.graph.Node), type(node).__name__,
            [(None if n is None else n.name(), k) for n, k in node.next_functions])
        node.metadata["seen"] = True
        node = node.next_functions[0][0] if node.next_functions else None
    say(y.grad_fn.metadata, (x * 2).grad_fn.metadata)
    newer, older = (x * 2).grad_fn, y.grad_fn
    first, second = older._sequence_nr(), (x * 2).grad_fn._sequence_nr()
    say(first < newer._sequence_nr() < 0 or newer._sequence_nr() < second, first < second)
    return attempt(lambda: node.no_such_thing)


@traced
def test_calling_a_node(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    node = (x * v).grad_fn
    say(*node(torch.ones(2, dtype=torch.float64, device=x.device)))
    return x.grad


@traced
def test_saved_values(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([[3.0, 4.0]])
    product = (x * v).grad_fn
    say(product._saved_self, product._saved_other, product._saved_self.requires_grad)
    say(x.exp().grad_fn._saved_result)
    say(v.sum(1, keepdim=True).grad_fn._saved_dim, v.sum(1, keepdim=True).grad_fn._saved_keepdim)
    say(v.sum().grad_fn._saved_self_sym_sizes)
    constant = (x * v.detach()).grad_fn
    say(constant._saved_self is None, constant._saved_other)
    say(attempt(lambda: product._saved_nothing))
    (x * v).sum().backward()
    y = x.exp()
    y.sum().backward()
    say(attempt(lambda: y.grad_fn._saved_result))


@traced
def test_raw_saved_tensors(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    y = x * v
    raw = y.grad_fn._raw_saved_self

    def pack(t):
        say("pack", t, t.requires_grad)
        return t.detach() * 10

    def unpack(t):
        say("unpack", t)
        return t

    raw.register_hooks(pack, unpack)
    say(attempt(lambda: raw.register_hooks(pack, unpack)))
    say(attempt(lambda: y.grad_fn._raw_saved_self.register_hooks(pack, unpack)))
    say(y.grad_fn._saved_self)
    z = y.exp()
    z.grad_fn._raw_saved_result.register_hooks(lambda t: t.detach() * 0 + 1, lambda t: t)
    z.sum().backward()
    say(attempt(lambda: raw.register_hooks(pack, unpack)))
    return x.grad, v.grad


@traced
def test_one_packed_tensor_leaves_the_others_checked(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    a, b = x * 1, v * 1
    a.mul_(2), b.mul_(2)
    y = a * b
    y.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t)
    a.mul_(1)  # packed: nobody checks
    y.sum().backward(retain_graph=True)
    b.mul_(1)
    say(attempt(lambda: y.sum().backward()))
    return x.grad, v.grad


@traced
def test_gradient_edges(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    y = x * v
    graph = torch.autograd.graph
    edge = graph.get_gradient_edge(y)
    say(edge.node is y.grad_fn, edge.output_nr, len(edge) >= 2, type(edge).__name__)
    say(repr(edge).replace(repr(edge.node), "node"))
    say(*torch.autograd.grad((y * y).sum(), edge))
    say(attempt(lambda: torch.autograd.grad(edge, x)))
    one = torch.ones(2, dtype=torch.float64, device=x.device)
    say(*torch.autograd.grad(edge, [x, graph.get_gradient_edge(v)], one, retain_graph=True))
    by_hand = graph.GradientEdge(y.grad_fn, 0)
    say(*torch.autograd.grad(by_hand, x, one, retain_graph=True))
    torch.autograd.backward(edge, one, retain_graph=True)
    total = (x * v).sum()
    leaf = graph.get_gradient_edge(x)
    say(leaf.node.name(), *torch.autograd.grad(graph.get_gradient_edge(total), leaf))
    say(attempt(lambda: graph.get_gradient_edge(torch.ones(2))))
    say(attempt(lambda: torch.autograd.grad((x * v).sum(), graph.get_gradient_edge(x * 2))))
    torch.autograd.backward((x * v).sum(), inputs=(leaf,))
    z = x * v
    torch.autograd.backward((z * z).sum(), inputs=[z])
    say(z.grad, z.retains_grad)
    return x.grad, v.grad


@traced
def test_an_edge_outlives_its_tensor(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x.exp()
    edge = torch.autograd.graph.get_gradient_edge(y)
    loss = (y * y).sum()
    del y
    return torch.autograd.grad(loss, [edge, x])


@traced
def test_hooks_on_saved_tensors(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])

    def pack(t):
        say("pack", t, t.requires_grad, t.is_leaf, torch.is_grad_enabled())
        return t.detach().tolist()

    unpacked = []

    def unpack(values):
        unpacked.append((values, torch.is_grad_enabled()))
        return torch.tensor(values, dtype=torch.float64, device=x.device)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x * v
        z = y.exp()
        w = z.softmax(0)
        total = w.sum() + (z * 3).sum()
    say("built", list(unpacked))
    total.backward()
    return x.grad, v.grad, sorted(unpacked)  # in what order a node reads its values is its business


@traced
def test_hooks_on_saved_tensors_of_in_place_ops(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])

    def pack(t):
        say("pack", t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = x * 1
        y.mul_(v)
        y[0].exp_()
        y.exp_()
    y.sum().backward()
    return x.grad, v.grad


@traced
def test_hooks_on_saved_tensors_and_higher_orders(torch, say):
    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    count = [0]

    def pack(t):
        count[0] += 1
        return t.detach().clone()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = (x * v).exp() * x
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        h = torch.autograd.grad(g.sum(), [x, v])
    return count[0] > 0, g, h


@traced
def test_nested_hooks_and_refused_ones(torch, say):
    x = say.leaf([1.0, 2.0])
    graph = torch.autograd.graph

    def told(label):
        return graph.saved_tensors_hooks(lambda t: say(label) or t, lambda t: t)

    with told("outer"):
        x.exp()
        with told("inner"):
            x.exp()
        x.exp()
        say(attempt(lambda: graph.disable_saved_tensors_hooks("not inside").__enter__()))
        x.exp()
    x.exp()
    with graph.disable_saved_tensors_hooks("not here"):
        x.exp()
        say(attempt(lambda: told("refused").__enter__()))
    with graph.saved_tensors_hooks(lambda t: t, lambda t: "text"):
        y = x.exp()
    say(attempt(lambda: y.sum().backward()))
    with graph.saved_tensors_hooks(lambda t: t.add_(1), lambda t: t):
        say(attempt(lambda: (x * 1).exp()))

    def wrong(t):
        raise ValueError("from pack")

    with graph.saved_tensors_hooks(wrong, lambda t: t):
        say(attempt(lambda: (x * 1).exp()))
    (x * 1).exp().sum().backward()
    return x.grad


@traced
def test_hooks_reach_custom_functions(torch, say):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            result = a * b
            ctx.save_for_backward(a, b, result)
            return result

        @staticmethod
        def backward(ctx, g):
            a, b, result = ctx.saved_tensors
            say("saved", a, b, result, a.requires_grad)
            return g * b, g * a

    x, v = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])

    def pack(t):
        say("pack", t)
        return t.detach() * 2

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = Product.apply(x, v)
    y.sum().backward()
    return x.grad, v.grad


@traced
def test_save_on_cpu(torch, say):
    x = say.leaf([1.0, 2.0])
    with torch.autograd.graph.save_on_cpu():
        y = (x * x).exp().sum()
    y.backward()
    return x.grad


@traced
def test_writing_over_saved_tensors(torch, say):
    x = say.leaf([1.0, 2.0])
    graph = torch.autograd.graph
    with graph.allow_mutation_on_saved_tensors():
        y = x * 2
        z = y * y
        y.add_(5)
        part = y[:1]
        w = y.exp()
        w.mul_(2)
        part.mul_(3)
        (z.sum() + w.sum() + (y * y).sum()).backward()

    def nested():
        with graph.allow_mutation_on_saved_tensors(), graph.allow_mutation_on_saved_tensors():
            pass

    say(attempt(nested))
    with graph.allow_mutation_on_saved_tensors():
        late = (x * 3) * (x * 3)
    say(attempt(lambda: late.sum().backward()))
    q = x * 3
    r = q * q
    with torch.no_grad():
        q.add_(1)
    say(attempt(lambda: r.sum().backward()))
    return x.grad


@traced
def test_versions_raised_by_hand(torch, say):
    x = say.leaf([1.0, 2.0])
    y = x * 2
    z = y * y
    graph = torch.autograd.graph
    graph.increment_version(y)
    say(y._version, attempt(lambda: z.sum().backward()))
    graph.increment_version([x, y])
    say(attempt(lambda: graph.increment_version(3)))
    w = y * y
    with torch.autograd._unsafe_preserve_version_counter(y):
        y.add_(1)
    say(y._version)
    w.sum().backward()
    return x.grad, x._version


@traced
def test_multithreading_mode_is_accepted(torch, say):
    x = say.leaf([1.0, 2.0])
    with torch.autograd.set_multithreading_enabled(False):
        (x * x).sum().backward()
    torch.autograd.set_multithreading_enabled(True)
    return x.grad


@pytest.mark.parametrize("retain", [False, True])
@traced
def test_what_is_freed(torch, say, retain):
    x = say.leaf([1.0, 2.0])
    y = x.exp()
    y.sum().backward(retain_graph=retain)
    say(attempt(lambda: y.sum().backward()))
    say(attempt(lambda: y.grad_fn(torch.ones(2, dtype=torch.float64, device=x.device)))
        if retain else "")
    return x.grad
