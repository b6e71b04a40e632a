"""Where gradients enter and leave a Module: what its backward hooks see."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...autograd.function import Function
from ...core import TensorBase, mode


class BackwardHookFunction(Function):
    """The identity. Its node marks a module's boundary in the graph, where hooks can wait."""

    @staticmethod
    def forward(ctx: Any, *tensors: TensorBase) -> tuple:
        ctx.mark_non_differentiable(*[tensor for tensor in tensors if not tensor.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        return gradients


class Boundary:
    """One call of a module with backward hooks: identity nodes before and after `forward`.

    The node after it sees the gradients of the outputs first; the node before it is reached last,
    with the gradients of the inputs, and that is when the full backward hooks run.
    """

    def __init__(self, module: Any, before: list[Callable], after: list[Callable]) -> None:
        self.module, self.before, self.after = module, before, after
        self.grad_outputs: Any = None
        self.input_count = 0
        self.inputs: list[int] | None = None   # where the tensors are among the arguments

    def enter(self, args: tuple) -> tuple:
        self.input_count = len(args)
        return self._through(args, self._watch_inputs)

    def leave(self, result: Any) -> Any:
        if isinstance(result, tuple):
            return self._through(result, self._watch_outputs)
        if not isinstance(result, TensorBase):
            warnings.warn("For backward hooks to be called, module output should be a Tensor or a "
                          f"tuple of Tensors but received {type(result)}", stacklevel=4)
        return self._through((result,), self._watch_outputs)[0]

    def _through(self, values: tuple, watch: Callable) -> tuple:
        """Pass the tensors among `values` through an identity node, and watch it."""
        at = [i for i, value in enumerate(values) if isinstance(value, TensorBase)]
        if not (mode.grad is True and any(values[i].requires_grad for i in at)):
            return values
        passed = list(values)
        fresh = BackwardHookFunction.apply(*[values[i] for i in at])
        for i, tensor in zip(at, fresh, strict=True):
            passed[i] = tensor
        node = next(tensor.grad_fn for tensor in fresh if tensor.grad_fn is not None)
        watch(node, at, len(values))
        kind = type(values)
        return tuple(passed) if kind is tuple else kind(*passed)

    def _watch_inputs(self, node: Any, at: list[int], count: int) -> None:
        self.inputs = at

        def reached(grad_inputs: tuple, _: tuple) -> tuple | None:
            if self.grad_outputs is None:
                return None  # backward never came through the outputs
            found: Any = _spread(grad_inputs, at, count)
            for hook in self.after:
                replaced = hook(self.module, found, self.grad_outputs)
                if replaced is not None:
                    found = _of_length(replaced, count, "Backward hook", "grad_input")
            self.grad_outputs = None
            return tuple([found[i] for i in at])

        node.register_hook(reached)

    def _watch_outputs(self, node: Any, at: list[int], count: int) -> None:
        def reached(_: tuple, grad_outputs: tuple) -> tuple | None:
            found: Any = _spread(grad_outputs, at, count)
            for hook in self.before:
                replaced = hook(self.module, found)
                if replaced is not None:
                    found = _of_length(replaced, count, "Backward pre hook", "grad_output")
            self.grad_outputs = found
            if self.inputs is None:  # no input needs a gradient: nothing later to wait for
                self._run_after_without_inputs()
                self.grad_outputs = None
            return tuple([found[i] for i in at])

        node.register_hook(reached)

    def _run_after_without_inputs(self) -> None:
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients. See https://docs.pytorch.org/docs/main/"
            "generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook for more "
            "details.", stacklevel=5)
        for hook in self.after:
            found = hook(self.module, (None,) * self.input_count, self.grad_outputs)
            if found is not None and not (isinstance(found, tuple)
                                          and all(gradient is None for gradient in found)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients.")


def _spread(gradients: tuple, at: list[int], count: int) -> tuple:
    """The gradients at the places of their tensors among `count` values, None elsewhere."""
    spread: list[Any] = [None] * count
    for i, gradient in zip(at, gradients, strict=True):
        spread[i] = gradient
    return tuple(spread)


def _of_length(found: Any, count: int, who: str, what: str) -> Any:
    """What a hook returned: anything that has as many items as there are gradients (torch takes
    even a tensor apart)."""
    if len(found) != count:
        raise RuntimeError(f"{who} returned an invalid number of {what}, got {len(found)}, but "
                           f"expected {count}")
    return found


# --- the old hooks -------------------------------------------------------------------------------

def watch_last_node(module: Any, hooks: list[Callable], inputs: Any, result: Any) -> None:
    """Hang the old backward hooks on the node of the (first) result."""
    first = result
    while not isinstance(first, TensorBase):
        first = next(value for value in first.values() if isinstance(value, TensorBase)) \
            if isinstance(first, dict) else first[0]
    node: Any = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda grad_inputs, grad_outputs, hook=hook:
                           hook(module, grad_inputs, grad_outputs))
    missing = _what_is_missing(inputs, result, node)
    if missing:
        warnings.warn(missing, FutureWarning, stacklevel=4)


def _what_is_missing(inputs: Any, result: Any, node: Any) -> str | None:
    """torch's words for what the old hooks will not see, if they do not see all."""
    cure = "Please use register_full_backward_hook to get the documented behavior."
    later = "is deprecated and will be removed in future versions. This hook will be missing some"
    results = (result,) if isinstance(result, TensorBase) else result
    for values, does, what in ((results, "return", "grad_output"), (inputs, "take as input",
                                                                   "grad_input")):
        if not (isinstance(values, tuple)
                and all(isinstance(value, TensorBase) for value in values)):
            return (f"Using non-full backward hooks on a Module that does not {does} a single "
                    f"Tensor or a tuple of Tensors {later} of the {what}. {cure}")
    nodes = {tensor.grad_fn for tensor in results} - {None}
    if not nodes or (len(nodes) == 1 and node not in nodes):
        return ("Using a non-full backward hook when outputs are nested in python data structure "
                f"{later} grad_output.")
    if len(nodes) > 1:
        return ("Using a non-full backward hook when outputs are generated by different autograd "
                f"Nodes {later} grad_output. {cure}")
    came_from = {tensor.grad_fn for tensor in inputs} - {None}
    if came_from != {child for child, _ in node.next_functions}:
        return ("Using a non-full backward hook when the forward contains multiple autograd Nodes "
                f"{later} grad_input. {cure}")
    return None
