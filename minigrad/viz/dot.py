"""A graph as DOT text: what is written into the boxes, the colours, the legend.

The colours are torchviz's in spirit (blue leaves, orange saved values, green results, dark green
bases of views), light enough for black text; and every kind has a border or a shape of its own, so
that nothing depends on seeing colours.
"""

from __future__ import annotations

import functools
import html

from . import facts
from .fold import title_of_call
from .graph_model import Arrow, Graph, Vertex
from .modules import Call

INK, FAINT, PAPER = "#1b1f24", "#57606a", "#ffffff"

# kind: fill, border, further attributes, words of the legend
LOOKS = {
    "leaf": ("#cfe4f7", "#1f6fb2", 'style="filled" penwidth="1.4"', "leaf: a parameter or input"),
    "op": ("#eef1f4", "#8b949e", 'style="filled,rounded"', "op"),
    "second": ("#f6dcea", "#a8437a", 'style="filled,rounded"', "op made by backward itself"),
    "output": ("#cdeccb", "#2e7d32", 'style="filled,bold"', "result, where backward starts"),
    "saved": ("#fcd9a4", "#b35c00", 'style="filled" shape="note"', "value saved for backward"),
    "base": ("#1f5d43", "#123a2a", f'style="filled" fontcolor="{PAPER}"', "memory behind a view"),
    "input": (PAPER, "#57606a", 'style="filled,dashed"', "value that needs no gradient"),
    "group": ("#e4dcf7", "#5b3f9e", 'style="filled,rounded" penwidth="1.4"', "module drawn as one"),
    "a": ("#ffd5cc", "#c0361a", 'style="filled" penwidth="1.6"', "only in a"),
    "b": ("#fff0b3", "#8a6d00", 'style="filled,dashed" penwidth="1.6"', "only in b"),
    "rest": (PAPER, "#8b949e", 'style="filled,rounded,dotted"', "more, not drawn"),
}
# From nothing to most; the text turns white where the ground is dark.
RAMP = ["#fff8e6", "#fde3a9", "#fcc46b", "#f59a3c", "#d96a1f", "#a8430f", "#732a08"]

escape = functools.lru_cache(maxsize=1000)(html.escape)


def attributes(direction: str, kind: str, heading: str) -> dict[str, dict[str, str]]:
    """What holds for the whole picture."""
    back = {"dir": "back"} if kind != "forward" else {}
    return {
        "graph_attr": {"rankdir": direction, "bgcolor": PAPER, "nodesep": "0.22",
                       "ranksep": "0.32", "fontname": "Helvetica", "fontcolor": FAINT,
                       "fontsize": "9", "pad": "0.15", "label": heading, "labeljust": "l"},
        "node_attr": {"shape": "box", "fontname": "Helvetica", "fontcolor": INK, "fontsize": "11",
                      "height": "0.3", "margin": "0.12,0.06"},
        "edge_attr": {"color": "#6e7781", "arrowsize": "0.6", "fontname": "Courier",
                      "fontsize": "8.5", "fontcolor": "#8a3f00", **back}}


def text(statements: list[str], attributes: dict[str, dict[str, str]]) -> str:
    """The whole DOT text, as the package graphviz would write it."""
    def of(kind: str) -> str:
        pairs = (f'{name}="{_quoted(value)}"' for name, value in attributes[kind].items())
        return f"\t{kind.removesuffix('_attr')} [{' '.join(pairs)}]\n"

    return f"digraph {{\n{''.join(map(of, attributes))}{''.join(statements)}}}\n"


def _quoted(words: str) -> str:
    """Words between quotation marks; as in HTML, for Graphviz reads entities everywhere."""
    return escape(words).replace("\\", "\\\\").replace("\n", " ")


def body(graph: Graph, kind: str, color: str, legend: bool,
         folded: dict[Call, tuple[int, str]]) -> list[str]:
    """The statements of the picture, one a line."""
    shade = _Shade(graph, color)
    lines: list[str] = []
    tree = _by_call(graph)

    def within(path: tuple, indent: str) -> None:
        here, inner = tree[path]
        lines.extend(f"{indent}{_node(vertex, kind, shade)}\n" for vertex in here)
        for call in inner:
            lines.append(f"{indent}subgraph cluster_{len(lines)} {{\n")
            title = escape(title_of_call(call, folded))
            lines.append(f'{indent}\tgraph [label=<{title}> labeljust="l" fontsize="10" '
                         f'style="rounded" color="#b6a6dc" bgcolor="#faf8ff" margin="10"]\n')
            within((*path, call), indent + "\t")
            lines.append(f"{indent}}}\n")

    within((), "\t")
    lines += [f"\t{_edge(arrow, kind)}\n" for arrow in graph.arrows]
    if legend:
        lines.append(f"\tlegend [shape=plain label=<{_legend(graph, kind, shade)}>]\n")
    return lines


def _by_call(graph: Graph) -> dict[tuple, tuple[list[Vertex], dict[Call, None]]]:
    """What stands directly in each module, and which modules do."""
    tree: dict[tuple, tuple[list[Vertex], dict[Call, None]]] = {(): ([], {})}
    for vertex in graph.vertices:
        path = vertex.calls[:-1] if vertex.kind == "group" else vertex.calls
        for length in range(len(path)):
            tree.setdefault(path[:length], ([], {}))[1][path[length]] = None
        tree.setdefault(path, ([], {}))[0].append(vertex)
    return tree


# --- nodes and edges -----------------------------------------------------------------------------

def _node(vertex: Vertex, kind: str, shade: _Shade) -> str:
    look = _look(vertex)
    fill, border, more, _ = LOOKS[look]
    shaded = shade.of(vertex)
    dark = ""
    if shaded is not None:
        fill, dark = shaded
    details = _details(vertex)
    small = "".join(f'<br/><font point-size="9">{escape(text)}</font>' for text in details)
    title = escape(_title(vertex, kind))
    if vertex.kind not in ("saved", "input", "rest"):
        title = f"<b>{title}</b>"
    tooltip = _quoted(" | ".join([_title(vertex, kind), *details]))
    return (f'{vertex.key} [label=<{title}{small}> fillcolor="{fill}" color="{border}" '
            f'{more}{dark} tooltip="{tooltip}"]')


def _look(vertex: Vertex) -> str:
    return vertex.side or ("second" if vertex.second and vertex.kind == "op" else vertex.kind)


def _title(vertex: Vertex, kind: str) -> str:
    if vertex.kind == "op" and kind == "forward":
        return facts.forward_title(vertex.node)
    if vertex.kind == "op" and type(vertex.node).__name__ == "CopySlices":
        inner = getattr(vertex.node, "fn", None)  # PyTorch does not show it
        return vertex.title if inner is None else f"{vertex.title}: {facts.title_of(inner)}"
    return vertex.title or "a leaf"


def _details(vertex: Vertex) -> list[str]:
    found = [vertex.shape] if vertex.shape else []
    found += vertex.details
    if vertex.kind in ("op", "group", "rest"):
        if vertex.saved is None:
            found.append("saved values freed")
        elif vertex.saved_bytes:
            found.append(f"saves {facts.in_bytes(vertex.saved_bytes)}")
        found += [f"{each.name}: {each.note}" for each in vertex.saved or () if each.note]
        if vertex.seconds is not None:
            found.append(f"backward {facts.in_seconds(vertex.seconds)}")
    if vertex.kind == "leaf" or (vertex.kind == "group" and (vertex.square is not None
                                                             or vertex.missing)):
        found.append(facts.gradient_text(vertex.square, vertex.missing))
    return found


def _edge(arrow: Arrow, kind: str) -> str:
    more = []
    if arrow.kind == "value" and arrow.tail.kind != "leaf":
        more.append('weight="8"')  # a straight spine; leaves stand beside it
    if arrow.rule:
        text = arrow.rule if len(arrow.rule) <= 60 else arrow.rule[:59] + "…"
        more.append(f'label=<&nbsp;{escape(text)}> '
                    f'tooltip="{_quoted(arrow.rule)}"')
    if arrow.side:
        more.append(f'color="{LOOKS[arrow.side][1]}" penwidth="1.6"'
                    + (' style="dashed"' if arrow.side == "b" else ""))
    if arrow.kind == "saved":
        more.append('style="dotted" color="#b35c00" arrowhead="none" dir="forward"')
    elif arrow.kind == "base":
        more.append('style="dashed" color="#1f5d43" arrowhead="none" dir="forward"')
    elif arrow.kind == "input":
        more.append('style="dashed" dir="forward"')
    attributes = f" [{' '.join(more)}]" if more else ""
    return f"{arrow.tail.key} -> {arrow.head.key}{attributes}"


# --- shading by a measurement --------------------------------------------------------------------

class _Shade:
    """How dark each vertex is, by its bytes or its time."""

    def __init__(self, graph: Graph, color: str) -> None:
        self.color = color
        self.most = max((self.measure(vertex) or 0 for vertex in graph.vertices), default=0)

    def measure(self, vertex: Vertex) -> float | None:
        if vertex.kind not in ("op", "group", "rest") or self.color == "kind":
            return None
        return vertex.saved_bytes if self.color == "bytes" else vertex.seconds

    def of(self, vertex: Vertex) -> tuple[str, str] | None:
        found = self.measure(vertex)
        if found is None or not self.most:
            return None
        step = round((found / self.most) ** 0.5 * (len(RAMP) - 1))
        return RAMP[step], f' fontcolor="{PAPER}"' if step >= 4 else ""

    def words(self, share: float) -> str:
        value = share * self.most
        return facts.in_bytes(value) if self.color == "bytes" else facts.in_seconds(value)


# --- the legend ----------------------------------------------------------------------------------

def _legend(graph: Graph, kind: str, shade: _Shade) -> str:
    rows = []
    used = {_look(vertex) for vertex in graph.vertices}
    for look, (fill, border, _, words) in LOOKS.items():
        if look in used and not (shade.most and look in ("op", "group", "second", "rest")):
            rows.append(_row(fill, words, border))
    if shade.most:
        what = "saved by the op" if shade.color == "bytes" else "time of its backward"
        last = len(RAMP) - 1
        for step in (0, 2, 4, last):
            rows.append(_row(RAMP[step], f"{shade.words((step / last) ** 2)} {what}", FAINT))
    arrows = ("arrows: the way of the values" if kind == "forward"
              else "arrows: the way of the gradients")
    rows.append('<tr><td border="0" colspan="2" align="left">'
                f'<font color="{FAINT}">{arrows}</font></td></tr>')
    return ('<font point-size="9"><table border="0" cellspacing="3" cellpadding="1">'
            f"{''.join(rows)}</table></font>")


def _row(fill: str, words: str, border: str) -> str:
    return (f'<tr><td width="18" height="12" fixedsize="true" border="1" color="{border}" '
            f'bgcolor="{fill}"></td><td border="0" align="left">{escape(words)}</td></tr>')


