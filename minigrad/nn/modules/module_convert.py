"""A Module's tensors changed all at once: other dtypes, another device, another layout."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

from ...autograd.grad_mode import no_grad
from ...core import TensorBase
from ...device import device as device_class
from ...dtypes import dtype as dtype_class
from ...layout import memory_format as format_class
from ..parameter import is_lazy

_FORMS = """to() received an invalid combination of arguments - got ({got}), but expected one of:
 * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = \
False, *, torch.memory_format memory_format = None)
 * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format \
memory_format = None)
 * (Tensor tensor, bool non_blocking = False, bool copy = False, *, torch.memory_format \
memory_format = None)
"""
_FIRST = {"device": (str, int, device_class), "dtype": (dtype_class,), "tensor": (TensorBase,)}
_NAMES = {"device": ["device", "dtype", "non_blocking", "copy"],
          "dtype": ["dtype", "non_blocking", "copy"], "tensor": ["tensor", "non_blocking", "copy"]}
_KINDS: dict[str, tuple] = {**_FIRST, "non_blocking": (bool,), "copy": (bool,),
                            "memory_format": (format_class,)}


def _what_to(args: tuple, kwargs: dict) -> dict[str, Any]:
    """The arguments of `to` by name, whichever of its three forms they have."""
    first = args[0] if args else None
    form = next((name for name, kinds in _FIRST.items() if isinstance(first, kinds)), "device")
    if "tensor" in kwargs:
        form = "tensor"
    names = _NAMES[form]
    named = dict(zip(names, args, strict=False)) | kwargs
    allowed = {*names, "memory_format"}
    fits = len(args) <= len(names) and len(named) == len(args) + len(kwargs) and all(
        name in allowed and (value is None or isinstance(value, _KINDS[name]))
        for name, value in named.items())
    if not fits:
        got = ", ".join(type(value).__name__ for value in args)
        more = "".join(f"{name}={type(value).__name__}, " for name, value in kwargs.items())
        given = ", ".join(part for part in (got, more) if part)
        raise TypeError(_FORMS.format(got=given.replace("dtype", "torch.dtype")))
    if named.get("copy"):
        raise RuntimeError(".to() does not accept copy argument")
    if form == "tensor":
        other = named["tensor"]
        named["device"], named["dtype"] = other.device, other.dtype
    return named


class ModuleConversion:
    """The part of Module that converts: everything goes through `_apply`."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def children(self) -> Iterator[Any]:
        raise NotImplementedError  # Module's

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        """Give each parameter and its gradient the data of `fn` of it, and put `fn` of each buffer
        in the buffer's place. Parameters and gradients stay the objects that an optimizer knows."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            with no_grad():
                parameter.data = fn(parameter.data if is_lazy(parameter) else parameter)
                if parameter.grad is not None:
                    parameter.grad.data = fn(parameter.grad)
        for name, buffer in self._buffers.items():
            if is_lazy(buffer):
                buffer.data = fn(buffer.data)
            elif buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """`to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`, `to(memory_format=...)`:
        convert in place. A dtype is for the floating and complex tensors only, a memory format for
        those of 4 or 5 dimensions."""
        wanted = _what_to(args, kwargs)
        dtype, device = wanted.get("dtype"), wanted.get("device")
        format = wanted.get("memory_format")
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError("nn.Module.to only accepts floating point or complex dtypes, but got "
                            f"desired dtype={dtype}")
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may "
                "change, and some modules might not work as expected when using complex tensors as "
                "parameters or buffers. Please file an issue at https://github.com/pytorch/pytorch/"
                "issues/new?template=bug-report.yml if a complex module does not work as expected.",
                stacklevel=2)

        def convert(tensor: Any) -> Any:
            convertible = tensor.dtype.is_floating_point or tensor.dtype.is_complex
            return tensor.to(device=device, dtype=dtype if convertible else None,
                             memory_format=format if tensor.dim() in (4, 5) else None)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to `device` without the values: the new memory is uninitialised."""
        from ...ops.creation import empty_like
        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse)

    def type(self, dst_type: Any) -> Self:
        return self._apply(lambda tensor: tensor.type(dst_type))

    def _cast_floats(self, method: str) -> Self:
        return self._apply(lambda tensor: getattr(tensor, method)()
                           if tensor.dtype.is_floating_point else tensor)

    def float(self) -> Self:
        return self._cast_floats("float")

    def double(self) -> Self:
        return self._cast_floats("double")

    def half(self) -> Self:
        return self._cast_floats("half")

    def bfloat16(self) -> Self:
        return self._cast_floats("bfloat16")

    def cuda(self, device: Any = None) -> Self:
        return self._apply(lambda tensor: tensor.cuda(device))

    def cpu(self) -> Self:
        return self._apply(lambda tensor: tensor.cpu())

    def share_memory(self) -> Self:
        """Not here: an array's memory belongs to its process."""
        raise NotImplementedError(
            "minigrad has no shared memory between processes: send a state_dict() instead")
