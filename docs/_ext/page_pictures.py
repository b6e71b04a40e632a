"""Graphs of a page's own tensors, drawn by `minigrad.viz.draw` when the page is built.

    ```{graph} h
    ```

draws what `draw(h)` draws at this place of the page, all blocks above it having run. Whatever
`draw` takes may follow, as in `{graph} (base, first), show_saved=True`. With

    :before: h.mul_(y)

there are two pictures side by side, drawn before and after that line of the blocks above. Lines of
Python in the block itself run first, and leave nothing behind for the rest of the page. And

    ```{chart} training(history)
    How loss and learning rate went.
    ```

shows what another function of `minigrad.viz` draws; the words are for those who do not see it.
`{step} loss`, with words as well, is the page of `step` within this one.

picture_directive.py brings all three to Sphinx.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from minigrad import viz
from minigrad.viz.picture import Picture

FENCE = re.compile(r"^```(?:python|\{(?P<kind>graph|chart|step)\} +(?P<shown>[^\n]*))\n"
                   r"(?P<code>.*?)^```", re.S | re.M)
BEFORE = re.compile(r"^:before: +([^\n]*)\n", re.M)
# Of no use in a page: comments, names of DOT, and ids that the next picture has, too.
CLUTTER = re.compile(r"<!--.*?-->\n?|<title>[^<]*</title>\n?| id=\"[^\"]*\"", re.S)
SIZE = re.compile(r'width="([\d.]+)pt" height="([\d.]+)pt"')
SCALE = 1.13  # pixels a point: the small print is as large as a page's
WORDS = {"en": ("before {}", "after {}", "Graph"), "ja": ("{} の前", "{} の後", "グラフ")}


class Chart(NamedTuple):
    """A figure of matplotlib, or a graph that somebody else has drawn, and the same in words."""

    figure: Any
    words: str

    def html(self, language: str) -> str:
        """As an image, for the sake of the names inside of it."""
        if isinstance(self.figure, Picture):
            svg = _bare(self.figure).pipe("svg")
        else:
            for part in (self.figure, *self.figure.axes):
                part.set_facecolor("none")
            svg = self.figure.drawn("svg")
        data = base64.b64encode(svg).decode()
        return (f'<figure><img alt="{html.escape(self.words)}" {_size(svg.decode())} '
                f'src="data:image/svg+xml;base64,{data}"></figure>')


class Played(NamedTuple):
    """A page of `step`, and what it is about."""

    page: str
    words: str

    def html(self, language: str) -> str:
        return (f'<iframe title="{html.escape(self.words)}" srcdoc="{html.escape(self.page)}">'
                "</iframe>")


class Drawn(NamedTuple):
    """A graph; `when` is "before", "after" or "" if it stands alone."""

    when: str
    line: str
    picture: Picture

    def told(self) -> str:
        """The graph in words, for those who do not see it."""
        graph = self.picture.model
        into = graph.into()
        titles = [vertex.title or "a leaf" for vertex in graph.vertices]
        names = {vertex: title if titles.count(title) == 1 else f"{title} ({place})"
                 for place, (vertex, title) in enumerate(
                     zip(graph.vertices, titles, strict=True), start=1)}
        told = []
        for vertex in graph.vertices:
            if into[vertex]:
                from_, kept = ([names[arrow.tail] for arrow in into[vertex]
                                if (arrow.kind == "saved") == saved] for saved in (False, True))
                told.append(f"{names[vertex]} {'is' if vertex.kind == 'output' else 'from'} "
                            f"{' and '.join(from_)}"
                            + (f", keeps {' and '.join(dict.fromkeys(kept))}" if kept else ""))
        return "; ".join(told)

    def svg(self, label: str) -> str:
        text = CLUTTER.sub("", self.picture.pipe("svg", encoding="utf-8"))
        text = text[text.index("<svg "):].strip().replace("\n", " ")
        text = re.sub(r'<a xlink:title="([^"]*)">', r"<g><title>\1</title>", text)  # no links
        text = SIZE.sub(_size(text), text, count=1).replace("</a>", "</g>")
        return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)

    def html(self, language: str) -> str:
        before, after, graph = WORDS.get(language, WORDS["en"])
        caption = {"before": before, "after": after, "": ""}[self.when]
        label = f"{graph} {caption.format(self.line)}".rstrip()
        written = caption.format(f"<code>{html.escape(self.line)}</code>")
        return (f"<figure>{self.svg(f'{label}: {self.told()}')}"
                + (f"<figcaption>{written}</figcaption>" if written else "") + "</figure>")


def _size(svg: str) -> str:
    """The size on the page. A narrow page may show it smaller, but still so that it can be read:
    then it scrolls."""
    wide, high = (round(SCALE * float(size)) for size in SIZE.search(svg).groups())
    return f'width="{wide}" height="{high}" style="min-width: min({0.7 * wide:.0f}px, 44rem)"'


def pictures_of(text: str) -> Iterator[list[Drawn] | list[Chart] | list[Played]]:
    """Run a page, and draw what each of its `{graph}`, `{chart}` and `{step}` blocks shows."""
    names: dict[str, Any] = {"__name__": "__main__"}
    code = ""
    for fence in FENCE.finditer(text):
        if fence["kind"] is None:
            code += fence["code"]
            continue
        if fence["kind"] != "graph":
            _run(code, names)
            code, words = "", " ".join(fence["code"].split())
            yield ([Chart(eval(f"_viz.{fence['shown']}", {**names, "_viz": viz}), words)]
                   if fence["kind"] == "chart" else [Played(_page(fence["shown"], names), words)])
            continue
        own = BEFORE.sub("", fence["code"])
        line = BEFORE.search(fence["code"])
        pictures = []
        if line is not None:
            above, found, code = f"\n{code}".partition(f"\n{line[1]}\n")
            if not found:
                raise ValueError(f"{line[1]!r} is no line of the blocks above")
            _run(above, names)
            pictures.append(Drawn("before", line[1], _draw(fence["shown"], own, names)))
            _run(line[1], names)
            pictures.append(Drawn("after", line[1], _draw(fence["shown"], own, names)))
        else:
            _run(code, names)
            code = ""
            pictures.append(Drawn("", "", _draw(fence["shown"], own, names)))
        yield pictures


def _run(code: str, names: dict[str, Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)


def _draw(tensors: str, own: str, names: dict[str, Any]) -> Picture:
    """Call `draw` where the page's names are, so that it finds what the leaves are called."""
    here = dict(names)
    _run(own, here)
    here["_draw"] = functools.partial(viz.draw, legend=False)
    return _bare(eval(f"_draw({tensors})", here))


def _page(loss: str, names: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backward.html"
        eval(f"_step({loss}, _path)", {**names, "_step": viz.step, "_path": path})
        return path.read_text(encoding="utf-8")


def _bare(picture: Picture) -> Picture:
    """Without the line below it and without paper: the page has both."""
    picture.graph_attr.update(label="", bgcolor="transparent", pad="0.02")
    return picture


def html_of(pictures: list[Drawn] | list[Chart] | list[Played], language: str) -> str:
    """One picture, or two side by side, as a part of a page."""
    return f'<div class="graphs">{"".join(each.html(language) for each in pictures)}</div>'
