"""Saved tensors in other hands: pack and unpack hooks, and what else wants to see new nodes.

Note [Hooks on saved tensors]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
While a pair of hooks is in force, each value that a node saves goes through `pack` at once; what
that returns (the tensor on another device, a file's name, nothing but a ticket) is all the node
keeps. In backward `unpack` turns it into a tensor again, which takes the old one's place in the
graph. Nobody can tell whether the hooks' own copy was written in between: versions are not checked.

A node reads its saved values by iterating over `node.saved` and `node.results`. So these need not
be tuples: `Unpacking` is a sequence whose elements are made when they are asked for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .core import (
    FREED,
    NUMBER,
    Node,
    TensorBase,
    Version,
    accumulator,
    mode,
    rebuild,
    switches,
    wrap,
)
from .graph_errors import SECOND_BACKWARD
from .plan import reads_of


class SavedHooks:
    """The context in which a pair of hooks is in force."""

    def __init__(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        self.hooks = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if mode.saved_hooks and isinstance(mode.saved_hooks[-1], str):
            raise RuntimeError(mode.saved_hooks[-1])
        _push(self.hooks)

    def __exit__(self, *error: object) -> None:
        _pop()


class DisabledHooks:
    """The context in which hooks are refused with this message, and which is so inside hooks."""

    def __init__(self, error_message: str) -> None:
        self.message = error_message

    def __enter__(self) -> None:
        if hooks_in_force() is not None:
            raise RuntimeError(self.message)
        _push(self.message)

    def __exit__(self, *error: object) -> None:
        _pop()


def _push(entry: Any) -> None:
    mode.saved_hooks = (*mode.saved_hooks, entry)
    switches.add("watching", 1)


def _pop() -> None:
    mode.saved_hooks = mode.saved_hooks[:-1]
    switches.add("watching", -1)


def hooks_in_force() -> Any:
    """The innermost pair of hooks; None where there is none."""
    hooks = mode.saved_hooks[-1] if mode.saved_hooks else None
    return None if isinstance(hooks, str) else hooks


def watch(node: Node, outputs: Any = None) -> None:
    """Show a new node, and the tensors that it made, to whoever asked for it in this thread."""
    if mode.observer is not None:
        mode.observer.remember(node, outputs)
    hooks = hooks_in_force()
    if hooks is not None and (node.saved or node.results):
        _pack(node, hooks)


# --- in-place ops --------------------------------------------------------------------------------
# What an in-place op saves is settled only once it has written: the hooks must not see the nodes
# before.

def unwatched(function: Callable, args: tuple, kwargs: dict) -> Any:
    """Call the function without showing its nodes to anybody yet."""
    kept = mode.saved_hooks, mode.observer
    mode.saved_hooks, mode.observer = (), None
    try:
        return function(*args, **kwargs)
    finally:
        mode.saved_hooks, mode.observer = kept


def watch_since(start: int, newest: Node | None, outputs: Any) -> None:
    """Show all nodes behind `newest` that were made since `start`, the oldest first; `outputs` is
    what the newest made."""
    found: set[Node] = set()
    stack = [newest] if newest is not None else []
    while stack:
        node = stack.pop()
        if node.rank < start and node not in found:
            found.add(node)
            stack += [edge[0] for edge in node.edges if edge is not None]
    for node in sorted(found, key=lambda node: -node.rank):
        watch(node, outputs if node is newest else None)


# --- packing -------------------------------------------------------------------------------------

class Packed:
    """A saved tensor in the keeping of a pair of hooks, and its place in the graph."""

    __slots__ = ("content", "unpack", "node", "output", "requires_grad", "own")

    def __init__(self, tensor: TensorBase, hooks: tuple[Callable, Callable],
                 own: bool = False, detach: bool = False) -> None:
        """`own`: the tensor is a result of the node that keeps it, and must not point to it.
        `detach`: the hooks see it outside the graph."""
        pack, self.unpack = hooks
        self.requires_grad = tensor.requires_grad
        self.own, self.output = own, tensor._output
        self.node: Any = None if own or not self.requires_grad else (
            tensor.grad_fn or accumulator(tensor))
        self.content = _packed(wrap(tensor._data) if detach else tensor, pack)

    def tensor(self) -> Any:
        """The tensor again, in its old place."""
        enabled, mode.grad = mode.grad, False
        try:
            found = self.unpack(self.content)
        finally:
            mode.grad = enabled
        if not isinstance(found, TensorBase):
            raise TypeError("Output of saved tensor unpack_hook expected to be a Tensor but got "
                            f"result of type {type(found).__name__}")
        tensor = wrap(found._data)
        if self.requires_grad and not self.own:
            tensor._tracked = True
            if hasattr(self.node, "variable"):  # a leaf: this one stands for it
                tensor._accumulator = weakref.ref(self.node)
            else:
                tensor._node, tensor._output = self.node, self.output
        return tensor


def _packed(tensor: TensorBase, pack: Callable) -> Any:
    before = tensor._version
    enabled, mode.grad = mode.grad, False
    outer, mode.saved_hooks = mode.saved_hooks, ()
    try:
        content = pack(tensor)
    finally:
        mode.grad, mode.saved_hooks = enabled, outer
    if tensor._version != before:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input "
            "to pack hook cannot be modified by in-place operations as this can lead to unexpected "
            "side-effects. Please open an issue if you need to perform in-place operations on the "
            "input to a pack hook.")
    return content


class Unpacking:
    """In the place of `node.saved`: tensors, some of them packed."""

    def __init__(self, entries: list) -> None:
        self.entries = entries

    def __iter__(self) -> Iterator:
        for entry in self.entries:
            yield entry.tensor() if isinstance(entry, Packed) else entry

    def __getitem__(self, slot: int) -> Any:
        return list(self)[slot]


class UnpackingResults(Unpacking):
    """In the place of `node.results`: see there for the four fields."""

    def __iter__(self) -> Iterator:
        for entry, output in self.entries:
            if isinstance(entry, Packed):
                yield entry.tensor()._data, Version(), 0, output
            else:
                yield (*entry, output)


def _pack(node: Node, hooks: tuple) -> None:
    """Hand everything that the node has saved to the hooks, in the order of its rules."""
    saved: list = list(node.saved)
    for slot in _in_order_of_rules(node):
        if saved[slot] is not None and saved[slot]._output != NUMBER:
            saved[slot] = Packed(saved[slot], hooks)
    if saved:
        node.saved, node.versions = Unpacking(saved), ()
    if node.results:
        node.results = UnpackingResults([  # type: ignore[assignment]
            (Packed(rebuild(node, array, counter, output), hooks, own=True), output)
            for array, counter, _, output in node.results])


def _in_order_of_rules(node: Node) -> list[int]:
    """The slots of `node.saved`, those that the first rule reads first, as torch packs them."""
    if node.op.variadic:
        return list(range(len(node.saved)))
    read = [name for rule in node.op.rules.values() for name in reads_of(rule)]
    names = [node.op.inputs[place] for place in node.plan.inputs]
    return sorted(range(len(names)), key=lambda slot: read.index(names[slot]))


# --- one saved tensor, as node._raw_saved_self ---------------------------------------------------

class SavedTensor:
    """What one node has saved under one name; `register_hooks` packs it."""

    def __init__(self, node: Node, slot: int) -> None:
        self.node, self.slot = node, slot

    def register_hooks(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        if not (callable(pack_hook) and callable(unpack_hook)):
            raise TypeError("register_hooks(): incompatible function arguments. The following "
                            "argument types are supported:\n    1. (self: torch._C._autograd."
                            "SavedTensor, arg0: collections.abc.Callable, arg1: "
                            "collections.abc.Callable) -> None\n\nInvoked with: "
                            f"{self!r}, {pack_hook!r}, {unpack_hook!r}")
        node, hooks = self.node, (pack_hook, unpack_hook)
        if node.saved is FREED:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor after it has been freed. "
                + SECOND_BACKWARD.partition(". ")[2].replace("saved tensors", "saved variables"))
        inputs = list(node.saved.entries if isinstance(node.saved, Unpacking) else node.saved)
        if self.slot < len(inputs):
            self._refuse_second(inputs[self.slot])
            inputs[self.slot] = Packed(inputs[self.slot], hooks, detach=True)
            node.saved = Unpacking(inputs)
            if node.versions:
                node.versions = (*node.versions[:self.slot], 0, *node.versions[self.slot + 1:])
            return
        results: list = (list(node.results.entries) if isinstance(node.results, UnpackingResults)
                         else [(tuple(each[:3]), each[3]) for each in node.results])
        entry, output = results[self.slot - len(inputs)]
        self._refuse_second(entry)
        result = rebuild(node, entry[0], entry[1], output)
        results[self.slot - len(inputs)] = Packed(
            result, hooks, own=True, detach=True), output
        node.results = UnpackingResults(results)  # type: ignore[assignment]

    def _refuse_second(self, entry: Any) -> None:
        if isinstance(entry, Packed):
            raise RuntimeError("Calling register_hooks on a saved tensor whose hooks have already "
                               "been set. Hint: only one pair of hooks is allowed at a time.")

    @property
    def data(self) -> Any:
        return self.node.unpack()[self.slot]


Node.raw_saved = SavedTensor
