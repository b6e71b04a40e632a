"""Big graphs made small enough to be read: modules drawn as one, repeats drawn once, a summary.

Note [Folding repeats]
~~~~~~~~~~~~~~~~~~~~~~
Two calls of modules are equal if their nodes, in the order they were made, are the same ops with
the same shapes, wired alike. A run of equal calls, one right after the other and nothing in
between, is drawn as its first: each vertex of the others is replaced by the one in the same place.
An arrow from one of the calls to the next would lead back into the picture of itself, so it is left
out; the "×12" on the module says that it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from . import facts
from .graph_model import Arrow, Graph, Vertex
from .modules import Call


def fold_repeats(graph: Graph) -> dict[Call, tuple[int, str]]:
    """Draw runs of equal calls once. Returns, for each call that now stands for several, how many
    and the name of the last."""
    folded: dict[Call, tuple[int, str]] = {}
    level = 0
    while any(len(vertex.calls) > level for vertex in graph.vertices):
        runs = _runs(graph, level)
        if runs:
            _merge(graph, runs)
            folded |= {run[0][0]: (len(run), run[-1][0].name) for run in runs}
        level += 1
    return folded


Members = list[Vertex]  # of one call: its ops as they were made, then leaves that they use


def _runs(graph: Graph, level: int) -> list[list[tuple[Call, Members]]]:
    """The runs of equal calls at this level."""
    into = graph.into()
    ops = sorted((vertex for vertex in graph.vertices if vertex.kind == "op"),
                 key=lambda vertex: vertex.born)
    members: dict[Call, Members] = {}
    parents: dict[Call, tuple] = {}
    order: list[Call | None] = []  # the calls as they follow each other; None: something else
    for op in ops:
        call = op.calls[level] if len(op.calls) > level else None
        if call is not None:
            members.setdefault(call, []).append(op)
            parents[call] = op.calls[:level]
        if not order or order[-1] is not call:
            order.append(call)
    for call, own in members.items():
        known = set(own)
        for vertex in own:  # which grows: the base of a view belongs to the view
            for arrow in into[vertex]:
                tail = arrow.tail
                if (tail.kind in ("leaf", "saved", "base") and tail not in known
                        and len(tail.calls) > level and tail.calls[level] is call):
                    known.add(tail)
                    own.append(tail)
    signatures = {call: _signature(call, own, into) for call, own in members.items()}
    found: list[list[tuple[Call, Members]]] = []
    before: Call | None = None
    times = Counter(order)
    for call in order:
        if call is None or times[call] > 1:  # something else, or what others come in between of
            before = None
            continue
        if before is None or signatures[call] != signatures[before] \
                or parents[call] != parents[before]:
            found.append([])
        found[-1].append((call, members[call]))
        before = call
    return [run for run in found if len(run) > 1]


def _signature(call: Call, own: Members, into: dict[Vertex, list[Arrow]]) -> tuple:
    places = {vertex: place for place, vertex in enumerate(own)}
    return call.kind, tuple(
        (vertex.title if vertex.kind == "op" else "", vertex.shape,
         tuple((arrow.slot, places.get(arrow.tail, -1), arrow.output) for arrow in into[vertex]))
        for vertex in own)


def _merge(graph: Graph, runs: list[list[tuple[Call, Members]]]) -> None:
    stands_for: dict[Vertex, Vertex] = {}
    home: dict[Vertex, tuple[int, int]] = {}  # which run, and which of its calls
    for number, run in enumerate(runs):
        for turn, (_, own) in enumerate(run):
            for vertex, first in zip(own, run[0][1], strict=True):
                home[vertex] = number, turn
                if turn:
                    stands_for[vertex] = first
                    first.count += vertex.count
                    _absorb(first, vertex)
    kept: dict[tuple, Arrow] = {}
    for arrow in graph.arrows:
        a, b = home.get(arrow.tail), home.get(arrow.head)
        if a is not None and b is not None and a[0] == b[0] and a[1] != b[1]:
            continue
        arrow.tail = stands_for.get(arrow.tail, arrow.tail)
        arrow.head = stands_for.get(arrow.head, arrow.head)
        kept.setdefault((arrow.tail, arrow.head, arrow.slot, arrow.output, arrow.kind), arrow)
    used = {vertex for arrow in kept.values() for vertex in (arrow.tail, arrow.head)}
    graph.arrows = list(kept.values())
    graph.vertices = [vertex for vertex in graph.vertices if vertex not in stands_for
                      and (vertex in used or vertex.kind == "output")]


def _absorb(first: Vertex, other: Vertex) -> None:
    """Add up what two vertices, drawn as one, have together."""
    first.saved_bytes += other.saved_bytes
    first.numbers += other.numbers
    first.missing += other.missing
    if other.square is not None:
        first.square = (first.square or 0.0) + other.square
    if other.seconds is not None:
        first.seconds = (first.seconds or 0.0) + other.seconds


# --- modules drawn as one ------------------------------------------------------------------------

def collapse(graph: Graph, depth: int, folded: dict[Call, tuple[int, str]]) -> Graph:
    """The graph with each module drawn as one vertex that is at this depth, or has no modules."""
    inner = {call for vertex in graph.vertices for call in vertex.calls[:-1]}
    groups: dict[tuple, Vertex] = {}
    image: dict[Vertex, Vertex] = {}
    small = Graph(outputs=graph.outputs)
    parts: dict[Vertex, Counter] = {}
    for vertex in graph.vertices:
        path = vertex.calls[:depth]
        if not path or (len(path) < depth and path[-1] in inner):
            small.vertices.append(vertex)
            image[vertex] = vertex
            continue
        group = groups.get(path)
        if group is None:
            group = groups[path] = Vertex(
                f"g{len(groups)}", "group", title_of_call(path[-1], folded), calls=path,
                born=vertex.born)
            group.count = folded.get(path[-1], (1, ""))[0]
            small.vertices.append(group)
            parts[group] = Counter()
        image[vertex] = group
        parts[group][vertex.kind] += vertex.count
        parts[group]["folded"] += vertex.count > 1
        _absorb(group, vertex)
    for group, found in parts.items():
        group.details = [_contents(group, found)]
    small.arrows = _between(graph.arrows, image)
    return small


def title_of_call(call: Call, folded: dict[Call, tuple[int, str]]) -> str:
    """"blocks.0 ... blocks.11 · Block ×12"."""
    count, last = folded.get(call, (1, ""))
    if count == 1:
        return str(call)
    return f"{call.name} … {last} · {call.kind} ×{count}"


def _contents(group: Vertex, found: Counter) -> str:
    text = _count(found["op"], "op", "ops")
    if found["folded"]:
        text = f"together {text}"  # of all that one is drawn for
    if found["leaf"]:
        text += f", {_count(found['leaf'], 'leaf', 'leaves')} ({group.numbers:,} numbers)"
    return text


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _between(arrows: Iterable[Arrow], image: dict[Vertex, Vertex]) -> list[Arrow]:
    """The arrows between what is drawn now, each once."""
    kept: dict[Any, Arrow] = {}
    for arrow in arrows:
        tail, head = image[arrow.tail], image[arrow.head]
        if tail is head:
            continue
        if tail is arrow.tail and head is arrow.head:
            kept[arrow] = arrow
        else:
            one = Arrow(tail, head, output=arrow.output, kind=arrow.kind)
            kept.setdefault((tail, head, arrow.kind), one)
            if tail.kind == "group" and arrow.output in arrow.tail.shapes:
                tail.shapes.setdefault(len(tail.shapes), arrow.tail.shapes[arrow.output])
    return list(kept.values())


def deepest(graph: Graph) -> int:
    return max((len(vertex.calls) for vertex in graph.vertices), default=0)


# --- a summary of the rest -----------------------------------------------------------------------

def limit(graph: Graph, most: int) -> Graph:
    """The `most` vertices nearest to the outputs, and one that stands for all others."""
    if len(graph.vertices) <= most:
        return graph
    into = graph.into()
    kept = dict.fromkeys(graph.outputs[:max(most // 2, 1)])
    layer = list(kept)
    while layer and len(kept) < most:
        layer = list(dict.fromkeys(arrow.tail for vertex in layer for arrow in into[vertex]
                                   if arrow.tail not in kept))
        kept |= dict.fromkeys(layer[:most - len(kept)])
    left_out = [vertex for vertex in graph.vertices if vertex not in kept]
    rest = Vertex("rest", "rest", f"{len(left_out):,} more")
    common = Counter(vertex.title for vertex in left_out if vertex.kind in ("op", "group"))
    rest.details = [f"{title} ×{count}" for title, count in common.most_common(4)]
    leaves = [vertex for vertex in left_out if vertex.kind == "leaf"]
    if leaves:
        numbers = sum(leaf.numbers for leaf in leaves)
        rest.details.append(f"{_count(len(leaves), 'leaf', 'leaves')} ({numbers:,} numbers)")
    for vertex in left_out:
        _absorb(rest, vertex)
    image = {vertex: vertex if vertex in kept else rest for vertex in graph.vertices}
    vertices = [vertex for vertex in graph.vertices if vertex in kept]
    return Graph([*vertices, rest], _between(graph.arrows, image), graph.outputs)


def totals(graph: Graph) -> str:
    """One line about the whole graph."""
    ops = sum(vertex.kind == "op" for vertex in graph.vertices)
    leaves = [vertex for vertex in graph.vertices if vertex.kind == "leaf"]
    numbers = sum(leaf.numbers for leaf in leaves)
    saved = sum(vertex.saved_bytes for vertex in graph.vertices)
    freed = any(vertex.saved is None for vertex in graph.vertices)
    text = f"{ops:,} ops, {_count(len(leaves), 'leaf', 'leaves')} ({numbers:,} numbers)"
    return f"{text}, " + ("saved values freed" if freed else f"{facts.in_bytes(saved)} saved")
