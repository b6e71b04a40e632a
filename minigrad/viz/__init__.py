"""Computation graphs, drawn: `save(loss, "graph.svg", model.named_parameters())`.

    draw, save          the graph as a picture
    tree                the graph as text
    diff                two graphs laid over each other
    step                a backward pass as a page, played node by node
    remember_modules    inside, nodes remember the modules that made them
"""

from __future__ import annotations

from .diff import Diff, Difference, diff
from .draw import draw, save
from .layout import LayoutUnavailable, layout_engine
from .modules import remember_modules
from .step import step
from .tree import tree

__all__ = ["Diff", "Difference", "LayoutUnavailable", "diff", "draw", "layout_engine",
           "remember_modules", "save", "step", "tree"]
