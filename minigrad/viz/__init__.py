"""Computation graphs and trainings, drawn: `save(loss, "graph.svg", model.named_parameters())`.

    draw, save              the graph as a picture
    tree                    the graph as text
    diff                    two graphs laid over each other
    step                    a backward pass as a page, played node by node
    remember_modules        inside, nodes remember the modules that made them
    History, training       loss, rates, gradients and updates over a training
    histograms              values and gradients, layer by layer
    broadcasting            how two shapes fit
"""

from __future__ import annotations

from .broadcasting import broadcasting
from .diff import Diff, Difference, diff
from .draw import draw, save
from .histograms import histograms
from .layout import LayoutUnavailable, layout_engine
from .modules import remember_modules
from .step import step
from .training import History, training
from .tree import tree

__all__ = ["Diff", "Difference", "History", "LayoutUnavailable", "broadcasting", "diff", "draw",
           "histograms", "layout_engine", "remember_modules", "save", "step", "training", "tree"]
