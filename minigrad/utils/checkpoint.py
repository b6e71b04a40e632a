"""Checkpointing: forget what a function computed, and compute it again in backward.

Memory falls from all intermediate values to the function's inputs; the price is a second forward.

Note [Running again]
~~~~~~~~~~~~~~~~~~~~
The second run must see what the first saw: the same random numbers (the generator's state is put
back), the same autocast mode, and inputs that nobody changed. It runs with gradients enabled on
detached inputs, and its own small graph carries the incoming gradient to the inputs and, as a side
effect, into the parameters that the function uses.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .. import autograd
from ..autograd.function import Function
from ..core import Node, TensorBase, mode, next_number
from ..graph import get_grad
from ..random import default_generator

NOT_GIVEN = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in "
    "PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. "
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, "
    "you can pass use_reentrant=True. Refer to docs for more details on the differences between "
    "the two variants.")


@contextlib.contextmanager
def _as_before(random_state: Any, autocast: Any) -> Iterator[None]:
    """The generator and the autocast mode of the first run, for the time of the second."""
    kept = default_generator.state_bytes() if random_state is not None else None
    kept_autocast, mode.autocast = mode.autocast, autocast
    if random_state is not None:
        default_generator.load_state_bytes(random_state)
    try:
        yield
    finally:
        mode.autocast = kept_autocast
        if kept is not None:
            default_generator.load_state_bytes(kept)


class CheckpointFunction(Function):
    """A function of tensors that keeps only its inputs (see Note [Running again])."""

    @staticmethod
    def forward(ctx: Any, function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        ctx.function, ctx.autocast = function, mode.autocast
        ctx.random_state = default_generator.state_bytes() if preserve_rng_state else None
        ctx.args = [None if isinstance(arg, TensorBase) else arg for arg in args]
        ctx.at = [i for i, arg in enumerate(args) if isinstance(arg, TensorBase)]
        ctx.save_for_backward(*[args[i] for i in ctx.at])
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        args = list(ctx.args)
        for i, tensor in zip(ctx.at, ctx.saved_tensors, strict=True):
            args[i] = tensor.detach()
            args[i].requires_grad = tensor.requires_grad
        with _as_before(ctx.random_state, ctx.autocast), autograd.enable_grad():
            outputs = ctx.function(*args)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        flowing = [(output, gradient) for output, gradient in zip(outputs, gradients, strict=True)
                   if isinstance(output, TensorBase) and output.requires_grad]
        if not flowing:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not "
                               "necessary")
        autograd.backward([output for output, _ in flowing], [g for _, g in flowing])
        return (None, None,
                *(get_grad(arg) if isinstance(arg, TensorBase) else None for arg in args))


# Note [The non-reentrant checkpoint]
# The function runs normally and leaves its graph; then the values that the graph's nodes have saved
# are dropped, and a `_Lazy` sequence takes the place of each. The first node that asks makes the
# function run again on the same inputs, and every node gets its values from its twin in the second
# graph. So the graph has its usual nodes, and grad(), hooks and second derivatives just work.

class _Frame:
    """One checkpointed call: it runs again when values are needed and hands each out once."""

    def __init__(self, run: Callable[[], Any], preserve_rng_state: bool) -> None:
        self.run = run
        self.autocast = mode.autocast
        self.random_state = default_generator.state_bytes() if preserve_rng_state else None
        self.count = 0
        self.values: dict[tuple[int, str], Any] = {}

    def strip(self, outputs: Any, start: int) -> None:
        """Drop what the nodes newer than `start` have saved."""
        nodes = _nodes_of(outputs, start)
        self.count = len(nodes)
        for number, node in enumerate(nodes):
            for field in ("saved", "results"):
                if getattr(node, field):
                    setattr(node, field, _Lazy(self, (number, field)))

    def take(self, key: tuple[int, str]) -> Any:
        if key not in self.values:
            self._recompute()
        return self.values.pop(key)

    def _recompute(self) -> None:
        start = next_number()
        with _as_before(self.random_state, self.autocast), autograd.enable_grad():
            nodes = _nodes_of(self.run(), start)
        if len(nodes) != self.count:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\nNumber of tensors saved during forward: "
                f"{self.count}\nNumber of tensors saved during recomputation: {len(nodes)}")
        self.values = {(number, field): getattr(node, field)
                       for number, node in enumerate(nodes) for field in ("saved", "results")}


class _Lazy:
    """What a node saved, once it has been computed again."""

    def __init__(self, frame: _Frame, key: tuple[int, str]) -> None:
        self.frame, self.key = frame, key

    def __iter__(self) -> Iterator:
        return iter(self.frame.take(self.key))


class CheckpointError(RuntimeError):
    """The second run did not do what the first did."""


def _nodes_of(outputs: Any, start: int) -> list[Node]:
    """The nodes newer than number `start` that lead to the outputs, oldest first."""
    stack = [tensor.grad_fn for tensor in _tensors_in(outputs) if tensor.grad_fn is not None]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in found or -node.rank <= start:  # a leaf's rank is positive: it ends here too
            continue
        found.add(node)
        stack += [edge[0] for edge in node.edges if edge is not None]
    return sorted(found, key=lambda node: -node.rank)


def _tensors_in(value: Any) -> Iterator[TensorBase]:
    if isinstance(value, TensorBase):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors_in(each)
    elif isinstance(value, dict):
        yield from _tensors_in(list(value.values()))


def checkpoint(function: Callable, *args: Any, use_reentrant: bool | None = None,
               context_fn: Callable | None = None, determinism_check: str = "default",
               debug: bool = False, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, remembering its inputs only (see the notes of this module)."""
    if use_reentrant is None:
        warnings.warn(NOT_GIVEN, stacklevel=2)
        use_reentrant = True
    if use_reentrant:
        if context_fn is not None or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when "
                             "use_reentrant=False.")
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if mode.grad and not any(tensor.requires_grad for tensor in _tensors_in(args)):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None",
                          stacklevel=2)
        return CheckpointFunction.apply(function, preserve_rng_state, *args)
    if context_fn is not None:
        raise NotImplementedError("minigrad's checkpoint takes no context_fn")
    if not mode.grad:
        return function(*args, **kwargs)
    frame = _Frame(lambda: function(*args, **kwargs), preserve_rng_state)
    start = next_number()
    outputs = function(*args, **kwargs)
    frame.strip(outputs, start)
    return outputs


def checkpoint_sequential(functions: Any, segments: int, input: Any,
                          use_reentrant: bool | None = None,
                          preserve_rng_state: bool = True) -> Any:
    """A Sequential in `segments` pieces, each checkpointed but the last."""
    if use_reentrant is None:
        warnings.warn(NOT_GIVEN.replace("checkpoint:", "checkpoint_sequential:", 1),
                      stacklevel=2)
        use_reentrant = True
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(functions) // segments

    def chain(pieces: list) -> Callable:
        def forward(value: Any) -> Any:
            for piece in pieces:
                value = piece(value)
            return value

        return forward

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(chain(functions[start:start + size]), input,
                           use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
    return chain(functions[size * (segments - 1):])(input)
