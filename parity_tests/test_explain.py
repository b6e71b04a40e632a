"""`minigrad.explain`: what it tells is what backward does."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from minigrad.core import Node
from minigrad.explain import source_of
from parity_tests.harness import DEVICE, candidate

FILE = __file__.rpartition("/")[2]


@pytest.fixture
def lib():
    return candidate()


def model_and_loss(lib):
    lib.manual_seed(0)
    device = "cpu" if DEVICE == "cpu" else "cuda"
    net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 1)).to(device)
    x = lib.ones(2, 3, device=device)

    def loss():
        h = net(x)
        y = h * 1
        y[0] *= 2  # written in place
        return (y * y).sum()

    return net, loss


def values(tensor):
    return np.asarray(tensor.detach().cpu().tolist())


def test_leaves_get_what_backward_gives(lib):
    net, loss = model_and_loss(lib)
    told = lib.explain(loss, names=net.named_parameters())
    assert all(parameter.grad is None for parameter in net.parameters())
    loss().backward()
    assert [leaf.name for leaf in told.leaves] == [name for name, _ in net.named_parameters()]
    for leaf in told.leaves:
        np.testing.assert_array_equal(values(leaf.gradient), values(leaf.tensor.grad))
        np.testing.assert_array_equal(values(told.steps[-1].accumulated[leaf.name]),
                                      values(leaf.tensor.grad))


def test_every_step_hands_on_what_the_next_receives(lib):
    _, loss = model_and_loss(lib)
    told = lib.explain(loss)
    received = {step.number: 0.0 for step in told.steps}
    for step in told.steps:
        for sent in step.sent:
            if sent.number >= 0:
                assert sent.number > step.number and told.steps[sent.number].name == sent.to
                received[sent.number] = received[sent.number] + values(sent.gradient)
    for step in told.steps[1:]:
        (arrived,) = step.arrived
        np.testing.assert_allclose(values(arrived), received[step.number], rtol=1e-6)
    assert values(told.steps[0].arrived[0]) == 1.0
    assert all(step.node.name().endswith(step.name) for step in told.steps)


def test_lines_and_rules(lib):
    net, loss = model_and_loss(lib)
    text = str(lib.explain(loss, names=net.named_parameters()))
    assert f"MulBackward0   made at {FILE}:" in text and "return (y * y).sum()" in text
    assert "CopySlices   made at" in text and "y[0] *= 2  # written in place" in text
    assert "rule      input: lambda g, other: g * other.conj()   [arithmetic.py:" in text
    assert r"$y = a\,b$, so $\bar a = \bar y\,b^*$" in text
    assert "to 0.weight" in text and "leaf 2.bias: gradient tensor(" in text


def test_two_rules_on_one_line_are_told_apart(lib):
    _, loss = model_and_loss(lib)
    rules = [rule for step in lib.explain(loss).steps for rule in step.rules]
    by_copy = [rule.source for rule in rules if rule.inputs == ("src",)]
    assert set(by_copy) == {"lambda g: g"}


def test_the_source_of_every_rule_is_found_whole():
    minigrad_folder = source_of.__code__.co_filename.rpartition("/")[0]
    rules = [rule for node in Node.__subclasses__() if getattr(node, "op", None) is not None
             for rule in node.op.rules.values() if minigrad_folder in rule.__code__.co_filename]
    assert len(rules) > 500
    for rule in rules:
        source, line = source_of(rule)
        (statement,) = ast.parse(source).body  # not a part of it, and indented as it must be
        assert isinstance(getattr(statement, "value", statement), ast.Lambda | ast.FunctionDef)
        assert line.number == rule.__code__.co_firstlineno


def test_a_loss_that_exists_already(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    told = lib.explain((x * x).sum())
    assert told.steps[0].made_at is None and told.leaves[0].name == "x"
    with lib.remember_lines():
        loss = (x * x).sum()  # this line
    told = lib.explain(loss)
    assert "this line" in told.steps[0].made_at.text and told.steps[0].made_at.file == __file__
    assert (x * x).grad_fn.metadata == {}
    loss.backward()  # explain has not freed the graph
    assert x.grad.tolist() == [2.0, 4.0]
    told = lib.explain(lambda: (x * 3).exp(), gradient=lib.tensor([1.0, 0.0]))
    assert told.leaves[0].gradient.tolist()[1] == 0.0


def test_custom_functions(lib):
    class Square(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = lib.tensor([3.0], requires_grad=True)
    told = lib.explain(lambda: Square.apply(x).sum())
    (rule,) = told.steps[1].rules
    assert told.steps[1].name == "SquareBackward"
    assert rule.source.splitlines() == [
        "def backward(ctx, g):", "    (x,) = ctx.saved_tensors", "    return 2 * x * g"]
    assert "made at" in str(told).split("SquareBackward")[2]


def test_each_gradient_tells_where_it_goes(lib):
    x = lib.ones(2, requires_grad=True)
    pair = [lib.ones(2, requires_grad=True), lib.ones(2, requires_grad=True)]
    told = lib.explain((lib.cat(pair) * x.repeat(2)).sum(), names={"x": x})
    by_name = {step.name: step for step in told.steps}
    assert [sent.input for sent in by_name["MulBackward0"].sent] == ["input", "other"]
    assert [sent.node.name() for sent in by_name["MulBackward0"].sent] == [
        "CatBackward0", "RepeatBackward0"]
    assert [sent.to for sent in by_name["CatBackward0"].sent] == [
        "a leaf of shape (2,)", "a leaf of shape (2,) #2"]
    assert told.steps[-1].accumulated["a leaf of shape (2,)"].tolist() == [1.0, 1.0]


def test_every_op_of_a_network_has_its_mathematics(lib):
    """The formula of its kernel, or the words of the method that calls it."""
    x, y = lib.ones(2, 6, requires_grad=True), lib.ones(2, 6, requires_grad=True)
    weight = lib.ones(3, 4, requires_grad=True)

    def loss():
        parts = lib.cat([x - 1, -y]).reshape(6, 4).transpose(0, 1).unsqueeze(0)
        h = lib.nn.functional.gelu(lib.baddbmm(x[0].expand(1, 3, 6), weight[None], parts))
        return lib.nn.functional.nll_loss(h.squeeze(0).log_softmax(-1), lib.tensor([0, 1, 2]))

    told = {step.name: step.mathematics for step in lib.explain(loss).steps}
    assert len(told) > 12 and not [name for name in told if not told[name]]
    assert told["SubBackward0"].startswith(r"$y = a - \alpha b$, so $\bar a = \bar y$")
    assert told["CatBackward0"].startswith("The tensors one after the other")


def test_what_cannot_be_explained(lib):
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        lib.explain(lib.ones(2).sum())
    with pytest.raises(TypeError, match="not int"):
        lib.explain(3)
    with pytest.raises(TypeError, match="not NoneType"):
        lib.explain(lambda: None)
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        lib.explain(lib.ones(2, requires_grad=True) * 2)
    x = lib.ones(2, requires_grad=True)
    loss = x.exp().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        lib.explain(loss)
    assert x.grad is not None
