"""What can be drawn: tensors, modules with inputs; and what is said about everything else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core import Node, mode
from . import facts
from .graph_model import Graph, read
from .modules import run


@dataclass
class Source:
    """Tensors whose graph will be drawn, and what tensors are called."""

    outputs: list[tuple[str, Any]]
    names: dict[int, str]
    inputs: list[Any]          # what the module was called with

    @property
    def roots(self) -> list[Any]:
        return [tensor for _, tensor in self.outputs if tensor.requires_grad]


def source_of(what: str, x: Any, inputs: Any, names: Any, variables: Mapping[str, Any]) -> Source:
    """The tensors behind the argument of `what` (draw, tree, ...), and all names that are known.

    For a module, `inputs` are what to call it with; for tensors, names as in `names`. Without any
    the caller's `variables` are looked through.
    """
    if facts.is_module(x):
        if inputs is None:
            call = "a, b, inputs" if what == "diff" else "model, inputs"
            raise TypeError(f"{what}() runs a module to see its graph, so it needs the inputs too: "
                            f"{what}({call})")
        outputs, known, tensors = run(x, inputs)
        return Source(outputs, {**known, **facts.named(names or ())}, tensors)
    given = names if names is not None else inputs
    if given is not None and not hasattr(given, "items") and facts.is_tensor(given):
        raise TypeError(f"{what}() takes names beside a tensor, as model.named_parameters() gives "
                        "them; inputs go with a module")
    outputs = facts.tensors_in(x)
    if not outputs:
        raise TypeError(_refusal(what, x))
    own = facts.named(variables)
    outputs = [(own.get(id(tensor), name), tensor) for name, tensor in outputs]
    if all(tensor.grad_fn is None for _, tensor in outputs):
        leaf = any(tensor.requires_grad for _, tensor in outputs)
        reason = ("it is a leaf, from which nothing was computed" if leaf else
                  "it does not require a gradient, nor does anything it was computed from")
        raise RuntimeError(f"{what}() needs a tensor with a history, and this one has none: "
                           f"{reason}; pass a result, such as the loss")
    return Source(outputs, own if given is None else facts.named(given), [])


def _refusal(what: str, x: Any) -> str:
    kind = type(x)
    name = kind.__qualname__ if kind.__module__ == "builtins" else \
        f"{kind.__module__}.{kind.__qualname__}"
    more = ""
    if hasattr(x, "__array_interface__"):
        more = "; an array has no history: pass the tensor that was computed with gradients on"
    elif hasattr(x, "name") and hasattr(x, "next_functions"):
        more = "; pass the tensor instead of its grad_fn"
    elif isinstance(x, list | tuple | dict):
        more = " without tensors"
    return (f"{what}() takes a tensor, a list or dict of tensors, or a module with its inputs, "
            f"not {name}{more}")


# --- running backward, to see it -----------------------------------------------------------------

def gradients_of(source: Source, graph: Graph, create_graph: bool) -> list[tuple[str, Any]]:
    """The gradients of all leaves, with names; nobody's `.grad` is touched."""
    leaves = [vertex for vertex in graph.vertices if vertex.kind == "leaf"]
    library = facts.library_of(source.roots[0])
    try:
        found = library.autograd.grad(
            source.roots, [vertex.node.variable for vertex in leaves],
            [library.ones_like(root) for root in source.roots], retain_graph=True,
            create_graph=create_graph, allow_unused=True)
    except RuntimeError as error:
        if "a second time" not in str(error):
            raise
        raise RuntimeError(
            "this picture needs a backward pass, but backward has freed the graph's saved values "
            "already: draw before backward, or call backward(retain_graph=True)") from None
    return [(vertex.title or f"leaf {number}", gradient)
            for number, (vertex, gradient) in enumerate(zip(leaves, found, strict=True))
            if gradient is not None]


def double(source: Source) -> tuple[Source, Graph]:
    """The graph of the gradients: what is walked to differentiate once more."""
    first = read(source.outputs, source.names)
    gradients = gradients_of(source, first, create_graph=True)
    outputs = [(f"gradient of {name}", each) for name, each in gradients
               if each.grad_fn is not None]
    if not outputs:
        raise RuntimeError("there is no graph of double backward: the gradients are constants, "
                           "they do not depend on anything that requires a gradient")
    graph = read(outputs, source.names)
    before = {vertex.node for vertex in first.vertices if vertex.node is not None}
    for vertex in graph.vertices:
        vertex.second = vertex.kind == "op" and vertex.node not in before
    return Source(outputs, source.names, source.inputs), graph


def time_backward(source: Source, graph: Graph) -> None:
    """Run backward and write down how long each node takes: the shorter of two times, because
    the first includes whatever is imported when it is first needed."""
    ops = {vertex.node: vertex for vertex in graph.vertices if vertex.kind == "op"}
    for _ in range(2):
        spent: dict[Any, float] = {}
        own = isinstance(next(iter(ops), None), Node)
        with _observed(spent) if own else _hooked(ops, spent):
            gradients_of(source, graph, create_graph=False)
        for node, seconds in spent.items():
            if node in ops:
                before = ops[node].seconds
                ops[node].seconds = seconds if before is None else min(before, seconds)


@contextlib.contextmanager
def _observed(spent: dict[Any, float]) -> Iterator[None]:
    """minigrad's engine asks its observer to run each node."""
    before, mode.observer = mode.observer, _Clock(spent)
    try:
        yield
    finally:
        mode.observer = before


class _Clock:
    """Runs nodes and times them."""

    def __init__(self, spent: dict[Any, float]) -> None:
        self.spent = spent

    def remember(self, node: Node) -> None:
        """Nothing: the nodes are known."""

    def apply(self, node: Node, gradients: Any) -> Any:
        start = time.perf_counter()
        derived = node.apply(gradients)
        self.spent[node] = time.perf_counter() - start
        return derived


@contextlib.contextmanager
def _hooked(nodes: Any, spent: dict[Any, float]) -> Iterator[None]:
    """PyTorch's nodes: a hook before and a hook after each."""
    handles = []
    for node in nodes:
        def before(_: Any, node: Any = node) -> None:
            spent[node] = -time.perf_counter()

        def after(*_: Any, node: Any = node) -> None:
            spent[node] += time.perf_counter()

        handles += [node.register_prehook(before), node.register_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
