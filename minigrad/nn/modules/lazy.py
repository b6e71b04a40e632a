"""Lazy modules: their parameters get their shapes from the first input.

Note [A module that changes its class]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A lazy module is the module that it will become, with parameters that have no shape yet. Its first
call looks at the input, gives the parameters their shapes and values, and then sets `__class__` to
`cls_to_become`. From then on nothing is left of the laziness, not even a test in the call. Who
optimises the parameters has to ask for them after the first call.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..parameter import is_lazy
from .module import Module


class LazyModuleMixin(Module):
    """Put it before the class that the module becomes, and define `initialize_parameters`."""

    cls_to_become: type | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.__dict__.get("_inferred", False):
            self._infer_parameters(self, args, kwargs)
            if type(self).__call__ is not LazyModuleMixin.__call__:
                return self(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        """Give the parameters their shapes and values, then become the other class."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        if module.cls_to_become is None:
            module._inferred = True
        else:
            module.__class__ = module.cls_to_become

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """What a lazy class defines: the shapes, given the arguments of `forward`."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether any parameter or buffer has no shape yet."""
        return any(is_lazy(each) for registry in (self._parameters, self._buffers)
                   for each in registry.values())

    def _materialize(self, **shapes: tuple[int, ...]) -> None:
        """Give the parameters and buffers of these names their shapes; some may be missing."""
        for name, shape in shapes.items():
            tensor = getattr(self, name)
            if is_lazy(tensor):
                tensor.materialize(shape)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """A saved tensor that has a shape gives it to its parameter."""
        for name, tensor in self._persistent().items():
            given = state_dict.get(f"{prefix}{name}")
            if given is not None and is_lazy(tensor) and not is_lazy(given):
                tensor.materialize(given.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _replicate_for_data_parallel(self) -> NoReturn:
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DataParallel`. Run a dummy "
            "forward pass to correctly initialize the modules")
