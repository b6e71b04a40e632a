"""Views and in-place writes, completely: what the graph becomes, and what is refused."""

from __future__ import annotations

import pytest

from parity_tests.traces import attempt, traced


def graph_of(t):
    """The names of the nodes behind a tensor, depth first."""
    names, stack = [], [t.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None:
            names.append(node.name().rpartition("::")[2])
            stack += [each for each, _ in reversed(node.next_functions)]
    return names


def gradients(torch, y, *inputs):
    """First and second gradients of y's squares."""
    first = torch.autograd.grad((y * y).sum(), inputs, create_graph=True, allow_unused=True)
    total = sum((g * g).sum() for g in first if g is not None)
    if not total.requires_grad:
        return first, None
    return first, torch.autograd.grad(total, inputs, allow_unused=True)


# Each changes a fresh tensor y = x * 1 of shape (3, 4) in place, with the help of v of shape (4,).
WRITES = {
    "whole": lambda torch, y, v: y.mul_(v),
    "row": lambda torch, y, v: y[0].mul_(v),
    "column": lambda torch, y, v: y[:, 1].add_(v[:3]),
    "row twice": lambda torch, y, v: (y[0].mul_(v), y[0].add_(v)),
    "two rows": lambda torch, y, v: (y[0].mul_(v), y[2].mul_(y[0].detach())),
    "chain of views": lambda torch, y, v: y[1:].t()[1:3].transpose(0, 1)[0].mul_(v[:2]),
    "transposed": lambda torch, y, v: y.t().mul_(v[:, None]),
    "reshaped": lambda torch, y, v: y.view(12)[::3].mul_(v),
    "diagonal": lambda torch, y, v: y.diagonal().mul_(v[:3]),
    "unfolded": lambda torch, y, v: y.unfold(1, 2, 2).mul_(v[:2]),
    "narrow": lambda torch, y, v: y.narrow(1, 1, 2).pow_(2),
    "select": lambda torch, y, v: y.select(0, 1).exp_(),
    "squeezed": lambda torch, y, v: y[:1].squeeze(0).mul_(v),
    "unsqueezed": lambda torch, y, v: y.unsqueeze(0)[0, 1].mul_(v),
    "split and written whole": lambda torch, y, v: (y.split(1), y.mul_(2)),
    "as_strided": lambda torch, y, v: y.as_strided((2, 2), (5, 1), 1).mul_(v[:2]),
    "flatten": lambda torch, y, v: y.flatten()[3:7].mul_(v),
    "movedim": lambda torch, y, v: y.movedim(0, 1)[0].mul_(v[:3]),
    "view_as": lambda torch, y, v: y.view_as(y).mul_(v),
    "assigned": lambda torch, y, v: y.__setitem__(1, v),
    "assigned a number": lambda torch, y, v: y.__setitem__((slice(None), 2), 5.0),
    "assigned twice": lambda torch, y, v: y[1].__setitem__(2, v[0]),
    "assigned by mask": lambda torch, y, v: y.__setitem__(y.detach() > 1, 3.0),
    "assigned by mask, a tensor": lambda torch, y, v: y.__setitem__(y.detach() > 1e9, v[:0]),
    "assigned by index": lambda torch, y, v: y.__setitem__(torch.tensor([0, 2]), v),
    "assigned by two indices": lambda torch, y, v: y.__setitem__(
        (torch.tensor([0, 1, 1]), torch.tensor([1, 2, 3])), v[:3]),
    "mask of a view": lambda torch, y, v: y[1:].__setitem__(y[1:].detach() > 5, v[3]),
    "slice += ": lambda torch, y, v: y.__setitem__(slice(1, 3), y[1:3] + v),
    "index_put accumulating": lambda torch, y, v: y.index_put_(
        (torch.tensor([0, 0, 2]), torch.tensor([1, 1, 3])), v[:3], accumulate=True),
    "index_add": lambda torch, y, v: y.index_add_(0, torch.tensor([0, 0]), v.expand(2, 4)),
    "scatter": lambda torch, y, v: y.scatter_(1, torch.tensor([[0], [1], [2]]), v[:3, None]),
    "masked_fill": lambda torch, y, v: y.masked_fill_(y.detach() > 3, 0.5),
    "masked_scatter": lambda torch, y, v: y.masked_scatter_(y.detach() > 8, v),
    "copied": lambda torch, y, v: y[1].copy_(v),
    "copied, broadcast": lambda torch, y, v: y.copy_(v),
    "filled": lambda torch, y, v: y[1].fill_(v[0]),
    "zeroed": lambda torch, y, v: y[:, 1:3].zero_(),
    "detached write": lambda torch, y, v: y.detach()[0].mul_(2),
    "no_grad write": lambda torch, y, v: without(torch, lambda: y[0].mul_(2)),
    "swapped": lambda torch, y, v: y.t_(),
    "unsqueezed in place": lambda torch, y, v: y.unsqueeze_(0).squeeze_(0),
    "addcmul": lambda torch, y, v: y[0].addcmul_(v, v, value=2),
    "clamped": lambda torch, y, v: y[:2].clamp_(1.5, 6),
    "complex view": lambda torch, y, v: torch.view_as_complex(y.view(3, 2, 2))[0].mul_(2j),
    "a view of itself": lambda torch, y, v: y[0].add_(y[1]),
    "tril": lambda torch, y, v: y[:, :3].tril_(),
}


def without(torch, write):
    with torch.no_grad():
        write()


def start(torch, say):
    return (say.leaf([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]),
            say.leaf([0.5, 1.5, -1.0, 2.0]))


@pytest.mark.parametrize("name", WRITES)
@traced
def test_write(torch, say, name):
    x, v = start(torch, say)
    y = x * 1
    before, row, whole = y._version, y[1], y.view_as(y)
    WRITES[name](torch, y, v)
    say(y, y._version - before, graph_of(y))
    say(row, whole, attempt(lambda: row.grad_fn.name()), attempt(lambda: whole.grad_fn.name()))
    say(attempt(lambda: gradients(torch, y, x, v)))
    say(attempt(lambda: torch.autograd.grad(row.sum(), [x, v], allow_unused=True)))


@pytest.mark.parametrize("name", WRITES)
@traced
def test_write_to_a_constant(torch, say, name):
    """What is written brings the history."""
    x, v = start(torch, say)
    y = x.detach().clone()
    view = y[1]
    WRITES[name](torch, y, v)
    say(y, y.requires_grad, view.requires_grad, graph_of(y) if y.requires_grad else None)
    if y.requires_grad:
        say(attempt(lambda: torch.autograd.grad((y * y).sum(), v)))


@pytest.mark.parametrize("name", WRITES)
@traced
def test_write_to_a_leaf(torch, say, name):
    x, v = start(torch, say)
    before = x.detach().clone()
    said = attempt(lambda: WRITES[name](torch, x, v))
    # (torch names internal functions where it refuses a fill; only the class is compared there)
    say(said if isinstance(said, str) else "allowed", x._version, bool((x == before).all()))


@traced
def test_views_made_without_gradients(torch, say):
    x, v = start(torch, say)
    y = x * 1
    with torch.no_grad():
        view = y[0]
        leaf_view = x[0]
    say(view.requires_grad, view.is_leaf, view._is_view(), leaf_view.requires_grad)
    say(attempt(lambda: view.mul_(v)), attempt(lambda: leaf_view.mul_(2)))
    with torch.no_grad():
        view.mul_(2)
        leaf_view.mul_(3)
    say(y, x, y._version, x._version)
    say(attempt(lambda: torch.autograd.grad(y.sum(), x)))
    constant = x.detach().clone()
    with torch.no_grad():
        part = constant[0]
    say(attempt(lambda: part.mul_(v)), constant.requires_grad)


@traced
def test_outputs_of_functions_with_several_views(torch, say):
    x, v = start(torch, say)
    for split in (lambda y: y.unbind(0), lambda y: y.split(1), lambda y: y.chunk(3),
                  lambda y: y.tensor_split(3), lambda y: y.hsplit(2), lambda y: y.vsplit(3)):
        y = x * 1
        parts = split(y)
        say(len(parts), parts[0]._is_view(), parts[0].grad_fn.name(), parts[1].grad_fn is
            parts[0].grad_fn)
        say(attempt(lambda parts=parts: parts[0].mul_(2)))
        say(attempt(lambda parts=parts: parts[0][0].mul_(2)))
        y.mul_(2)
        say(attempt(lambda parts=parts: parts[0].grad_fn))
        say(attempt(lambda parts=parts: parts[0].sum().backward()))
        with torch.no_grad():
            parts = split(x)
        say(attempt(lambda parts=parts: parts[0].mul_(2)))


@traced
def test_detach_and_data(torch, say):
    x, v = start(torch, say)
    y = x * 1
    z = y * y
    detached, data = y.detach(), y.data
    say(detached._is_view(), detached._base is None, data._is_view(), detached.requires_grad)
    data.mul_(2)
    say(y, y._version, data._version, detached._version)
    z.sum().backward(retain_graph=True)  # the write through .data was not noticed
    say(x.grad)
    detached.mul_(2)
    say(y._version, detached._version)
    say(attempt(lambda: z.sum().backward()))
    x.data = torch.ones(2, dtype=torch.float64, device=x.device)
    say(x.shape, x.requires_grad, x.is_leaf)
    say(attempt(lambda: setattr(x, "data", "text")))
    w = x.detach().requires_grad_()
    (w * w).sum().backward()
    say(w.grad, x.grad is None)


@traced
def test_saved_values_that_are_written(torch, say):
    x, v = start(torch, say)
    cases = {
        "input of mul": lambda y: (y * v, y),
        "input of pow": lambda y: (y**3, y),
        "result of exp": lambda y: ((y * 0.01).exp(),) * 2,
        "result of sigmoid": lambda y: (y.sigmoid(),) * 2,
        "input of add": lambda y: (y + v, y),
        "result of add": lambda y: (y + v,) * 2,
        "result of relu": lambda y: (y.relu(),) * 2,
        "view of an input": lambda y: (y * v, y[0]),
        "base of an input": lambda y: (y[0] * v, y),
        "input of matmul": lambda y: (y @ v, y),
        "weight of matmul": lambda y: (y @ (w := v * 1), w),
        "result of softmax": lambda y: (y.softmax(0),) * 2,
        "input of max": lambda y: (y.max(1).values, y),
        "index of gather": lambda y: (y.gather(1, i := torch.tensor([[0], [1], [2]])), i),
        "index of an index": lambda y: (y[i := torch.tensor([0, 2])], i),
        "mask of where": lambda y: (torch.where(m := y.detach() > 3, y, v), m),
        "norm": lambda y: (y.norm(),) * 2,
        "divisor": lambda y: (v / y, y),
        "numerator": lambda y: (y / v, y),
        "prod": lambda y: (y.prod(1), y),
        "layer_norm": lambda y: (torch.nn.functional.layer_norm(y, (4,)), y),
    }
    for name, make in cases.items():
        result, written = make(x * 1)
        with torch.no_grad():
            if written.dtype is torch.bool:
                written.logical_not_()
            else:
                written.add_(1)
        said = attempt(lambda result=result: result.sum().backward())
        say(name, said)
    return x.grad


@traced
def test_versions(torch, say):
    x, v = start(torch, say)
    y = x.detach().clone()
    say(y._version)
    view = y[0]
    for write in (lambda: y.add_(1), lambda: view.mul_(2), lambda: y.detach().zero_(),
                  lambda: y.copy_(x.detach()), lambda: y.__setitem__(0, 1.0),
                  lambda: y.fill_(2), lambda: y.t_(), lambda: y.t_(), lambda: y.clamp_(0, 1),
                  lambda: torch.add(y, 1, out=y), lambda: y.data.add_(1),
                  lambda: y.view(-1).sub_(1),
                  lambda: y.normal_(), lambda: y.index_fill_(0, torch.tensor([0]), 3.0),
                  lambda: y.masked_fill_(y > 0, 1), lambda: y.requires_grad_(False),
                  lambda: torch.nn.init.zeros_(y), lambda: y.relu_(), lambda: y.resize_(3, 4),
                  lambda: y.exponential_()):
        write()
        say(y._version, view._version)


@traced
def test_aliases_of_one_memory(torch, say):
    x, v = start(torch, say)
    y = x * 1
    a, b = y[0], y[0]
    c = y.view(12)[:4]
    a.mul_(v)
    b.add_(c)
    say(y, a, b, c)
    say(gradients(torch, y, x, v))
    say(graph_of(b), graph_of(c))


@traced
def test_resize(torch, say):
    x, v = start(torch, say)
    say(attempt(lambda: x.resize_(2)), attempt(lambda: (x * 1).resize_(2, 6)))
    say(attempt(lambda: x[0].resize_(2)))
    with torch.no_grad():
        z = x * 1
        say(z.resize_(2, 6).shape, z.resize_as_(v).shape, z)


@traced
def test_loops_that_write(torch, say):
    """A recurrence that fills its buffer step by step."""
    x, v = start(torch, say)
    out = torch.zeros(3, 4, dtype=torch.float64, device=x.device)
    state = v
    for t in range(3):
        state = (state * x[t]).tanh()
        out[t] = state
    say(graph_of(out)[:3])
    say(gradients(torch, out, x, v))
    grid = torch.zeros(3, 4, dtype=torch.float64, device=x.device)
    for i in range(3):
        for j in range(4):
            grid[i][j] = x[i, j] * v[j]
    return gradients(torch, grid, x, v)


@traced
def test_augmented_assignment(torch, say):
    x, v = start(torch, say)
    y = x * 1
    alias = y
    y += v
    say(y is alias)
    y[0] += v
    y[:, 1] -= v[:3]
    y[1:] *= 2
    y[2] /= 4
    y[0] **= 2
    say(y, graph_of(y)[:2])
    i = torch.arange(3)
    i += 2
    i //= 2
    i |= 8
    i ^= 1
    i <<= 1
    say(i, attempt(lambda: i.__iadd__(1.5)))
    return gradients(torch, y, x, v)


@traced
def test_writes_between_views_of_views(torch, say):
    x, v = start(torch, say)
    base = x * 1
    a = base[1:]
    b = a[:, 1:]
    c = b.t()
    b.mul_(2)
    c[0].add_(v[:2])
    a[0, 0] = v[3]
    for t in (base, a, b, c):
        say(t, t.grad_fn.name(), t._base is base, t._version)
    return gradients(torch, torch.cat([c.t().flatten(), base.flatten()]), x, v)


@traced
def test_hooks_follow_writes(torch, say):
    x, v = start(torch, say)
    base = x * 1
    view = base[0]
    view.register_hook(lambda g: say("view before", g))
    view.mul_(v)
    view.register_hook(lambda g: say("view after", g))
    (view * 2).sum().backward()
    return x.grad


@traced
def test_writes_that_are_refused_leave_everything_as_it_was(torch, say):
    x, v = start(torch, say)
    y = x * 1
    for write in (lambda: y.add_(torch.ones(3, 3)), lambda: y.__setitem__(0, torch.ones(3)),
                  lambda: y.__setitem__(5, 1.0), lambda: y[0].copy_(torch.ones(5)),
                  lambda: y.mul_(1j), lambda: y.add_("a"), lambda: y.index_put_((v,), v),
                  lambda: y.expand(2, 3, 4).add_(1), lambda: y.view(5).add_(1),
                  lambda: y.masked_fill_(v, 1), lambda: y.scatter_(1, v, 1.0),
                  lambda: y[:, ::2].view(-1).add_(1), lambda: y.index_add_(0, v, v)):
        said = attempt(write)
        say(said if isinstance(said, str) else "no error", y._version, y.grad_fn.name())
    return y
