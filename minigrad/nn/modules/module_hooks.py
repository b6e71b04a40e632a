"""The hooks of a Module: around `forward`, on gradients that pass it, on what is assigned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...hooks import Hooks, RemovableHandle
from .module_boundary import Boundary, watch_last_node

BOTH_KINDS = ("Cannot use both regular backward hooks and full backward hooks {where}. Please use "
              "only one of them.")


class ModuleHooks:
    """What a module has once somebody registered a hook on it.

    Each entry is (hook, with_kwargs, always_call). `full` says of which kind the hooks after
    backward are: the full ones see the module's inputs and outputs, the old ones its last node.
    """

    def __init__(self) -> None:
        self.before_forward, self.after_forward = Hooks(), Hooks()
        self.before_backward, self.after_backward = Hooks(), Hooks()
        self.full: bool | None = None

    def add(self, where: str, hook: Callable, prepend: bool = False, with_kwargs: bool = False,
            always_call: bool = False) -> RemovableHandle:
        hooks: Hooks = getattr(self, where)
        earlier = dict(hooks.functions)
        handle = hooks.add((hook, with_kwargs, always_call))
        if prepend:
            hooks.functions = {handle.id: hooks.functions[handle.id], **earlier}
        return handle

    def add_after_backward(self, hook: Callable, full: bool, prepend: bool = False,
                           whose: str = "on a single Module") -> RemovableHandle:
        """A full or an old backward hook: one module cannot have both."""
        if self.full is (not full):
            raise RuntimeError(BOTH_KINDS.format(where=whose))
        self.full = full
        return self.add("after_backward", hook, prepend)

    def all(self, where: str) -> dict[int, tuple]:
        """The hooks of all modules, then this module's own, by their numbers."""
        return {**getattr(EVERY_MODULE, where).functions, **getattr(self, where).functions}

    def backward_hooks(self, full: bool) -> list[Callable]:
        """The hooks after backward that are of the kind asked for."""
        owners = [EVERY_MODULE] if self is EVERY_MODULE else [EVERY_MODULE, self]
        return [hook for owner in owners if owner.full is full
                for hook, _, _ in owner.after_backward]

    def call(self, module: Any, args: tuple, kwargs: dict) -> Any:
        """`module.forward(*args, **kwargs)` with all hooks around it."""
        result: Any = None
        called: set[int] = set()
        try:
            before = [hook for hook, _, _ in self.all("before_backward").values()]
            full, old = self.backward_hooks(full=True), self.backward_hooks(full=False)
            for hook, with_kwargs, _ in self.all("before_forward").values():
                args, kwargs = _before(hook, module, args, kwargs, with_kwargs)
            boundary = Boundary(module, before, full) if before or full else None
            if boundary is not None:
                args = boundary.enter(args)
            result = module.forward(*args, **kwargs)
            for number, (hook, with_kwargs, _) in self.all("after_forward").items():
                called.add(number)
                replaced = hook(module, args, kwargs, result) if with_kwargs \
                    else hook(module, args, result)
                if replaced is not None:
                    result = replaced
            if boundary is not None:
                result = boundary.leave(result)
            if old:
                watch_last_node(module, old, args, result)
            return result
        except Exception:
            self._call_after_error(module, args, kwargs, result, called)
            raise

    def _call_after_error(self, module: Any, args: tuple, kwargs: dict, result: Any,
                          called: set[int]) -> None:
        """Run the `always_call` hooks that have not run although something failed; their own
        failures are only warnings. Those of all modules get no kwargs here: torch forgets them."""
        for number, (hook, with_kwargs, always) in self.all("after_forward").items():
            if not always or number in called:
                continue
            everywhere = number in EVERY_MODULE.after_forward.functions
            try:
                replaced = hook(module, args, kwargs, result) if with_kwargs and not everywhere \
                    else hook(module, args, result)
                result = result if replaced is None else replaced
            except Exception as error:
                warnings.warn(
                    f"{'global ' if everywhere else ''}module forward hook with "
                    "``always_call=True`` raised an exception that was silenced as another error "
                    f"was raised in forward: {error}", stacklevel=2)


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


class HookedModule:
    """The part of Module that takes hooks. `_hooks` is None until the first of them: the call of a
    module without hooks costs one look."""

    _hooks: ModuleHooks | None = None

    def _own_hooks(self) -> ModuleHooks:
        hooks = self.__dict__.get("_hooks")
        if hooks is None:
            hooks = self.__dict__["_hooks"] = ModuleHooks()
        return hooks

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False,
                                  with_kwargs: bool = False) -> RemovableHandle:
        """`hook(module, args)` before forward; it may return new args."""
        return self._own_hooks().add("before_forward", hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False,
                              with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """`hook(module, args, output)` after forward; it may return a new output."""
        return self._own_hooks().add("after_forward", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable,
                                        prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_output)` when the outputs' gradients are known."""
        return self._own_hooks().add("before_backward", hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` when the inputs' gradients are known."""
        return self._own_hooks().add_after_backward(hook, True, prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` on the node that made the output: its gradients
        only, so that a module of several ops shows no gradient of its input. Deprecated."""
        return self._own_hooks().add_after_backward(hook, False)


def forward_pre_hooks(module: Any, kind: type) -> list[tuple[int, Any]]:
    """The module's own forward pre-hooks that are of class `kind`, by their numbers."""
    hooks = module.__dict__.get("_hooks")
    return [] if hooks is None else [(number, hook) for number, (hook, _, _)
                                     in hooks.before_forward.functions.items()
                                     if isinstance(hook, kind)]


def remove_forward_pre_hook(module: Any, number: int) -> None:
    """Take back the hook of that number."""
    del module.__dict__["_hooks"].before_forward.functions[number]


class RegistrationHooks:
    """Hooks of all modules on what is registered: `hook(module, name, value)`, which may put
    another value in its place."""

    parameter, buffer, module = Hooks(), Hooks(), Hooks()

    @staticmethod
    def seen_by(hooks: Hooks, module: Any, name: str, value: Any) -> Any:
        for hook in hooks:
            replaced = hook(module, name, value)
            if replaced is not None:
                value = replaced
        return value
