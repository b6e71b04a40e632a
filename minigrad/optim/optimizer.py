"""Optimizer: parameter groups, per-parameter state, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import enable_grad, set_grad_enabled
from ..core import TensorBase, version_of, wrap
from ..device import array_module
from ..graph import is_leaf, retains_grad
from ..hooks import Hooks, RemovableHandle


class _Required:
    """The default of an option that every group has to give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


_before_any_step, _after_any_step = Hooks(), Hooks()


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` before each step of every optimiser."""
    return _before_any_step.add(hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` after each step of every optimiser."""
    return _after_any_step.add(hook)


def _with_hooks(step: Callable) -> Callable:
    """`step` with the step hooks around it; it also tells the schedulers that it was called."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        args = (self, *args)  # what torch's hooks see
        for hook in (*_before_any_step, *self._before_step):
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(
                        f"<function {type(self).__name__}.step at {hex(id(step))}> must return "
                        f"None or a tuple of (new_args, new_kwargs), but got {replaced}.")
                args, kwargs = replaced
        loss = step(*args, **kwargs)
        for hook in (*self._after_step, *_after_any_step):
            hook(self, args, kwargs)
        if hasattr(self, "_opt_called"):
            self._opt_called = True
        return loss

    return hooked


class Optimizer:
    """Base of the optimisers. A subclass gives `begin`, what it remembers of a parameter before the
    first step, and `update`, one step of one parameter.

    Nothing of a step is recorded, unless the optimiser is `differentiable`: then the step is made
    of ops, and gradients flow through it. `foreach` and `fused` choose among torch's kernels, which
    compute the same; here there is only one, and they only matter for what torch refuses.
    """

    _captured = "params and state_steps"  # what `capturable` wants on a device
    _capturing_devices = "['cuda', 'xpu', 'hpu', 'privateuseone', 'xla']"
    _takes_complex = True
    _numbers: tuple[str, ...] = ("step",)  # counters of the state, which once were plain numbers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:  # a user's own optimiser
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hooks()
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
        if defaults.get("fused"):
            if defaults.get("differentiable"):
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            self._step_supports_amp_scaling = True

    def _make_hooks(self) -> None:
        self._before_step, self._after_step = Hooks(), Hooks()
        self._before_state_dict, self._after_state_dict = Hooks(), Hooks()
        self._before_load, self._after_load = Hooks(), Hooks()

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
        names = [each[0] for each in params if isinstance(each, tuple)]
        params = [each[1] if isinstance(each, tuple) else each for each in params]
        param_group["params"] = params
        if names:
            if len(names) != len(params):
                raise ValueError("all optimizer params should be with/without names. Some param "
                                 "names are missing")
            param_group["param_names"] = names
        for parameter in params:
            if not isinstance(parameter, TensorBase):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is "
                                + type_name(parameter))
            if not (self.defaults.get("differentiable") or is_leaf(parameter)
                    or retains_grad(parameter)):
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
        named = "param_names" in param_group
        if any(("param_names" in group) != named for group in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer")
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
                    continue
                if parameter.grad.grad_fn is not None:
                    parameter.grad.detach_()
                else:
                    parameter.grad.requires_grad_(False)
                parameter.grad.zero_()

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the loss of `closure`, if given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with set_grad_enabled(bool(self.defaults.get("differentiable"))):
            for group in self.param_groups:
                chosen = [each for each in group["params"] if each.grad is not None]
                for parameter in chosen:
                    self._prepare(group, parameter)
                if chosen and not self._overflown():
                    for parameter in chosen:
                        self.update(group, parameter, parameter.grad,
                                    self.state.get(parameter, {}))
                        if not group.get("differentiable"):
                            version_of(parameter).count += 1
        return loss

    def _prepare(self, group: dict, parameter: Any) -> None:
        """Refuse what cannot be updated, before anything is; begin the parameter's state."""
        if parameter.dtype.is_complex:
            if not self._takes_complex:
                raise RuntimeError(f"{type(self).__name__} does not support complex parameters")
            if group.get("fused"):
                raise RuntimeError(
                    "`fused=True` requires all the params to be floating point Tensors of "
                    "supported devices: ['mps', 'cuda', 'xpu', 'hpu', 'cpu', 'mtia', "
                    f"'privateuseone'] but {parameter.dtype} and {parameter.device.type}")
        if group.get("capturable") and parameter.device.type == "cpu":
            raise AssertionError(f"If capturable=True, {self._captured} must be on supported "
                                 f"devices: {self._capturing_devices}.")
        state = self.state.get(parameter)
        if not state:
            self.begin(group, parameter, state := {})
            if state:  # plain descent remembers nothing
                self.state[parameter] = state
        scaled = getattr(self, "grad_scale", None)  # amp.GradScaler left it to a fused step
        if scaled is not None:
            parameter.grad.div_(scaled)

    def _overflown(self) -> bool:
        found = getattr(self, "found_inf", None)
        return found is not None and bool(found.item())

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        """Put into `state` what the first step of `parameter` finds there."""

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        """Change `parameter` in place, given its gradient; `state` is kept for it."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update nor step")

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` before each step."""
        return self._before_step.add(hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` after each step."""
        return self._after_step.add(hook)

    # --- saving and loading ----------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable,
                                     prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` before `state_dict()` looks."""
        return self._before_state_dict.add(hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable,
                                      prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict)` on what `state_dict()` found; it may return another."""
        return self._after_state_dict.add(hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable,
                                          prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict)` on a copy of what is to be loaded; it may return
        another."""
        return self._before_load.add(hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable,
                                           prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` when a state has been loaded."""
        return self._after_load.add(hook, prepend)

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters replaced by their positions."""
        for hook in self._before_state_dict:
            hook(self)
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
        found = {"state": state, "param_groups": groups}
        for hook in self._after_state_dict:
            replaced = hook(self, found)
            found = found if replaced is None else replaced
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a saved state; the groups must have as many parameters as the saved ones.

        Tensors that are right already are shared with `state_dict`, as in torch.
        """
        state_dict = state_dict.copy()
        for hook in self._before_load:
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(group["params"]) != len(saved["params"])
               for group, saved in zip(self.param_groups, saved_groups, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the "
                             "size of optimizer's group")
        owners = {number: (parameter, saved)
                  for group, saved in zip(self.param_groups, saved_groups, strict=True)
                  for number, parameter in zip(saved["params"], group["params"], strict=True)}
        state: defaultdict[Any, dict] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owners:
                state[owners[key][0]] = _as_parameter_is(value, *owners[key])
            else:
                state[key] = value
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._after_load:
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled or loaded, and fill in the options of later years."""
        self.__dict__.update(state)
        if "_before_step" not in self.__dict__:
            self._make_hooks()
        for group in self.param_groups:
            for name, default in LATER_OPTIONS.items():
                if name in self.defaults:
                    group.setdefault(name, default)
            for parameter in group["params"]:
                own = self.state.get(parameter, {})
                for name in self._numbers:
                    if name in own and not isinstance(own[name], TensorBase):
                        own[name] = counter(group, parameter, float(own[name]))

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


LATER_OPTIONS = {"amsgrad": False, "nesterov": False, "maximize": False, "foreach": None,
                 "capturable": False, "differentiable": False, "decoupled_weight_decay": False,
                 "fused": None, "momentum": 0, "centered": False}


def _as_parameter_is(value: Any, parameter: Any, group: dict, name: Any = None) -> Any:
    """Loaded state with its tensors in the parameter's dtype and place; `step` stays as it is."""
    if isinstance(value, TensorBase):
        tensor: Any = value
        if name == "step":
            if group.get("capturable") or group.get("fused"):
                return tensor.to(dtype=dtypes.float32, device=parameter.device)
            return tensor
        dtype = parameter.dtype if parameter.dtype.is_floating_point else None
        return tensor.to(dtype=dtype, device=parameter.device)
    if isinstance(value, dict):
        return {key: _as_parameter_is(each, parameter, group, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_parameter_is(each, parameter, group) for each in value)
    return value


def zeros_for(parameter: Any) -> Any:
    """A state tensor of zeros, shaped and placed as the parameter."""
    array = parameter._data
    return wrap(array_module(array).zeros_like(array))


def counter(group: dict, parameter: Any, start: float = 0.0) -> Any:
    """A number of the state: a 0-d tensor, in the host's memory unless a kernel has to read it."""
    at_home = not (group.get("capturable") or group.get("fused"))
    wide = dtypes.get_default_dtype() is dtypes.float64 and not group.get("fused")
    xp = np if at_home else array_module(parameter._data)
    return wrap(xp.full((), start, np.float64 if wide else np.float32))


def count(state: dict) -> float:
    """One step more: the number of this one."""
    step = state["step"]._data
    step += 1
    return step.item()


def check_rate(lr: Any, words: str = "Invalid learning rate:") -> None:
    """A learning rate is a number, or a tensor of one element, that is not negative."""
    if isinstance(lr, TensorBase) and lr._data.size != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"{words} {lr}")


def rate_of(group: dict) -> Any:
    """The group's learning rate: a number, or a tensor without dimensions."""
    return without_dimensions(group["lr"])


def without_dimensions(value: Any) -> Any:
    """A number as it is; a tensor of one element without its dimensions."""
    if isinstance(value, TensorBase) and value._data.ndim:
        return value.squeeze()  # type: ignore[attr-defined]
    return value


def check_options(*rules: tuple[bool, str]) -> None:
    """Raise ValueError with the message of the first rule that does not hold."""
    for holds, message in rules:
        if not holds:
            raise ValueError(message)


def check_betas(betas: Any) -> None:
    """Both decay rates are at least 0 and less than 1."""
    for index in (0, 1):
        check_options((0.0 <= betas[index] < 1.0,
                       f"Invalid beta parameter at index {index}: {betas[index]}"))
