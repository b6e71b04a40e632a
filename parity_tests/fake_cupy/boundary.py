"""The border between the caller's NumPy arrays and the stand-in's, and the ufuncs on it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from . import cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)  # CuPy 14 has kernels for it
SUPPORTED = {np.dtype(char) for char in "?bhilqBHILQefdFD"} | {BFLOAT16}
SCALARS = bool | int | float | complex | np.generic
# cupyx.scatter_add and friends use CUDA's atomics, which exist for these dtypes only.
ATOMIC = {np.dtype(char) for char in "iILQfd"}
ATOMIC_ADD = ATOMIC | {np.dtype("e")}
SCATTERS = {"add": ATOMIC_ADD, "maximum": ATOMIC, "minimum": ATOMIC}


def unsupported(value: Any) -> TypeError:
    return TypeError(f"Unsupported type {type(value)}")


def supported(dtype: np.dtype) -> np.dtype:
    if dtype not in SUPPORTED and dtype.fields is None:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


class ArrayBase:
    """Memory of an imagined GPU, which is a NumPy array that nobody outside may touch."""

    __slots__ = ("_host", "base", "__weakref__")

    @classmethod
    def _around(cls, host: np.ndarray) -> Any:
        """The array whose memory is `host`'s; its `base` is the array that owns this memory."""
        supported(host.dtype)
        root: Any = host
        while getattr(root, "base", None) is not None:
            root = root.base
        self = object.__new__(cls)
        self._host = host
        self.base = cuda.owners.get(id(root))
        if self.base is None:
            cuda.owners[id(root)] = self
        return self


def to_host(value: Any) -> Any:
    """The NumPy array inside, also in lists and tuples; a NumPy array that comes in is refused."""
    if isinstance(value, ArrayBase):
        return value._host
    if isinstance(value, np.ndarray):
        raise unsupported(value)
    if type(value) in (list, tuple):
        return type(value)(to_host(part) for part in value)
    return value


def to_device(value: Any) -> Any:
    """NumPy's results as the stand-in's arrays: NumPy's scalars become 0-d arrays."""
    from .array import ndarray

    if isinstance(value, np.ndarray | np.generic):
        return ndarray._around(np.asarray(value))
    if isinstance(value, tuple):
        parts = [to_device(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [to_device(part) for part in value]
    return value


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """NumPy's `function` on the arrays inside; a GPU raises no floating-point warnings."""
    hosts = [to_host(arg) for arg in args]
    named = {name: to_host(arg) for name, arg in kwargs.items()}
    with np.errstate(all="ignore"):
        result = function(*hosts, **named)
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, ArrayBase) and arg._host is result:
            return arg
    return to_device(result)


class ufunc:
    """An elementwise function: arrays and scalars only, no `where=`, few of NumPy's methods."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__name__ = self.name = f"cupy_{function.__name__}"
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outs = kwargs.pop("out", None)
        options = {name: kwargs.pop(name) for name in ("dtype", "casting") if name in kwargs}
        if "_where" in kwargs:
            options["where"] = to_host(kwargs.pop("_where"))
        if kwargs:
            raise TypeError(f"Wrong arguments {kwargs}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}. It must be either "
                            f"{self.nin} or {self.nargs} (with outputs), but given {len(args)}.")
        outs = args[self.nin:] or (outs if isinstance(outs, tuple) else (outs,))
        given = [out for out in outs if out is not None]
        for arg in args[: self.nin]:
            if not isinstance(arg, ArrayBase | SCALARS):
                raise unsupported(arg)
        for out in given:
            if not isinstance(out, ArrayBase):
                raise unsupported(out)
        if given:
            options["out"] = tuple(to_host(out) for out in outs)
        with np.errstate(all="ignore"):
            results = self._function(*map(to_host, args[: self.nin]), **options)
        if given:
            results = results if self.nout > 1 else (results,)
            wrapped = tuple(to_device(result) if out is None else out
                            for result, out in zip(results, outs, strict=True))
            return wrapped if self.nout > 1 else wrapped[0]
        return to_device(results)

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        return call(self._function.outer, A, B, **kwargs)

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if self._function.__name__ not in SCATTERS:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        a._scatter(indices, b, self._function)

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
               keepdims: bool = False) -> Any:
        self._only("reduce", "add", "multiply")
        return call(self._function.reduce, array, axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None,
                   out: Any = None) -> Any:
        self._only("accumulate", "add", "multiply")
        return call(self._function.accumulate, array, axis, dtype, out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None,
                 out: Any = None) -> Any:
        self._only("reduceat", "add")
        return call(self._function.reduceat, array, indices, axis, dtype, out)

    def _only(self, method: str, *names: str) -> None:
        if self._function.__name__ not in names:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")
