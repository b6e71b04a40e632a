"""Where the boxes of a graph go: by graphviz, or without it by layers.

Both return the same: the middle of each box, the path of each arrow (as SVG writes it), and the
size of the whole, in pixels.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from .layout import LayoutUnavailable, layout_engine

GAP, LAYER_GAP, LANE_GAP = 22, 46, 7
# Graphviz is slow where arrows pass many layers, as those to a parameter that each step of a
# recurrence uses: where they pass more than these in all, or it takes longer than these seconds,
# the layout is our own.
PATIENCE, LAYERS_PASSED = 5, 4000
POINTS = 72   # to an inch, in which graphviz measures


@dataclass
class Layout:
    places: list[tuple[int, int]]
    paths: list[str]
    width: int
    height: int


def lay_out(sizes: list[tuple[int, int]], edges: list[tuple[int, int]]) -> Layout:
    """Boxes of these sizes; every arrow leads from a box to a later one."""
    layer_of = _layers(len(sizes), edges)
    if sum(layer_of[head] - layer_of[tail] for tail, head in edges) > LAYERS_PASSED:
        return by_layers(sizes, edges)
    try:
        return by_graphviz(layout_engine(), sizes, edges)
    except (LayoutUnavailable, OSError, subprocess.SubprocessError, ValueError):
        return by_layers(sizes, edges)


# --- graphviz ------------------------------------------------------------------------------------

def by_graphviz(engine: str, sizes: list[tuple[int, int]],
                edges: list[tuple[int, int]]) -> Layout:
    """Asked for graphviz's plain format, which both its editions write."""
    lines = ["digraph {", f"nodesep={GAP / POINTS:.3f}; ranksep={LAYER_GAP / POINTS:.3f};",
             'node [shape=box, fixedsize=true, label=""]; edge [dir=none];']
    lines += [f"{number} [width={width / POINTS:.3f}, height={height / POINTS:.3f}];"
              for number, (width, height) in enumerate(sizes)]
    lines += [f'{tail} -> {head} [label="" id={number}];'
              for number, (tail, head) in enumerate(edges)]
    done = subprocess.run([engine, "-Tplain"], input="\n".join([*lines, "}"]), text=True,
                          check=True, capture_output=True, timeout=PATIENCE)
    return _read_plain(done.stdout, len(sizes), edges)


def _read_plain(text: str, count: int, edges: list[tuple[int, int]]) -> Layout:
    """Graphviz's answer: inches, counted from below; parallel arrows in any order."""
    places: list[tuple[int, int]] = [(0, 0)] * count
    found: dict[tuple[int, int], list[str]] = {}
    width = height = 0

    def point(x: str, y: str) -> tuple[int, int]:
        return round(float(x) * POINTS), height - round(float(y) * POINTS)

    for line in text.replace("\\\n", "").splitlines():
        kind, *words = line.split()
        if kind == "graph":
            width, height = (round(float(word) * POINTS) for word in words[1:3])
        elif kind == "node":
            places[int(words[0])] = point(words[1], words[2])
        elif kind == "edge":
            tail, head, length = map(int, words[:3])
            numbers = words[3:3 + 2 * length]
            points = [point(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
            if abs(points[0][1] - places[tail][1]) > abs(points[-1][1] - places[tail][1]):
                points.reverse()
            found.setdefault((tail, head), []).append(_path(points))
    if sum(map(len, found.values())) != len(edges):
        raise ValueError("graphviz left arrows out")
    return Layout(places, [found[edge].pop(0) for edge in edges], width, height)


def _path(points: list[tuple[int, int]]) -> str:
    """A chain of Bézier curves."""
    (x, y), *rest = points
    return f"M{x} {y}C" + " ".join(f"{x} {y}" for x, y in rest)


# --- layers --------------------------------------------------------------------------------------

def by_layers(sizes: list[tuple[int, int]], edges: list[tuple[int, int]]) -> Layout:
    """Each box one layer below the lowest that leads to it, as near to those as there is room.

    Arrows that pass a layer go round: down a lane on the right, one for each box that they lead to.
    """
    parents = _parents(len(sizes), edges)
    layer_of = _layers(len(sizes), edges)
    layers: list[list[int]] = [[] for _ in range(max(layer_of) + 1)]
    for box, layer in enumerate(layer_of):
        layers[layer].append(box)
    centres = [0.0] * len(sizes)
    for boxes in layers:
        _place_layer(boxes, parents, sizes, centres)

    left = min(centre - size[0] / 2 for centre, size in zip(centres, sizes, strict=True))
    right = max(centre + size[0] / 2 for centre, size in zip(centres, sizes, strict=True))
    lanes: dict[int, int] = {}
    for tail, head in edges:
        if layer_of[head] > layer_of[tail] + 1:
            lanes.setdefault(head, round(right - left) + GAP + LANE_GAP * (len(lanes) % 12))
    step = max(height for _, height in sizes) + LAYER_GAP
    places = [(round(centre - left), layer * step + (step - LAYER_GAP) // 2)
              for centre, layer in zip(centres, layer_of, strict=True)]
    width = max([round(right - left), *lanes.values()])
    return Layout(places, _curves(sizes, edges, places, lanes, step), width,
                  len(layers) * step - LAYER_GAP)


def _parents(count: int, edges: list[tuple[int, int]]) -> list[list[int]]:
    parents: list[list[int]] = [[] for _ in range(count)]
    for tail, head in edges:
        parents[head].append(tail)
    return parents


def _layers(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """How far each box is from the top, by the longest way."""
    found: list[int] = []
    for above in _parents(count, edges):
        found.append(max((found[each] + 1 for each in above), default=0))
    return found


def _place_layer(boxes: list[int], parents: list[list[int]], sizes: list[tuple[int, int]],
                 centres: list[float]) -> None:
    """The boxes of a layer side by side, in the order and about the middle of their parents."""
    wanted = {box: sum(centres[each] for each in parents[box]) / max(len(parents[box]), 1)
              for box in boxes}
    boxes.sort(key=wanted.__getitem__)
    right = float("-inf")
    for box in boxes:
        half = sizes[box][0] / 2
        centres[box] = max(wanted[box], right + GAP + half)
        right = centres[box] + half
    shift = sum(wanted[box] - centres[box] for box in boxes) / len(boxes)
    for box in boxes:
        centres[box] += shift


def _curves(sizes: list[tuple[int, int]], edges: list[tuple[int, int]],
            places: list[tuple[int, int]], lanes: dict[int, int], step: int) -> list[str]:
    """One curve an arrow, from edge to edge; parallel ones side by side."""
    drawn: dict[tuple[int, int], int] = {}
    paths = []
    for tail, head in edges:
        before = drawn[tail, head] = drawn.get((tail, head), -1) + 1
        aside = 14 * ((before + 1) // 2) * (-1 if before % 2 else 1)
        x, y = places[tail][0] + aside, places[tail][1] + sizes[tail][1] // 2
        to_x, to_y = places[head][0] + aside, places[head][1] - sizes[head][1] // 2
        half, whole = LAYER_GAP // 2, LAYER_GAP
        if places[head][1] - places[tail][1] <= step:
            paths.append(_path([(x, y), (x, y + half), (to_x, to_y - half), (to_x, to_y)]))
            continue
        lane = lanes[head]
        paths.append(_path([
            (x, y), (x, y + half), (lane, y + half // 2), (lane, y + whole),
            (lane, y + whole), (lane, to_y - whole), (lane, to_y - whole),
            (lane, to_y - half // 2), (to_x, to_y - half), (to_x, to_y)]))
    return paths
