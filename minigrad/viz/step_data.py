"""What the step-through shows, as data: the content of the page's JSON.

    nodes     boxes: place and size, name; the newest node first, leaves last
    edges     arrows: from, to, path
    kinds     what steps of one op share: name, mathematics, rules
    steps     kind, line of the program, gradients in, gradients out, what each leaf has by now
    tensors   every gradient once: its numbers if they are few, else a histogram
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ..explain import Explanation, Line, Rule, Step
from .math import text_to_html
from .step_layout import Layout, lay_out

BINS = 24
# The most numbers that a tensor may have to be written out: the first with which all tensors of
# the page together stay below ROOM characters.
LIMITS = (1024, 256, 64, 16, 4)
ROOM = 240_000
NUMBER_LENGTH, HISTOGRAM_LENGTH = 12, 230

OWN_FOLDER = Path(__file__).parents[1]


class Tensors:
    """All gradients of the page; equal ones are kept once."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.dtypes: list[str] = []
        self.known: dict[Any, int] = {}

    def add(self, tensor: Any) -> int | None:
        """The tensor's number; None for no tensor."""
        if tensor is None:
            return None
        array = np.ascontiguousarray(tensor.detach().cpu()._data).reshape(tuple(tensor.shape))
        dtype = str(tensor.dtype).rpartition(".")[2]
        key = dtype, array.shape, hashlib.sha256(array.tobytes()).digest()
        if key not in self.known:
            self.known[key] = len(self.arrays)
            self.arrays.append(array)
            self.dtypes.append(dtype)
        return self.known[key]

    def as_data(self) -> list[dict]:
        limit = next((limit for limit in LIMITS if self._length(limit) <= ROOM), LIMITS[-1])
        return [{"shape": array.shape, "dtype": dtype,
                 **({"values": written(array)} if array.size <= limit else summary(array))}
                for array, dtype in zip(self.arrays, self.dtypes, strict=True)]

    def _length(self, limit: int) -> int:
        """About how many characters they take."""
        return sum(array.size * NUMBER_LENGTH if array.size <= limit else HISTOGRAM_LENGTH
                   for array in self.arrays)


def written(array: np.ndarray) -> list:
    """The numbers in order, none rounded; a complex one is a pair."""
    if array.dtype.kind == "c":
        return [[number(each.real), number(each.imag)] for each in array.ravel()]
    return [number(each) for each in array.ravel()]


def number(value: Any) -> int | float | str:
    """The shortest decimal that is this very number in its dtype; nan and inf as words."""
    if not isinstance(value, np.float64 | np.float32 | np.float16):
        value = np.float32(value)  # bfloat16
    if not np.isfinite(value):
        return str(value)
    short = float(str(value))
    whole = short.is_integer() and abs(short) < 1e15 and str(short) != "-0.0"
    return int(short) if whole else short


def summary(array: np.ndarray) -> dict:
    """A histogram of the finite numbers (of their sizes, if complex), and what bounds them all."""
    wide = np.abs(array).astype(np.float64) if array.dtype.kind == "c" else array.astype(np.float64)
    flat = wide.ravel()
    finite = flat[np.isfinite(flat)]
    low, high = (finite.min(), finite.max()) if finite.size else (np.float64(0), np.float64(0))
    with np.errstate(over="ignore"):
        spread = high - low
    if spread > 0 and np.isfinite(spread):
        places = np.minimum(((finite - low) / spread * BINS).astype(np.int64), BINS - 1)
        counts = np.bincount(places, minlength=BINS).tolist()
    else:
        counts = [finite.size]
    exact = np.float64 if array.dtype.kind == "c" else array.dtype.type
    return {"counts": counts, "min": number(exact(low)), "max": number(exact(high)),
            "norm": number(np.float64(f"{np.linalg.norm(finite):.6g}")),
            "nan": int(np.isnan(flat).sum()), "inf": int(np.isinf(flat).sum())}


# --- the page's JSON -----------------------------------------------------------------------------

def page_data(told: Explanation, title: str) -> dict:
    nodes = _nodes_in_order(told)
    numbers = {id(node): count for count, node in enumerate(nodes)}
    leaves = {id(leaf.node): count for count, leaf in enumerate(told.leaves)}
    tensors, kinds, lines = Tensors(), _Table(), _Table()
    steps = []
    for step in told.steps:
        sent = [[numbers[id(each.node)], each.input, tensors.add(each.gradient)]
                for each in step.sent]
        reached = {leaves[id(each.node)]: tensors.add(step.accumulated[each.to])
                   for each in step.sent if id(each.node) in leaves}
        steps.append({
            "node": numbers[id(step.node)], "kind": kinds.number(_kind(step)),
            "line": lines.number(place(step.made_at)),
            "in": [tensors.add(each) for each in step.arrived],
            "out": sent, "leaves": list(reached.items())})

    boxes = [_box(node, told, leaves.get(id(node))) for node in nodes]
    edges = [(numbers[id(node)], numbers[id(edge[0])])
             for node in nodes for edge in node.edges if edge is not None]
    layout: Layout = lay_out([(box["w"], box["h"]) for box in boxes], edges)
    for box, (x, y) in zip(boxes, layout.places, strict=True):
        box["x"], box["y"] = x, y
    return {
        "title": title, "width": layout.width, "height": layout.height,
        "nodes": boxes,
        "edges": [[*edge, path] for edge, path in zip(edges, layout.paths, strict=True)],
        "kinds": kinds.entries, "lines": lines.entries, "steps": steps,
        "leaves": [{"name": leaf.name, "shape": tuple(leaf.tensor.shape),
                    "node": numbers[id(leaf.node)], "gradient": tensors.add(leaf.gradient)}
                   for leaf in told.leaves],
        "tensors": tensors.as_data()}


class _Table:
    """Things that repeat, each kept once."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.known: dict[str, int] = {}

    def number(self, entry: Any) -> int | None:
        if entry is None:
            return None
        if repr(entry) not in self.known:
            self.known[repr(entry)] = len(self.entries)
            self.entries.append(entry)
        return self.known[repr(entry)]


def _nodes_in_order(told: Explanation) -> list[Any]:
    """Every node behind the loss, newest first: whoever sends comes before who receives."""
    start = told.steps[0].node
    found, stack = {start}, [start]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    return sorted(found, key=lambda node: node.rank)


def _box(node: Any, told: Explanation, leaf: int | None) -> dict:
    """What is written on a node's box, and how large that makes it."""
    if leaf is not None:
        name, below = told.leaves[leaf].name, shape_text(told.leaves[leaf].tensor.shape)
    else:
        name, below = node.name().removeprefix("torch::autograd::"), ""
    name = name if len(name) <= 34 else f"{name[:16]}…{name[-16:]}"
    box = {"name": name, "w": round(7.4 * max(len(name), len(below) - 2, 8)) + 28, "h": 40}
    if leaf is not None:
        box["leaf"] = leaf
    return box


def _kind(step: Step) -> dict:
    return {"name": step.name, "math": text_to_html(step.mathematics),
            "rules": [_rule(rule) for rule in step.rules]}


def _rule(rule: Rule) -> dict:
    return {"inputs": ", ".join(rule.inputs), "source": rule.source, "place": place(rule.place)}


def place(line: Line | None) -> dict | None:
    """A line's file as a reader knows it (never an absolute path), number and text."""
    if line is None:
        return None
    file = Path(line.file)
    if file.is_relative_to(OWN_FOLDER):
        name = file.relative_to(OWN_FOLDER.parent).as_posix()
    else:
        name = file.name
    return {"file": name, "number": line.number, "text": line.text}


def shape_text(shape: Any) -> str:
    return f"({', '.join(map(str, shape))})"
