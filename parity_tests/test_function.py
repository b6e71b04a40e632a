"""Custom functions: everything that their ctx offers, and what goes wrong with them."""

from __future__ import annotations

import pytest

from parity_tests.traces import attempt, traced


def scaled(torch):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.save_for_backward(x)
            ctx.factor = factor
            return x * x * factor

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x * ctx.factor, None

    return Scaled


@traced
def test_backward_twice_and_node(torch, say):
    x = say.leaf([1.0, 2.0, 3.0])
    y = scaled(torch).apply(x, 5.0)
    say(y, y.grad_fn.name(), type(y.grad_fn).__name__, y.grad_fn.factor, y.requires_grad)
    say(y.grad_fn.saved_tensors, y.grad_fn.needs_input_grad)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    h = torch.autograd.grad(g.sum(), x)
    z = scaled(torch).apply(x, 2.0)
    z.sum().backward()
    say(attempt(lambda: z.sum().backward()))
    say(attempt(lambda: z.grad_fn.saved_tensors))
    return g, h, x.grad


@traced
def test_without_gradients(torch, say):
    x = say.leaf([1.0, 2.0])
    y = scaled(torch).apply(x.detach(), 2.0)
    with torch.no_grad():
        z = scaled(torch).apply(x, 2.0)
    return y, z, y.requires_grad, z.requires_grad, y.grad_fn is None


@traced
def test_several_outputs_and_unused_ones(torch, say):
    class Split(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            ctx.mark_non_differentiable(index := x.argmax())
            return x * 2, "a string", x * 3, index, None

        @staticmethod
        def backward(ctx, *grads):
            say([None if g is None else g.tolist() for g in grads])
            total = sum(g * k for g, k in zip((grads[0], grads[2]), (2, 3), strict=True)
                        if g is not None)
            return total, None

    x = say.leaf([1.0, 2.0])
    for materialize in (True, False):
        out = Split.apply(x, materialize)
        say(len(out), out[1], out[4], out[3].requires_grad, out[0].grad_fn is out[2].grad_fn,
            out[0].requires_grad)
        out[2].sum().backward()
    return x.grad


@traced
def test_needs_input_grad(torch, say):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, flag, c):
            say("forward", ctx.needs_input_grad)
            ctx.save_for_backward(a, b, c)
            return a * b * c

        @staticmethod
        def backward(ctx, g):
            a, b, c = ctx.saved_tensors
            say("backward", ctx.needs_input_grad)
            return g * b * c, g * a * c, None, g * a * b

    a, b = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    c = say.leaf([5.0, 6.0], False)
    Product.apply(a, b, True, c).sum().backward()
    Product.apply(a.detach(), b, 1, c).sum().backward()
    return a.grad, b.grad


@traced
def test_marked_dirty(torch, say):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = say.leaf([1.0, 2.0])
    y = x * 1
    z = Double.apply(y)
    say(z is y, y.grad_fn.name(), y._version, z)
    (y * z).sum().backward()
    say(attempt(lambda: Double.apply(x)))
    view = (x * 1)[:1]
    say(attempt(lambda: Double.apply(view).sum().backward()))
    base = x * 1
    part = base[:1]
    Double.apply(part)
    say(base.grad_fn.name())
    base.sum().backward()

    class Forgotten(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * 2

    say(attempt(lambda: Forgotten.apply(x * 1)))
    return x.grad


@traced
def test_inputs_and_views_returned(torch, say):
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 10

    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:1]

        @staticmethod
        def backward(ctx, g):
            return torch.cat([g * 3, g * 0])

    class ViewAs(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = say.leaf([1.0, 2.0])
    for kind in (Same, First, ViewAs):
        source = x * 1
        y = kind.apply(source)
        say(y is source, y._is_view(), y.grad_fn.name(), y.requires_grad)
        say(attempt(lambda y=y: y.mul_(2)))
        y.sum().backward()
        say(x.grad)
    y = Same.apply(x)
    say(y is x, y.is_leaf, attempt(lambda: y.mul_(2)))


@traced
def test_setup_context(torch, say):
    class Power(torch.autograd.Function):
        @staticmethod
        def forward(x, n=2):
            return x**n, x.sign()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, n = inputs
            say("setup", x, n, len(output))
            ctx.save_for_backward(x)
            ctx.mark_non_differentiable(output[1])
            ctx.n = n

        @staticmethod
        def backward(ctx, g, unused):
            (x,) = ctx.saved_tensors
            return g * ctx.n * x ** (ctx.n - 1), None

    x = say.leaf([1.0, -2.0])
    y, sign = Power.apply(x, 3)
    y.sum().backward()
    z, _ = Power.apply(x, 2)
    z.sum().backward()
    return x.grad, sign, sign.requires_grad


@traced
def test_vjp_is_another_name(torch, say):
    class Named(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 2

    class Both(Named):
        @staticmethod
        def backward(ctx, g):
            return g

    class Neither(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = say.leaf([1.0])
    Named.apply(x).sum().backward()
    say(attempt(lambda: Both.apply(x).sum().backward()))
    say(attempt(lambda: Neither.apply(x).sum().backward()))
    say(attempt(lambda: torch.autograd.Function.apply(x)))
    say(attempt(lambda: Named()))
    say(attempt(lambda: Named.apply(x=x)))
    return x.grad


@traced
def test_once_differentiable(torch, say):
    from_module = torch.autograd.function.once_differentiable

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @from_module
        def backward(ctx, g):
            say("grad mode", torch.is_grad_enabled())
            return 2 * g * ctx.saved_tensors[0]

    x = say.leaf([1.0, 2.0])
    Once.apply(x).sum().backward()
    (g,) = torch.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    say(g.requires_grad)
    say(attempt(lambda: g.sum().backward()))
    weight = say.leaf([1.0, 1.0])
    (h,) = torch.autograd.grad((Once.apply(x) * weight).sum(), x, create_graph=True)
    say(h.requires_grad, attempt(lambda: h.sum().backward()))
    return x.grad


WRONG_GRADIENTS = {
    "too few": lambda g: (g,),
    "too many": lambda g: (g, g, g),
    "too many but None": lambda g: (g, g, None, None),
    "a string": lambda g: (g, "text"),
    "a number": lambda g: (g, 1.0),
    "another shape": lambda g: (g, g[:1].expand(7)),
    "to be summed": lambda g: (g, g.expand(3, 2)),
    "another dtype": lambda g: (g.float(), g.to(g.dtype)),
    "None": lambda g: (None, g),
    "one for all": lambda g: g,
    "a list": lambda g: [g, g],
    "complex": lambda g: (g * (1 + 2j), g),
}


@pytest.mark.parametrize("which", WRONG_GRADIENTS)
@traced
def test_what_backward_returns(torch, say, which):
    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return WRONG_GRADIENTS[which](g)

    a, b = say.leaf([1.0, 2.0]), say.leaf([3.0, 4.0])
    say(attempt(lambda: Sum.apply(a, b).sum().backward()))
    return a.grad, b.grad


@traced
def test_a_gradient_for_what_was_no_tensor(torch, say):
    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, n, b):
            return a + b * n

        @staticmethod
        def backward(ctx, g):
            return g, g, g

    a = say.leaf([1.0, 2.0])
    return attempt(lambda: Sum.apply(a, 3, a).sum().backward())


@traced
def test_what_forward_returns(torch, say):
    def returning(value):
        class Returns(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return value(x)

            @staticmethod
            def backward(ctx, *grads):
                return sum(g for g in grads if g is not None)

        return Returns

    x = say.leaf([1.0, 2.0])
    say(attempt(lambda: returning(lambda x: None).apply(x)))
    say(attempt(lambda: returning(lambda x: 3.5).apply(x)))
    say(attempt(lambda: returning(lambda x: [x * 2, x * 3]).apply(x)))
    say(attempt(lambda: returning(lambda x: {"a": x * 2}).apply(x)["a"].requires_grad))
    say(attempt(lambda: returning(lambda x: (x * 2,)).apply(x)))
    say(attempt(lambda: returning(lambda x: x.argmax()).apply(x)))
    say(attempt(lambda: returning(lambda x: (x * 2, (x * 2).int())).apply(x)))
    same = returning(lambda x: (x.clone(),) * 2).apply(x)
    say(same[0] is same[1], same[0].grad_fn is same[1].grad_fn)


@traced
def test_saving(torch, say):
    class Saves(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, what):
            result = x.exp()
            kept = {"input": (x,), "output": (result,), "other": (x * 3, None), "none": ()}
            ctx.save_for_backward(*kept[what])
            say("in forward", len(ctx.saved_tensors))
            return result

        @staticmethod
        def backward(ctx, g):
            say("saved", *[t if t is None else t.requires_grad for t in ctx.saved_tensors],
                *[t for t in ctx.saved_tensors])
            return g, None

    x = say.leaf([1.0, 2.0])
    for what in ("input", "output", "other", "none"):
        source = x * 1
        y = Saves.apply(source, what)
        y.sum().backward(retain_graph=True)
        with torch.no_grad():
            source.mul_(1)
        say(what, "input written", attempt(lambda y=y: y.sum().backward(retain_graph=True)))
        with torch.no_grad():
            y.mul_(1)
        say(what, "output written", attempt(lambda y=y: y.sum().backward()))

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, "text")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    say(attempt(lambda: Wrong.apply(x)))


@traced
def test_clearing_saved_tensors_and_second_use(torch, say):
    x = say.leaf([1.0, 2.0])
    y = scaled(torch).apply(x, 1.0)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    say(attempt(lambda: y.sum().backward()))
    return x.grad


@traced
def test_errors_inside(torch, say):
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, when):
            if when == "forward":
                raise ValueError("in forward")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("in backward")

    x = say.leaf([1.0, 2.0])
    say(attempt(lambda: Fails.apply(x, "forward")), torch.is_grad_enabled())
    say(attempt(lambda: Fails.apply(x, "backward").sum().backward()), torch.is_grad_enabled())
    (x * x).sum().backward()
    return x.grad


@traced
def test_calls_that_nest(torch, say):
    class Outer(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with torch.enable_grad():
                ctx.inside = x.detach().requires_grad_()
                ctx.result = scaled(torch).apply(ctx.inside, 2.0)
            return ctx.result.detach()

        @staticmethod
        def backward(ctx, g):
            (inner,) = torch.autograd.grad(ctx.result, ctx.inside, g)
            return inner

    x = say.leaf([1.0, 2.0])
    (Outer.apply(x) * 3).sum().backward()
    return x.grad


@traced
def test_leaves_and_graphs_stay_apart(torch, say):
    class Adds(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            say(a.requires_grad, torch.is_grad_enabled(), a.is_leaf)
            return a + b

        @staticmethod
        def backward(ctx, g):
            say("backward", torch.is_grad_enabled(), g.requires_grad)
            return g, g

    a, b = say.leaf([1.0, 2.0]), say.leaf([[1.0], [2.0]])
    y = Adds.apply(a * 2, b)
    y.sum().backward()
    z = Adds.apply(a * 2, b)
    return a.grad, b.grad, torch.autograd.grad((z * z).sum(), [a, b], create_graph=True)


@traced
def test_nested_inputs_and_outputs(torch, say):
    x = say.leaf([1.0, 2.0])

    class List(torch.autograd.Function):
        @staticmethod
        def forward(ctx, xs):
            return xs[0] * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    y = List.apply([x])
    return y.requires_grad, y


@traced
def test_names_and_docs(torch, say):
    Function = torch.autograd.Function
    say(torch.autograd.function.FunctionCtx.__name__, torch.autograd.function.Function is Function)
    names = ("save_for_backward", "save_for_forward", "mark_dirty", "mark_shared_storage",
             "mark_non_differentiable", "set_materialize_grads")
    say([name for name in names if hasattr(torch.autograd.function.FunctionCtx, name)])
    return issubclass(scaled(torch), Function)
