"""A recorded graph as plain data: vertices and arrows, before anything is left out or drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import facts
from .facts import Saved


@dataclass(eq=False)
class Vertex:
    """Something that is drawn.

    `kind` is "op", "leaf", "output", "saved", "base", "input" (a value without gradient), "group"
    (a module drawn as one) or "rest" (what was too much).
    """

    key: str
    kind: str
    title: str
    node: Any = None
    shapes: dict[int, str] = field(default_factory=dict)  # of its outputs, by their numbers
    details: list[str] = field(default_factory=list)
    saved: list[Saved] | None = field(default_factory=list)  # None: freed
    saved_bytes: int = 0
    seconds: float | None = None
    calls: tuple = ()          # the calls of modules that it was made in, the outermost first
    born: int = 0
    second: bool = False       # made by a backward under create_graph
    side: str = ""             # in a picture of two graphs, "a" or "b" if only one has it
    count: int = 1             # how many equal ones it stands for
    numbers: int = 0           # elements, of a leaf
    square: float | None = None  # the squared norm of the gradient; None: not computed yet
    missing: int = 0           # leaves in it without a gradient

    @property
    def shape(self) -> str:
        if len(self.shapes) == 1:
            return next(iter(self.shapes.values()))
        shapes = list(dict.fromkeys(self.shapes[number] for number in sorted(self.shapes)))
        return ", ".join(shapes[:3]) + (", ..." if len(shapes) > 3 else "")


@dataclass(eq=False)
class Arrow:
    """The way of a value: made at `tail`, used at `head` as its input number `slot`."""

    tail: Vertex
    head: Vertex
    slot: int = 0
    output: int = 0
    kind: str = "value"        # or "saved", "base", "input"
    rule: str = ""
    side: str = ""             # see Vertex


@dataclass
class Graph:
    """What `read` has found."""

    vertices: list[Vertex] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    outputs: list[Vertex] = field(default_factory=list)

    def into(self) -> dict[Vertex, list[Arrow]]:
        """The arrows that lead to each vertex, by their slots."""
        found: dict[Vertex, list[Arrow]] = {vertex: [] for vertex in self.vertices}
        for arrow in self.arrows:
            found[arrow.head].append(arrow)
        return found

    def out_of(self) -> dict[Vertex, list[Arrow]]:
        found: dict[Vertex, list[Arrow]] = {vertex: [] for vertex in self.vertices}
        for arrow in self.arrows:
            found[arrow.tail].append(arrow)
        return found

    def add(self, kind: str, title: str, **more: Any) -> Vertex:
        vertex = Vertex(f"n{len(self.vertices)}", kind, title, **more)
        self.vertices.append(vertex)
        return vertex


def read(outputs: Sequence[tuple[str, Any]], names: dict[int, str] | None = None) -> Graph:
    """The graph behind (name, tensor) pairs. `names` are those of leaves, by id."""
    graph, names = Graph(), names or {}
    known: dict[Any, Vertex] = {}  # which also keeps PyTorch's nodes alive: they are made on demand
    waiting: list[Any] = []

    def visit(node: Any) -> Vertex:
        vertex = known.get(node)
        if vertex is None:
            vertex = known[node] = _vertex(graph, node, names)
            waiting.append(node)
        return vertex

    for name, tensor in outputs:
        shape = facts.describe(tensor.shape, tensor.dtype)
        vertex = graph.add("output", name, shapes={0: shape})
        graph.outputs.append(vertex)
        number = tensor.output_nr
        if tensor.grad_fn is not None:
            source = visit(tensor.grad_fn)
            source.shapes.setdefault(number, shape)
            graph.arrows.append(Arrow(source, vertex, output=number))
        elif tensor.requires_grad:
            vertex.title = names.get(id(tensor), name)
            vertex.details.append("a leaf: nothing was computed yet")
        else:
            vertex.details.append("no history: no gradient flows from here")
    while waiting:  # a list, not recursion: graphs are deep
        node = waiting.pop()
        head = known[node]
        for slot, (source_node, output) in enumerate(node.next_functions):
            if source_node is not None:
                source = visit(source_node)
                graph.arrows.append(Arrow(source, head, slot, output))
                if output not in source.shapes:
                    shape = facts.edge_shape(node, slot, source_node, output)
                    if shape:
                        source.shapes[output] = shape
    return graph


def _vertex(graph: Graph, node: Any, names: dict[int, str]) -> Vertex:
    if not facts.is_leaf_node(node):
        calls = _calls(node)
        saved = facts.saved_of(node)
        return graph.add(
            "op", facts.title_of(node), node=node, saved=saved, calls=calls,
            saved_bytes=sum(each.bytes for each in saved or ()), born=node._sequence_nr())
    leaf = node.variable
    square = facts.gradient_square(leaf)
    return graph.add(
        "leaf", names.get(id(leaf), ""), node=node, numbers=leaf.numel(), square=square,
        shapes={0: facts.describe(leaf.shape, leaf.dtype)}, missing=int(square is None))


def _calls(node: Any) -> tuple:
    """The calls of modules that made the node, if `remember_modules` was looking."""
    if getattr(node, "extras", node) is None:  # a node of minigrad that has no dictionary yet
        return ()
    return node.metadata.get("modules", ())


def place_leaves(graph: Graph, inputs: Sequence[Any]) -> None:
    """Put each leaf into the innermost module that holds everything which uses it; but what comes
    from outside, the `inputs`, stays there."""
    outside = {id(tensor) for tensor in inputs}
    users: dict[Vertex, list[Vertex]] = {}
    for arrow in graph.arrows:
        if arrow.tail.kind not in ("op", "input"):
            users.setdefault(arrow.tail, []).append(arrow.head)
    for leaf, heads in users.items():
        if leaf.kind != "leaf" or id(leaf.node.variable) not in outside:
            leaf.calls = common(head.calls for head in heads)


def common(paths: Iterable[tuple]) -> tuple:
    """The longest beginning that all of them share."""
    paths = list(paths)
    shortest = min(paths, key=len)
    for length in range(len(shortest), 0, -1):
        if all(path[:length] == shortest[:length] for path in paths):
            return shortest[:length]
    return ()


# --- what can be added ---------------------------------------------------------------------------

def add_rules(graph: Graph) -> None:
    """Write on each arrow the rule that sends the gradient back along it."""
    rules: dict[Vertex, dict] = {}
    for arrow in graph.arrows:
        if arrow.kind == "value" and arrow.head.kind == "op":
            if arrow.head not in rules:
                rules[arrow.head] = facts.rules_of(arrow.head.node)
            rule = rules[arrow.head].get(arrow.slot)
            if rule is not None:
                arrow.rule = f"{', '.join(rule.inputs)}: {facts.rule_body(rule)}"


def add_saved(graph: Graph, names: dict[int, str], outputs: Sequence[Any]) -> None:
    """Draw the saved values and, where they or the outputs are views, the bases of these."""
    drawn: dict[Any, Vertex] = {
        ("base", id(vertex.node.variable)): vertex
        for vertex in graph.vertices if vertex.kind == "leaf"}
    drawn |= {("base", id(tensor)): root
              for root, tensor in zip(graph.outputs, outputs, strict=True)}
    for root, tensor in zip(graph.outputs, outputs, strict=True):
        add_base(graph, root, tensor, names, drawn)
    for user in list(graph.vertices):
        for each in user.saved or ():
            identity = each.identity if each.tensor is not None else object()
            vertex = drawn.get(identity)
            if vertex is None:
                own = names.get(id(each.tensor), "")
                vertex = drawn[identity] = graph.add(
                    "saved", f"saved {each.name}" + (f" = {own}" if own else ""), calls=user.calls)
                if each.tensor is not None:
                    vertex.shapes = {0: facts.describe(each.tensor.shape, each.tensor.dtype)}
                    vertex.details.append(facts.in_bytes(each.bytes))
                    add_base(graph, vertex, each.tensor, names, drawn)
                if each.note:
                    vertex.details.append(each.note)
            graph.arrows.append(Arrow(vertex, user, kind="saved"))


def add_base(graph: Graph, view: Vertex, tensor: Any, names: dict[int, str],
             drawn: dict[Any, Vertex]) -> None:
    """The tensor whose memory a view shows."""
    base = tensor._base
    if base is None:
        return
    vertex = drawn.get(("base", id(base)))
    if vertex is None:
        vertex = drawn["base", id(base)] = graph.add(
            "base", names.get(id(base), "base of a view"), calls=view.calls,
            shapes={0: facts.describe(base.shape, base.dtype)})
    graph.arrows.append(Arrow(vertex, view, kind="base"))


def add_inputs(graph: Graph, names: dict[int, str], tensors: Iterable[Any]) -> None:
    """Draw the named tensors through which no gradient flows, where a node has saved them.

    A graph does not know them otherwise: a batch of data is on no edge.
    """
    wanted = {Saved("", tensor).identity: tensor for tensor in tensors
              if id(tensor) in names and not tensor.requires_grad}
    drawn: dict[Any, Vertex] = {}
    for user in list(graph.vertices):
        for each in user.saved or ():
            if each.tensor is None:
                continue
            base = each.tensor._base  # a batch is often reshaped first
            tensor = wanted.get(each.identity)
            if tensor is None and base is not None:
                tensor = wanted.get(Saved("", base).identity)
            if tensor is not None:
                vertex = drawn.get(id(tensor))
                if vertex is None:
                    vertex = drawn[id(tensor)] = graph.add(
                        "input", names[id(tensor)],
                        shapes={0: facts.describe(tensor.shape, tensor.dtype)})
                graph.arrows.append(Arrow(vertex, user, kind="input"))
