"""Computation graphs, drawn: `save(loss, "graph.svg", parameters=model.named_parameters())`.

`step(loss, "backward.html")` plays a backward pass node by node, on a page of its own.
"""

from __future__ import annotations

from .draw import LayoutUnavailable, draw, layout_engine, save
from .step import step

__all__ = ["LayoutUnavailable", "draw", "layout_engine", "save", "step"]
