"""Pictures of graphs: minigrad's and torch's are the same picture."""

from __future__ import annotations

import re
import shutil
from collections import Counter

import pytest

from minigrad import viz
from parity_tests.harness import candidate


def model_and_loss(torch):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    loss = torch.nn.functional.cross_entropy(model(torch.ones(5, 4)), torch.tensor([0, 1, 0, 1, 1]))
    return model, loss


def arrows(picture):
    """The picture's arrows as pairs of labels, without the nodes' own names."""
    labels, pairs = {}, []
    for line in picture.body:
        node = re.match(r'\s*(\w+) \[label="?([^"\]]*?)"? ', line)
        edge = re.match(r"\s*(\w+) -> (\w+)", line)
        if edge:
            pairs.append(edge.groups())
        elif node:
            labels[node[1]] = node[2]
    return Counter((labels[a], labels[b]) for a, b in pairs)


def test_the_picture_is_torchs():
    import torch

    pictures = []
    for library in (torch, candidate()):
        model, loss = model_and_loss(library)
        pictures.append(arrows(viz.draw(loss, model.named_parameters())))
    assert pictures[0] == pictures[1]
    assert any("0.weight" in label for pair in pictures[0] for label in pair)
    assert ("LogSoftmaxBackward0", "NllLossBackward0") in pictures[0]


def test_a_shared_node_is_drawn_once():
    torch = candidate()
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    picture = viz.draw([(y * y).sum(), y.sum()])
    assert sum("MulBackward0" in line for line in picture.body) == 2
    assert sum("output" in line and "label" in line for line in picture.body) == 2


def test_deep_graphs_need_no_recursion():
    torch = candidate()
    y = x = torch.ones(1, requires_grad=True)
    for _ in range(5000):
        y = y + x
    assert len(arrows(viz.draw(y))) > 1


def test_a_tensor_without_a_graph():
    picture = viz.draw(candidate().ones(2))
    assert len(picture.body) == 1


@pytest.mark.parametrize("suffix, start", [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_files(tmp_path, suffix, start):
    model, loss = model_and_loss(candidate())
    path = viz.save(loss, tmp_path / f"graph{suffix}", dict(model.named_parameters()))
    content = path.read_bytes()
    assert content.startswith(start)
    if suffix == ".svg":
        assert b"AddmmBackward0" in content and b"2.bias" in content


def test_without_a_layout_program(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    _, loss = model_and_loss(candidate())
    with pytest.raises(viz.LayoutUnavailable, match="graphviz-pure"):
        viz.save(loss, tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())
