"""Gradients that autograd engines have got wrong before: here they stay right.

The first part are errors that other engines had; the second part are this one's, found by the
programs of test_properties.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.harness import check, check_error, program
from parity_tests.traces import attempt, traced

# --- errors of other engines ---------------------------------------------------------------------


def used_twice(lib, x):
    y = x.exp()
    return y * y.sin() + y.sum() * y


def used_at_two_depths(lib, x):
    y = x * 2
    z = y + 1
    return (y * z).sum() + (z * z * y).sum()


@pytest.mark.parametrize("fn", [used_twice, used_at_two_depths], ids=lambda fn: fn.__name__)
def test_a_tensor_inside_the_graph_is_used_again(fn):
    check([(3, 2)], fn, same_graph=True)


@pytest.mark.parametrize("equation, shapes", [
    ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("iij->j", [(2, 2, 3)]), ("i,i", [(3,), (3,)]),
    ("ij,jk", [(2, 3), (3, 4)]), ("ij,jk->k", [(2, 3), (3, 4)]), ("ij->", [(2, 3)]),
    ("ij,ij->ij", [(2, 1), (1, 3)]), ("bij,bjk->ik", [(2, 3, 1), (2, 4, 2)]),
    ("i,j->ji", [(2,), (3,)]), ("...i,i->...", [(2, 3, 4), (4,)]), ("ij,k->j", [(2, 3), (4,)]),
    ("a,a,a->", [(3,), (3,), (3,)]), ("ab,bc,cd->ad", [(2, 3), (3, 2), (2, 4)]),
])
def test_einsum_repeats_broadcasts_and_sums_out(equation, shapes):
    check(shapes, lambda lib, *tensors: lib.einsum(equation, *tensors))


@pytest.mark.parametrize("shape, target", [((3,), (2, 3)), ((1, 3), (4, 3)), ((), (2, 2)),
                                           ((2, 1, 3), (2, 5, 3)), ((1,), (1,)), ((1,), (0,))])
def test_broadcast_to(shape, target):
    check([shape], lambda x: x.broadcast_to(target) * 2)


def test_nan_in_the_branch_that_where_does_not_take():
    x = np.array([-1.0, 0.0, 2.0])
    check([x], lambda lib, x: lib.where(x > 0, x.log(), x))
    check([x], lambda lib, x: lib.where(x > 0, x.sqrt(), 0.0))
    check([x], lambda lib, x: lib.where(x > 0, x.clamp(min=1e-9).sqrt(), x * 0))


@pytest.mark.parametrize("p", [1, 2, 3, 0.5, 0, float("inf"), "fro"])
def test_norm_at_zero(p):
    check([np.zeros(3)], lambda x: x.norm(p), second=p not in (0.5,))
    check([np.array([[0.0, 0.0], [3.0, 4.0]])], lambda x: x.norm(p, dim=1), second=p not in (0.5,))


@pytest.mark.parametrize("values", [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 0.0, 4.0],
                                    [0.0, 0.0, 0.0], [0.0]])
def test_second_gradient_of_prod_with_zeros(values):
    check([np.array(values)], lambda x: x.prod())
    check([np.array([values, values])], lambda x: x.prod(1))


def test_a_tensor_minus_its_own_mean():
    check([(4,)], lambda x: x - x.mean())
    check([(3, 4)], lambda x: ((x - x.mean(0)) ** 2).mean(0) / (x - x.mean()).abs().sum())


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "prod", "logsumexp", "var"])
def test_reductions_over_broadcast_dims(name):
    check([(3, 1)], lambda x: getattr(x.expand(3, 4), name)(1))
    check([(3, 1), (4,)], lambda x, y: getattr(x + y, name)(0))


# --- errors of this engine -----------------------------------------------------------------------

def test_flip_of_one_element_is_a_copy():
    check([(1,)], lambda x: (x.flip(0), x.mul_(2)), mutates=True)


def test_result_of_a_write_through_a_view_differentiated_twice():
    def fn(x):
        y = x * 1
        y[:, 1:].tanh_()
        return y.sin() * y

    check([(2, 3)], fn)


def test_writing_over_the_whole_tensor_is_no_write_through_a_view():
    def whole(x, v):
        y = x * 1
        y[...] = v
        y[:] = v.mean()
        return y * y

    check([(2, 3), (3,)], whole, same_graph=True)


def test_a_clone_of_an_expanded_tensor_lies_in_order():
    check([(3,)], lambda x: x.expand(2, 2, 3).clone(), strides=True, noncontiguous=False)


@pytest.mark.parametrize("write", [
    lambda x: x[1:].add_(x[:-1]), lambda x: x.view(2, 3).mul_(x[:3]), lambda x: x[1:].copy_(x[:-1]),
    lambda lib, x: x.index_add_(0, lib.tensor([0], device=x.device), x[1:2]),
    lambda lib, x: x.scatter_(0, lib.tensor([0], device=x.device), x[1:2]),
    lambda x: x[:1].expand(3).add_(1)])
def test_writing_over_what_is_read(write):
    check_error([(6,)], write)


def test_a_view_made_under_no_grad_leads_nowhere():
    def fn(lib):
        x = lib.ones(3, requires_grad=True) * 2
        with lib.no_grad():
            view = x.view(-1)
        return view.requires_grad, view.grad_fn is None, (view * 3).grad_fn.next_functions[0][0]

    program(fn)
    check_error([(3,)], lambda lib, x: lib.autograd.grad(_no_grad_view(lib, x), x), grad=True)


def test_a_view_of_one_of_several_views_must_not_be_written():
    check_error([(2, 3)], lambda x: (x * 1).unbind(0)[0].view(-1).mul_(2), grad=True)
    check_error([(2, 3)], lambda lib, x: _no_grad_view(lib, x)[::2].mul_(2), grad=True)


def _no_grad_view(lib, x):
    y = x * 1
    with lib.no_grad():
        return y.view(-1)


def test_a_saved_tensor_detached_in_place():
    def fn(lib, x):
        y = x * 2
        z = y * y
        y.detach_()
        lib.autograd.grad(z.sum(), x)

    check_error([(3,)], fn, grad=True)


def test_a_view_made_without_recording_leads_nowhere():
    def run(torch):
        base = torch.ones(3, requires_grad=True)
        with torch.no_grad():
            lost = base[:2]
        nowhere = torch.nn.functional.pad(lost, (0, 1))  # the plan of this call is no other's
        leaf = torch.ones(2, requires_grad=True)
        torch.nn.functional.pad(leaf, (0, 1)).sum().backward()
        return lost.requires_grad, nowhere.requires_grad, nowhere.grad_fn.next_functions[0][0], \
            leaf.grad

    program(run)


def test_out_in_rows():
    """Two of torch's kernels write row after row into the memory of an out that has gaps."""
    def pooled(torch):
        memory = torch.zeros(32)
        x = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
        torch.nn.functional.avg_pool3d(x, 2, out=memory[::2][:8].view(1, 1, 2, 2, 2))
        return memory

    def narrowed(torch):
        memory = torch.zeros(32)
        torch.narrow_copy(torch.arange(64.0).view(8, 8), 1, 2, 1, out=memory[::2][:8].view(8, 1))
        return memory

    program(pooled)
    program(narrowed)


@pytest.mark.parametrize("fn", [
    lambda torch, out: torch.add(out, out, out=out),
    lambda torch, out: torch.max(torch.ones(2, 3), 0, out=None).values,
    lambda torch, out: torch.max(torch.ones(2, 3), out=None),
    lambda torch, out: torch.add(out, out, out=None),
    lambda torch, out: torch.diag(out, out=None),
], ids=range(5))
def test_out_may_be_none(fn):
    program(lambda lib: fn(lib, lib.ones(3)))


@pytest.mark.parametrize("shapes", [((3,), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)),
                                    ((5, 2, 3), (3,)), ((2, 5, 2, 3), (3, 4))], ids=str)
@pytest.mark.parametrize("kind", ["float64", "float32", "int64"])
def test_matmul_hands_out_on(shapes, kind):
    def run(torch):
        a, b = (torch.ones(*shape, dtype=torch.float64) for shape in shapes)
        shape = (a @ b).shape
        out = torch.zeros(*shape, 2, dtype=getattr(torch, kind))[..., 0]
        return torch.matmul(a, b, out=out), out, out.stride()

    if kind == "float64":
        program(run, strides=True)
    else:
        check_error([], lambda lib: run(lib))


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_a_slope_that_is_constant_has_a_derivative_of_zero(name):
    def fn(lib):
        x = lib.tensor([-1.0, 2.0], requires_grad=True)
        y = getattr(lib.nn.functional, name)(x).sum()
        (slope,) = lib.autograd.grad(y, x, create_graph=True)
        sources = [node and node.name() for node, _ in slope.grad_fn.next_functions]
        return slope.grad_fn.name(), sources[1], lib.autograd.grad(slope.sum(), x)[0]

    program(fn)


def _stale(torch, say, shape):
    """A view that is one of several outputs, whose base has been written since."""
    base = say.leaf(np.ones((2, *shape)).tolist()) * 1
    first, _ = base.unbind()
    base.add_(1)
    return first


@pytest.mark.parametrize("call", [
    lambda torch, x: torch.cat([x, x]), lambda torch, x: torch.stack([x, torch.ones(7)]),
    lambda torch, x: x.select(0, 9), lambda torch, x: x[9:].unfold(0, 9, 1),
    lambda torch, x: x.sum(7), lambda torch, x: x.softmax(7), lambda torch, x: x.permute(5),
    lambda torch, x: x.view(99), lambda torch, x: x + torch.ones(7), lambda torch, x: x[:],
    lambda torch, x: x.index_select(0, torch.tensor([9])), lambda torch, x: x.expand(99, 99),
], ids=range(12))
@pytest.mark.parametrize("shape", [(), (3,)], ids=str)
@traced
def test_a_stale_view_is_the_first_complaint(torch, say, call, shape):
    say(attempt(call, torch, _stale(torch, say, shape)))


@traced
def test_a_view_of_a_detached_base_keeps_a_history_that_leads_nowhere(torch, say):
    base = say.leaf([[1.0, 2.0], [3.0, 4.0]]) * 1
    view = base.diagonal()
    base.detach_()
    with torch.no_grad():
        view.add_(1)
    say(view.requires_grad, view.grad_fn.name(), view.grad_fn.next_functions)


@pytest.mark.parametrize("name", ["mul", "div", "mv", "dot", "pow", "atan2", "hypot"])
@traced
def test_of_two_overwritten_tensors_the_first_by_name_is_named(torch, say, name):
    a = say.leaf([[1.0, 2.0, 3.0]]) * 1
    a = a.view(3) if name == "dot" else a
    b = say.leaf([1.0, 2.0, 3.0]) + 0
    y = getattr(torch, name)(a, b)
    a.add_(1), b.add_(1)
    say(attempt(lambda: y.sum().backward()))


@traced
def test_a_detached_tensor_is_refused_before_an_overwritten_one(torch, say):
    x = say.leaf([1.0, 2.0]) * 1
    y = x * x
    x.detach_().add_(1)
    say(attempt(lambda: y.sum().backward()))


@pytest.mark.parametrize("asks_again", [False, True])
@traced
def test_who_made_an_overwritten_slice(torch, say, asks_again):
    """torch names the view's own node as long as that is there."""
    base = say.leaf([1.0, 2.0]) * 1
    view = base[:1].tanh_()
    view.detach().add_(1)
    if asks_again:
        say(view.grad_fn.name())  # the old node is gone
    say(attempt(lambda: base.sum().backward()))


@traced
def test_writing_where_elements_overlap(torch, say):
    def twice():
        return torch.ones(1, 3).expand(2, 3)

    say(attempt(lambda: twice().fill_(2)), attempt(lambda: twice().zero_()))
    say(attempt(lambda: twice().fill_(torch.tensor(2.0))), attempt(lambda: twice().clamp_(0, 1)))
    x = torch.ones(3)
    say(attempt(lambda: x.fill_(x[0])), attempt(lambda: x.expand(2, 3)[:1].copy_(x)))
    wide = twice()
    say(attempt(lambda: wide.copy_(wide)), attempt(lambda: wide.copy_(wide.view(2, 3))))
    say(wide._version)
    point = torch.tensor(2.0)
    say(attempt(lambda: point.view(1, 1)[:1].copy_(point.expand(1, 1))))


@pytest.mark.parametrize("shape, dim, index", [
    ((0,), 0, [0]), ((2, 0), 1, [0]), ((0, 2), 1, [3]), ((0, 2), 0, [0]), ((2, 3), 1, [5]),
    ((2, 3), 1, [0, -1, 7]), ((2, 3), 0, [5]), ((2, 3, 4), 2, [9]), ((2, 3, 4), 1, [9])], ids=str)
@traced
def test_index_select_out_of_range(torch, say, shape, dim, index):
    say(attempt(lambda: torch.zeros(shape).index_select(dim, torch.tensor(index))))


@pytest.mark.parametrize("shape, index", [
    ((2, 3), ([0, 5], [7, 0])), ((2, 3), ([[0], [-9]], [4, 0])), ((2, 3), ([5, 0], [0, 1, 2])),
    ((0, 3), (slice(None), [5])), ((2, 0), ([5],)), ((2, 0), (slice(None), [5]))], ids=str)
@traced
def test_index_out_of_bounds(torch, say, shape, index):
    places = tuple(torch.tensor(each) if isinstance(each, list) else each for each in index)
    say(attempt(lambda: torch.zeros(shape)[places]))


@pytest.mark.parametrize("call", [
    lambda x: x.amin(-2), lambda x: x.amax((1, -2)), lambda x: x.max(-2), lambda x: x.argmax(-2),
    lambda x: x.new_ones(2, 3).logsumexp(()), lambda x: x.logsumexp(())], ids=range(6))
@traced
def test_reductions_of_nothing(torch, say, call):
    say(attempt(call, torch.zeros(0, 3)))


SLICES = (slice(None), slice(0, 2), slice(0, 100), slice(-3, None), slice(-9, None), slice(1, None),
          slice(None, -1), slice(None, None, 1), slice(0, 0), slice(0, None, 2))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 0), (1,)], ids=str)
@traced
def test_slices_that_take_everything(torch, say, shape):
    """torch slices with a lone slice in any case, and else if it cannot be told from the slice's
    own numbers that nothing is left out; written to, a lone one is like the others."""
    for item in SLICES:
        for index in (item, (item,), (..., item), (None, item)):
            x = say.leaf(np.ones(shape).tolist()) * 1
            part = x[index]
            node = part.grad_fn
            say(str(index), part.shape, node.name(), node.next_functions[0][0].name())
            x[index] = 2.0
            say(x.grad_fn.name(), x._version)


@traced
def test_slices_by_other_things_than_integers(torch, say):
    x = torch.ones(3)
    for item in (slice(torch.tensor(1), None), slice("a", None), slice(None, 2.5),
                 slice(True, None), slice(None, None, -1), slice(None, None, 0)):
        for index in (item, (item,), (..., item)):
            say(attempt(lambda index=index: x[index]))
