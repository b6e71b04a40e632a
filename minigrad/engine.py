"""Backward: visit the recorded nodes from the newest to the oldest, and add up what flows back.

Note [The order of backward]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A node may run once everything that used its output has run. Nodes are numbered as they are created,
and an op's inputs always exist before the op: so "newest first" is such an order. A heap keyed by
that number is all the scheduling there is: no topological sort and no recursion, so a graph of a
million nodes is as safe as one of ten. Leaves have ranks above every op's and come last, unless one
of them has hooks: a hook may update a parameter and drop its gradient, to save memory, so it must
hear of it at once. Then the edges to each leaf are counted beforehand, and a leaf comes as soon as
the last of them has been walked.

Note [Who owns a gradient]
~~~~~~~~~~~~~~~~~~~~~~~~~~
A rule may return its incoming gradient, a view of it, or even a saved tensor; so a gradient that
arrives somewhere may be shared. It may be *changed* only if the engine made it (the sum of two
arrivals), and it may *become* `.grad` without a copy only if nobody else can see it. As in torch
the reference counts decide: a fresh array has exactly the references of the engine's own variables.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from .backward_hooks import expect_nothing, output_hooks, posthooks, prehooks, run_tensor_hooks
from .core import AccumulateGrad, Node, TensorBase, mode, switches, wrap
from .device import array_module


class Backward:
    """One run of backward: what a hook may ask about it while it runs."""

    __slots__ = ("starts", "useful", "captured", "_reachable", "__weakref__")

    def __init__(self, starts: Sequence[Node], useful: set[Node] | None, captured: dict) -> None:
        self.starts = starts
        self.useful = useful
        self.captured = captured
        self._reachable: set[Node] | None = None

    def will_visit(self, node: Node) -> bool:
        """Whether a gradient gets to this node in this run."""
        if self.useful is not None:
            if isinstance(node, AccumulateGrad) and self.captured:
                raise RuntimeError(
                    "A leaf node was passed to _will_engine_execute_node but we are currently "
                    "running autograd.grad(). This is currently not supported.")
            return node in self.useful
        if self._reachable is None:
            self._reachable = _reachable(self.starts)
        return node in self._reachable


Place = tuple[Node, int]  # a node and which of its outputs


def run_backward(roots: Sequence[Place], gradients: Sequence[TensorBase], keep_graph: bool,
                 create_graph: bool, targets: Sequence[Place | None] | None = None,
                 accumulate: bool = True) -> list[TensorBase | None]:
    """Send `gradients` back from `roots`.

    Without `targets`, every leaf's `.grad` is added to. With `targets`, only nodes that lead to
    them run; the gradients of the targets are returned, or with `accumulate` leaves among them have
    theirs added to `.grad`.
    """
    buffers: dict[Node, list] = {}
    for (node, output), gradient in zip(roots, gradients, strict=True):
        buffer = buffers.setdefault(node, [None] * node.outputs)
        buffer[output] = gradient if buffer[output] is None else buffer[output] + gradient
    useful = None if targets is None else _leading_to(
        {target[0] for target in targets if target is not None}, buffers)
    captured: dict[Any, Any] = dict.fromkeys(targets or ())
    before = mode.grad, mode.backward
    mode.grad, mode.backward = create_graph or mode.off, Backward(list(buffers), useful, captured)
    try:
        _visit(buffers, keep_graph, useful, captured, accumulate)
        return [captured[target] for target in targets or ()]
    finally:
        mode.grad, mode.backward = before


_OUTPUT = 1 << 50  # a rank is far smaller


def _visit(buffers: dict[Node, list], keep_graph: bool, useful: set[Node] | None,
           captured: dict, accumulate: bool) -> None:
    """Run every node that a gradient reaches, newest first (see Note [The order of backward])."""
    heap = [(node.rank, node) for node in buffers]
    heapify(heap)
    sums: set = set()  # where the gradient is a sum made, and owned, here: an id of node and output
    create_graph, observer = mode.grad, mode.observer
    awaited = _edges_to_leaves(buffers, useful) if switches.leaf_hooks else None
    leaves: list[AccumulateGrad] = []  # they come last, unless a hook is waiting for one of them
    while heap:
        node = heappop(heap)[1]
        arrived: Any = buffers.pop(node, None)
        if arrived is None:  # a leaf that has had its turn early
            continue
        extras = node.extras
        if extras is not None:
            output_hooks(extras, arrived)
        if type(node) is AccumulateGrad:
            _reach_leaf(node, arrived, useful is None or accumulate, captured)
            continue
        if captured:
            for output in range(node.outputs):
                if (node, output) in captured:
                    captured[node, output] = arrived[output]
        if useful is not None and node not in useful:
            continue
        if extras is not None:
            arrived = prehooks(extras, arrived)
        derived: Any = node.apply(arrived) if observer is None else observer.apply(node, arrived)
        if extras is not None:
            derived = posthooks(extras, derived, arrived)
        arrived = None
        if not keep_graph:
            node.release()
        for edge, gradient in zip(node.edges, derived):  # noqa: B905 (`strict=` costs 0.1 us a node)
            if gradient is None or edge is None:
                continue
            target, output, shape, dtype = edge
            if useful is not None and target not in useful and (target, output) not in captured:
                continue
            data = gradient._data
            if data.shape != shape or data.dtype is not dtype:
                gradient = fit(gradient, shape, dtype, node, edge)
                data = gradient._data
            buffer = buffers.get(target)
            if buffer is None:
                if target.outputs == 1:
                    buffers[target] = [gradient]
                else:
                    buffers[target] = buffer = [None] * target.outputs
                    buffer[output] = gradient
                if awaited is None and type(target) is AccumulateGrad:
                    leaves.append(target)
                else:
                    heappush(heap, (target.rank, target))
            elif (present := buffer[output]) is None:
                buffer[output] = gradient
            elif target.rank + output * _OUTPUT in sums:
                present._data += data
            else:
                buffer[output] = present + gradient
                if not create_graph:
                    sums.add(target.rank + output * _OUTPUT)
        if awaited is not None:
            _call_leaves(node, awaited, buffers, heap)
        # A gradient that only its buffer sees may be kept as it is.
        derived = gradient = data = present = None
    buffer = edge = None
    for leaf in sorted(leaves, key=lambda leaf: leaf.rank):
        arrived = buffers.pop(leaf)
        if leaf.extras is not None:
            output_hooks(leaf.extras, arrived)
        _reach_leaf(leaf, arrived, useful is None or accumulate, captured)


def _reachable(starts: Iterable[Node]) -> set[Node]:
    """The nodes that a gradient may get to from `starts`, these included."""
    found, stack = set(starts), list(starts)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    return found


def _edges_to_leaves(starts: Iterable[Node], useful: set[Node] | None) -> dict[Node, int]:
    """How many edges will be walked to each leaf."""
    awaited: dict[Node, int] = {}
    for node in _reachable(starts):
        if useful is None or node in useful:
            for edge in node.edges:
                if edge is not None and type(edge[0]) is AccumulateGrad:
                    awaited[edge[0]] = awaited.get(edge[0], 0) + 1
    return awaited


_BEFORE_ALL = 1 << 62


def _call_leaves(node: Node, awaited: dict[Node, int], buffers: dict[Node, list],
                 heap: list) -> None:
    """After a node: let the leaves come next that wait for no other."""
    for edge in node.edges:
        if edge is not None and edge[0] in awaited:
            leaf = edge[0]
            awaited[leaf] -= 1
            if awaited[leaf] == 0 and leaf in buffers:
                heappush(heap, (leaf.rank - _BEFORE_ALL, leaf))


def _leading_to(targets: set[Node], starts: Any) -> set[Node]:
    """The nodes with a path to one of `targets`: those whose backward has to run."""
    useful: set[Node] = set()
    for node in sorted(_reachable(starts), key=lambda node: -node.rank):  # oldest first
        if any(edge is not None and (edge[0] in useful or edge[0] in targets)
               for edge in node.edges):
            useful.add(node)
    return useful


# --- making a gradient fit -----------------------------------------------------------------------

def fit(gradient: Any, shape: tuple[int, ...], dtype: np.dtype, node: Node | None = None,
        edge: Any = None) -> Any:
    """Undo broadcasting and promotion: sum to `shape`, drop an imaginary part, cast to `dtype`.

    `node` and `edge` are those that the gradient takes: who is to blame if it does not fit.
    """
    if gradient._data.shape != shape:
        gradient = sum_to(gradient, shape, node, edge)
    if gradient._data.dtype is not dtype:
        if dtype.kind != "c" and gradient._data.dtype.kind == "c":
            gradient = gradient.real
        gradient = gradient._cast(dtype)
    return gradient


def sum_to(gradient: Any, shape: tuple[int, ...], node: Node | None = None,
           edge: Any = None) -> Any:
    """Sum over the dimensions that broadcasting added or stretched: the shape is then `shape`."""
    have = tuple(gradient._data.shape)
    lead = len(have) - len(shape)
    stretched = [i + lead for i, size in enumerate(shape) if size == 1 and have[i + lead] != 1] \
        if lead >= 0 else []
    if lead < 0 or any(size not in (1, have[i + lead]) for i, size in enumerate(shape)):
        name = node.name() if node is not None else "Function"
        index = 0 if node is None else [each is edge for each in node.edges].index(True)
        raise RuntimeError(f"Function {name} returned an invalid gradient at index {index} - got "
                           f"{list(have)} but expected shape compatible with {list(shape)}")
    if not shape:
        return gradient.sum()
    dims = [*range(lead), *stretched]
    if dims:
        gradient = gradient.sum(dims, keepdim=True)
    return gradient.view(shape) if lead else gradient


# --- arriving at a leaf --------------------------------------------------------------------------

_adding = threading.RLock()  # several threads may add to one leaf


def _reach_leaf(node: AccumulateGrad, arrived: list, accumulate: bool, captured: dict) -> None:
    """Hand a leaf its gradient: to `.grad`, or to `grad()` if that is who asked."""
    leaf = node.variable
    hooks = leaf._hooks
    if hooks is not None:
        arrived = [run_tensor_hooks(hooks.tensor, arrived.pop())]
    if captured:
        if (node, 0) not in captured:
            return
        captured[node, 0] = arrived[0]
    if not accumulate:
        return
    seen = ()
    if node.extras is not None:
        arrived = prehooks(node.extras, arrived)
        seen = tuple(arrived)
    with _adding:
        accumulate_into(leaf, arrived.pop())
    if hooks is not None:
        for hook in hooks.post_accumulate:
            expect_nothing(hook(leaf))
    if node.extras is not None:
        posthooks(node.extras, [], list(seen))


def accumulate_into(leaf: Any, gradient: Any) -> None:
    """leaf.grad += gradient; the first gradient is kept itself if nobody else can see it."""
    present = leaf._grad
    if present is not None:
        if mode.grad:
            leaf._grad = present + gradient
        else:
            present.add_(gradient)
    elif mode.grad:
        leaf._grad = _like(leaf, gradient).copy_(gradient)
    elif _references(gradient) == _UNSHARED and _laid_out_as(gradient._data, leaf._data):
        leaf._grad = gradient
    else:
        leaf._grad = _like(leaf, gradient)
        leaf._grad._data[...] = gradient._data


def _references(gradient: Any) -> tuple[int, int]:
    """How many references there are to the gradient and to its array."""
    return sys.getrefcount(gradient), sys.getrefcount(gradient._data)


def _laid_out_as(data: Any, like: Any) -> bool:
    return data.base is None and data.strides == like.strides


def _like(leaf: Any, gradient: Any) -> Any:
    """Memory for the gradient, laid out as the leaf is if the leaf has no gaps."""
    data, like = gradient._data, leaf._data
    return wrap(array_module(data).empty_like(like if like.shape == data.shape else data,
                                              dtype=data.dtype))


def _measure(leaf: Any, gradient: Any) -> tuple[int, int]:
    """The references of a gradient that only a call like `accumulate_into`'s can see."""
    return _references(gradient)


_UNSHARED = _measure(None, [wrap(np.zeros(1))].pop())
