"""Writing the pickle: minigrad's objects under torch's names, tensors' memory beside it."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, ClassVar

from .. import dtypes
from ..core import TensorBase
from ..device import device
from ..layout import layout
from ..nn.parameter import Parameter
from ..ops.strided import memory_of
from ..storage import TypedStorage, UntypedStorage
from ..tensor import Size, Tensor
from .names import GLOBAL_NAMES, STORAGE_NAMES, Named


def pickled(obj: Any, protocol: int) -> tuple[bytes, list[UntypedStorage]]:
    """The pickle of `obj`, and the storages that it refers to by their number."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, protocol)
    pickler.dump(obj)
    return buffer.getvalue(), list(pickler.storages)


_REBUILD_TENSOR = Named("torch._utils", "_rebuild_tensor_v2")
_REBUILD_TENSOR_OF_DTYPE = Named("torch._utils", "_rebuild_tensor_v3")
_REBUILD_PARAMETER = Named("torch._utils", "_rebuild_parameter")
_REBUILD_PARAMETER_WITH_STATE = Named("torch._utils", "_rebuild_parameter_with_state")
_REBUILD_SUBCLASS = Named("torch._tensor", "_rebuild_from_type_v2")
_GET_LAYOUT = Named("torch.serialization", "_get_layout")
_UNTYPED = Named("torch.storage", "UntypedStorage")


# Python's pickler in Python, not in C: the one in C looks up every name that it writes, and these
# are torch's, which may not be there.
class _Pickler(pickle._Pickler):
    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: dict[UntypedStorage, int] = {}
        self.dtypes: dict[UntypedStorage, dtypes.dtype] = {}
        self.storage_kinds: dict[dtypes.dtype, Named] = {}

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if isinstance(obj, Named):
            module, name = obj.module, obj.name
        elif isinstance(obj, dtypes.dtype):
            module, name = "torch", obj.name
        elif isinstance(obj, type) and obj in GLOBAL_NAMES:
            module, name = GLOBAL_NAMES[obj].module, GLOBAL_NAMES[obj].name
        else:
            super().save_global(obj, name)  # type: ignore[misc]
            return
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    # pickle's table of what to do with which class: classes, here, have names of their own
    dispatch: ClassVar[Any] = {**pickle._Pickler.dispatch, Named: save_global}

    def save_type(self, obj: type) -> None:
        if obj in GLOBAL_NAMES:
            self.save_global(obj)
        else:
            pickle._Pickler.save_type(self, obj)  # type: ignore[attr-defined]

    dispatch[type] = save_type

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, TensorBase):
            return self._tensor(value)
        if isinstance(value, dtypes.dtype):
            return value.name
        if isinstance(value, Size):
            return Size, (tuple(value),)
        if isinstance(value, device):
            return device, (value.type,) if value.index is None else (value.type, value.index)
        if isinstance(value, layout):
            return _GET_LAYOUT, (str(value),)
        return NotImplemented

    def _tensor(self, tensor: Any) -> tuple:
        state = dict(getattr(tensor, "__dict__", {}))
        if type(tensor) is Parameter:
            parts: tuple = (self._plain(tensor, False), tensor.requires_grad, OrderedDict())
            if state:
                return _REBUILD_PARAMETER_WITH_STATE, (*parts, state)
            return _REBUILD_PARAMETER, parts
        plain = self._plain(tensor, tensor.requires_grad)
        if type(tensor) is Tensor and not state:
            return plain.function, plain.arguments
        return _REBUILD_SUBCLASS, (plain.function, type(tensor), plain.arguments, state)

    def _plain(self, tensor: Any, requires_grad: bool) -> _Plain:
        """The tensor as a window onto a storage."""
        dtype, data = tensor.dtype, tensor._data
        memory = UntypedStorage.of(memory_of(data))
        window = tensor.storage_offset(), tuple(data.shape), tensor.stride()
        if memory.nbytes() % dtype.itemsize or min(data.strides, default=0) < 0 \
                or any(stride % dtype.itemsize for stride in data.strides):
            copy = tensor.detach().contiguous().clone()  # a window of NumPy's, not of torch's
            memory, window = copy.untyped_storage(), (0, window[1], copy.stride())
        if dtype in STORAGE_NAMES:
            typed = TypedStorage(wrap_storage=memory, dtype=dtype)
            return _Plain(_REBUILD_TENSOR, (typed, *window, requires_grad, OrderedDict()))
        return _Plain(_REBUILD_TENSOR_OF_DTYPE,
                      (memory, *window, requires_grad, OrderedDict(), dtype))

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, UntypedStorage):
            memory, dtype, kind = value, dtypes.uint8, _UNTYPED
        elif isinstance(value, TypedStorage):
            memory, dtype = value.untyped(), value.dtype
            kind = self.storage_kinds.setdefault(dtype, Named("torch", STORAGE_NAMES[dtype]))
        else:
            return None
        if memory.nbytes() and self.dtypes.setdefault(memory, dtype) is not dtype:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data "
                               "as different types")
        number = self.storages.setdefault(memory, len(self.storages))
        return ("storage", kind, str(number), str(memory.device),
                memory.nbytes() // dtype.itemsize)


class _Plain:
    """A call that makes a tensor; pickled as the call's result, the tensor."""

    def __init__(self, function: Named, arguments: tuple) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments

