"""What can be known about a tensor or a node without touching it: shape, saved values, gradient.

Nodes of minigrad are asked directly, so that nothing is unpacked: no hook runs, no version is
checked, and it does not matter whether backward has freed them. Nodes of real PyTorch are read
through what every user can read: `name()`, `next_functions`, `variable`, `_saved_*`.
"""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass
from typing import Any

from ..autograd.function import FunctionNode
from ..core import FREED, NUMBER, Node, TensorBase, wrap
from ..explain import Rule, _rules
from ..inplace import CopySlices
from ..saved import Packed, Unpacking

PREFIX = "torch::autograd::"


def library_of(thing: Any) -> Any:
    """The package a tensor or a module belongs to: minigrad, or torch. None for anything else."""
    from .. import nn

    minigrad = sys.modules[__package__.rpartition(".")[0]]
    if isinstance(thing, TensorBase | nn.Module):
        return minigrad
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "Tensor") and isinstance(thing, (torch.Tensor, torch.nn.Module)):
        return torch
    return None


def is_tensor(thing: Any) -> bool:
    return hasattr(thing, "grad_fn") and library_of(thing) is not None


def is_module(thing: Any) -> bool:
    return hasattr(thing, "named_modules") and library_of(thing) is not None


def named(given: Any) -> dict[int, str]:
    """What tensors are called, by their id: from a dict or pairs, modules among the values."""
    try:
        pairs = [(str(name), value)
                 for name, value in (given.items() if hasattr(given, "items") else given)]
    except (TypeError, ValueError):
        raise TypeError("names are a dict or pairs of a name and a tensor, as from "
                        f"model.named_parameters(), not {type(given).__name__}") from None
    found: dict[int, str] = {}
    for name, value in pairs:
        if is_tensor(value):
            found.setdefault(id(value), name)
        elif is_module(value):
            for own, parameter in value.named_parameters():
                found.setdefault(id(parameter), f"{name}.{own}")
    return found


def variables_of(frame: Any) -> dict[str, Any]:
    """What a function calls things: its own variables, then those of its module. Names that begin
    with an underscore come last: Jupyter keeps results under `_` and `_3`, too."""
    found = {**frame.f_locals}
    for name, value in frame.f_globals.items():
        found.setdefault(name, value)
    return dict(sorted(found.items(), key=lambda item: item[0].startswith("_")))


def tensors_in(found: Any, name: str = "output") -> list[tuple[str, Any]]:
    """All tensors in nested lists and dicts, with a name for each: output, output[0], ..."""
    if is_tensor(found):
        return [(name, found)]
    if hasattr(found, "items"):
        parts = [(str(key), each) for key, each in found.items()]
    elif isinstance(found, list | tuple):
        parts = [(f"{name}[{number}]", each) for number, each in enumerate(found)]
    else:
        return []
    return [pair for own, part in parts for pair in tensors_in(part, own)]


# --- words ---------------------------------------------------------------------------------------

def title_of(node: Any) -> str:
    return node.name().removeprefix(PREFIX)


def is_leaf_node(node: Any) -> bool:
    """Whether this is the node that adds to a leaf's `.grad`."""
    return type(node).__name__ == "AccumulateGrad"


def forward_title(node: Any) -> str:
    """How the op is called in a program: "mul" for MulBackward0."""
    inner = node.fn if isinstance(node, CopySlices) else node
    if isinstance(inner, Node) and inner.op is not None:
        return inner.op.name + ("_ (slice)" if inner is not node else "")
    title = title_of(node).rstrip("0123456789").removesuffix("Backward")
    return "".join(f"_{letter.lower()}" if letter.isupper() and before.islower() else letter
                   for before, letter in zip(" " + title, title, strict=False)).lower()


def describe(shape: Any, dtype: Any) -> str:
    """"(3, 4) float32"."""
    return _describe(tuple(shape), dtype)


@functools.lru_cache(maxsize=1000)
def _describe(sizes: tuple, dtype: Any) -> str:
    text = f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
    return f"{text} {str(dtype).rpartition('.')[2]}"


def in_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError


def in_seconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def rules_of(node: Any) -> dict[int, Rule]:
    """The rule behind each edge, by the edge's number; none for nodes of PyTorch."""
    if not isinstance(node, Node) or is_leaf_node(node):
        return {}
    rules = list(_rules(node))
    inner = node.fn if isinstance(node, CopySlices) else node
    if inner.op is None:
        return {slot: rules[0] for slot in range(len(node.edges))} if rules else {}
    op, found = inner.op, {}
    for slot in range(len(inner.edges)):
        name = op.inputs[op.differentiable[min(slot, len(op.differentiable) - 1)]]
        for rule in rules:
            if name in rule.inputs:
                found[slot] = Rule((name,), rule.source, rule.place)
    return found


def rule_body(rule: Rule) -> str:
    """A rule in a few words: what its lambda returns, or that it is a function."""
    source = rule.source.strip()
    if source.startswith("lambda"):
        depth = 0
        for at, letter in enumerate(source):
            depth += (letter in "([{") - (letter in ")]}")
            if letter == ":" and depth == 0:
                return source[at + 1:].strip()
    for line in source.splitlines():
        if line.lstrip().startswith("def "):
            return line.strip()[4:].rstrip(":")
    return source.partition("\n")[0]


# --- shapes --------------------------------------------------------------------------------------

def edge_shape(node: Any, slot: int, source: Any, output: int) -> str:
    """What goes along an edge. minigrad notes it there, PyTorch at the node that made it."""
    if isinstance(node, Node):
        edge: Any = node.edges[slot]
        return describe(edge[2], edge[3].name)
    outputs = getattr(source, "_input_metadata", None) or ()
    return describe(outputs[output].shape, outputs[output].dtype) if output < len(outputs) else ""


# --- saved values --------------------------------------------------------------------------------

@dataclass
class Saved:
    """One value that a node keeps for backward."""

    name: str
    tensor: Any = None      # None: in the keeping of hooks, or overwritten in the meantime
    note: str = ""

    @property
    def bytes(self) -> int:
        if self.tensor is None:
            return 0
        return self.tensor.numel() * self.tensor.element_size()

    @property
    def identity(self) -> Any:
        """Equal for two values that are the same memory, seen in the same way."""
        tensor = self.tensor
        if isinstance(tensor, TensorBase):
            return id(tensor._data)
        return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def saved_of(node: Any) -> list[Saved] | None:
    """What the node keeps, without unpacking any of it; None once it has been freed."""
    if isinstance(node, CopySlices):
        node = node.fn
    if isinstance(node, FunctionNode):
        return _saved_by_function(node)
    if isinstance(node, Node):
        return _saved_by_op(node)
    return _saved_in_torch(node)


def _saved_by_op(node: Node) -> list[Saved] | None:
    if node.saved is FREED:
        return None
    if node.plan is None:
        return []
    inputs, found = node.op.inputs, []
    versions = node.versions
    for slot, entry in enumerate(getattr(node.saved, "entries", node.saved)):
        places = node.plan.inputs
        name = inputs[places[min(slot, len(places) - 1)]]
        if isinstance(entry, Packed):
            found.append(Saved(name, None, "kept by hooks"))
        elif entry is not None and entry._output != NUMBER:
            then = versions[slot] if versions else 0
            now = 0 if entry._counter is None else entry._counter.count
            found.append(Saved(name, entry, _since(then, now)))
    results = node.results
    entries: Any = results.entries if isinstance(results, Unpacking) else [
        (each[:3], each[3]) for each in results]
    for entry, output in entries:
        name = node.op.outputs[output]
        if isinstance(entry, Packed):
            found.append(Saved(name, None, "kept by hooks"))
        else:
            found.append(Saved(name, wrap(entry[0]), _since(entry[2], entry[1].count)))
    return found


def _since(then: int, now: int) -> str:
    return "" if then == now else f"overwritten since: version {then}, now {now}"


def _saved_by_function(node: FunctionNode) -> list[Saved] | None:
    if node.ctx._saved is FREED:
        return None
    found = []
    for number, keeper in enumerate(node.ctx._saved or ()):
        name = f"saved_tensors[{number}]"
        held = getattr(keeper, "__self__", None) or "packed" in getattr(
            getattr(keeper, "__code__", None), "co_freevars", ())
        if held:
            found.append(Saved(name, None, "kept by hooks"))
            continue
        try:
            tensor = keeper()
        except RuntimeError:
            found.append(Saved(name, None, "overwritten since"))
            continue
        if tensor is not None:
            found.append(Saved(name, tensor))
    return found


def _saved_in_torch(node: Any) -> list[Saved] | None:
    found = []
    names = [name for name in dir(node) if name.startswith("_saved_")]
    for name in names or [name for name in ("saved_tensors",) if hasattr(type(node), name)]:
        try:
            value = getattr(node, name)
        except RuntimeError as error:
            if "freed" in str(error):
                return None
            found.append(Saved(name.removeprefix("_saved_"), None, "overwritten since"))
            continue
        found += [Saved(own, tensor) for own, tensor in
                  tensors_in(value, name.removeprefix("_saved_"))]
    return found


# --- gradients -----------------------------------------------------------------------------------

def gradient_square(leaf: Any) -> float | None:
    """The squared norm of `leaf.grad`; None before there is one."""
    gradient = leaf.grad if leaf.is_leaf else None
    if gradient is None:
        return None
    return float(gradient.detach().norm()) ** 2


def gradient_text(square: float | None, missing: int = 0) -> str:
    if square is None:
        return "gradient not computed yet"
    more = f", {missing} not computed yet" if missing else ""
    return f"gradient norm {math.sqrt(square):.3g}{more}"
