"""Slopes as functions: what backward with create_graph=True records, and how it goes on from there.

Torch gives most activations and losses a gradient that is an op of its own (HardtanhBackward0 calls
hardtanh_backward), with derivatives of its own. So the first gradient's graph is compared node by
node and edge by edge, and after it the second and the third gradients, and at each order what
requires a gradient.
"""

from __future__ import annotations

import pytest
import torch

from parity_tests.compare import compare, graph_signature
from parity_tests.harness import candidate
from parity_tests.operator_levels import (
    SOME,
    attempt,
    both,
    each_sample,
    is_differentiable,
    pair,
    same_error,
)
from parity_tests.operator_samples import BY_TITLE, noting, present, quiet, random_like, translated
from parity_tests.traces import attempt as tell
from parity_tests.traces import traced

MORE = {"sigmoid", "tanh", "diag", "kthvalue", "softmax", "log_softmax", "mean", "clamp"}
OPERATORS = [name for name, op in BY_TITLE.items()
             if (name.startswith("nn.functional.") or name in MORE) and op in present()
             and is_differentiable(op) and op.supports_gradgrad]


class Slopes:
    """One engine's gradients of a sample, order by order, each recorded for the next."""

    def __init__(self, side):
        self.side = side
        self.leaves = list(side.inputs)
        self.reached = list(side.outputs)

    def next_order(self, weights):
        """The gradients of what was reached last, in all that went in so far."""
        found = self.side.lib.autograd.grad(
            self.reached, self.leaves, weights, create_graph=True, allow_unused=True)
        self.leaves += weights
        self.reached = [tensor for tensor in found if tensor is not None and tensor.requires_grad]
        return found


def flags(found):
    return [None if tensor is None else tensor.requires_grad for tensor in found]


def samples(name):
    """Both engines' slopes of some samples of the operator."""
    op = BY_TITLE[name]
    functions, compared = pair(op), 0
    with quiet():
        for sample in each_sample(op, ["float64"], SOME, grad=True):
            with noting(sample, functions[1]):
                ours, theirs = both(functions, sample)
                if theirs.outputs:
                    compared += 1
                    yield Slopes(ours), Slopes(theirs)
    assert compared, f"{name}: no sample was compared"


def next_orders(ours, theirs):
    """Both engines' gradients of the next order; nothing where torch has none or refuses."""
    if not theirs.reached:
        return None, None
    weights = random_like(theirs.reached, requires_grad=True)
    want, got = (attempt(slopes.next_order, each) for slopes, each in (
        (theirs, weights), (ours, translated(weights))))
    if isinstance(got, Exception) or isinstance(want, Exception):
        same_error(got, want)
        return None, None
    return got, want


@pytest.mark.parametrize("name", OPERATORS)
def test_slope(name):
    for ours, theirs in samples(name):
        got, want = next_orders(ours, theirs)
        for mine, reference in zip(got or (), want or (), strict=True):
            if mine is None and reference is None:
                continue
            signatures = (graph_signature(mine, ours.leaves),
                          graph_signature(reference, theirs.leaves))
            assert signatures[0] == signatures[1], (
                f"candidate\n  {signatures[0]}\ntorch\n  {signatures[1]}")
        for order in (1, 2):
            if want is not None:
                assert flags(got) == flags(want), f"order {order}: requires_grad"
                compare(got, want, f"gradient of order {order}", order=order, flags=False)
            if order == 1:
                got, want = next_orders(ours, theirs)


@pytest.mark.parametrize("name", OPERATORS)
def test_third(name):
    for ours, theirs in samples(name):
        for _ in range(3):
            got, want = next_orders(ours, theirs)
            if want is None:
                break
        else:
            compare(got, want, "third gradient", order=3, flags=False, none_is_zero=True)


@pytest.mark.parametrize("name", ["layer_norm", "batch_norm"])
def test_third_of_norms(name):
    """Torch takes mean and deviation for constants from the third derivative on; minigrad's third
    derivative is that of the normalisation, written out in torch."""
    def run(lib):
        x, w, b = (lib.tensor(values, dtype=lib.float64, requires_grad=True) for values in (
            [[0.3, -1.0, 2.0, 0.7], [1.5, 0.2, -0.4, 0.1], [-2.0, 1.0, 0.6, 0.9]],
            [0.5, -1.5, 2.0, 1.0], [0.1, 0.2, 0.3, 0.4]))
        if lib is not torch:
            normalise = getattr(lib.nn.functional, name)
            y = normalise(x, (4,), w, b) if name == "layer_norm" else normalise(
                x, None, None, w, b, training=True)
        else:
            dim = 1 if name == "layer_norm" else 0
            centred = x - x.mean(dim, True)
            y = centred / (centred.pow(2).mean(dim, True) + 1e-5).sqrt() * w + b
        found = [y.sin()]
        for _ in range(3):
            found = lib.autograd.grad([each.sin().sum() for each in found], (x, w),
                                      create_graph=True)
        return found

    compare(run(candidate()), run(torch), "third gradient", order=2)


CORNERS = [-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0, float("inf"), float("-inf")]
AT_CORNERS = {
    "threshold": (0.5, 2.0), "relu": (), "leaky_relu": (0.1,), "relu6": (), "hardtanh": (),
    "hardswish": (), "hardshrink": (), "softshrink": (), "rrelu": (), "elu": (), "celu": (0.7,),
    "selu": (), "gelu": (), "silu": (), "mish": (), "softplus": (), "logsigmoid": (),
}


@pytest.mark.parametrize("name", AT_CORNERS)
@traced
def test_at_corners(torch, say, name):
    x = say.leaf(CORNERS)
    y = getattr(torch.nn.functional, name)(x, *AT_CORNERS[name])
    g = say.leaf([float(i) for i in range(1, 13)])
    first, = torch.autograd.grad(y, x, g, create_graph=True)
    say(name, first, [edge[0] is None for edge in first.grad_fn.next_functions])
    return torch.autograd.grad(first, (x, g), torch.ones_like(x), allow_unused=True)


@traced
def test_prelu_with_one_gradient_used(torch, say):
    """Torch counts 0 among the positive inputs only in the second derivative."""
    x, w, g = say.leaf([-2.0, -0.0, 0.0, 3.0]), say.leaf([0.25]), say.leaf([1.0, 2.0, 3.0, 4.0])
    y = torch.nn.functional.prelu(x, w)
    slopes = torch.autograd.grad(y, (x, w), g, create_graph=True)
    for used in (slopes[:1], slopes[1:], slopes):
        ones = [torch.ones_like(each) for each in used]
        say(torch.autograd.grad(used, (x, w, g), ones, retain_graph=True, allow_unused=True))
    only, = torch.autograd.grad(torch.nn.functional.prelu(x, w.detach()), x, g, create_graph=True)
    say(only, torch.autograd.grad(only.sum(), (x, g), allow_unused=True))


@pytest.mark.parametrize("name", ["hardsigmoid", "multi_margin_loss", "multilabel_margin_loss"])
@traced
def test_slopes_without_derivative(torch, say, name):
    """Torch has no derivative of these gradients: the graph ends in a node that says so."""
    x = say.leaf([[0.5, -1.0, 4.0]])
    more = {"hardsigmoid": (), "multi_margin_loss": (torch.tensor([1]),),
            "multilabel_margin_loss": (torch.tensor([[2, 0, -1]]),)}[name]
    first, = torch.autograd.grad(getattr(torch.nn.functional, name)(x, *more).sum(), x,
                                 create_graph=True)
    say(first, first.grad_fn.name().rpartition("::")[2], first.requires_grad)
    say(tell(lambda: torch.autograd.grad(first.sum(), x)))


@pytest.mark.parametrize("name", ["hardtanh", "relu6", "hardswish", "hardsigmoid", "rrelu", "silu",
                                  "mish", "leaky_relu", "elu", "celu", "selu", "threshold"])
@traced
def test_in_place(torch, say, name):
    """The slope of what was written over its input, which is read from the result for some."""
    x = say.leaf([-4.0, -0.7, 0.3, 2.0, 8.0])
    y = getattr(torch.nn.functional, name)(x.exp() - 2, *AT_CORNERS.get(name, ()), inplace=True)
    first, = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
    say(y.grad_fn.name(), first)
    if name != "hardsigmoid":
        say(tell(lambda: torch.autograd.grad(first.sum(), x)))


@traced
def test_nll_loss_reads_its_input_again(torch, say):
    """Only its shape matters, but its gradient is an input of nll_loss_backward."""
    for shape in ((3, 4), (3, 4, 2, 2)):
        x = torch.ones(shape, dtype=torch.float64, requires_grad=True)
        target = torch.zeros((shape[0], *shape[2:]), dtype=torch.int64)
        logs = x.log_softmax(1)
        loss = torch.nn.functional.nll_loss(logs, target)
        first, = torch.autograd.grad(loss, logs, create_graph=True)
        say(first.requires_grad, torch.autograd.grad(first.sum(), x, allow_unused=True))
        with torch.no_grad():
            logs.mul_(2)
        say(tell(lambda loss=loss: loss.backward()))
