"""Which module made each node, and forward runs that leave a model as it was.

    with viz.remember_modules():
        loss = F.cross_entropy(model(images), labels)
    viz.draw(loss, depth=1)

Note [Which module made a node]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Hooks on every module see its call begin and end. Nodes are numbered as they are made, so what a
call has made is what is behind its result and numbered since it began. Calls end from the inside
out: a node belongs to the first call that finds it. It keeps the whole stack of calls in its
`metadata`, in minigrad and in PyTorch alike.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..autograd.grad_mode import ContextDecorator
from ..core import next_number
from . import facts


@dataclass(eq=False)
class Call:
    """One call of a module."""

    name: str       # from the outermost module: "blocks.3.attention"; "" for that one itself
    kind: str       # its class

    def __str__(self) -> str:
        return f"{self.name} · {self.kind}" if self.name else self.kind


class remember_modules(ContextDecorator):
    """Inside, each new node remembers the modules that were running when it was made."""

    def __enter__(self) -> None:
        self.stack: list[tuple[Any, Call, int]] = []
        self.names: dict[int, str] = {}
        self.handles: list[Any] = []
        for library in _libraries():
            hooks = library.nn.modules.module
            self.handles += [
                hooks.register_module_forward_pre_hook(self._begin),
                hooks.register_module_forward_hook(self._end, always_call=True)]

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _begin(self, module: Any, args: Any) -> None:
        if not self.stack:
            self.names = {id(each): name for name, each in module.named_modules()}
        call = Call(self.names.get(id(module), "?"), type(module).__name__)
        self.stack.append((module, call, _now(module)))

    def _end(self, module: Any, args: Any, result: Any) -> None:
        calls = tuple(call for _, call, _ in self.stack if call.name)
        start = self.stack.pop()[2]
        waiting, seen = [tensor.grad_fn for _, tensor in facts.tensors_in(result)], set()
        while waiting:
            node = waiting.pop()
            if (node is None or node in seen or facts.is_leaf_node(node)
                    or node._sequence_nr() < start):
                continue
            seen.add(node)
            node.metadata.setdefault("modules", calls)
            waiting += [source for source, _ in node.next_functions]


def _libraries() -> Iterator[Any]:
    """minigrad, and PyTorch if the program has it."""
    minigrad = sys.modules[__package__.rpartition(".")[0]]
    yield minigrad
    torch = sys.modules.get("torch")
    if torch is not None and torch is not minigrad and hasattr(torch, "nn"):
        yield torch


def _now(module: Any) -> int:
    """A number that no older node has, and that newer ones will not stay below."""
    library = facts.library_of(module)
    if library is sys.modules[__package__.rpartition(".")[0]]:
        return next_number()
    with library.enable_grad():
        return library.ones(1, requires_grad=True).neg().grad_fn._sequence_nr()


# --- running a model -----------------------------------------------------------------------------

@contextlib.contextmanager
def untouched(module: Any) -> Iterator[None]:
    """Inside, the model works on copies of its buffers, and random numbers are only borrowed: a
    batch norm counts no step, and the next dropout drops what it would have dropped."""
    owners = [(each, dict(each._buffers)) for each in module.modules()]
    with facts.library_of(module).random.fork_rng():
        try:
            for owner, buffers in owners:
                owner._buffers.update({name: None if buffer is None else buffer.detach().clone()
                                       for name, buffer in buffers.items()})
            yield
        finally:
            for owner, buffers in owners:
                owner._buffers.clear()
                owner._buffers.update(buffers)


def run(module: Any, inputs: Any) -> tuple[list[tuple[str, Any]], dict[int, str], list[Any]]:
    """Call the model: its (name, output) pairs, the names of parameters and inputs, the inputs.

    `inputs` is a tensor, a tuple or list of arguments, or a dict of keyword arguments.
    """
    args, kwargs = _arguments(inputs)
    with untouched(module), remember_modules():
        result = module(*args, **kwargs)
    outputs = facts.tensors_in(result)
    if not any(tensor.requires_grad for _, tensor in outputs):
        raise RuntimeError(
            "there is no graph to draw: no output of the module requires a gradient; its "
            "parameters may be frozen, or this is inside no_grad()")
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    tensors = []
    for name, value in _named_arguments(module, args, kwargs):
        for own, tensor in facts.tensors_in(value, name):
            names.setdefault(id(tensor), own)
            tensors.append(tensor)
    return outputs, names, tensors


def _arguments(inputs: Any) -> tuple[tuple, dict]:
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs), {}) if isinstance(inputs, tuple | list) else ((inputs,), {})


def _named_arguments(module: Any, args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return [*((f"input {number}", each) for number, each in enumerate(args)), *kwargs.items()]
    return list(bound.items())
