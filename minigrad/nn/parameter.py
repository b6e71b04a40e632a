"""Parameters: tensors that a Module registers and an Optimizer updates; some without shape yet."""

from __future__ import annotations

from typing import Any

from ..core import TensorBase, give_array, version_of, wrap
from ..dtypes import DIFFERENTIABLE
from ..tensor import Tensor


def adopt(cls: type, tensor: TensorBase, requires_grad: bool) -> Any:
    """A leaf of class `cls` that shares the tensor's memory (and its version counter)."""
    if not isinstance(tensor, TensorBase):  # torch asks it for a detached copy
        raise AttributeError(f"'{type(tensor).__name__}' object has no attribute 'detach'")
    if requires_grad and tensor._data.dtype not in DIFFERENTIABLE:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    leaf: Any = object.__new__(cls)
    leaf._data, leaf._in_rows = tensor._data, tensor._in_rows
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


# --- without shape yet ---------------------------------------------------------------------------

_SHAPELESS = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
    "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. "
    "Call `forward` to initialize the parameters before accessing their attributes.")
_slot: Any = vars(TensorBase)["_data"]  # where every tensor keeps its array


class UninitializedTensorMixin(TensorBase):
    """A tensor whose shape is not known: it has a dtype and a device, and no op takes it."""

    cls_to_become: type

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Get a shape, and memory without values in it; become an ordinary tensor."""
        from ..ops.creation import empty
        made = empty(shape, device=self.device if device is None else device,
                     dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self.cls_to_become
        give_array(self, made._data)

    @property
    def data(self) -> Any:
        """An empty tensor of the dtype and on the device that the memory will have."""
        return wrap(_slot.__get__(self))

    @data.setter
    def data(self, tensor: TensorBase) -> None:
        _slot.__set__(self, tensor._data)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def device(self) -> Any:
        return self.data.device

    @property
    def shape(self) -> Any:
        raise RuntimeError(_SHAPELESS)

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`.")

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Nothing is there to copy to; loading the state of a lazy module ends here."""
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = _shapeless(type(self), self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad,)


def _refuse(self: Any) -> Any:
    """Every op asks for the array: so none takes the tensor."""
    raise ValueError(
        "Attempted to use an uninitialized parameter in an op. This error happens when you are "
        "using a `LazyModule` or explicitly manipulating "
        f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
        "`forward` with a dummy batch to initialize the parameters before calling torch functions")


UninitializedTensorMixin._data = property(_refuse, _slot.__set__)


def is_lazy(param: Any) -> bool:
    """Whether the tensor has no shape yet."""
    return isinstance(param, UninitializedTensorMixin)


def _shapeless(cls: type, requires_grad: bool, device: Any, dtype: Any) -> Any:
    from ..ops.creation import empty
    return adopt(cls, empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape a lazy module will learn from its first input."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return _shapeless(cls, requires_grad, device, dtype)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        """Nothing is left to do: `__new__` has made the leaf."""


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc]
    """A buffer whose shape a lazy module will learn from its first input."""

    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None,
                persistent: bool = True) -> Any:
        buffer = _shapeless(cls, requires_grad, device, dtype)
        buffer.persistent, buffer._is_buffer = persistent, True
        return buffer
