"""Training curves, histograms and diagrams of broadcasting."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from minigrad import viz
from minigrad.viz.histograms import measure
from parity_tests.harness import candidate


def trained(torch, steps=5):
    """A short training, and what a History has seen of it."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    with torch.no_grad():
        model[0].bias[:3] = -100.0  # three units that never fire
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = viz.History(model)
    x = torch.randn(8, 4)
    for step in range(steps):
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        history.step(model, optimizer, loss=loss, accuracy=step / 10)
        optimizer.zero_grad()
    return model, history


def test_a_history_is_torchs():
    import torch

    (_, ours), (_, theirs) = trained(candidate()), trained(torch)
    for name in ("values", "rates", "gradients", "updates", "dead"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert list(a) == list(b)
        for key in a:
            assert a[key][0] == b[key][0] == [1, 2, 3, 4, 5]
            np.testing.assert_allclose(a[key][1], b[key][1], rtol=1e-4)
    assert ours.dead["0"][1] == [0.5] * 5 and ours.dead["2"][1] == [0.0] * 5
    assert ours.values["accuracy"][1] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert ours.rates["learning rate"][1] == [0.1] * 5


def test_norms_and_ratios_are_those_of_the_tensors():
    torch = candidate()
    model = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    history = viz.History(model)
    model(torch.tensor([[6.0, 8.0]])).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    history.step(model)
    assert history.gradients == {"Linear": ([1], [10.0])}
    assert math.isclose(history.updates["Linear"][1][0], 0.1 / 5, rel_tol=1e-4)


def test_every_panel_that_has_something_to_show(tmp_path):
    _, history = trained(candidate(), steps=50)
    history.step(val_loss=0.3)
    figure = viz.training(history, tmp_path / "training.png")
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles == ["loss", "accuracy", "learning rate", "gradient norm by layer",
                      "update-to-weight ratio by layer", "dead units by layer"]
    assert figure.axes[3].get_yscale() == "log"
    assert len(figure.axes[0].get_lines()) == 3  # the losses, smoothed, and those of validation
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")
    only_loss = viz.History()
    only_loss.step(loss=1.0)
    assert len(viz.training(only_loss).axes) == 1


def test_the_legend_of_a_deep_network_has_few_lines():
    history = viz.History()
    history.gradients = {str(layer): ([1, 2], [0.1, 0.2]) for layer in range(50)}
    (panel,) = viz.training(history).axes
    labels = panel.get_legend_handles_labels()[1]
    assert len(labels) == 8 and labels[0] == "0" and labels[-1] == "49"


def test_histograms_show_activations_and_gradients(tmp_path):
    import torch as real

    found = []
    for torch in (candidate(), real):
        model, _ = trained(torch)
        x = torch.arange(12.0).reshape(3, 4)
        found.append(measure(model, x, lambda output: output.square().sum()))
        assert all(parameter.grad is None or not parameter.grad.any()
                   for parameter in model.parameters())
    assert list(found[0]) == ["0 · Linear", "1 · ReLU", "2 · Linear"]
    for layer, (values, gradients) in found[0].items():
        np.testing.assert_allclose(values, found[1][layer][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(gradients, found[1][layer][1], rtol=1e-4, atol=1e-6)
    torch = candidate()
    model, _ = trained(torch)
    figure = viz.histograms(model, torch.ones(3, 4), path=tmp_path / "histograms.svg")
    assert len(figure.axes) == 6 and (tmp_path / "histograms.svg").stat().st_size > 1000
    assert len(viz.histograms(model, torch.ones(3, 4), max_layers=2).axes) == 4


def test_histograms_of_what_is_not_finite_or_has_no_gradient():
    torch = candidate()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()).requires_grad_(False)
    figure = viz.histograms(model, torch.full((1, 2), float("inf")))
    texts = [text.get_text() for panel in figure.axes for text in panel.texts]
    assert "none comes here" in texts and any("inf or nan" in text for text in texts)


@pytest.mark.parametrize("a, b", [((3, 1), (4,)), ((2, 1, 4), (3, 1)), ((), (2,)), ((7, 9), (9,)),
                                  ((1, 2, 3, 4), (4,)), ((0, 3), (1, 3)), ((), ())])
def test_broadcasting_says_the_shape_of_the_result(a, b):
    figure = viz.broadcasting(a, b)
    result = tuple(candidate().broadcast_shapes(a, b))
    assert figure.texts[0].get_text() == f"{a} and {b} fit: the result is {result}"
    cells = figure.axes[1].patches if len(figure.axes) > 1 else []
    assert len(cells) == (3 * math.prod(min(size, 6) for size in result)
                          if 1 <= len(result) <= 3 else 0)


def test_broadcasting_says_what_does_not_fit(tmp_path):
    figure = viz.broadcasting(candidate().ones(2, 3), (4, 3, 5), path=tmp_path / "shapes.pdf")
    assert figure.texts[0].get_text() == ("(2, 3) and (4, 3, 5) do not fit: in dimension -1, 3 and "
                                          "5 differ, and neither is 1")
    assert (tmp_path / "shapes.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("call, kind, words", [
    (lambda: viz.History().step([1, 2]), TypeError, "numbers go by name"),
    (lambda: viz.History(3), TypeError, "looks at a module, not int"),
    (lambda: viz.History().step(loss=candidate().ones(2)), TypeError, "a tensor of one element"),
    (lambda: viz.History().step(loss=None), TypeError, "loss must be a number"),
    (lambda: viz.training(viz.History()), ValueError, "call history.step"),
    (lambda: viz.training([0.1, 0.2]), TypeError, "draws a viz.History"),
    (lambda: viz.histograms(np.ones(2), np.ones(2)), TypeError, r"histograms\(model, inputs\)"),
    (lambda: viz.broadcasting(3, (3,)), TypeError, r"two shapes, such as \(3, 1\)"),
    (lambda: viz.broadcasting((-1, 2), (3,)), TypeError, "two shapes"),
    (lambda: viz.broadcasting((2,), (3,), path="x.docx"), ValueError, "the suffix says the format"),
    (lambda: viz.broadcasting((2,), (3,), path="/none/x.png"), FileNotFoundError, "make it first"),
])
def test_bad_input_is_one_clear_line(call, kind, words):
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_step_that_is_refused_notes_nothing():
    history = viz.History()
    with pytest.raises(TypeError):
        history.step(accuracy=1.0, loss="much")
    assert history.steps == 0 and not history.values


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "minigrad.viz.chart", raising=False)
    monkeypatch.delattr("minigrad.viz.chart", raising=False)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        viz.broadcasting((2,), (3,))
