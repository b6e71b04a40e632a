"""state_dict and load_state_dict: a module's parameters and buffers by their dotted names."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from ...autograd.grad_mode import no_grad
from ...core import TensorBase
from ...hooks import Hooks, RemovableHandle
from ..parameter import Parameter, is_lazy

EXTRA_STATE = "_extra_state"
REPORT = (" Please file an issue at https://github.com/pytorch/pytorch/issues/new?template="
          "bug-report.yml to report this bug.")


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class ModuleState:
    """The half of Module that saves and loads."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_hooks: dict[str, Hooks] = {}

    def get_extra_state(self) -> Any:
        """What a subclass wants in its state_dict besides tensors."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be "
                           "called." + REPORT)

    def set_extra_state(self, state: Any) -> None:
        """Receive what `get_extra_state` returned when it was saved."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be "
                           "called." + REPORT)

    def _has_extra_state(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(ModuleState, method)

    def _persistent(self) -> dict[str, Any]:
        """The parameters and buffers that are saved."""
        buffers = {name: buffer for name, buffer in self._buffers.items()
                   if name not in self._non_persistent_buffers_set}
        return {name: tensor for name, tensor in (*self._parameters.items(), *buffers.items())
                if tensor is not None}

    # --- hooks

    def _state_hook(self, where: str, hook: Any) -> RemovableHandle:
        if "_state_hooks" not in self.__dict__:
            self.__dict__["_state_hooks"] = {}
        return self._state_hooks.setdefault(where, Hooks()).add(hook)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, prefix, keep_vars)` before state_dict."""
        return self._state_hook("before_save", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)`, which may change the state_dict."""
        return self._state_hook("after_save", (hook, False))

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        """The same before it was public: at the root it may return another state_dict."""
        return self._state_hook("after_save", (hook, True))

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before load_state_dict."""
        return self._state_hook("before_load", (hook, True))

    def _register_load_state_dict_pre_hook(self, hook: Callable,
                                           with_module: bool = False) -> RemovableHandle:
        """The same before it was public: without the module, unless asked for."""
        return self._state_hook("before_load", (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(module, incompatible_keys)`, which may change the keys."""
        return self._state_hook("after_load", hook)

    def _forget_state_hooks(self, unwanted: Callable[[Any], bool]) -> None:
        """Remove the hooks of the state that `unwanted` says yes to."""
        for hooks in self._state_hooks.values():
            for number, entry in list(hooks.functions.items()):
                if unwanted(entry[0] if isinstance(entry, tuple) else entry):
                    del hooks.functions[number]

    # --- saving

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "",
                   keep_vars: bool = False) -> Any:
        """All persistent tensors by name, detached but sharing memory with the module's own."""
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to https://pytorch"
                ".org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for "
                "details.", FutureWarning, stacklevel=2)
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_hooks.get("before_save", ()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.",
                                  keep_vars=keep_vars)
        for hook, may_replace in self._state_hooks.get("after_save", ()):
            replaced = hook(self, destination, prefix, local_metadata)
            if replaced is not None:
                if not may_replace:
                    raise RuntimeError("state_dict post-hook must return None")
                destination = replaced
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor in self._persistent().items():
            kept = keep_vars or is_lazy(tensor)
            destination[prefix + name] = tensor if kept else tensor.detach()
        if self._has_extra_state("get_extra_state"):
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    # --- loading

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True,
                        assign: bool = False) -> Any:
        """Copy the tensors in; `assign=True` puts the very tensors in place instead.

        `strict` makes missing and unexpected names an error; a wrong shape always is one.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        state: Any = OrderedDict(state_dict)
        if metadata is not None:
            state._metadata = metadata

        def load(module: Any, local_state: Any, prefix: str) -> None:
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(local_state, prefix, local_metadata, True, missing,
                                         unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    below = f"{prefix}{name}."
                    load(child, {key: value for key, value in local_state.items()
                                 if key.startswith(below)}, below)
            incompatible = _IncompatibleKeys(missing, unexpected)
            for hook in module._state_hooks.get("after_load", ()):
                if hook(module, incompatible) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be modified, "
                        "it should be done inplace.")

        load(self, state, "")
        if strict:
            for kind, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    listed = ", ".join(f'"{key}"' for key in keys)
                    errors.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                               + "\n\t".join(errors))
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict,
                              strict: bool, missing_keys: list, unexpected_keys: list,
                              error_msgs: list) -> None:
        """Load this module's own tensors, not its children's."""
        for hook, with_module in self._state_hooks.get("before_load", ()):
            rest = (state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                    error_msgs)
            hook(self, *rest) if with_module else hook(*rest)
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = self._persistent()
        for name, tensor in own.items():
            key = prefix + name
            if key in state_dict:
                problem = self._load_tensor(name, key, tensor, state_dict[key], assign)
                if problem:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(key)
        extra = prefix + EXTRA_STATE
        if self._has_extra_state("set_extra_state"):
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            unexpected_keys += [key for key in state_dict if key.startswith(prefix)
                                and key != extra and not self._knows(key[len(prefix):], own)]

    def _knows(self, key: str, own: dict) -> bool:
        """Whether a key is one of the module's own tensors or belongs to one of its children."""
        first, dot, _ = key.partition(".")
        return first in (self._modules if dot else own)

    def _load_tensor(self, name: str, key: str, own: Any, given: Any, assign: bool) -> str | None:
        """Put `given` in; the problem in torch's words if that cannot be done."""
        if not isinstance(given, TensorBase):
            return (f'While copying the parameter named "{key}", expected torch.Tensor or '
                    f"Tensor-like object from checkpoint but received {type(given)}")
        loaded: Any = given
        shapeless = is_lazy(own)
        if not (shapeless or is_lazy(loaded)) and own.dim() == 0 and loaded.shape == (1,):
            loaded = loaded[0]  # scalars were saved with one dimension once
        if not shapeless and loaded.shape != own.shape:
            return (f"size mismatch for {key}: copying a param with shape {loaded.shape} from "
                    f"checkpoint, the shape in current model is {own.shape}.")
        try:
            with no_grad():
                if not assign:
                    own.copy_(loaded)
                    return None
                if isinstance(own, Parameter):
                    if not isinstance(loaded, Parameter):
                        loaded = Parameter(loaded, requires_grad=own.requires_grad)
                    loaded.requires_grad_(own.requires_grad)
                setattr(self, name, loaded)
        except Exception as error:
            return (f'While copying the parameter named "{key}", whose dimensions in the model are '
                    f"{own.size()} and whose dimensions in the checkpoint are {loaded.size()}, an "
                    f"exception occurred : {error.args}.")
        return None
