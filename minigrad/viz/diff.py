"""`diff(a, b)`: two graphs laid over each other, and where they part.

    difference = viz.diff(mine, theirs)      # one of them may be PyTorch's
    difference.same                          # whether they are the same graph
    print(difference)                        # what differs, from the outputs on
    difference.draw().render("diff.svg")

Note [When two graphs are the same]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Both are walked from their outputs at once. They are the same if each node meets one partner only:
the same op, outputs of the same shape and dtype, the same inputs in the same places. Where two
nodes do not agree, the walk looks for where the graphs meet again: first for nodes behind the two
with everything behind them alike, then, if one of the two is an extra, for what agrees with the
other behind it. If there is neither it goes on with their inputs, as long as they have equally
many. What met no partner in the end is in one graph only.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import dot, facts
from .draw import picture_class
from .fold import limit
from .graph_model import Arrow, Graph, Vertex, read
from .sources import source_of

_SHOWN = 20  # that many differences are told in words


@dataclass
class Difference:
    """One place where two graphs part; `a` or `b` is None where the other has something more."""

    what: str
    a: Vertex | None
    b: Vertex | None

    def __str__(self) -> str:
        return self.what


@dataclass
class Diff:
    """The pairs of vertices that agree, and the differences, those nearest to the outputs first."""

    a: Graph
    b: Graph
    partners: dict[Vertex, Vertex] = field(default_factory=dict)  # from a's to b's
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not self.differences

    def __bool__(self) -> bool:
        return not self.same

    def __str__(self) -> str:
        ops = sum(vertex.kind == "op" for vertex in self.partners)
        if self.same:
            return f"the graphs are the same: {ops} ops"
        count = len(self.differences)
        lines = [f"{count} difference{'s' if count > 1 else ''}; {ops} ops agree"]
        lines += [f"  {each}" for each in self.differences[:_SHOWN]]
        if count > _SHOWN:
            lines.append(f"  ... and {count - _SHOWN} more")
        return "\n".join(lines)

    def draw(self, direction: str = "TB", max_nodes: int | None = 300) -> Any:
        """Both graphs in one picture: what agrees in grey, the rest in two colours."""
        return _picture(self, direction, max_nodes)


def diff(a: Any, b: Any, inputs: Any = None, *, names: Any = None, shapes: bool = True) -> Diff:
    """Lay the graphs behind `a` and `b` over each other: tensors, lists of them, or modules that
    are called with `inputs`. `shapes=False` compares the ops alone."""
    variables = facts.variables_of(sys._getframe(1))
    first, second = (source_of("diff", each, inputs if facts.is_module(each) else None, names,
                               variables) for each in (a, b))
    found = Diff(read(first.outputs, first.names), read(second.outputs, second.names))
    _Walk(found, shapes).run()
    return found


class _Walk:
    """See Note [When two graphs are the same]."""

    def __init__(self, found: Diff, shapes: bool) -> None:
        self.found, self.shapes = found, shapes
        self.into = {**_in_order(found.a), **_in_order(found.b)}
        self.alike = self.numbered()
        self.back: dict[Vertex, Vertex] = {}  # from b's vertices to a's
        self.marked: set[Vertex] = set()
        self.waiting: deque[tuple[Vertex, Vertex]] = deque()

    def run(self) -> None:
        a, b = self.found.a.outputs, self.found.b.outputs
        if len(a) != len(b):
            self.note(f"{len(a)} outputs in a, {len(b)} in b", None, None)
        for one, other in zip(a, b, strict=False):
            self.found.partners[one], self.back[other] = other, one
            if self.shapes and one.shape != other.shape:
                self.note(f"output {one.title}: {one.shape} in a, {other.shape} in b", one, other)
            self.compare_inputs(one, other)
        while self.waiting:
            self.meet(*self.waiting.popleft())
        for name, graph, known in (("a", self.found.a, self.found.partners),
                                   ("b", self.found.b, self.back)):
            for vertex in graph.vertices:
                if vertex not in known and vertex not in self.marked:
                    pair = (vertex, None) if name == "a" else (None, vertex)
                    self.note(f"only in {name}: {_words(vertex)}", *pair)

    def numbered(self) -> dict[Vertex, int]:
        """A number for each vertex; two have the same if all that they were computed from is."""
        numbers: dict[tuple, int] = {}
        found: dict[Vertex, int] = {}
        for start in (*self.found.a.outputs, *self.found.b.outputs):
            waiting = [start]
            while waiting:
                vertex = waiting[-1]
                unknown = [arrow.tail for arrow in self.into[vertex] if arrow.tail not in found]
                if unknown and vertex not in found:
                    waiting += unknown
                    continue
                waiting.pop()
                title = vertex.title if vertex.kind == "op" else vertex.kind
                own = (title, vertex.shape if self.shapes else "", *(
                    (arrow.slot, arrow.output, found[arrow.tail]) for arrow in self.into[vertex]))
                found[vertex] = numbers.setdefault(own, len(numbers))
        return found

    def note(self, what: str, a: Vertex | None, b: Vertex | None) -> None:
        self.found.differences.append(Difference(what, a, b))
        self.marked.update(vertex for vertex in (a, b) if vertex is not None)

    def meet(self, a: Vertex, b: Vertex) -> None:
        partner, other = self.found.partners.get(a), self.back.get(b)
        if partner is b or (a in self.marked and b in self.marked):
            return
        if partner is not None or other is not None:
            self.note(f"{_words(a)} in a and {_words(b)} in b stand in the same place, but one of "
                      "them is used elsewhere where the other is not",
                      None if partner else a, None if other else b)
            return
        if self.agree(a, b):
            self.found.partners[a], self.back[b] = b, a
            self.compare_inputs(a, b)
            return
        pairs = self.alike_below(a, b) or self.agreeing_below(a, b)
        if (a, b) not in pairs:
            self.note_parting(a, b, pairs)
        if pairs:
            self.waiting.extend(pairs)
        elif len(self.into[a]) == len(self.into[b]):
            self.compare_inputs(a, b)

    def note_parting(self, a: Vertex, b: Vertex, pairs: list[tuple[Vertex, Vertex]]) -> None:
        for _, kept in pairs:
            if kept is b:
                self.note(f"only in a: {_words(a)}, where b goes on with {b.title}", a, None)
                return
        for kept, _ in pairs:
            if kept is a:
                self.note(f"only in b: {_words(b)}, where a goes on with {a.title}", None, b)
                return
        self.note(f"{_words(a)} in a, {_words(b)} in b", a, b)

    def alike_below(self, a: Vertex, b: Vertex) -> list[tuple[Vertex, Vertex]]:
        """The nodes behind `a` and `b`, these included, with everything behind them the same."""
        theirs: dict[int, Vertex] = {}
        for vertex in self.behind(b):
            theirs.setdefault(self.alike[vertex], vertex)
        found: list[tuple[Vertex, Vertex]] = []
        stop: set[Vertex] = set()
        for vertex in self.behind(a, stop):
            other = theirs.get(self.alike[vertex])
            if other is not None:
                found.append((vertex, other))
                stop.add(vertex)
        return found

    def agreeing_below(self, a: Vertex, b: Vertex) -> list[tuple[Vertex, Vertex]]:
        """If one of them is an extra: the other, and what agrees with it behind the extra."""
        for vertex in self.behind(a, most=30):
            if self.agree(vertex, b) and self.inputs_agree(vertex, b):
                return [(vertex, b)]
        for vertex in self.behind(b, most=30):
            if self.agree(a, vertex) and self.inputs_agree(a, vertex):
                return [(a, vertex)]
        return []

    def behind(self, start: Vertex, stop: Container[Vertex] = (), most: int = 5000
               ) -> Iterator[Vertex]:
        """The ops behind `start`, the nearest first, that have no partner yet; not what is behind
        those in `stop`, which may grow meanwhile."""
        seen, waiting = {start}, deque([start])
        while waiting and most:
            vertex = waiting.popleft()
            if vertex.kind != "op" or vertex in self.found.partners or vertex in self.back:
                continue
            most -= 1
            yield vertex
            if vertex not in stop:
                fresh = [arrow.tail for arrow in self.into[vertex] if arrow.tail not in seen]
                seen.update(fresh)
                waiting.extend(fresh)

    def inputs_agree(self, a: Vertex, b: Vertex) -> bool:
        ours, theirs = self.into[a], self.into[b]
        return len(ours) == len(theirs) and all(
            self.agree(one.tail, other.tail) for one, other in zip(ours, theirs, strict=True))

    def agree(self, a: Vertex, b: Vertex) -> bool:
        if a.kind != b.kind or (a.kind == "op" and a.title != b.title):
            return False
        return not self.shapes or all(
            b.shapes.get(number, shape) == shape for number, shape in a.shapes.items())

    def compare_inputs(self, a: Vertex, b: Vertex) -> None:
        ours, theirs = ([(arrow.slot, arrow.output) for arrow in self.into[each]]
                        for each in (a, b))
        if ours != theirs:
            self.note(f"{a.title}: other inputs need gradients in a ({_slots(ours)}) than in b "
                      f"({_slots(theirs)})", a, b)
        at = {arrow.slot: arrow.tail for arrow in self.into[b]}
        for arrow in self.into[a]:
            if arrow.slot in at:
                self.waiting.append((arrow.tail, at[arrow.slot]))


def _in_order(graph: Graph) -> dict[Vertex, list[Arrow]]:
    return {vertex: sorted(arrows, key=lambda arrow: arrow.slot)
            for vertex, arrows in graph.into().items()}


def _slots(inputs: list[tuple[int, int]]) -> str:
    return ", ".join(f"number {slot}" for slot, _ in inputs) or "none"


def _words(vertex: Vertex) -> str:
    return f"{vertex.title or 'a leaf'} {vertex.shape}"


# --- the picture ---------------------------------------------------------------------------------

def _picture(found: Diff, direction: str, max_nodes: int | None) -> Any:
    Picture = picture_class()
    graph = Graph(outputs=found.a.outputs)
    image = {b: a for a, b in found.partners.items()}
    for vertex in found.a.vertices:
        vertex.side = "" if vertex in found.partners else "a"
        graph.vertices.append(vertex)
    for vertex in found.b.vertices:
        if vertex not in image:
            vertex.side = "b"
            vertex.key = f"b{vertex.key.lstrip('b')}"
            graph.vertices.append(vertex)
    ours = {_ends(arrow, image): arrow for arrow in found.a.arrows}
    theirs = {_ends(arrow, image): arrow for arrow in found.b.arrows}
    for ends in {**ours, **theirs}:
        side = "" if ends in ours and ends in theirs else "a" if ends in ours else "b"
        graph.arrows.append(Arrow(*ends, side=side))
    if max_nodes is not None:
        graph = limit(graph, max_nodes)
    heading = str(found).partition("\n")[0]
    return Picture.of(dot.body(graph, "backward", "kind", True, {}),
                      dot.attributes(direction, "backward", heading), graph)


def _ends(arrow: Arrow, image: dict[Vertex, Vertex]) -> tuple[Vertex, Vertex, int, int]:
    """What makes two arrows the same one, once vertices that agree are drawn as one."""
    return (image.get(arrow.tail, arrow.tail), image.get(arrow.head, arrow.head), arrow.slot,
            arrow.output)
