"""The recorded graph, for those who want to look at it or take part in it.

    Node, GradientEdge, get_gradient_edge      walk it, and name a place in it
    saved_tensors_hooks, save_on_cpu           decide where what it saves is kept
    allow_mutation_on_saved_tensors            let saved tensors be written over
    register_multi_grad_hook                   hear when several gradients are there
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..core import Node, TensorBase, accumulator, mode, version_of
from ..names import missing_in
from ..saved import DisabledHooks, SavedHooks
from .grad_mode import ContextDecorator

__all__ = ["GradientEdge", "Node", "allow_mutation_on_saved_tensors",
           "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version",
           "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]


# --- places in the graph -------------------------------------------------------------------------

class _Edge(NamedTuple):
    node: Node
    output_nr: int
    ownership_token: Any = None


class GradientEdge(_Edge):
    """The place where a tensor's gradient arrives: output `output_nr` of `node`.

    `grad` and `backward` take it in the place of the tensor, which may be gone by then.
    """

    tensor_info: tuple | None = None  # array module, shape and dtype of the tensor, where known

    def __repr__(self) -> str:
        return (f"GradientEdge(node={self.node!r}, output_nr={self.output_nr}, "
                f"ownership_token={self.ownership_token})")


def get_gradient_edge(tensor: TensorBase) -> GradientEdge:
    """The gradient edge of a tensor that requires a gradient."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does "
                           "not require gradients")
    from ..device import array_module

    edge = GradientEdge(tensor.grad_fn or accumulator(tensor), tensor._output)
    edge.tensor_info = array_module(tensor._data), tensor._data.shape, tensor._data.dtype
    return edge


def increment_version(tensor: TensorBase | Iterable[TensorBase]) -> None:
    """Say that the memory was written, where minigrad could not see it."""
    if isinstance(tensor, TensorBase):
        tensor = (tensor,)
    if not isinstance(tensor, Iterable):
        raise RuntimeError("increment_version expect a Iterable[Tensor] as input")
    for each in tensor:
        version_of(each).count += 1


# --- hooks on saved tensors (Note [Hooks on saved tensors]) --------------------------------------

class saved_tensors_hooks(SavedHooks):
    """Within this context, `pack_hook(tensor)` is kept for each tensor that a node saves, and
    `unpack_hook` makes a tensor of it when backward needs it."""


class disable_saved_tensors_hooks(DisabledHooks, ContextDecorator):
    """Within this context, hooks on saved tensors are refused with `error_message`."""

    def clone(self) -> Any:
        return type(self)(self.message)


class save_on_cpu(saved_tensors_hooks):
    """Within this context, what nodes save waits for backward in the host's memory."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: (tensor.device, tensor.cpu()),
                         lambda packed: packed[1].to(packed[0]))


# Note [Writing over saved tensors]
# The context keeps a weak list of what was saved. Just before memory is written (inplace.py),
# whoever saved a tensor that lies there gets a copy: only what is written over is ever copied.

class _Kept:
    """A saved tensor, or its copy once it is about to be written over."""

    __slots__ = ("tensor", "counter", "__weakref__")

    def __init__(self, tensor: TensorBase) -> None:
        self.tensor, self.counter = tensor, version_of(tensor)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """Within this context, saved tensors may be written in place: backward, which has to run in the
    same context, sees what they were."""

    def __init__(self) -> None:
        super().__init__(self._keep, self._kept_tensor)
        self.kept: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def __enter__(self) -> Any:
        if mode.mutations is not None:
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        super().__enter__()
        mode.mutations = self
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        mode.mutations = None
        self.clear()

    def clear(self) -> None:
        self.kept = weakref.WeakSet()

    def _keep(self, tensor: TensorBase) -> _Kept:
        kept = _Kept(tensor)
        self.kept.add(kept)
        return kept

    def _kept_tensor(self, kept: _Kept) -> TensorBase:
        if mode.mutations is not self:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
                "in which the graph was originally recorded.")
        return kept.tensor

    def about_to_write(self, tensor: TensorBase) -> None:
        """Keep a copy of what was saved from the memory that is about to be written."""
        counter = tensor._counter
        for kept in [each for each in self.kept if each.counter is counter]:
            with contextlib.ExitStack() as unrecorded:
                unrecorded.callback(setattr, mode, "grad", mode.grad)
                mode.grad = False
                kept.tensor = kept.tensor.clone()  # type: ignore[attr-defined]
            self.kept.discard(kept)


# --- hooks on several gradients ------------------------------------------------------------------

class _Handles:
    """Removes all hooks of one registration; also usable as a context manager."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[TensorBase], fn: Callable, *,
                             mode: str = "all") -> _Handles:
    """Call `fn` in each backward once the gradients of all `tensors` are there, with a list of them
    (None for those that this backward does not reach); or with `mode="any"` as soon as one is, with
    that one."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if mode == "any":
        return _Handles([tensor.register_hook(hook)  # type: ignore[attr-defined]
                         for hook in [_first_of(fn)] for tensor in tensors])
    nodes = [tensor.grad_fn or accumulator(tensor) for tensor in tensors]
    collect = _Collector(nodes, fn)
    return _Handles([tensor.register_hook(collect.hook(i))  # type: ignore[attr-defined]
                     for i, tensor in enumerate(tensors)])


def _first_of(fn: Callable) -> Callable:
    lock = threading.Lock()
    ran: weakref.WeakSet = weakref.WeakSet()  # the runs of backward that have called fn

    def hook(gradient: Any) -> None:
        with lock:
            if mode.backward in ran:
                return
            ran.add(mode.backward)
        fn(gradient)

    return hook


class _Collector:
    """Collects the gradients of one backward, and calls `fn` with the last of them."""

    def __init__(self, nodes: list[Node], fn: Callable) -> None:
        self.nodes, self.fn = nodes, fn
        self.lock = threading.Lock()
        self.runs: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def hook(self, place: int) -> Callable:
        def take(gradient: Any) -> None:
            run = mode.backward
            with self.lock:
                if run not in self.runs:
                    awaited = sum(run.will_visit(node) for node in self.nodes)
                    self.runs[run] = [awaited, [None] * len(self.nodes)]
                entry = self.runs[run]
                entry[0] -= 1
                entry[1][place] = gradient
            if entry[0] == 0:
                del self.runs[run]
                self.fn(entry[1])

        return take


__getattr__ = missing_in(__name__)
