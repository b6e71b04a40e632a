"""`viz.step`: the page is one file, and what it shows are the gradients of backward."""

from __future__ import annotations

import json
import re
import time
from xml.dom import minidom

import numpy as np
import pytest

from minigrad import viz
from minigrad.viz import step_layout
from minigrad.viz.math import TexError, text_to_html, to_mathml
from minigrad.viz.step_data import summary
from parity_tests.harness import DEVICE, candidate

FILE = __file__.rpartition("/")[2]


@pytest.fixture
def lib():
    return candidate()


def model_and_loss(lib):
    """A perceptron whose first weight is reached by two ways; a function that makes its loss."""
    lib.manual_seed(0)
    device = "cpu" if DEVICE == "cpu" else "cuda"
    net = lib.nn.Sequential(lib.nn.Linear(4, 3), lib.nn.Tanh(), lib.nn.Linear(3, 2)).to(device)
    x = lib.randn(5, 4).to(device)

    def loss():
        h = net(x)
        return lib.logsumexp(h, 1).mean() + 0.1 * (net[0].weight ** 2).sum()

    return net, loss


def content(path):
    """The page's JSON."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.S)[1])


def numbers(tensor, dtype=None):
    """A tensor of the page's JSON as an array."""
    values = [complex(*each) if isinstance(each, list) else float(each)
              for each in tensor["values"]]
    return np.array(values).astype(dtype or tensor["dtype"]).reshape(tensor["shape"])


def array(tensor):
    return np.asarray(tensor.detach().cpu().tolist(), dtype=str(tensor.dtype).rpartition(".")[2])


def many_nodes(lib, count, size=8):
    """A graph of `count` nodes whose arrows cross."""
    rng = np.random.default_rng(0)
    lib.manual_seed(0)
    leaves = [lib.randn(size, size, requires_grad=True) for _ in range(8)]
    made = list(leaves)
    for place in range(count - 1):
        other = made[-1 - rng.integers(min(len(made), 6))]
        made.append(made[-1].sin() if place % 3 == 0 else made[-1] * other if place % 3 == 1
                    else made[-1] + other)
    return leaves, made[-1].sum()


# --- the data ------------------------------------------------------------------------------------

def test_every_leaf_ends_with_its_grad(lib, tmp_path):
    net, loss = model_and_loss(lib)
    data = content(viz.step(loss, tmp_path / "page.html", names=net.named_parameters()))
    assert all(parameter.grad is None for parameter in net.parameters())
    loss().backward()
    assert [leaf["name"] for leaf in data["leaves"]] == [name for name, _ in net.named_parameters()]
    last = dict(pair for step in data["steps"] for pair in step["leaves"])
    for number, (leaf, parameter) in enumerate(zip(data["leaves"], net.parameters(), strict=True)):
        for index in (leaf["gradient"], last[number]):
            np.testing.assert_array_equal(numbers(data["tensors"][index]), array(parameter.grad))
    weight = [place for step in data["steps"] for place, _ in step["leaves"]].count(0)
    assert weight == 2, "the first weight is reached by two ways"


def test_every_node_receives_what_its_output_retains(lib, tmp_path):
    x = lib.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
    a = x.sin()
    b = a * x
    c = b + a
    loss = (c * c).sum()
    data = content(viz.step(loss, tmp_path / "page.html"))
    for tensor in (a, b, c):
        tensor.retain_grad()
    loss.backward()
    by_name = {data["kinds"][step["kind"]]["name"]: step for step in data["steps"]}
    for tensor, name in ((a, "SinBackward0"), (c, "AddBackward0")):
        (index,) = by_name[name]["in"]
        np.testing.assert_array_equal(numbers(data["tensors"][index]), array(tensor.grad))
    assert data["leaves"][0]["name"] == "x", "found among the variables of the caller"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "complex64"])
def test_no_number_is_rounded(lib, tmp_path, dtype):
    lib.manual_seed(0)
    x = lib.randn(4, 3, dtype=getattr(lib, "float32" if dtype != "complex64" else dtype))
    x = x.to(getattr(lib, dtype)).requires_grad_()
    def loss():
        return (x * x * x).abs().sum()
    data = content(viz.step(loss, tmp_path / "page.html"))
    loss().backward()
    tensor = data["tensors"][data["leaves"][0]["gradient"]]
    assert tensor["dtype"] == dtype and tensor["shape"] == [4, 3]
    exact = numbers(tensor, {"bfloat16": "float32"}.get(dtype))
    assert exact.ravel().tolist() == [each for row in x.grad.tolist() for each in row]


def test_large_tensors_are_histograms(lib, tmp_path):
    lib.manual_seed(0)
    x = lib.randn(100, 30, requires_grad=True)
    def loss():
        return (x ** 3).sum()
    data = content(viz.step(loss, tmp_path / "page.html"))
    loss().backward()
    told = data["tensors"][data["leaves"][0]["gradient"]]
    grad = array(x.grad)
    assert told["shape"] == [100, 30] and "values" not in told
    counts, _ = np.histogram(grad.astype(float), bins=len(told["counts"]))
    assert sum(told["counts"]) == grad.size and np.abs(counts - told["counts"]).max() <= 1
    assert np.float32(told["min"]) == grad.min() and np.float32(told["max"]) == grad.max()
    assert told["norm"] == pytest.approx(np.linalg.norm(grad), rel=1e-5)


def test_what_is_not_a_number(lib, tmp_path):
    x = lib.tensor([0.0, 1.0, -1.0], requires_grad=True)
    data = content(viz.step(lambda: (x.log() + 1 / x).sum(), tmp_path / "page.html"))
    assert {"inf", "-inf", "nan"} & {value for tensor in data["tensors"]
                                     for value in tensor["values"] if isinstance(value, str)}
    odd = np.array([np.nan, np.inf, -np.inf, 1.0, 3.0] * 300)
    told = summary(odd)
    assert (told["nan"], told["inf"], told["min"], told["max"]) == (300, 600, 1, 3)
    told = summary(np.array([-1.7e308, 1.7e308] * 600))
    assert told["counts"] == [1200] and json.dumps(told, allow_nan=False)
    told = summary(np.full(2000, np.nan))
    assert told["counts"] == [0] and told["nan"] == 2000


def test_rules_and_lines(lib, tmp_path):
    net, loss = model_and_loss(lib)
    path = viz.step(loss, tmp_path / "page.html", names=net.named_parameters())
    data = content(path)
    kinds = {kind["name"]: kind for kind in data["kinds"]}
    assert "<math>" in kinds["TanhBackward0"]["math"] and "$" not in kinds["TanhBackward0"]["math"]
    (rule,) = kinds["TanhBackward0"]["rules"]
    assert rule["source"].startswith("lambda g, result: tanh_backward")
    assert rule["place"]["file"] == "minigrad/ops/pointwise.py"
    assert {line["file"] for line in data["lines"]} == {FILE}
    assert any("h = net(x)" in line["text"] for line in data["lines"])
    assert str(tmp_path) not in path.read_text() and "/minigrad/ops" not in path.read_text()
    inputs = {sent[1] for step in data["steps"] for sent in step["out"]}
    assert {"mat1", "mat2", "input", "other"} <= inputs
    loss = loss()
    assert content(viz.step(loss, path))["lines"] == [], "nobody looked when it was made"


def test_leaves_without_names_are_told_apart(lib, tmp_path):
    pair = [lib.ones(2, requires_grad=True), lib.ones(2, requires_grad=True)]
    data = content(viz.step((pair[0] * pair[1] * 3).sum(), tmp_path / "page.html", names={}))
    assert [leaf["name"] for leaf in data["leaves"]] == [
        "a leaf of shape (2,)", "a leaf of shape (2,) #2"]
    tensors = [data["tensors"][leaf["gradient"]]["values"] for leaf in data["leaves"]]
    assert tensors == [[3, 3], [3, 3]]


# --- the page ------------------------------------------------------------------------------------

def test_one_page_that_asks_for_nothing(lib, tmp_path):
    net, loss = model_and_loss(lib)
    path = viz.step(loss, tmp_path / "page.html", title='<b>&"/* style */')
    text = path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|\bfetch\(|XMLHttp|WebSocket", text)
    assert not re.search(r'(src|href)="(?!#|data:,)', text)
    assert "&lt;b&gt;&amp;&quot;/* style */" in text and "<b>" not in text
    for mark in ("<!-- title", "/* content */", "/* script */"):
        assert mark not in text
    assert text.startswith("<!DOCTYPE html>") and "default-src 'none'" in text


@pytest.mark.parametrize("size", [1, 8, 64])
def test_five_hundred_nodes_are_small_and_fast(lib, tmp_path, size):
    leaves, loss = many_nodes(lib, 500, size)
    started = time.perf_counter()
    path = viz.step(loss, tmp_path / "page.html", names={f"w{i}": x for i, x in enumerate(leaves)})
    assert time.perf_counter() - started < 10
    assert len(content(path)["steps"]) == 500
    assert path.stat().st_size < 500_000


def test_a_parameter_that_every_step_uses(lib, tmp_path):
    weight, y = lib.ones(64, requires_grad=True), lib.ones(64)
    for _ in range(499):
        y = y * weight
    started = time.perf_counter()
    path = viz.step(y.sum(), tmp_path / "page.html")
    assert time.perf_counter() - started < 10 and path.stat().st_size < 500_000


def test_bad_input_gets_one_line_and_leaves_no_file(lib, tmp_path):
    import torch

    net, loss = model_and_loss(lib)
    used = loss()
    used.backward()
    here = tmp_path / "page.html"
    cases = [
        (3, here, TypeError, "not int"),
        (lambda: 3, here, TypeError, "step.. takes a tensor of minigrad.*, not int"),
        (np.ones(2), here, TypeError, "not ndarray"),
        (net, here, TypeError, r"lambda: loss_of\(model\(inputs\)\)"),
        (torch.ones(2, requires_grad=True).sum(), here, TypeError, "not one of PyTorch"),
        (used, here, RuntimeError, "before backward, or pass a function"),
        (lib.ones(2).sum(), here, RuntimeError, "does not require a gradient"),
        (lib.ones(2, requires_grad=True) * 2, here, RuntimeError, "only for scalar outputs"),
        (lib.ones((), requires_grad=True), here, RuntimeError, "a leaf itself"),
        (loss, tmp_path / "page.svg", ValueError, "should end in .html"),
        (loss, tmp_path / "no" / "page.html", FileNotFoundError, "there is no folder"),
    ]
    for given, path, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            viz.step(given, path)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        viz.step(loss, tmp_path / "folder.html")
    assert [each.name for each in tmp_path.iterdir()] == ["folder.html"]


def test_a_failed_write_leaves_the_old_page(lib, tmp_path, monkeypatch):
    net, loss = model_and_loss(lib)
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(self, *args, **kwargs):
        with open(self, "w") as file:
            file.write("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "write_text", full)
        with pytest.raises(OSError, match=r"cannot write '.*page.html': No space left on device$"):
            viz.step(loss, path)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


# --- the layout ----------------------------------------------------------------------------------

def overlap(sizes, layout):
    """Whether two boxes cover each other."""
    places = np.array(layout.places, float)
    apart = np.abs(places[:, None] - places[None]) * 2
    room = np.array(sizes)[:, None] + np.array(sizes)[None] - 2
    covered = (apart < room).all(-1)
    return covered.sum() > len(sizes)


@pytest.mark.parametrize("by", ["graphviz", "layers"])
def test_layouts(by):
    sizes = [(100, 40), (140, 40), (84, 40), (300, 40), (90, 40)]
    edges = [(0, 1), (0, 2), (0, 2), (1, 3), (2, 3), (0, 4), (3, 4)]
    if by == "graphviz":
        layout = step_layout.by_graphviz(viz.layout_engine(), sizes, edges)
    else:
        layout = step_layout.by_layers(sizes, edges)
    assert not overlap(sizes, layout)
    assert layout.paths[1] != layout.paths[2], "parallel arrows are seen apart"
    for (tail, head), path in zip(edges, layout.paths, strict=True):
        points = np.array(re.findall(r"-?\d+", path), int).reshape(-1, 2)
        assert len(points) % 3 == 1
        assert layout.places[head][1] > layout.places[tail][1], "gradients flow downwards"
        for point, box in ((points[0], tail), (points[-1], head)):
            assert abs(point[0] - layout.places[box][0]) <= sizes[box][0] / 2 + 2
            assert abs(abs(point[1] - layout.places[box][1]) - sizes[box][1] / 2) <= 2
        assert points.min() >= 0
        slack = 20  # what controls a curve may lie outside
        assert points[:, 0].max() <= layout.width + slack
        assert points[:, 1].max() <= layout.height


def test_without_a_layout_program(lib, tmp_path, monkeypatch):
    def none():
        raise viz.LayoutUnavailable("no program")

    net, loss = model_and_loss(lib)
    with_program = content(viz.step(loss, tmp_path / "page.html"))
    monkeypatch.setattr(step_layout, "layout_engine", none)
    without = content(viz.step(loss, tmp_path / "page.html"))
    assert without["steps"] == with_program["steps"]
    assert [edge[:2] for edge in without["edges"]] == [edge[:2] for edge in with_program["edges"]]
    monkeypatch.setattr(step_layout, "layout_engine", lambda: "/no/such/program")
    assert content(viz.step(loss, tmp_path / "page.html")) == without


# --- the mathematics -----------------------------------------------------------------------------

def test_tex_of_every_docstring():
    """All formulas of the ops are within the subset, and become well-formed MathML."""
    import importlib
    import pkgutil

    import minigrad.ops

    found = set()
    for module in pkgutil.iter_modules(minigrad.ops.__path__):
        for value in vars(importlib.import_module(f"minigrad.ops.{module.name}")).values():
            if callable(value) and getattr(value, "__module__", "").startswith("minigrad.ops"):
                found.update(re.findall(r"\$([^$]+)\$", getattr(value, "__doc__", None) or ""))
    assert len(found) > 300
    for tex in found:
        minidom.parseString(to_mathml(tex))


@pytest.mark.parametrize("tex, markup", [
    (r"y = a\,b", '<mrow><mi>y</mi><mo>=</mo><mi>a</mi><mspace width="0.167em"/><mi>b</mi></mrow>'),
    (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
    (r"a^{12}_i", "<msubsup><mi>a</mi><mi>i</mi><mn>12</mn></msubsup>"),
    (r"\sqrt{x}", "<msqrt><mi>x</mi></msqrt>"),
    (r"\sum_i x", '<mrow><munder><mo movablelimits="true">∑</mo><mi>i</mi></munder>'
                  '<mspace width="0.167em"/><mi>x</mi></mrow>'),
    (r"\bar\beta", '<mover accent="false"><mi>β</mi><mo stretchy="false">¯</mo></mover>'),
    (r"\left(x\right)",
     '<mrow><mo stretchy="true">(</mo><mi>x</mi><mo stretchy="true">)</mo></mrow>'),
    (r"\left\{x\right.", '<mrow><mo stretchy="true">{</mo><mi>x</mi></mrow>'),
    (r"a < b", "<mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow>"),
    (r"-1", '<mrow><mo form="prefix">−</mo><mn>1</mn></mrow>'),
    (r"\mathrm{erf}", '<mi mathvariant="normal">erf</mi>'),
])
def test_mathml(tex, markup):
    assert to_mathml(tex) == f"<math>{markup}</math>"


@pytest.mark.parametrize("tex", [
    r"\frac1", "{a", "a}", r"\unknown", r"\left(a", r"\begin{x}\end{x}", "a^", "_", r"\mathrm{a",
    r"\begin{cases} a", "&", "#"])
def test_tex_beyond_the_subset_is_shown_as_it_is(tex):
    with pytest.raises(TexError):
        to_mathml(tex)
    assert f"<code>{tex}</code>".replace("&<", "&amp;<") in text_to_html(f"see ${tex}$, a < b")
    assert "a &lt; b" in text_to_html(f"see ${tex}$, a < b")
