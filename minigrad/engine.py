"""Backward: visit the recorded nodes from the newest to the oldest, and add up what flows back.

Note [The order of backward]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A node may run once everything that used its output has run. Nodes are numbered as they are created,
and an op's inputs always exist before the op: so "newest first" is such an order. A heap keyed by
that number is all the scheduling there is: no topological sort and no recursion, so a graph of a
million nodes is as safe as one of ten. Leaves have ranks above every op's and come last.

Note [Who owns a gradient]
~~~~~~~~~~~~~~~~~~~~~~~~~~
A rule may return its incoming gradient, a view of it, or even a saved tensor; so a gradient that
arrives somewhere may be shared. It may be *changed* only if the engine made it (the sum of two
arrivals), and it may *become* `.grad` without a copy only if nobody else can see it. As in torch
the reference counts decide: a fresh array has exactly the references of the engine's own variables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from .core import AccumulateGrad, Extras, Node, TensorBase, edge_of, mode, wrap
from .device import array_module


def run_backward(roots: Sequence[TensorBase], gradients: Sequence[TensorBase], keep_graph: bool,
                 create_graph: bool, inputs: Sequence[TensorBase] | None = None,
                 accumulate: bool = True) -> list[TensorBase | None]:
    """Send `gradients` back from `roots`.

    Without `inputs`, every leaf's `.grad` is added to. With `inputs`, only nodes that lead to them
    run, and their gradients are returned, or with `accumulate` added to their `.grad`.
    """
    buffers: dict[Node, list] = {}
    for root, gradient in zip(roots, gradients, strict=True):
        node, output, _, _ = edge_of(root)  # type: ignore[misc]  # it has one: it was checked
        buffer = buffers.setdefault(node, [None] * node.outputs)
        buffer[output] = gradient if buffer[output] is None else buffer[output] + gradient
    targets: Any = None if inputs is None else [
        (edge_of(tensor) or (None, 0))[:2] for tensor in inputs]
    useful = None if targets is None else _leading_to({node for node, _ in targets}, buffers)
    captured: dict[Any, Any] = dict.fromkeys(targets or ())
    enabled, mode.grad = mode.grad, create_graph
    try:
        _visit(buffers, keep_graph, useful, captured, accumulate)
        if targets is None:
            return []
        if not accumulate:
            return [captured[target] for target in targets]
        for tensor, target in zip(inputs or (), targets, strict=True):
            if not (tensor.grad_fn is None or captured[target] is None):
                accumulate_into(tensor, captured[target])
        return []
    finally:
        mode.grad = enabled


def _visit(buffers: dict[Node, list], keep_graph: bool, useful: set[Node] | None,
           captured: dict, accumulate: bool) -> None:
    """Run every node that a gradient reaches, newest first (see Note [The order of backward])."""
    heap = [(node.rank, node) for node in buffers]
    heapify(heap)
    sums: set = set()  # the (node, output) places whose gradient is a sum made, and owned, here
    create_graph = mode.grad
    while heap:
        node = heappop(heap)[1]
        arrived: Any = buffers.pop(node)
        if node.extras is not None:
            _tensor_hooks(node.extras, arrived)
        if type(node) is AccumulateGrad:
            _reach_leaf(node, arrived, useful is None or accumulate, captured)
            continue
        if captured:
            for output in range(node.outputs):
                if (node, output) in captured:
                    captured[node, output] = arrived[output]
        if useful is not None and node not in useful:
            continue
        if node.extras is not None:
            arrived = _prehooks(node.extras, arrived)
        derived: Any = node.apply(arrived)
        if node.extras is not None:
            derived = _posthooks(node.extras, derived, arrived)
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
                gradient = fit(gradient, shape, dtype, node)
            buffer = buffers.get(target)
            if buffer is None:
                buffers[target] = buffer = [None] * target.outputs
                buffer[output] = gradient
                heappush(heap, (target.rank, target))
            elif buffer[output] is None:
                buffer[output] = gradient
            elif (target, output) in sums:
                buffer[output]._data += gradient._data
            else:
                buffer[output] = buffer[output] + gradient
                if not create_graph:
                    sums.add((target, output))
        derived = gradient = data = None  # a gradient seen only by its buffer may be kept as it is


def _leading_to(targets: set[Node], starts: Any) -> set[Node]:
    """The nodes with a path to one of `targets`: those whose backward has to run."""
    found, stack = set(starts), list(starts)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    useful: set[Node] = set()
    for node in sorted(found, key=lambda node: node.rank, reverse=True):  # oldest first
        if any(edge is not None and (edge[0] in useful or edge[0] in targets)
               for edge in node.edges):
            useful.add(node)
    return useful


# --- making a gradient fit -----------------------------------------------------------------------

def fit(gradient: Any, shape: tuple[int, ...], dtype: np.dtype, node: Node | None = None) -> Any:
    """Undo broadcasting and promotion: sum to `shape`, drop an imaginary part, cast to `dtype`."""
    if gradient._data.shape != shape:
        gradient = sum_to(gradient, shape, node)
    if gradient._data.dtype is not dtype:
        if dtype.kind != "c" and gradient._data.dtype.kind == "c":
            gradient = gradient.real
        gradient = gradient._cast(dtype)
    return gradient


def sum_to(gradient: Any, shape: tuple[int, ...], node: Node | None = None) -> Any:
    """Sum over the dimensions that broadcasting added or stretched: the shape is then `shape`."""
    have = tuple(gradient._data.shape)
    lead = len(have) - len(shape)
    stretched = [i + lead for i, size in enumerate(shape) if size == 1 and have[i + lead] != 1] \
        if lead >= 0 else []
    if lead < 0 or any(size not in (1, have[i + lead]) for i, size in enumerate(shape)):
        name = node.name() if node is not None else "Function"
        raise RuntimeError(f"Function {name} returned an invalid gradient at index 0 - got "
                           f"{list(have)} but expected shape compatible with {list(shape)}")
    dims = [*range(lead), *stretched]
    if dims:
        gradient = gradient.sum(dims, keepdim=True)
    return gradient.view(shape) if lead else gradient


# --- arriving at a leaf --------------------------------------------------------------------------

def _reach_leaf(node: AccumulateGrad, arrived: list, accumulate: bool, captured: dict) -> None:
    """Hand a leaf its gradient: to `.grad`, or to `grad()` if that is who asked."""
    leaf = node.variable
    hooks = leaf._hooks
    if hooks is not None:
        arrived = [_run_hooks(hooks.tensor, arrived.pop())]
    if captured:
        if (node, 0) not in captured:
            return
        captured[node, 0] = arrived[0]
    if accumulate:
        accumulate_into(leaf, arrived.pop())
        if hooks is not None:
            for hook in hooks.post_accumulate:
                hook(leaf)


def accumulate_into(leaf: Any, gradient: Any) -> None:
    """leaf.grad += gradient; the first gradient is kept itself if nobody else can see it."""
    present = leaf._grad
    if present is not None:
        if mode.grad:
            leaf._grad = present + gradient
        else:
            present.add_(gradient)
    elif mode.grad:
        leaf._grad = gradient
    elif _references(gradient) == _UNSHARED and _laid_out_as(gradient._data, leaf._data):
        leaf._grad = gradient
    else:
        leaf._grad = _copy(gradient, leaf)


def _references(gradient: Any) -> tuple[int, int]:
    """How many references there are to the gradient and to its array."""
    return sys.getrefcount(gradient), sys.getrefcount(gradient._data)


def _laid_out_as(data: Any, like: Any) -> bool:
    return data.base is None and data.strides == like.strides


def _copy(gradient: Any, leaf: Any) -> Any:
    """The gradient in new memory, laid out as the leaf is if the leaf has no gaps."""
    data, like = gradient._data, leaf._data
    xp = array_module(data)
    fresh = xp.empty_like(like if like.shape == data.shape else data, dtype=data.dtype)
    fresh[...] = data
    return wrap(fresh)


def _measure(leaf: Any, gradient: Any) -> tuple[int, int]:
    """The references of a gradient that only a call like `accumulate_into`'s can see."""
    return _references(gradient)


_UNSHARED = _measure(None, [wrap(np.zeros(1))].pop())


# --- hooks ---------------------------------------------------------------------------------------

def _run_hooks(hooks: Any, gradient: Any) -> Any:
    """Give the gradient to each hook in turn; what a hook returns takes its place."""
    for hook in hooks:
        replaced = hook(gradient)
        if replaced is not None:
            gradient = replaced
    return gradient


def _tensor_hooks(extras: Extras, arrived: list) -> None:
    """Hooks on the outputs as tensors; then `retain_grad` keeps what they left."""
    for output, hooks in extras.tensor_hooks.items():
        if arrived[output] is not None:
            arrived[output] = _run_hooks(hooks, arrived[output])
    for output, reference in extras.retained.items():
        tensor = reference()
        if tensor is not None and arrived[output] is not None:
            kept = tensor._grad
            tensor._grad = (arrived[output].clone() if kept is None else kept + arrived[output])


def _prehooks(extras: Extras, arrived: list) -> list:
    for hook in extras.pre_hooks:
        replaced = hook(tuple(arrived))
        if replaced is not None:
            arrived = list(replaced) if isinstance(replaced, tuple | list) else [replaced]
    return arrived


def _posthooks(extras: Extras, derived: list, arrived: list) -> list:
    for hook in extras.post_hooks:
        replaced = hook(tuple(derived), tuple(arrived))
        if replaced is not None:
            derived = list(replaced) if isinstance(replaced, tuple | list) else [replaced]
    return derived
