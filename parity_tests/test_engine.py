"""The engine: accumulation, higher orders, views and in-place writes, memory, and its errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from parity_tests.harness import candidate, check, check_error, program

MATRIX, VECTOR = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [2.0, 3.0, 4.0]


def leaves(torch):
    x = torch.tensor(MATRIX, dtype=torch.float64, requires_grad=True)
    v = torch.tensor(VECTOR, dtype=torch.float64, requires_grad=True)
    return x, v


# --- values and orders ---------------------------------------------------------------------------

ARITHMETIC = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y * y + 1),
    "scalars": lambda x, y: (2 * x - 1) / 3 + (1 - y) * 0.5,
    "reused": lambda x, y: (x * y) * (x * y) + x,
    "power": lambda x, y: x**3 + (y * y + 1) ** 2.5,
    "add_alpha": lambda x, y: x.add(y, alpha=3).sub(y, alpha=0.5),
}


@pytest.mark.parametrize("shapes", [[(3, 4), (3, 4)], [(3, 4), (4,)], [(3, 1), (1, 4)], [(), (2,)],
                                    [(0, 3), (3,)]], ids=str)
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name, shapes):
    check(shapes, ARITHMETIC[name], same_graph=True)


def test_every_order():
    def orders(torch):
        x = torch.tensor(2.0, requires_grad=True)
        y, found = x**4, []
        for _ in range(4):
            (y,) = torch.autograd.grad(y, x, create_graph=True)
            found.append(y)
        return found

    program(orders)


def test_accumulation_and_reset():
    def accumulate(torch):
        x, v = leaves(torch)
        (x * v).sum().backward()
        (x * x).sum().backward()
        first = x.grad.clone()
        x.grad = None
        (x * v * v).sum().backward()
        return first, x.grad, v.grad

    program(accumulate)


def test_gradients_are_never_shared():
    def share(torch):
        x, v = leaves(torch)
        w = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
        g = torch.ones(2, 3, dtype=torch.float64)
        (x + w).backward(g)
        x.grad.mul_(2)
        return x.grad, w.grad, g

    program(share)


# --- in-place writes and views -------------------------------------------------------------------

def on_base(torch, x, v):
    y = x * 2
    y.mul_(v)
    return y


def on_view(torch, x, v):
    y = x * 2
    y[0].mul_(v)
    return y


def view_made_before(torch, x, v):
    y = x * 2
    z = y[1]
    y.mul_(v)
    return z * z


def nested_view(torch, x, v):
    y = x * 1.0
    z = y.t()[1]
    z.add_(v[0:2] * 3)
    z.mul_(v[1])
    return y * z.sum()


def assignment(torch, x, v):
    y = x * 1.0
    y[1] = v * v
    y[0][1] = v[2]
    return y * y * y


def sibling_views(torch, x, v):
    y = x * 1.0
    p, q = y[0], y[0]
    p.mul_(v)
    return q * q


def into_a_constant(torch, x, v):
    y = torch.zeros(2, 3, dtype=torch.float64)
    y[1] = v
    y[0].copy_(x[1])
    return y * y


def unrelated_result(torch, x, v):
    y = x * 0.1
    y.exp_()
    return y


INPLACE = [on_base, on_view, view_made_before, nested_view, assignment, sibling_views,
           into_a_constant, unrelated_result]


@pytest.mark.parametrize("write", INPLACE, ids=lambda f: f.__name__)
def test_inplace(write):
    def both_orders(torch):
        x, v = leaves(torch)
        y = write(torch, x, v)
        node = y.grad_fn.name()
        first = torch.autograd.grad((y * y).sum(), [x, v], create_graph=True, allow_unused=True)
        total = sum((g * g).sum() for g in first if g is not None)
        second = torch.autograd.grad(total, [x, v], allow_unused=True)
        return y, node, first, second

    program(both_orders)


def test_history_reaches_views_of_a_constant():
    def late(torch):
        x, v = leaves(torch)
        y = torch.zeros(2, 3, dtype=torch.float64)
        z = y[0]
        before = z.requires_grad
        y.copy_(x * v)
        return before, z.requires_grad, z.grad_fn.name(), torch.autograd.grad(z.sum(), [x, v])

    program(late)


def test_inplace_errors():
    def leaf(torch):
        x, v = leaves(torch)
        x.mul_(2.0)

    def view_of_a_leaf(torch):
        x, v = leaves(torch)
        x[0].mul_(2.0)

    def one_of_several(torch):
        x, v = leaves(torch)
        (x * 2).unbind(0)[0].mul_(2.0)

    def integer_result(torch):
        torch.ones(3, dtype=torch.int64).mul_(1.5)

    def grows(torch):
        torch.ones(3).add_(torch.ones(2, 3))

    def overlapping(torch):
        torch.ones(1, 3).expand(2, 3).add_(1.0)

    for wrong in (leaf, view_of_a_leaf, one_of_several, integer_result, grows, overlapping):
        both_raise(wrong)


def both_raise(wrong, starts_with=False):
    """Both engines raise the same class with the same words (ours may go on to say more)."""
    import torch

    with pytest.raises(Exception) as theirs:  # noqa: B017 (which class is the point)
        wrong(torch)
    with pytest.raises(type(theirs.value)) as ours:
        wrong(candidate())
    got, want = str(ours.value), str(theirs.value)
    if starts_with:
        want = want.split(" Hint:")[0]
        got = got[:len(want)]
    assert got == want


def test_modified_after_saving():
    def input_overwritten(torch):
        x, v = leaves(torch)
        y = x * v
        z = y * y
        y.add_(1.0)
        z.sum().backward()

    def result_overwritten(torch):
        x, v = leaves(torch)
        y = (x * 0.1).exp()
        y.add_(1.0)
        y.sum().backward()

    def through_detach(torch):
        x, v = leaves(torch)
        y = x * 1.0
        z = y * y
        y.detach().add_(1.0)
        z.sum().backward()

    for wrong in (input_overwritten, result_overwritten, through_detach):
        both_raise(wrong, starts_with=True)
    lib = candidate()
    with pytest.raises(RuntimeError, match=r"MulBackward0 .*saved its input 'other'.*out of place"):
        input_overwritten(lib)


def test_backward_errors():
    def twice(torch):
        x, v = leaves(torch)
        y = (x * v).sum()
        y.backward()
        y.backward()

    def not_scalar(torch):
        x, v = leaves(torch)
        (x * v).backward()

    def no_graph(torch):
        torch.ones(1).backward()

    def unused(torch):
        x, v = leaves(torch)
        torch.autograd.grad((x * x).sum(), v)

    def not_differentiable(torch):
        x, v = leaves(torch)
        torch.autograd.grad((x * x).sum(), torch.ones(2))

    for wrong in (twice, not_scalar, no_graph, unused, not_differentiable):
        both_raise(wrong)


def test_shape_and_device_errors():
    check_error([(3,), (4,)], lambda x, y: x + y)
    check_error([(2, 3), (2, 4)], lambda x, y: x * y)

    def no_gpu(torch):
        torch.ones(2, device="cuda")

    import torch

    import parity_tests.harness as harness

    if harness.DEVICE == "cpu" and not torch.version.cuda:  # a build for CUDA has other words
        both_raise(no_gpu)
        assert not candidate().cuda.is_available()


def test_views_of_memory_in_an_order_of_its_own():
    """A permuted operand gives a result whose memory is in neither C's nor Fortran's order."""
    check([(2, 3, 4, 5)], lambda x: (x.permute(0, 2, 1, 3) * 2).expand(2, 4, 3, 5).reshape(8, 15))
    check([(2, 3, 4, 5)], lambda x: (x.permute(2, 0, 3, 1) * 2).unsqueeze(0).squeeze(0)[1:])


# --- memory --------------------------------------------------------------------------------------

def test_memory_falls_without_the_garbage_collector():
    lib = candidate()
    gc.disable()
    try:
        x = lib.ones(1000, requires_grad=True)
        y = x.exp()  # saves its own result
        loss = (y * y).sum()
        array = weakref.ref(y._data)
        del y
        assert array() is not None  # the graph still needs it
        del loss
        assert array() is None
    finally:
        gc.enable()


def test_backward_frees_what_it_used():
    lib = candidate()
    gc.disable()
    try:
        x = lib.ones(1000, requires_grad=True)
        y = x * 2
        loss = (y * y).sum()
        array = weakref.ref(y._data)
        del y
        loss.backward()
        assert array() is None
    finally:
        gc.enable()


def test_a_million_ops():
    lib = candidate()
    x = lib.ones(1, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1.0
    y.backward()
    assert float(y) == 1_000_001 and float(x.grad) == 1.0
    del y


def test_numpy_shares_memory():
    lib = candidate()
    array = np.zeros(3, np.float32)
    tensor = lib.from_numpy(array)
    array[0] = 5
    tensor[1] = 7
    assert tensor.tolist() == [5, 7, 0] and array.tolist() == [5, 7, 0]
