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
from pathlib import Path
from typing import Any

from . import dot, facts
from .fold import collapse, deepest, fold_repeats, limit, totals
from .graph_model import Graph, add_inputs, add_rules, add_saved, place_leaves, read
from .layout import LayoutUnavailable, check_writable
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
    from `named_parameters()`. Without names the variables of the caller are looked through.

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
    _one_of("kind", kind, KINDS)
    _one_of("color", color, COLORS)
    _one_of("direction", direction, DIRECTIONS)
    try:
        from .picture import Picture
    except ImportError:
        raise LayoutUnavailable(
            "drawing a graph needs the package graphviz: pip install graphviz graphviz-pure"
        ) from None
    variables = sys._getframe(1).f_locals
    given = names if names is not None else params
    source = source_of("draw", x, inputs, given, variables)
    graph, folded, heading = model_of(source, kind, depth, fold, max_nodes, rules, show_saved,
                                      color == "time")
    return Picture(dot.body(graph, kind, color, legend, folded),
                   dot.attributes(direction, kind, heading), graph)


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")


def model_of(source: Source, kind: str, depth: int | None, fold: bool, max_nodes: int | None,
             rules: bool, show_saved: bool, timed: bool
             ) -> tuple[Graph, dict[Call, tuple[int, str]], str]:
    """What will be drawn: the graph, made small enough; which calls stand for several; a line
    about the whole."""
    if kind == "double":
        source, graph = double(source)
    else:
        graph = read(source.outputs, source.names)
    heading = totals(graph)
    if timed:
        time_backward(source, graph)
    if rules:
        add_rules(graph)
    if source.inputs:
        add_inputs(graph, source.names, source.inputs)
    if show_saved:
        add_saved(graph, source.names, [tensor for _, tensor in source.outputs])
    folded: dict[Call, tuple[int, str]] = {}
    most = deepest(graph)
    if most:
        place_leaves(graph)
        if fold:
            folded = fold_repeats(graph)
    if depth is not None:
        if most:
            graph = collapse(graph, max(depth, 1), folded)
    elif max_nodes is not None:
        whole = graph
        for level in range(most, 0, -1):
            if len(graph.vertices) <= max_nodes:
                break
            graph = collapse(whole, level, folded)
    return graph if max_nodes is None else limit(graph, max_nodes), folded, heading


def save(x: Any, path: str | Path, inputs: Any = None, **options: Any) -> Path:
    """Draw the graph (see `draw`) into a file; its suffix, .svg, .png, .pdf or .dot, says how."""
    path = Path(path)
    check_writable(path)
    if inputs is None and not {"names", "params"} & options.keys() and not facts.is_module(x):
        options["names"] = sys._getframe(1).f_locals
    picture = draw(x, inputs, **options)
    picture.render(path)
    return path
