"""The hooks of a Module: around `forward`, and on the gradients that pass its boundary."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...autograd.function import Function
from ...core import TensorBase, mode, wrap
from ...hooks import Hooks, RemovableHandle


class BackwardHookFunction(Function):
    """The identity. Its node marks a module's boundary in the graph, where hooks can wait."""

    @staticmethod
    def forward(ctx: Any, *tensors: TensorBase) -> tuple:
        outputs = tuple(wrap(tensor._data) for tensor in tensors)
        ctx.mark_non_differentiable(*[output for output, tensor in zip(outputs, tensors,
                                                                      strict=True)
                                      if not tensor.requires_grad])
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        return gradients


class ModuleHooks:
    """What a module has once somebody registered a hook on it.

    Each entry is (hook, with_kwargs, always_call).
    """

    def __init__(self) -> None:
        self.before_forward, self.after_forward = Hooks(), Hooks()
        self.before_backward, self.after_backward = Hooks(), Hooks()

    def add(self, where: str, hook: Callable, prepend: bool = False, with_kwargs: bool = False,
            always_call: bool = False) -> RemovableHandle:
        hooks: Hooks = getattr(self, where)
        earlier = dict(hooks.functions)
        handle = hooks.add((hook, with_kwargs, always_call))
        if prepend:
            hooks.functions = {handle.id: hooks.functions[handle.id], **earlier}
        return handle

    def all(self, where: str) -> dict[int, tuple]:
        """The hooks of all modules, then this module's own, by their numbers."""
        return {**getattr(EVERY_MODULE, where).functions, **getattr(self, where).functions}

    def call(self, module: Any, args: tuple, kwargs: dict) -> Any:
        """`module.forward(*args, **kwargs)` with all hooks around it."""
        called: set[int] = set()
        try:
            return self._call(module, args, kwargs, called)
        except Exception:
            for number, (hook, with_kwargs, always) in self.all("after_forward").items():
                if always and number not in called:
                    _call_after_error(hook, module, args, kwargs, with_kwargs)
            raise

    def _call(self, module: Any, args: tuple, kwargs: dict, called: set[int]) -> Any:
        for hook, with_kwargs, _ in self.all("before_forward").values():
            args, kwargs = _before(hook, module, args, kwargs, with_kwargs)
        boundary = None
        if self.all("before_backward") or self.all("after_backward"):
            boundary = Boundary(module, self)
            args = boundary.enter(args)
        result = module.forward(*args, **kwargs)
        for number, (hook, with_kwargs, _) in self.all("after_forward").items():
            called.add(number)
            replaced = hook(module, args, kwargs, result) if with_kwargs \
                else hook(module, args, result)
            if replaced is not None:
                result = replaced
        return result if boundary is None else boundary.leave(result)


EVERY_MODULE = ModuleHooks()


def _before(hook: Callable, module: Any, args: tuple, kwargs: dict, with_kwargs: bool) -> tuple:
    if not with_kwargs:
        replaced = hook(module, args)
        if replaced is None:
            return args, kwargs
        return (replaced if isinstance(replaced, tuple) else (replaced,)), kwargs
    replaced = hook(module, args, kwargs)
    if replaced is None:
        return args, kwargs
    if not (isinstance(replaced, tuple) and len(replaced) == 2):
        raise RuntimeError("forward pre-hook must return None or a tuple of (new_args, new_kwargs),"
                           f" but got {replaced}.")
    return replaced


def _call_after_error(hook: Callable, module: Any, args: tuple, kwargs: dict,
                      with_kwargs: bool) -> None:
    """Run an `always_call` hook although forward failed; its own failure is only a warning."""
    try:
        _ = hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
    except Exception as error:
        warnings.warn("module forward hook with ``always_call=True`` raised an exception that was "
                      "silenced as another error was raised in forward: " + str(error),
                      stacklevel=2)


class Boundary:
    """One call of a module with backward hooks: identity nodes before and after `forward`.

    The node after it sees the gradients of the outputs first; the node before it is reached last,
    with the gradients of the inputs, and that is when the full backward hooks run.
    """

    def __init__(self, module: Any, hooks: ModuleHooks) -> None:
        self.module, self.hooks = module, hooks
        self.grad_outputs: Any = None
        self.input_count = 0
        self.inputs: list[int] | None = None   # where the tensors are among the arguments

    def enter(self, args: tuple) -> tuple:
        self.input_count = len(args)
        return self._through(args, self._watch_inputs)

    def leave(self, result: Any) -> Any:
        single = not isinstance(result, tuple)
        results = self._through((result,) if single else result, self._watch_outputs)
        return results[0] if single else results

    def _through(self, values: tuple, watch: Callable) -> tuple:
        """Pass the tensors among `values` through an identity node, and watch it."""
        at = [i for i, value in enumerate(values) if isinstance(value, TensorBase)]
        if not (mode.grad and any(values[i].requires_grad for i in at)):
            return values
        passed = list(values)
        fresh = BackwardHookFunction.apply(*[values[i] for i in at])
        for i, tensor in zip(at, fresh, strict=True):
            passed[i] = tensor
        node = next(tensor.grad_fn for tensor in fresh if tensor.grad_fn is not None)
        watch(node, at, len(values))
        return tuple(passed)

    def _watch_inputs(self, node: Any, at: list[int], count: int) -> None:
        self.inputs = at

        def reached(grad_inputs: tuple, _: tuple) -> tuple | None:
            if self.grad_outputs is None:
                return None  # backward never came through the outputs
            found = self._run_after(_spread(grad_inputs, at, count))
            self.grad_outputs = None
            return None if found is None else tuple(found[i] for i in at)

        node.register_hook(reached)

    def _watch_outputs(self, node: Any, at: list[int], count: int) -> None:
        def reached(_: tuple, grad_outputs: tuple) -> tuple | None:
            self.grad_outputs = _spread(grad_outputs, at, count)
            replaced = None
            for hook, _, _ in self.hooks.all("before_backward").values():
                found = hook(self.module, self.grad_outputs)
                if found is not None:
                    self.grad_outputs = replaced = _as_tuple(found, count, "Backward pre hook")
            if self.inputs is None:  # no input needs a gradient: nothing later to wait for
                self._run_after((None,) * self.input_count)
            return None if replaced is None else tuple(replaced[i] for i in at)

        node.register_hook(reached)

    def _run_after(self, grad_inputs: tuple) -> tuple | None:
        replaced = None
        for hook, _, _ in self.hooks.all("after_backward").values():
            found = hook(self.module, grad_inputs, self.grad_outputs)
            if found is not None:
                if self.inputs is None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always "
                        "return None or None for all gradients.")
                grad_inputs = replaced = _as_tuple(found, len(grad_inputs), "Backward hook")
        return replaced


def _spread(gradients: tuple, at: list[int], count: int) -> tuple:
    """The gradients at the places of their tensors among `count` values, None elsewhere."""
    spread: list[Any] = [None] * count
    for i, gradient in zip(at, gradients, strict=True):
        spread[i] = gradient
    return tuple(spread)


def _as_tuple(found: Any, count: int, who: str) -> tuple:
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != count:
        raise RuntimeError(f"{who} returned an invalid number of grad_input, "
                           f"got {len(found)}, but expected {count}")
    return found
