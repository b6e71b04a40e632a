"""Parametrizations: a parameter that is a function of others, computed whenever it is read.

    class Symmetric(nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

    parametrize.register_parametrization(linear, "weight", Symmetric())
    linear.weight                                       # symmetric, always
    linear.parametrizations.weight.original             # what is trained

Note [How a parametrized module works]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The module gets a class of its own, a subclass of what it was, and in it a property with the name of
the tensor: to read it is to call the chain of parametrizations on `original`, to assign to it is to
go the chain back, by each one's `right_inverse`. Nothing else of the module changes, so a `forward`
that says `self.weight` needs to know nothing of it.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

from ...autograd.grad_mode import no_grad
from ...core import TensorBase, version_of
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization",
           "remove_parametrizations", "transfer_parametrizations_and_params",
           "type_before_parametrizations"]


class _Cache:
    """What was computed since the outermost `cached()` began, by module and name."""

    depth = 0
    tensors: dict[tuple[int, str], Any] = {}


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once, at its first use."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.tensors = {}


def _register(module: Module, name: str, tensor: Any) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _give_memory(tensor: Any, source: Any) -> None:
    """torch's `tensor.set_(source)`: the tensor stays the one that an optimizer knows."""
    tensor.data = source.detach()
    version_of(tensor).count += 1


def _name(value: Any) -> str:
    return type(value).__name__


# --- the chain -----------------------------------------------------------------------------------

class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first one first, and the tensor or tensors that the
    first one is called with: `original`, or `original0`, `original1`, ..."""

    original: Any
    unsafe: bool

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new = original
        with no_grad():
            for module in reversed(list(self)):
                with contextlib.suppress(NotImplementedError):  # then it counts as the identity
                    new = module.right_inverse(new) if hasattr(module, "right_inverse") else new
        if not isinstance(new, TensorBase | Sequence):
            raise ValueError("'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                             f"tuple...). Got {_name(new)}")
        self.is_tensor = isinstance(new, TensorBase)
        self.ntensors = 1 if self.is_tensor else len(new)  # type: ignore[arg-type]
        if self.is_tensor:
            self._keep_one(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            self._check(shape, dtype)

    def _keep_one(self, original: Any, new: Any) -> None:
        for what in ("dtype", "device"):
            was, now = getattr(original, what), getattr(new, what)
            if was != now:
                raise ValueError(
                    f"When `right_inverse` outputs one tensor, it may not change the {what}.\n"
                    f"original.{what}: {was}\nright_inverse(original).{what}: {now}")
        with no_grad():
            _give_memory(original, new)
        _register(self, "original", original)

    def _keep_several(self, original: Any, new: Any) -> None:
        for i, tensor in enumerate(new):
            if not isinstance(tensor, TensorBase):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {_name(tensor)}.")
            kept: Any = Parameter(tensor, original.requires_grad) \
                if isinstance(original, Parameter) else tensor
            kept.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", kept)

    def _check(self, shape: Any, dtype: Any) -> None:
        """The chain must give what it replaces: a tensor of that dtype and shape."""
        value = self()
        if not isinstance(value, TensorBase):
            raise ValueError(f"A parametrization must return a tensor. Got {_name(value)}.")
        for what, was in (("dtype", dtype), ("shape", shape)):
            now = getattr(value, what)
            if was != now:
                raise ValueError(
                    f"Registering a parametrization may not change the {what} of the tensor, "
                    f"unless `unsafe` flag is enabled.\nunparametrized {what}: {was}\n"
                    f"parametrized {what}: {now}")

    def right_inverse(self, value: Any) -> None:
        """Change the originals so that the chain gives `value`, as far as it can."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {_name(module)} does not implement "
                                       "right_inverse.")
                value = module.right_inverse(value)
            if self.is_tensor:
                self._set_one(value)
            else:
                self._set_several(value)

    def _set_one(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise ValueError(f"`right_inverse` should return a tensor. Got {_name(value)}")
        if value.dtype != self.original.dtype:
            raise ValueError(f"The tensor returned by `right_inverse` has dtype {value.dtype} "
                             f"while `original` has dtype {self.original.dtype}")
        _give_memory(self.original, value)

    def _set_several(self, values: Any) -> None:
        if not isinstance(values, Sequence):
            raise ValueError("'right_inverse' must return a sequence of tensors. "
                             f"Got {_name(values)}.")
        if len(values) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                f"Got a sequence of length {len(values)}.")
        for i, tensor in enumerate(values):
            if not isinstance(tensor, TensorBase):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors or reference-type opaques. "
                    f"Got element {i} of type {_name(tensor)}.")
            original = getattr(self, f"original{i}")
            if original.dtype != tensor.dtype:
                raise ValueError(f"Tensor {i} returned by `right_inverse` has dtype {tensor.dtype} "
                                 f"while `original{i}` has dtype {original.dtype}")
            _give_memory(original, tensor)

    def originals(self) -> list[Any]:
        """The tensors behind the parametrised one."""
        return [self.original] if self.is_tensor else \
            [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Any:
        """What the chain makes of the originals."""
        value, position = self[0](*self.originals()), 1
        while hasattr(self, str(position)):
            value = self[position](value)
            position += 1
        return value


# --- the class -----------------------------------------------------------------------------------

def _deepcopy(self: Any, memo: dict) -> Any:
    """The usual deep copy, in spite of a `__getstate__` that refuses."""
    if id(self) not in memo:
        replica = memo[id(self)] = self.__new__(type(self))
        replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return memo[id(self)]


def _refuse_state(self: Any) -> None:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training")


def _give_class(module: Module) -> None:
    """A class for this module alone: see Note [How a parametrized module works]."""
    kind = type(module)
    fields: dict[str, Any] = {"__getstate__": _refuse_state}
    if not hasattr(kind, "__deepcopy__"):
        fields["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), fields)


def _give_property(module: Module, name: str) -> None:
    if hasattr(module, name):
        raise AssertionError(f"Module already has an attribute named '{name}'")

    def get(self: Any) -> Any:
        chain = self.parametrizations[name]
        if not _Cache.depth:
            return chain()
        key = id(self), name
        if key not in _Cache.tensors:
            _Cache.tensors[key] = chain()
        return _Cache.tensors[key]

    def set(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, set))


# --- registering and removing --------------------------------------------------------------------

def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *,
                             unsafe: bool = False) -> Module:
    """Let `module.<tensor_name>` be `parametrization(original)`; a further one comes after those
    that are there. It may change neither shape nor dtype unless `unsafe`."""
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_further(module, tensor_name, parametrization)
        chain = module.parametrizations[tensor_name]
        chain.append(parametrization)
        chain.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        chain = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_class(module)
            module.parametrizations = ModuleDict()
        _give_property(module, tensor_name)
        module.parametrizations[tensor_name] = chain
    else:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a "
                         f"parametrized element with name '{tensor_name}'")
    return module


def _check_further(module: Module, name: str, parametrization: Any) -> None:
    """A further parametrization must map the tensors of this shape and dtype to themselves, and
    so must its inverse."""
    present = getattr(module, name)
    value = parametrization(present)
    if not isinstance(value, TensorBase):
        raise ValueError(f"A parametrization must return a tensor. Got {_name(value)}.")
    for what in ("dtype", "shape"):
        was, now = getattr(present, what), getattr(value, what)
        if was != now:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"the `unsafe` flag is enabled.\nmodule.{name}.{what}: {was}\n"
                f"parametrization(module.{name}).{what}: {now}")
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(value)
    except NotImplementedError:
        return
    if not isinstance(back, TensorBase):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {_name(back)}")
    for what in ("dtype", "shape"):
        was, now = getattr(present, what), getattr(back, what)
        if was != now:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} "
                f"as module.{name}, unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {was}\nreturned {what}: {now}")


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module's tensor of that name (or any) is parametrized."""
    chains = getattr(module, "parametrizations", None)
    if not isinstance(chains, ModuleDict):
        return False
    return len(chains) > 0 if tensor_name is None else tensor_name in chains


def remove_parametrizations(module: Module, tensor_name: str,
                            leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary one again, with the value it has (`leave_parametrized`) or with
    the original's."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if chain.is_tensor:
        original = chain.original
        if leave_parametrized:
            with no_grad():
                _give_memory(original, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value) if value.requires_grad else value
    else:
        raise ValueError("Cannot leave unparametrized (`leave_parametrized=False`) a tensor that "
                         "is parametrized in terms of a sequence of tensors.")
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class without regard to parametrizations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: Module,
                                         tensor_name: str | None = None) -> Module:
    """Give `to_module` the parametrizations of `from_module` (of one tensor or of all) and the
    values of their originals."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        source = from_module.parametrizations[name]
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target = to_module.parametrizations[name]
        for kept in ["original"] if source.is_tensor else \
                [f"original{i}" for i in range(source.ntensors)]:
            setattr(target, kept, getattr(source, kept))
    return to_module
