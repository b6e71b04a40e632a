"""A `graphviz.Digraph` that draws itself also where Graphviz is not installed.

This file imports the package graphviz, which only pictures need: `draw` imports it when called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graphviz

from .graph_model import Graph
from .layout import LayoutUnavailable, lay_out, write_picture


class Picture(graphviz.Digraph):
    """A drawn graph: shown by Jupyter, written by `picture.render("graph.svg")`.

    `model` is what was drawn, as data (graph_model.Graph).
    """

    model: Graph

    @classmethod
    def of(cls, body: list[str], attributes: dict, model: Graph) -> Picture:
        picture = cls(body=body, **attributes)
        picture.model = model
        return picture

    def render(self, filename: Any = None, directory: Any = None, view: bool = False,
               cleanup: bool = False, format: str | None = None, *args: Any,
               outfile: Any = None, **more: Any) -> str:
        """Write the picture into a file, whose suffix (.svg, .png, .pdf) says the format; or, as
        graphviz does, into `filename` with the suffix `format` appended. Returns its name."""
        path = Path(outfile or filename or "graph")
        if format is not None:
            path = path.with_name(f"{path.name}.{format}")
        elif not path.suffix:
            path = path.with_suffix(f".{self.format}")
        if directory is not None:
            path = Path(directory) / path
            path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(self.source, path)
        if view:
            self._view(str(path), format=path.suffix.removeprefix("."), quiet=False)
        return str(path)

    def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None,
             **more: Any) -> Any:
        """The picture itself, as bytes, or with `encoding` as text."""
        content = lay_out(self.source, format or self.format)
        return content if encoding is None else content.decode(encoding)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **more: Any) -> dict:
        """For Jupyter: the picture, or the DOT text after the reason why there is none."""
        try:
            return {"image/svg+xml": self.pipe("svg", encoding="utf-8")}
        except LayoutUnavailable as error:
            return {"text/plain": f"{error}\n\n{self.source}"}
