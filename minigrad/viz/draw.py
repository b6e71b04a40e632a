"""`draw(loss)`: the graph that backward will walk, as a picture.

    viz.draw(loss).render("graph.svg")              # or .png, .pdf; Jupyter shows draw(loss) itself
    viz.draw(model, images, depth=1)                # runs the model; its modules drawn as one
    viz.draw(loss, rules=True, show_saved=True)     # with the derivatives, and what they need

Nothing is touched by it: no saved value is unpacked, no version goes up, and it makes no difference
whether backward has run (only kind="double" and color="time" run one of their own). Tensors of real
PyTorch are drawn just the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import dot, facts
from .fold import collapse, deepest, fold_repeats, limit, totals
from .graph_model import Graph, add_inputs, add_rules, add_saved, place_leaves, read
from .layout import LayoutUnavailable, check_writable, write_picture
from .modules import Call
from .sources import Source, double, source_of, time_backward

KINDS, COLORS, DIRECTIONS = ("backward", "forward", "double"), ("kind", "bytes", "time"), (
    "TB", "BT", "LR", "RL")


def draw(x: Any, inputs: Any = None, *, names: Any = None, params: Any = None,
         kind: str = "backward", direction: str = "TB", depth: int | None = None,
         fold: bool = True, max_nodes: int | None = 300, rules: bool = False,
         show_saved: bool = False, color: str = "kind", legend: bool = True) -> Any:
    """The graph behind a tensor, several tensors, or a module's outputs, as a `graphviz.Digraph`.

    `inputs` are what to call a module with: a tensor, a tuple of arguments, a dict of keywords.
    `names` (or `params`, or beside a tensor the second argument) name leaves: a dict or pairs, as
    from `named_parameters()`. Without names the variables of the caller and those of its module are
    looked through.

    `kind`: "backward" draws the recorded nodes, and arrows as gradients go; "forward" the ops under
    their own names, and arrows as values go; "double" the graph of the gradients, which is walked
    to differentiate them again. `direction`: values flow from top to bottom ("TB"), "LR", "BT".

    `depth` draws modules as one: those at that depth, and above it those without modules. Which
    module made a node is known where the module is passed here, or ran in `remember_modules()`.
    `fold` draws a run of equal modules once. Of more than `max_nodes` (None: no limit), what is far
    from the outputs is only counted; but where modules are known, they are drawn as one first.

    `rules` writes on each arrow the derivative that sends the gradient back along it. `show_saved`
    draws the saved values, and the memory behind views. `color` shades ops by the "bytes" they have
    saved or by the "time" of their backward, which is measured by running it.
    """
    given = names if names is not None else params
    options = Options(kind, direction, depth, fold, max_nodes, rules, show_saved, color, legend)
    Picture = picture_class()
    return Picture.of(*_drawn(x, inputs, given, facts.variables_of(sys._getframe(1)), options))


def save(x: Any, path: str | Path, inputs: Any = None, *, names: Any = None, params: Any = None,
         **options: Any) -> Path:
    """Draw the graph into a file; its suffix, .svg, .png, .pdf or .dot, says how. See `draw`."""
    path = Path(path)
    check_writable(path)
    body, attributes, _ = _drawn(x, inputs, names if names is not None else params,
                                 facts.variables_of(sys._getframe(1)), Options(**options))
    return write_picture(dot.text(body, attributes), path)


@dataclass
class Options:
    """How to draw; see `draw`."""

    kind: str = "backward"
    direction: str = "TB"
    depth: int | None = None
    fold: bool = True
    max_nodes: int | None = 300
    rules: bool = False
    show_saved: bool = False
    color: str = "kind"
    legend: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (("kind", self.kind, KINDS), ("color", self.color, COLORS),
                                   ("direction", self.direction, DIRECTIONS)):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")
        for name, number in (("depth", self.depth), ("max_nodes", self.max_nodes)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"{name} is a number from 1 on, or None, not {number!r}")


def picture_class() -> Any:
    """Picture, or one line that says which package is missing."""
    try:
        from .picture import Picture
    except ImportError:
        raise LayoutUnavailable("drawing a graph needs the package graphviz: pip install graphviz "
                                "graphviz-pure") from None
    return Picture


def _drawn(x: Any, inputs: Any, names: Any, variables: Mapping[str, Any], options: Options
           ) -> tuple[list[str], dict[str, dict[str, str]], Graph]:
    """The DOT statements, what holds for the whole picture, and what it shows."""
    source = source_of("draw", x, inputs, names, variables)
    graph, folded, heading = _model_of(source, options)
    return (dot.body(graph, options.kind, options.color, options.legend, folded),
            dot.attributes(options.direction, options.kind, heading), graph)


def _model_of(source: Source, options: Options
              ) -> tuple[Graph, dict[Call, tuple[int, str]], str]:
    """What will be drawn: the graph, made small enough; which calls stand for several; a line
    about the whole."""
    if options.kind == "double":
        source, graph = double(source)
    else:
        graph = read(source.outputs, source.names)
    heading = totals(graph)
    if options.color == "time":
        time_backward(source, graph)
    if options.rules:
        add_rules(graph)
    if source.inputs:
        add_inputs(graph, source.names, source.inputs)
    if options.show_saved:
        add_saved(graph, source.names, [tensor for _, tensor in source.outputs])
    folded: dict[Call, tuple[int, str]] = {}
    levels = deepest(graph)
    if levels:
        place_leaves(graph, source.inputs)
        if options.fold:
            folded = fold_repeats(graph)
    if options.depth is not None:
        graph = collapse(graph, options.depth, folded) if levels else graph
    elif options.max_nodes is not None:
        whole = graph
        for level in range(levels, 0, -1):
            if len(graph.vertices) <= options.max_nodes:
                break
            graph = collapse(whole, level, folded)
    if options.max_nodes is not None:
        graph = limit(graph, options.max_nodes)
    return graph, folded, heading
