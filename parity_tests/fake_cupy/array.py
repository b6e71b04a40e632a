"""The stand-in's array: NumPy inside, CuPy's refusals outside.

Messages, signatures and rules follow CuPy 14's own source. Where CuPy calls a result undefined, the
stand-in gives one that NumPy would not, so that a test which relies on it fails here too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import cuda
from .boundary import SCALARS, SCATTERS, ArrayBase, call, to_device, to_host, ufunc, unsupported
from .indices import host_index


def defers_to(x: ndarray, y: Any) -> bool:
    """Whether `x + y` leaves the work to `y.__radd__`: NEP 13, then `__array_priority__`."""
    if hasattr(y, "__array_ufunc__"):
        return y.__array_ufunc__ is None
    return x.__array_priority__ < getattr(y, "__array_priority__", 0)


def operators(name: str) -> tuple[Any, Any, Any]:
    """`x + y`, `y + x` and `x += y`, for the ufunc called `name`."""
    function = getattr(np, name)

    def forward(self: ndarray, other: Any) -> Any:
        if isinstance(other, ndarray):
            return ufunc(function)(self, other)
        # NumPy asks `__array_ufunc__`, which refuses what CuPy refuses.
        return NotImplemented if defers_to(self, other) else function(self, other)

    def reflected(self: ndarray, other: Any) -> Any:
        return NotImplemented if defers_to(self, other) else function(other, self)

    def in_place(self: ndarray, other: Any) -> Any:
        return ufunc(function)(self, other, self)

    return forward, reflected, in_place


class ndarray(ArrayBase):
    """An array in the memory of an imagined GPU: no NumPy array comes in or goes out unasked."""

    __slots__ = ()
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __new__(cls, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None,
                order: str = "C") -> ndarray:
        if memptr is not None or strides is not None:
            raise NotImplementedError("fake_cupy: ndarray on memory of the caller's")
        return cls._around(np.empty(shape, dtype, order))

    # Attributes

    @property
    def dtype(self) -> np.dtype:
        return self._host.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._host = self._host.reshape(shape, copy=False)

    @property
    def strides(self) -> tuple[int, ...]:
        return self._host.strides

    @property
    def ndim(self) -> int:
        return self._host.ndim

    @property
    def size(self) -> int:
        return self._host.size

    @property
    def itemsize(self) -> int:
        return self._host.itemsize

    @property
    def nbytes(self) -> int:
        return self._host.nbytes

    @property
    def flags(self) -> cuda.Flags:
        flags = self._host.flags
        return cuda.Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def data(self) -> cuda.MemoryPointer:
        return cuda.MemoryPointer(self._host.__array_interface__["data"][0])

    @property
    def device(self) -> cuda.Device:
        return self.data.device

    @property
    def T(self) -> ndarray:
        return self if self.ndim < 2 else call(np.transpose, self)

    @property
    def mT(self) -> ndarray:
        return call(np.matrix_transpose, self)

    @property
    def real(self) -> ndarray:
        return call(np.real, self) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> ndarray:
        return call(np.imag, self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("cupy.ndarray does not have imaginary part to set")
        self.imag[...] = value

    # To the host and back

    def get(self, stream: Any = None, order: str = "C", out: Any = None,
            blocking: bool = True) -> np.ndarray:
        if out is None:
            return self._host.copy(order)
        if not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained fromcupy.ndarray")
        if self.dtype != out.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        if self.shape != out.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, "
                             f"actual shape: {out.shape}")
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        self._host[...] = arr

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._host.item()

    def tolist(self) -> Any:
        return self._host.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._host.tobytes(order)

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is "
                             "ambiguous. Use a.any() or a.all()")
        return bool(self._host)

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self._host)

    def __str__(self) -> str:
        return str(self._host)

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    def __reduce__(self) -> tuple:
        from . import cupy

        return cupy.array, (self.get(),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: dict) -> ndarray:
        return self.copy()

    # What NumPy's own functions do when handed this array

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from . import cupy

        kernel = getattr(cupy, function.__name__, None)
        if method != "__call__" or kernel is None:
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        for value in (*inputs, kwargs.get("out", 0)):
            if not isinstance(value, ndarray | np.ndarray | SCALARS):
                return NotImplemented
        return kernel(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from . import cupy

        module: Any = cupy
        for name in function.__module__.split(".")[1:]:
            module = getattr(module, name, None)
        kernel = getattr(module, function.__name__, None)
        if kernel is None or any(kind not in (ndarray, np.ndarray) for kind in types):
            return NotImplemented
        return kernel(*args, **kwargs)

    # Operators

    __add__, __radd__, __iadd__ = operators("add")
    __sub__, __rsub__, __isub__ = operators("subtract")
    __mul__, __rmul__, __imul__ = operators("multiply")
    __truediv__, __rtruediv__, __itruediv__ = operators("true_divide")
    __floordiv__, __rfloordiv__, __ifloordiv__ = operators("floor_divide")
    __mod__, __rmod__, __imod__ = operators("remainder")
    __pow__, __rpow__, __ipow__ = operators("power")
    __lshift__, __rlshift__, __ilshift__ = operators("left_shift")
    __rshift__, __rrshift__, __irshift__ = operators("right_shift")
    __and__, __rand__, __iand__ = operators("bitwise_and")
    __or__, __ror__, __ior__ = operators("bitwise_or")
    __xor__, __rxor__, __ixor__ = operators("bitwise_xor")
    __divmod__, __rdivmod__, _ = operators("divmod")
    __lt__, _, _ = operators("less")
    __le__, _, _ = operators("less_equal")
    __gt__, _, _ = operators("greater")
    __ge__, _, _ = operators("greater_equal")
    __eq__, _, _ = operators("equal")  # type: ignore[assignment]
    __ne__, _, _ = operators("not_equal")  # type: ignore[assignment]
    del _

    def __matmul__(self, other: Any) -> Any:
        if not isinstance(other, ndarray) and defers_to(self, other):
            return NotImplemented
        return call(np.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return call(np.matmul, other, self)

    def __neg__(self) -> ndarray:
        return call(np.negative, self)

    def __pos__(self) -> ndarray:
        return self

    def __abs__(self) -> ndarray:
        return call(np.absolute, self)

    def __invert__(self) -> ndarray:
        return call(np.invert, self)

    # Indexing

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __getitem__(self, index: Any) -> ndarray:
        parts, has_array, _ = host_index(index, self.shape)
        return to_device(self._host[parts].copy() if has_array else self._host[parts])

    def __setitem__(self, index: Any, value: Any) -> None:
        parts, has_array, has_integers = host_index(index, self.shape)
        if not has_array and not isinstance(value, ndarray):
            return to_device(self._host[parts]).fill(value)
        values = value._host if isinstance(value, ndarray) else np.asarray(value, self.dtype)
        with np.errstate(all="ignore"):
            if not has_integers:
                self._host[parts] = values
                return None
            # An index that comes twice: NumPy keeps its last value, CuPy any. Here: its first.
            positions = np.arange(self.size).reshape(self.shape)[parts]
            values = np.broadcast_to(values, positions.shape).astype(self.dtype)
            places = np.unravel_index(positions.ravel()[::-1], self.shape)
            self._host[places] = values.ravel()[::-1]
        return None

    def _scatter(self, index: Any, value: Any, function: Any) -> None:
        parts, _, has_integers = host_index(index, self.shape)
        if has_integers and self.dtype not in SCATTERS[function.__name__]:
            kinds = ", ".join(sorted(dtype.name for dtype in SCATTERS[function.__name__]))
            raise TypeError(f"scatter_{function.__name__[:3]} only supports {kinds} as data type")
        if not isinstance(value, ndarray):
            value = ndarray._around(np.asarray(value, self.dtype))
        with np.errstate(all="ignore"):
            function.at(self._host, parts, value._host.astype(self.dtype))

    def scatter_add(self, slices: Any, value: Any) -> None:
        self._scatter(slices, value, np.add)

    def scatter_max(self, slices: Any, value: Any) -> None:
        self._scatter(slices, value, np.maximum)

    def scatter_min(self, slices: Any, value: Any) -> None:
        self._scatter(slices, value, np.minimum)

    def fill(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            if value.shape:
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
            value = value.item()
        if not isinstance(value, ndarray | SCALARS):
            raise unsupported(value)
        self._host[...] = to_host(value)

    # Conversions and shapes

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None,
               copy: bool = True) -> ndarray:
        if casting is not None or subok is not None:
            raise TypeError(f"{'subok' if casting is None else 'casting'} is not supported yet")
        return call(self._host.astype, dtype, order=order, copy=copy) if (
            copy or np.dtype(dtype) != self.dtype) else self

    def copy(self, order: str = "C") -> ndarray:
        return to_device(self._host.copy(order))

    def view(self, dtype: Any = None) -> ndarray:
        if dtype is None:
            return to_device(self._host.view())
        if np.dtype(dtype).itemsize != self.itemsize and not self.flags.forc:
            raise ValueError("To change to a dtype of a different size, the array must be "
                             "C-contiguous")
        return to_device(self._host.view(dtype))

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        return to_device(self._host.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> ndarray:
        return to_device(self._host.transpose(*axes))

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return to_device(self._host.swapaxes(axis1, axis2))

    def flatten(self, order: str = "C") -> ndarray:
        return to_device(self._host.flatten(order))

    def ravel(self, order: str = "C") -> ndarray:
        return to_device(self._host.ravel(order))

    def squeeze(self, axis: Any = None) -> ndarray:
        return to_device(self._host.squeeze(axis))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        view = self._host.diagonal(offset, axis1, axis2)
        view.flags.writeable = True
        return to_device(view)

    # Selecting and sorting

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        host = indices._host if isinstance(indices, ndarray) else np.asarray(indices, int)
        return call(np.take, self, to_device(host), axis, out, mode="wrap")

    def put(self, indices: Any, values: Any, mode: str = "wrap") -> None:
        call(np.put, self, indices, values, mode)

    def repeat(self, repeats: Any, axis: Any = None) -> ndarray:
        return call(np.repeat, self, repeats, axis)

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> ndarray:
        return call(np.choose, self, choices, out, mode)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> ndarray:
        return call(np.compress, condition, self, axis, out)

    def nonzero(self) -> tuple:
        return call(np.nonzero, self)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> ndarray:
        return call(np.searchsorted, self, v, side, sorter)

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        check_kind(kind)
        self._host.sort(axis, "stable")

    def argsort(self, axis: Any = -1, kind: Any = None) -> ndarray:
        check_kind(kind)
        return call(np.argsort, self, axis, "stable")

    def partition(self, kth: Any, axis: int = -1) -> None:
        self._host.partition(kth, axis)

    def argpartition(self, kth: Any, axis: Any = -1) -> ndarray:
        return call(np.argpartition, self, kth, axis)

    # Reductions: always an array, 0-d if nothing is left

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.max, self, axis, out, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.min, self, axis, out, keepdims)

    def ptp(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.ptp, self, axis, out, keepdims)

    def argmax(self, axis: Any = None, out: Any = None, dtype: Any = None,
               keepdims: bool = False) -> ndarray:
        found = call(np.argmax, self, axis, out, keepdims=keepdims)
        return found if dtype is None else found.astype(dtype)

    def argmin(self, axis: Any = None, out: Any = None, dtype: Any = None,
               keepdims: bool = False) -> ndarray:
        found = call(np.argmin, self, axis, out, keepdims=keepdims)
        return found if dtype is None else found.astype(dtype)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None,
            keepdims: bool = False) -> ndarray:
        return call(np.sum, self, axis, dtype, out, keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None,
             keepdims: bool = False) -> ndarray:
        return call(np.prod, self, axis, dtype, out, bool(keepdims))

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None,
             keepdims: bool = False) -> ndarray:
        return call(np.mean, self, axis, dtype, out, keepdims)

    def var(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
            keepdims: bool = False) -> ndarray:
        return call(np.var, self, axis, dtype, out, ddof, keepdims)

    def std(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
            keepdims: bool = False) -> ndarray:
        return call(np.std, self, axis, dtype, out, ddof, keepdims)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.all, self, axis, out, keepdims)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.any, self, axis, out, keepdims)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return call(np.cumsum, self, axis, dtype, out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return call(np.cumprod, self, axis, dtype, out)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None,
              out: Any = None) -> ndarray:
        return call(np.trace, self, offset, axis1, axis2, dtype, out)

    # Arithmetic

    def clip(self, a_min: Any = None, a_max: Any = None, out: Any = None) -> ndarray:
        return call(np.clip, self, a_min, a_max, out)

    def round(self, decimals: int = 0, out: Any = None) -> ndarray:
        return call(np.round, self, decimals, out)

    def conj(self) -> ndarray:
        return call(np.conj, self) if self.dtype.kind == "c" else self

    def conjugate(self) -> ndarray:
        return self.conj()

    def dot(self, b: ndarray, out: Any = None) -> ndarray:
        return call(np.dot, self, b, out)


def check_kind(kind: Any) -> None:
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
