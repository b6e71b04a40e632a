"""The graph that backward will walk, as a picture.

It is read through what any user can read: `grad_fn`, `name()`, `next_functions`, and the `variable`
of an AccumulateGrad node. So `draw` also works on tensors of real PyTorch. Packages that only a
picture needs (graphviz, and graphviz-pure where there is no `dot` program) are imported when one is
drawn.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

INK, PAPER = "#1b1f24", "white"
FILL = {"op": "#eaf2fb", "leaf": "#fdf0d5", "output": "#dff3e4"}


class LayoutUnavailable(RuntimeError):
    """There is nothing on this machine that could lay a graph out."""


def draw(outputs: Any, parameters: Any = ()) -> Any:
    """The graph behind one or several tensors, as a `graphviz.Digraph`.

    `parameters`: (name, tensor) pairs or a dict, as from `named_parameters()`; they label the
    leaves. Arrows show how values flow: from the leaves to the outputs.
    """
    import graphviz

    names = {id(tensor): name for name, tensor in _pairs(parameters)}
    picture = graphviz.Digraph(
        graph_attr={"rankdir": "TB", "bgcolor": PAPER, "nodesep": "0.2", "ranksep": "0.3"},
        node_attr={"shape": "box", "style": "filled,rounded", "color": INK, "fontcolor": INK,
                   "fontname": "Helvetica", "fontsize": "11", "height": "0.3"},
        edge_attr={"color": INK, "arrowsize": "0.6"})
    seen: set[int] = set()
    waiting: list[Any] = []

    def visit(node: Any) -> str:
        """The node's name in the picture; a new one is drawn and put on the list."""
        key = f"n{id(node)}"
        if id(node) not in seen:
            seen.add(id(node))
            waiting.append(node)
            leaf = getattr(node, "variable", None)
            if leaf is None:
                picture.node(key, _op_name(node), fillcolor=FILL["op"])
            else:
                picture.node(key, _leaf_label(leaf, names), fillcolor=FILL["leaf"],
                             style="filled")
        return key

    results = outputs if isinstance(outputs, list | tuple) else [outputs]
    for number, tensor in enumerate(results):
        picture.node(f"output{number}", f"output\n{_shape(tensor)}", fillcolor=FILL["output"],
                     style="filled")
        if tensor.grad_fn is not None:
            picture.edge(visit(tensor.grad_fn), f"output{number}")
    while waiting:  # a list, not recursion: graphs are deep
        node = waiting.pop()
        for source, _ in node.next_functions:
            if source is not None:
                picture.edge(visit(source), f"n{id(node)}")
    return picture


def _pairs(parameters: Any) -> Iterable[tuple[str, Any]]:
    return parameters.items() if hasattr(parameters, "items") else parameters


def _op_name(node: Any) -> str:
    return node.name().removeprefix("torch::autograd::")


def _shape(tensor: Any) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _leaf_label(leaf: Any, names: dict[int, str]) -> str:
    name = names.get(id(leaf))
    return _shape(leaf) if name is None else f"{name}\n{_shape(leaf)}"


def layout_engine() -> str:
    """The program that lays graphs out: the system's `dot`, else the one of graphviz-pure."""
    found = shutil.which("dot")
    if found is None:  # the wheel puts its program beside the interpreter
        beside = Path(sys.executable).parent
        found = shutil.which("graphviz-pure", path=str(beside)) or shutil.which("graphviz-pure")
    if found is None:
        raise LayoutUnavailable("drawing a graph needs the program `dot` (Graphviz) or the package "
                                "graphviz-pure: pip install graphviz-pure")
    return found


def save(outputs: Any, path: str | Path, parameters: Any = ()) -> Path:
    """Draw the graph (see `draw`) into a file; its suffix, .svg or .png, says the format."""
    engine = layout_engine()
    path = Path(path)
    source = draw(outputs, parameters).source
    subprocess.run([engine, f"-T{path.suffix.removeprefix('.')}", "-o", str(path)],
                   input=source, text=True, check=True, capture_output=True)
    return path
