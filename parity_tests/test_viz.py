"""Pictures of graphs: minigrad's and torch's are the same picture."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections import Counter

import numpy as np
import pytest

import minigrad
from minigrad import viz
from minigrad.viz import layout
from minigrad.viz.pdf import pdf_of
from parity_tests.harness import candidate
from parity_tests.speed.pictures import deep_gpt, gpt


def model_and_loss(torch):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    loss = torch.nn.functional.cross_entropy(model(torch.ones(5, 4)), torch.tensor([0, 1, 0, 1, 1]))
    return model, loss


def titles(picture):
    """What the boxes are called, by their names in the DOT text."""
    found = {}
    for line in picture.body:
        node = re.match(r"\s*(\w+) \[label=<(?:<b>)?(.*?)(?:</b>|<br/>|>)", line)
        if node and node[1] != "legend":
            found[node[1]] = node[2]
    return found


def arrows(picture):
    """The picture's arrows as pairs of titles."""
    labels = titles(picture)
    ends = [re.match(r"\s*(\w+) -> (\w+)", line) for line in picture.body]
    return Counter((labels[end[1]], labels[end[2]]) for end in ends if end)


def test_the_picture_is_torchs():
    import torch

    pictures = []
    for library in (torch, candidate()):
        model, loss = model_and_loss(library)
        pictures.append(viz.draw(loss, model.named_parameters()))
    assert arrows(pictures[0]) == arrows(pictures[1])
    assert any("0.weight" in label for pair in arrows(pictures[0]) for label in pair)
    assert arrows(pictures[0])["LogSoftmaxBackward0", "NllLossBackward0"] == 1
    shapes = [sorted((v.title, v.shape) for v in picture.model.vertices) for picture in pictures]
    assert shapes[0] == shapes[1]


def test_a_shared_node_is_drawn_once():
    torch = candidate()
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    picture = viz.draw([(y * y).sum(), y.sum()])
    assert Counter(titles(picture).values()) == {
        "MulBackward0": 2, "SumBackward0": 2, "x": 1, "output[0]": 1, "output[1]": 1}
    assert arrows(picture)["MulBackward0", "MulBackward0"] == 2


def test_deep_graphs_need_no_recursion():
    torch = candidate()
    y = x = torch.ones(1, requires_grad=True)
    for _ in range(5000):
        y = y + x
    assert len(viz.draw(y, max_nodes=None).model.vertices) == 5002
    lines = viz.tree(y, max_lines=20_000).splitlines()
    assert max(map(len, lines)) < 100
    assert sum("AddBackward0 (1,)" in line for line in lines) == 5000
    assert viz.diff(y, y).same


# --- what stands in the boxes --------------------------------------------------------------------

def test_names_of_variables_and_gradients():
    torch = candidate()
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    unused = torch.zeros(2, requires_grad=True)
    loss = (weight * weight / 2 + 0 * unused).sum()
    text = viz.draw(loss).source
    assert text.count("gradient not computed yet") == 4  # in the boxes and their tooltips
    loss.backward()
    text = viz.draw(loss).source
    assert "<b>weight</b><br/><font point-size=\"9\">(2,) float32</font>" in text
    assert "gradient norm 5<" in text and "gradient norm 0<" in text  # 0 where it has been computed
    assert "not computed" not in text and "saved values freed" in text
    assert "<b>loss</b>" in text and "<b>w</b>" in viz.draw(loss, params={"w": weight}).source


MODULE_LEVEL = minigrad.ones(2, requires_grad=True)


def test_names_from_the_module_of_the_caller():
    """Of a function without variables, too; names such as Jupyter's `_` come last."""
    assert "MODULE_LEVEL" in titles((lambda: viz.draw(MODULE_LEVEL * 2))()).values()
    _ = loss = (MODULE_LEVEL * 2).sum()
    assert "loss" in titles(viz.draw(_)).values() and "loss: Sum" in viz.tree(_)
    assert loss is _


def test_names_from_modules_of_the_caller():
    model, loss = model_and_loss(candidate())
    assert "model.2.bias" in titles(viz.draw(loss)).values()


@pytest.mark.parametrize("library", ["minigrad", "torch"])
def test_bytes_are_those_of_the_saved_tensors(library):
    torch = pytest.importorskip(library)
    x = torch.ones(10, 3, requires_grad=True)
    y = torch.ones(10, 1, dtype=torch.float64)
    (mul,) = [each for each in viz.draw((x * y).exp()).model.vertices
              if each.title == "MulBackward0"]
    assert mul.saved_bytes == 10 * 8
    (exp,) = [each for each in viz.draw((x * y).exp()).model.vertices
              if each.title == "ExpBackward0"]
    assert exp.saved_bytes == 30 * 8 and exp.shape == "(10, 3) float64"


def test_rules_stand_on_the_arrows():
    torch = candidate()
    x, y = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    text = viz.draw(x * y, rules=True).source
    assert "input: g * other.conj()" in text and "other: g * input.conj()" in text


def test_forward_names_the_ops_and_shows_the_data():
    torch = candidate()
    model, _ = model_and_loss(torch)
    picture = viz.draw(model, torch.ones(5, 4), kind="forward")
    assert arrows(picture) == {
        ("0.weight", "t"): 1, ("0.bias", "addmm"): 1, ("t", "addmm"): 2, ("addmm", "relu"): 1,
        ("relu", "addmm"): 1, ("2.weight", "t"): 1, ("2.bias", "addmm"): 1, ("addmm", "output"): 1,
        ("input", "addmm"): 1}
    assert "dir=back" not in picture.source


@pytest.mark.parametrize("library", ["minigrad", "torch"])
def test_the_graph_of_double_backward(library):
    torch = pytest.importorskip(library)
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    picture = viz.draw((x ** 3).sum(), kind="double")
    found = {v.title: v.second for v in picture.model.vertices if v.kind == "op"}
    assert found["PowBackward0"] and found["MulBackward0"]
    assert "gradient of x" in titles(picture).values() and x.grad is None


def test_saved_values_and_bases_of_views():
    torch = candidate()
    x = torch.ones(4, 4, requires_grad=True)
    y = (x * 2)[1:]
    z = y.sin()
    picture = viz.draw([y, z], show_saved=True)
    assert arrows(picture)["saved input = y", "SinBackward0"] == 1
    assert arrows(picture)["base of a view", "y"] == 1
    assert arrows(picture)["base of a view", "saved input = y"] == 1
    base = x * 2
    view = base[1:]
    picture = viz.draw([base, view], show_saved=True)
    assert arrows(picture)["base", "view"] == 1, "the result itself, not another box"
    assert [*titles(picture).values()].count("base") == 1


def test_shades_by_bytes_and_by_time():
    _, loss = model_and_loss(candidate())
    assert "saved by the op" in viz.draw(loss, color="bytes").source
    picture = viz.draw(loss, color="time")
    assert all(v.seconds > 0 for v in picture.model.vertices if v.kind == "op")
    assert "time of its backward" in picture.source
    loss.backward()  # nothing has been freed by it


def test_any_name_can_be_drawn(tmp_path):
    x = candidate().ones(2, requires_grad=True)
    y = x.sin()
    for name in ('we"ird\\', "two\nlines", "<b>", "&amp;", "ß→λ", 7):
        for text in (viz.draw(y, {name: x}).source,
                     viz.save(y, tmp_path / "graph.dot", {name: x}).read_text()):
            assert str(name).partition("\n")[0].encode() in html.unescape(
                layout.lay_out(text, "svg").decode()).encode()


def test_a_file_has_the_names_of_the_callers_variables(tmp_path):
    x = candidate().ones(2, requires_grad=True)
    result = x.sin()
    text = viz.save(result, tmp_path / "graph.dot").read_text()
    assert "<b>result</b>" in text and "<b>x</b>" in text
    body = text[text.index("\tn0"):]
    assert body == viz.draw(result).source[viz.draw(result).source.index("\tn0"):]


def test_every_direction_and_html_in_names():
    torch = candidate()
    x = torch.ones(2, requires_grad=True)
    for direction in ("TB", "BT", "LR", "RL"):
        text = viz.draw(x.sin(), {"<a&b>": x}, direction=direction).source
        assert f"rankdir={direction}" in text and "&lt;a&amp;b&gt;" in text
        assert layout.lay_out(text, "svg").startswith(b"<?xml")


# --- nothing is touched --------------------------------------------------------------------------

def test_nothing_is_touched():
    torch = candidate()
    model, loss = model_and_loss(torch)
    state = {name: (id(each._data), each._data.copy(), each._version)
             for name, each in model.state_dict().items()}
    nodes = [v.node for v in viz.draw(loss).model.vertices if v.kind == "op"]
    saved = [(id(node.saved), node.versions, len(node.results)) for node in nodes]
    during = []
    loss.register_hook(lambda g: during.append(viz.draw(loss, rules=True, show_saved=True)))
    for _ in range(2):
        viz.draw(loss, rules=True, show_saved=True, color="bytes")
        viz.tree(loss)
    assert saved == [(id(node.saved), node.versions, len(node.results)) for node in nodes]
    assert all(parameter.grad is None for parameter in model.parameters())
    loss.backward()
    assert len(during) == 1
    after = viz.draw(loss, rules=True, show_saved=True, color="bytes")
    assert "saved values freed" in after.source
    for name, each in model.state_dict().items():
        assert each._version == state[name][2] and np.array_equal(each._data, state[name][1])


def test_hooks_on_saved_tensors_do_not_run():
    torch = candidate()
    unpacked = []
    x = torch.ones(3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpacked.append):
        y = x.exp() * x
    text = viz.draw(y, show_saved=True).source
    assert not unpacked and "kept by hooks" in text


def test_what_was_overwritten_is_said():
    torch = candidate()
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    z = y.sin()
    y.add_(1)
    text = viz.draw(z, show_saved=True).source
    assert "overwritten since: version 0, now 1" in text


def test_a_run_leaves_the_model_and_the_random_numbers():
    torch = candidate()
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3),
                                torch.nn.Dropout(0.5))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    buffers = [(id(buffer), buffer._version) for buffer in model.buffers()]
    viz.draw(model, torch.randn(4, 3, generator=torch.Generator()))
    assert torch.equal(torch.rand(3), expected)
    assert [(id(buffer), buffer._version) for buffer in model.buffers()] == buffers
    assert int(model[1].num_batches_tracked) == 0


# --- modules, repeats, limits --------------------------------------------------------------------

@pytest.mark.parametrize("library", ["minigrad", "torch"])
def test_equal_modules_are_drawn_once(library):
    model, indices = gpt(pytest.importorskip(library))
    picture = viz.draw(model, indices, depth=1)
    assert arrows(picture) == {
        ("indices", "tokens · Embedding"): 1,
        ("tokens · Embedding", "blocks.0 … blocks.11 · Block ×12"): 1,
        ("blocks.0 … blocks.11 · Block ×12", "norm · LayerNorm"): 1,
        ("norm · LayerNorm", "head · Linear"): 1, ("head · Linear", "output"): 1}
    (blocks,) = [v for v in picture.model.vertices if v.count == 12]
    assert blocks.numbers == sum(p.numel() for p in model.blocks.parameters())
    deeper = viz.draw(model, indices, depth=2)
    assert arrows(deeper)["blocks.0.norm1 · LayerNorm", "blocks.0.attention · Attention"] == 1
    assert arrows(deeper)["AddBackward0", "AddBackward0"] == 1  # around the second half
    assert "<blocks.0 … blocks.11 · Block ×12>" in deeper.source
    unfolded = viz.draw(model, indices, depth=1, fold=False)
    assert sum(title.endswith("Block") for title in titles(unfolded).values()) == 12


def test_inputs_are_outside_of_modules():
    torch = candidate()
    model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
    picture = viz.draw(model, torch.ones(1, 4, requires_grad=True), depth=1)
    assert arrows(picture) == {
        ("input", "0 … 2 · Linear ×3"): 1, ("0 … 2 · Linear ×3", "output"): 1}
    (layers,) = [vertex for vertex in picture.model.vertices if vertex.kind == "group"]
    assert layers.details == ["together 6 ops, 6 leaves (60 numbers)"]


def test_only_equal_modules_are_folded():
    torch = candidate()
    layers = [torch.nn.Linear(4, size) for size in (4, 4, 4, 2)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(2, 2))
    found = titles(viz.draw(model, torch.ones(1, 4), depth=1)).values()
    assert set(found) == {  # the first sends no gradient on: the data need none
        "input", "0 · Linear", "1 … 2 · Linear ×2", "3 · Linear", "4 · Linear", "output"}


def test_a_loss_remembers_its_modules():
    torch = candidate()
    model, indices = gpt(torch, blocks=2)
    with viz.remember_modules():
        loss = model(indices).sum()
    assert "blocks.0 … blocks.1 · Block ×2" in titles(viz.draw(loss, depth=1)).values()
    assert "head · Linear" not in titles(viz.draw(model(indices).sum(), depth=1)).values()


def test_a_big_graph_is_collapsed_and_then_counted():
    torch = candidate()
    model, indices = gpt(torch, blocks=4)
    picture = viz.draw(model, indices, fold=False, max_nodes=40)
    assert len(picture.model.vertices) <= 40 and "3 · Block" in picture.source
    y = x = torch.ones(1, requires_grad=True)
    for _ in range(99):
        y = y * x
    picture = viz.draw(y, max_nodes=20)
    assert "80 more" not in titles(picture).values() and len(picture.model.vertices) == 21
    assert any(title.endswith(" more") for title in titles(picture).values())
    assert "MulBackward0 ×" in picture.source
    many = viz.draw([x * number for number in range(50)], max_nodes=10).model.vertices
    assert len(many) == 11 and many[-1].kind == "rest"


def test_big_graphs_are_drawn_in_reasonable_time(tmp_path):
    """Generous bounds against what grows with the square; `python -m parity_tests.speed
    picture_folded picture_text` measures."""
    torch = candidate()
    model, indices = deep_gpt(torch)
    start = time.perf_counter()
    picture = viz.draw(model, indices, depth=1)
    picture.render(str(tmp_path / "gpt.svg"))
    assert time.perf_counter() - start < 50
    assert "2,995 ops" in picture.source
    y = x = torch.ones(1, requires_grad=True)
    for _ in range(10_000):
        y = y * x
    start = time.perf_counter()
    assert viz.draw(y, max_nodes=None).source.count("<b>MulBackward0</b>") == 10_000
    assert time.perf_counter() - start < 10


# --- files ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("suffix, start", [
    (".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph")])
def test_files(tmp_path, suffix, start):
    model, loss = model_and_loss(candidate())
    path = viz.save(loss, tmp_path / f"graph{suffix}", dict(model.named_parameters()))
    content = path.read_bytes()
    assert content.startswith(start)
    if suffix in (".svg", ".dot"):
        assert b"AddmmBackward0" in content and b"2.bias" in content
    rendered = viz.draw(loss).render(str(tmp_path / f"again{suffix}"))
    assert open(rendered, "rb").read().startswith(start)
    assert {each.name for each in tmp_path.iterdir()} == {f"graph{suffix}", f"again{suffix}"}


def test_the_pdf_is_whole(tmp_path):
    """Every object stands where the table says, and the page has the picture's texts."""
    model, loss = model_and_loss(candidate())
    content = pdf_of(viz.draw(loss).pipe("json"))
    places = [int(line.split()[0]) for line in re.findall(rb"\d{10} 00000 n ", content)]
    for number, place in enumerate(places, 1):
        assert content[place:].startswith(b"%d 0 obj" % number)
    page = zlib.decompress(content.split(b"stream\n")[1].split(b"\nendstream")[0])
    assert b"(AddmmBackward0) Tj" in page and b"(model.0.weight) Tj" in page


def test_jupyter_is_given_a_picture():
    _, loss = model_and_loss(candidate())
    assert "<svg" in viz.draw(loss)._repr_mimebundle_()["image/svg+xml"]


def test_without_a_layout_program(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    _, loss = model_and_loss(candidate())
    with pytest.raises(viz.LayoutUnavailable, match="graphviz-pure.*graph.dot") as caught:
        viz.save(loss, tmp_path / "graph.svg")
    assert "\n" not in str(caught.value)
    (text,) = tmp_path.iterdir()
    assert text.name == "graph.dot" and "AddmmBackward0" in text.read_text()
    assert "digraph" in viz.draw(loss)._repr_mimebundle_()["text/plain"]


def test_files_that_cannot_be_written(tmp_path, monkeypatch):
    _, loss = model_and_loss(candidate())
    with pytest.raises(FileNotFoundError, match="there is no folder .*make it first"):
        viz.save(loss, tmp_path / "missing" / "graph.svg")
    with pytest.raises(ValueError, match="the suffix says the format"):
        viz.save(loss, tmp_path / "graph.docx")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        viz.save(loss, tmp_path / "folder.svg")
    path = tmp_path / "graph.svg"
    path.write_text("the old one")
    monkeypatch.setattr("os.replace", lambda *args: (_ for _ in ()).throw(
        OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="cannot write .*No space left on device"):
        viz.save(loss, path)
    assert path.read_text() == "the old one"
    assert {each.name for each in tmp_path.iterdir()} == {"folder.svg", "graph.svg"}


def test_an_engine_that_fails(tmp_path, monkeypatch):
    _, loss = model_and_loss(candidate())
    failed = subprocess.CompletedProcess([], 1, b"", b"Error: out of memory\nmore")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match="could not lay the graph out: Error: out of memory$"):
        viz.save(loss, tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())


# --- bad input -----------------------------------------------------------------------------------

def bad_inputs():
    torch = candidate()
    x = torch.ones(2, requires_grad=True)
    used = (x * x).sum()
    used.backward()
    constant = (x * 3).sum()
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    return [
        (lambda: viz.draw(torch.ones(2)), RuntimeError, "pass a result, such as the loss"),
        (lambda: viz.draw(x), RuntimeError, "it is a leaf"),
        (lambda: viz.draw(np.ones(2)), TypeError, "numpy.ndarray; an array has no history"),
        (lambda: viz.draw(torch.nn.Linear(2, 2)), TypeError, r"draw\(model, inputs\)"),
        (lambda: viz.draw(frozen, torch.ones(2)), RuntimeError, "may be frozen"),
        (lambda: viz.draw(used.grad_fn), TypeError, "pass the tensor instead of its grad_fn"),
        (lambda: viz.draw([]), TypeError, "not list without tensors"),
        (lambda: viz.draw(None), TypeError, "not NoneType"),
        (lambda: viz.draw(used, x), TypeError, "inputs go with a module"),
        (lambda: viz.draw(used, kind="double"), RuntimeError, "draw before backward"),
        (lambda: viz.draw(used, color="time"), RuntimeError, "draw before backward"),
        (lambda: viz.draw(constant, kind="double"), RuntimeError, "gradients are constants"),
        (lambda: viz.draw(used, kind="sideways"), ValueError, "kind is one of"),
        (lambda: viz.draw(used, direction="up"), ValueError, "direction is one of"),
        (lambda: viz.draw(used, "name"), TypeError, "names are a dict or pairs"),
        (lambda: viz.draw(used, depth=0), ValueError, "depth is a number from 1 on"),
        (lambda: viz.tree(3), TypeError, r"tree\(\) takes a tensor"),
        (lambda: viz.diff(used, np.ones(2)), TypeError, r"diff\(\) takes a tensor"),
    ]


@pytest.mark.parametrize("number", range(18))
def test_bad_input_is_one_clear_line(number):
    call, kind, words = bad_inputs()[number]
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.delitem(sys.modules, "minigrad.viz.picture", raising=False)
    _, loss = model_and_loss(candidate())
    with pytest.raises(viz.LayoutUnavailable, match="pip install graphviz"):
        viz.draw(loss)
    assert "AddmmBackward0" in viz.tree(loss)
    assert b"<svg" in viz.save(loss, tmp_path / "graph.svg").read_bytes()  # which can do without


def test_minigrad_imports_nothing_for_it():
    code = ("import sys, minigrad, minigrad.viz; "
            "sys.exit(any(m in sys.modules for m in ('graphviz', 'matplotlib', 'torch')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert minigrad.viz is viz
