"""The pictures that `make docs` draws into the pages: there, right, and the same in PyTorch."""

from __future__ import annotations

import base64
import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from parity_tests.test_docs import DOCS, OURS_ONLY, in_the_name_of

BLOCK = re.compile(r"^```\{(?:graph|chart|step)\} ", re.M)
ALL = [page for page in sorted(DOCS.glob("**/*.md")) if BLOCK.search(page.read_text())]
FIGURE = re.compile(r"<figure>(<svg .*?</svg>)(?:<figcaption>(.*?)</figcaption>)?</figure>")
CHART = re.compile(r'<img alt="([^"]+)" width=[^>]* src="data:image/svg\+xml;base64,([^"]+)">')


@pytest.fixture(scope="module")
def drawn():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module("page_pictures")
    finally:
        sys.path.pop(0)


def ops_of(picture):
    """What nodes there are, leaves and results by name, and which leads to which. Values that are
    kept are left out: PyTorch calls them otherwise, and makes a tensor of a number."""
    graph = picture.model
    return (sorted(vertex.title for vertex in graph.vertices if vertex.kind != "saved"),
            sorted((arrow.tail.title, arrow.head.title) for arrow in graph.arrows
                   if arrow.kind == "value"))


def titles(svg):
    """What is written in bold: the names of nodes, of leaves and of results."""
    return sorted(text.text for text in ElementTree.fromstring(svg).findall(".//{*}text")
                  if text.get("font-weight") == "bold")


@pytest.mark.parametrize("page", ALL, ids=[str(page.relative_to(DOCS))[:-3] for page in ALL])
def test_a_page(page, drawn):
    text = page.read_text()
    ours = list(drawn.pictures_of(text))
    assert len(ours) == len(BLOCK.findall(text))
    own = re.compile(rf"^```(?:python\n{OURS_ONLY}|\{{step\}}).*?^```", re.S | re.M)
    theirs = list(drawn.pictures_of(in_the_name_of("torch", own.sub("", text))))
    ours = [each for each in ours if not isinstance(each[0], drawn.Played)]
    for pictures, others in zip(ours, theirs, strict=True):
        html = drawn.html_of(pictures, page.parent.name)
        if isinstance(pictures[0], drawn.Chart):
            ((_, data),) = CHART.findall(html)
            assert ElementTree.fromstring(base64.b64decode(data)).findall(".//{*}path")
            continue
        svgs = FIGURE.findall(html)
        for (_, _, picture), (_, _, other), (svg, _) in zip(pictures, others, svgs, strict=True):
            assert ops_of(picture) == ops_of(other)
            named = [each.title for each in picture.model.vertices if each.kind != "saved"]
            found = titles(svg.replace("xlink:", ""))
            assert [each.partition(": ")[0] for each in found] == sorted(named)
        assert " id=" not in html and "<a " not in html and "<!--" not in html
        assert html.count('role="img" aria-label="') == len(svgs)


@pytest.fixture(scope="module")
def views(drawn):
    """The pictures of the chapter on views, as (caption, titles) pairs."""
    text = (DOCS / "book" / "views-and-inplace.md").read_text()
    return [[(caption, titles(svg.replace("xlink:", ""))) for svg, caption in FIGURE.findall(
        drawn.html_of(pictures, "book"))] for pictures in drawn.pictures_of(text)]


def test_before_and_after_a_write(views):
    (before, shown), (after, then) = views[0]
    assert (before, after) == ("before <code>h.mul_(y)</code>", "after <code>h.mul_(y)</code>")
    assert shown == ["AddBackward0", "h", "x"]
    assert then == ["AddBackward0", "MulBackward0", "h", "x", "y"]


def test_before_and_after_a_write_through_a_view(views):
    (_, shown), (_, then) = views[1]
    assert shown == ["MulBackward0", "SelectBackward0", "base", "first", "x"]
    assert then == ["AsStridedBackward0", "CopySlices: MulBackward0", "MulBackward0",
                    "SelectBackward0", "base", "first", "x", "y"]
    (_, shown), (_, then) = views[2]
    assert shown.count("SliceBackward0") == 2 and "CopySlices: MulBackward0" not in shown
    assert then.count("AsStridedBackward0") == 2 and "SliceBackward0" not in then


def test_words_for_those_who_do_not_see_it(drawn):
    page = """
```python
import minigrad as torch
x = torch.ones(2, requires_grad=True)
y = torch.ones(2, requires_grad=True)
h = x + 1
h *= y
```

```{graph} h
:before: h *= y
```

```{graph} z, show_saved=True
z = h * h
```
"""
    (before, after), (alone,) = drawn.pictures_of(page)
    assert before.told() == "h is AddBackward0; AddBackward0 from x"
    assert after.told() == "h is MulBackward0; MulBackward0 from AddBackward0 and y; " \
        "AddBackward0 from x"
    assert alone.told().startswith("z is MulBackward0 (2); MulBackward0 (2) from MulBackward0 (3) "
                                   "and MulBackward0 (3), keeps saved input = h;")
    html = drawn.html_of([before, after], "ja")
    assert '<svg role="img" aria-label="グラフ h *= y の前: h is AddBackward0; ' in html
    assert "<figcaption><code>h *= y</code> の後</figcaption>" in html
    assert "<figcaption>" not in drawn.html_of([alone], "book")


def test_a_page_to_play(drawn):
    page = """
```python
import minigrad as torch
weight = torch.ones(2, requires_grad=True)
```

```{step} lambda: (weight * weight).sum()
The square
```
"""
    ((played,),) = drawn.pictures_of(page)
    assert played.page.startswith("<!DOCTYPE html>") and "weight" in played.page
    found = drawn.html_of([played], "book")
    assert found.startswith('<div class="graphs"><iframe title="The square" srcdoc="&lt;!DOCTYPE')
    assert found.count("<") == 4  # all of the page is quoted


def test_a_line_that_is_not_there(drawn):
    with pytest.raises(ValueError, match="'h.sin_.3.' is no line of the blocks above"):
        list(drawn.pictures_of("```python\nh.sin_()\n```\n```{graph} h\n:before: h.sin_(3)\n```\n"))
