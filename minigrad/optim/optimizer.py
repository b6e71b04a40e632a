"""Optimizer: parameter groups, per-parameter state, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from ..autograd.grad_mode import enable_grad, no_grad
from ..core import TensorBase, version_of, wrap
from ..device import array_module
from ..graph import is_leaf
from ..hooks import Hooks, RemovableHandle


class _Required:
    """The default of an option that every group has to give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def _with_hooks(step: Callable) -> Callable:
    """`step` with the step hooks around it; it also tells the schedulers that it was called."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for hook in self._before_step:
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(f"{hook} must return None or a tuple of (new_args, "
                                       f"new_kwargs), but got {replaced}.")
                args, kwargs = replaced
        loss = step(self, *args, **kwargs)
        for hook in self._after_step:
            hook(self, args, kwargs)
        if hasattr(self, "_opt_called"):
            self._opt_called = True
        return loss

    return hooked


class Optimizer:
    """Base of the optimisers. A subclass gives `update(group, parameter, gradient, state)`.

    Arrays, not tensors, are what `update` computes with; nothing of a step is recorded.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:  # a user's own optimiser
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._before_step, self._after_step = Hooks(), Hooks()
        if isinstance(params, TensorBase):
            raise TypeError("params argument given to the optimizer should be an iterable of "
                            f"Tensors or dicts, but got {type_name(params)}")
        self.state: defaultdict[Any, dict] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # --- groups ----------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters, with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, TensorBase):
            params = [params]
        elif isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but "
                            "the ordering of tensors in sets will change between runs. Please use "
                            "a list instead.")
        params = list(params)
        if params and all(isinstance(each, tuple) for each in params):
            param_group["param_names"] = [name for name, _ in params]
            params = [parameter for _, parameter in params]
        param_group["params"] = params
        for parameter in params:
            if not isinstance(parameter, TensorBase):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is "
                                + type_name(parameter))
            if not (self.defaults.get("differentiable") or is_leaf(parameter)):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError("parameter group didn't specify a value of required optimization "
                                 f"parameter {name}")
            param_group.setdefault(name, default)
        identities = {id(parameter) for parameter in params}
        if len(identities) != len(params):
            warnings.warn("optimizer contains a parameter group with duplicate parameters; in "
                          "future, this will cause an error; see "
                          "github.com/pytorch/pytorch/issues/40967 for more information",
                          stacklevel=3)
        if any(id(parameter) in identities for group in self.param_groups
               for parameter in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    # --- stepping --------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients (or fill them with zeros)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach()
                    parameter.grad.zero_()

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the loss of `closure`, if given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step_one(group, parameter)
        return loss

    def _step_one(self, group: dict, parameter: Any) -> None:
        gradient = parameter.grad._data
        if group.get("maximize"):
            gradient = array_module(gradient).asarray(-gradient)  # a scalar if it has no dimension
        state = self.state.get(parameter, {})
        self.update(group, parameter._data, gradient, state)
        if state:  # plain descent remembers nothing
            self.state[parameter] = state
        version_of(parameter).count += 1

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        """Change the array `parameter` in place, given its gradient; `state` is kept for it."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update nor step")

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` before each step."""
        return self._before_step.add(hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` after each step."""
        return self._after_step.add(hook)

    # --- saving and loading ----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters replaced by their positions."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(parameter)] for parameter in group["params"]]
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, TensorBase) else key: value
                 for key, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a saved state; the groups must have as many parameters as the saved ones."""
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(group["params"]) != len(saved["params"])
               for group, saved in zip(self.param_groups, saved_groups, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the "
                             "size of optimizer's group")
        parameters = {number: parameter
                      for group, saved in zip(self.param_groups, saved_groups, strict=True)
                      for number, parameter in zip(saved["params"], group["params"], strict=True)}
        self.state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in parameters:
                self.state[parameters[key]] = {
                    name: _as_parameter_is(name, each, parameters[key])
                    for name, each in value.items()}
            else:
                self.state[key] = value
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        self.param_groups = saved_groups

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._before_step, self._after_step = Hooks(), Hooks()

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            text += "".join(f"    {name}: {group[name]}\n" for name in sorted(group)
                            if name != "params").rstrip("\n")
        return text + "\n)"


def type_name(value: Any) -> str:
    """What torch calls a value's type in its errors."""
    if isinstance(value, TensorBase):
        return f"torch.{value.dtype.scalar_name}Tensor"
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else \
        f"{kind.__module__}.{kind.__qualname__}"


def _as_parameter_is(name: str, value: Any, parameter: Any) -> Any:
    """A loaded state tensor in the parameter's dtype and place; `step` stays as it is."""
    if not isinstance(value, TensorBase) or name == "step":
        return deepcopy(value)
    dtype = parameter.dtype if parameter.dtype.is_floating_point else None
    tensor: Any = value
    return tensor.to(dtype=dtype, device=parameter.device).clone()


def zeros_for(parameter: Any) -> Any:
    """A state tensor of zeros, shaped and placed as the parameter's array."""
    return wrap(array_module(parameter).zeros_like(parameter))


def new_step() -> Any:
    """The step counter: a 0-d float32 tensor in the host's memory, as in torch's state_dict."""
    return wrap(np.zeros((), np.float32))


def check_options(*rules: tuple[bool, str]) -> None:
    """Raise ValueError with the message of the first rule that does not hold."""
    for holds, message in rules:
        if not holds:
            raise ValueError(message)

