"""The reference of ops that the pages of docs/ are built with: complete, and true to the source."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from minigrad.core import Node

ROOT = Path(__file__).parent.parent
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.M)
LINK = re.compile(r"\{ref\}`[^`<]+ <([\w-]+)>`")
SOURCE = re.compile(r"\*\*(?:Kernel|Source)\*\*, \[[\w.]+:(\d+)\]\(\.\./\.\./([\w/.]+)#L\1\):\n\n"
                    r"```\{code-block\} python\n(.*)\n")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        target = tmp_path_factory.mktemp("reference")
        importlib.import_module("generate_reference").generate(target)
    finally:
        sys.path.pop(0)
    return {page.name: page.read_text() for page in target.iterdir()}


def section(pages, page, title):
    return re.split(r"^\(op-[\w-]+\)=\n", pages[page].partition(f"# {title}\n")[2], flags=re.M)[0]


def test_every_link_leads_somewhere(pages):
    labels = [label for text in pages.values() for label in LABEL.findall(text)]
    assert len(labels) == len(set(labels)) > 900
    assert {label for text in pages.values() for label in LINK.findall(text)} <= set(labels)
    families = pages["index.md"].partition("```{toctree}")[2].partition("```")[0].split()[2:]
    assert {f"{family}.md" for family in families} == pages.keys() - {"index.md"}


def test_every_differentiable_op_is_there(pages):
    told = {node for text in pages.values() for line in re.findall(r"Records the node .*", text)
            for node in re.findall(r"`([\w:]+)`", line)}
    nodes = {node.__name__ for node in Node.__subclasses__()
             if getattr(node, "op", None) is not None and node.op.rules
             and node.op.kernel.__module__.startswith("minigrad.ops.")}
    assert len(nodes) > 400 and nodes <= told


def test_sources_are_where_they_are_said_to_be(pages):
    found = [each for text in pages.values() for each in SOURCE.findall(text)]
    assert len(found) > 900
    for line, path, first in found:
        assert (ROOT / path).read_text().splitlines()[int(line) - 1].strip() == first.strip()


def test_an_op(pages):
    text = section(pages, "pointwise.md", "asin")
    assert r"$y = \arcsin a$, so $\bar a = \bar y / \sqrt{1 - a^2}^*$." in text
    assert "`asin(input)`" in text and "`torch.arcsin`" in text and "`Tensor.asin`" in text
    assert "return xp.arcsin(input)" in text and "`AsinBackward0`" in text
    assert "lambda g, input: g * (-input * input + 1).rsqrt().conj()" in text
    assert "Saves `input`; uses " in text and "{ref}`rsqrt <op-pointwise-rsqrt>`" in text
    assert "**Parity** of `asin`, errors in units of the last place: exists 0, forward " in text
    assert '<svg aria-label="asin(input)"' in text and ">AsinBackward0</text>" in text


def test_what_rules_save(pages):
    assert "Saves `result`; uses" in section(pages, "pointwise.md", "exp")
    assert "Saves nothing; keeps the values `alpha`; uses" in section(pages, "arithmetic.md", "add")
    rule = section(pages, "pointwise.md", "LogitBackward0")
    assert "Saves `input`; keeps the values `eps`" in rule and "def _logit_rule(g, input, e" in rule


def test_a_composite(pages):
    text = section(pages, "activation.md", "silu")
    assert "Public as `nn.functional.silu`." in text
    assert "**Parity** of `nn.functional.silu`" in text
    assert "{ref}`SiluBackward0 <op-activation--silu>`" in text and ">SiluBackward0<" in text


def test_index(pages):
    text = pages["index.md"]
    assert "{ref}`torch.sin <op-pointwise-sin>`" in text
    assert "{ref}`SinBackward0 <op-pointwise-sin>`" in text
    letters = re.findall(r"^\*\*(\w)\*\*", text.partition("## By node")[0], re.M)
    assert letters == sorted(letters) and len(letters) > 20


def test_nothing_is_run_as_a_program(pages):
    assert not any("```python" in text for text in pages.values())  # test_docs.py would
