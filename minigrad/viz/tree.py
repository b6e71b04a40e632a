"""`print(tree(loss))`: the graph as text, the result first and the leaves at the ends.

    loss: MeanBackward0 () float32
    MulBackward0 (3,) float32, saves 24 B
    ├─ SinBackward0 (3,) float32, saves 12 B
    │  [1] AddBackward0
    └─ [1] AddBackward0
    [1]: AddBackward0 (3,) float32
    ├─ x (3,) float32, gradient not computed yet
    └─ b (3,) float32, gradient not computed yet

What stands below a node is what it was computed from. A node with one input is followed by it on
the next line; only where there are several do branches begin. What several nodes use has a number,
and lines of its own further down; so has what would stand too far to the right.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from . import facts
from .graph_model import Graph, Vertex, read
from .sources import source_of

_MARGIN = 50  # columns of branches; a terminal has 80 or more


def tree(x: Any, inputs: Any = None, *, names: Any = None, depth: int | None = None,
         max_lines: int = 200) -> str:
    """The graph behind a tensor, several tensors, or a module's outputs, as text.

    The arguments are those of `draw`. `depth` is how far from the outputs to go.
    """
    source = source_of("tree", x, inputs, names, facts.variables_of(sys._getframe(1)))
    return _Writer(read(source.outputs, source.names), depth, max_lines).text()


class _Writer:
    """Writes line by line with a list of what is to come: graphs are deep."""

    def __init__(self, graph: Graph, depth: int | None, max_lines: int) -> None:
        self.graph, self.depth, self.max_lines = graph, depth, max_lines
        self.into = graph.into()
        users: dict[Vertex, int] = {}
        for arrow in graph.arrows:
            users[arrow.tail] = users.get(arrow.tail, 0) + 1
        self.shared = {vertex for vertex, count in users.items()
                       if count > 1 and vertex.kind == "op"}
        self.distances: dict[Vertex, int] = {}
        self.numbers: dict[Vertex, int] = {}
        self.announced: deque[Vertex] = deque()
        self.lines: list[str] = []

    def text(self) -> str:
        for root in self.graph.outputs:
            arrows = self.into[root]
            if arrows:
                self.write(arrows[0].tail, root.title, 1)
            else:
                self.lines.append(f"{root.title}: {', '.join([root.shape, *root.details])}")
        while self.announced:
            vertex = self.announced.popleft()
            self.write(vertex, f"[{self.numbers[vertex]}]", self.distances[vertex])
        if len(self.lines) > self.max_lines:
            left = len(self.lines) - self.max_lines
            self.lines[self.max_lines:] = [f"... {left:,} more lines; depth= or max_lines= say "
                                           "how much to show"]
        return "\n".join(self.lines)

    def write(self, start: Vertex, name: str, distance: int) -> None:
        """A vertex and what is below it. Each entry on the list: a vertex, what stands before its
        own line, what before the lines below it, and how far it is from the outputs."""
        waiting = [(start, f"{name}: ", "", distance)]
        while waiting:
            vertex, first, below, distance = waiting.pop()
            arrows = self.into[vertex]
            elsewhere = vertex in self.shared or (vertex.kind == "op" and len(first) > _MARGIN)
            if elsewhere and vertex is not start:
                self.lines.append(f"{first}{self.reference(vertex, distance)}")
                continue
            words = self.words(vertex)
            if arrows and distance == self.depth:
                self.lines.append(f"{first}{words}  ... {self.behind(vertex):,} more below")
                continue
            self.lines.append(first + words)
            if len(arrows) == 1:
                waiting.append((arrows[0].tail, below, below, distance + 1))
                continue
            for number, each in enumerate(reversed(arrows)):
                branch, under = ("└─ ", "   ") if number == 0 else ("├─ ", "│  ")
                waiting.append((each.tail, below + branch, below + under, distance + 1))

    def reference(self, vertex: Vertex, distance: int) -> str:
        """A shared vertex where it is used."""
        if vertex not in self.numbers:
            self.numbers[vertex] = len(self.numbers) + 1
            self.distances[vertex] = distance
            self.announced.append(vertex)
        return f"[{self.numbers[vertex]}] {vertex.title}"

    def words(self, vertex: Vertex) -> str:
        text = f"{vertex.title or 'a leaf'} {vertex.shape}"
        if vertex.kind == "leaf":
            text += f", {facts.gradient_text(vertex.square)}"
        elif vertex.saved is None:
            text += ", saved values freed"
        elif vertex.saved_bytes:
            text += f", saves {facts.in_bytes(vertex.saved_bytes)}"
        return text

    def behind(self, vertex: Vertex) -> int:
        """How many nodes are below this one."""
        found, waiting = {vertex}, [vertex]
        while waiting:
            for arrow in self.into[waiting.pop()]:
                if arrow.tail not in found:
                    found.add(arrow.tail)
                    waiting.append(arrow.tail)
        return len(found) - 1
