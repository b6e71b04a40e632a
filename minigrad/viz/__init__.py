"""Computation graphs, drawn: `save(loss, "graph.svg", parameters=model.named_parameters())`."""

from __future__ import annotations

from .draw import LayoutUnavailable, draw, layout_engine, save

__all__ = ["LayoutUnavailable", "draw", "layout_engine", "save"]
