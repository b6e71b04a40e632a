"""Parameters: tensors that a Module registers and an Optimizer updates."""

from __future__ import annotations

from typing import Any

from ..core import TensorBase, version_of, wrap
from ..dtypes import DIFFERENTIABLE
from ..tensor import Tensor


def adopt(cls: type, tensor: TensorBase, requires_grad: bool) -> Any:
    """A leaf of class `cls` that shares the tensor's memory (and its version counter)."""
    if not isinstance(tensor, TensorBase):  # torch asks it for a detached copy
        raise AttributeError(f"'{type(tensor).__name__}' object has no attribute 'detach'")
    if requires_grad and tensor._data.dtype not in DIFFERENTIABLE:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    leaf: Any = object.__new__(cls)
    leaf._data = tensor._data
    leaf._tracked = bool(requires_grad)
    leaf._node = leaf._grad = leaf._view = leaf._hooks = leaf._accumulator = None
    leaf._output = 0
    leaf._counter = version_of(tensor)
    return leaf


class Parameter(Tensor):
    """A leaf tensor that requires a gradient; assigned to a Module, it becomes its parameter."""

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            from .. import empty
            data = empty(0)
        return adopt(cls, data, requires_grad)

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        """Nothing is left to do: `__new__` has made the leaf."""

    def __repr__(self) -> str:  # type: ignore[override]  # torch's, too, takes no options here
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(wrap(self._data.copy(order="K")), self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (wrap(self._data), self.requires_grad)


class _BufferType(type(Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferType):
    """A tensor that, assigned to a Module, becomes a buffer: state that is not optimised."""

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        if data is None:
            from .. import empty
            data = empty(0)
        buffer = adopt(Tensor, data, getattr(data, "requires_grad", False))
        buffer.persistent, buffer._is_buffer = persistent, True
        return buffer
