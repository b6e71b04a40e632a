"""The stand-in's modules: a name is there if, and only if, it is there in CuPy (names.json).

Behind each name stands the function of NumPy or SciPy of the same name, called on the arrays inside
and with no keyword that CuPy's own lacks. What neither knows, and what differs, is in SPECIAL.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import cuda
from .array import check_kind, ndarray
from .boundary import call, supported, to_device, to_host, ufunc, unsupported

NAMES = json.loads(Path(__file__).with_name("names.json").read_text())

# -------------------------------------------------------------------------------------------------
# What differs from NumPy
# -------------------------------------------------------------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", subok: bool = False,
          ndmin: int = 0, *, blocking: bool = False) -> ndarray:
    """Where NumPy arrays may come in: explicitly."""
    if isinstance(obj, ndarray):
        if not copy and (dtype is None or np.dtype(dtype) == obj.dtype) and ndmin <= obj.ndim:
            return obj
        obj = obj._host
    elif isinstance(obj, list | tuple):
        obj = from_nested(obj)
    host = np.array(obj, dtype, copy=True, order=order, ndmin=ndmin)
    supported(host.dtype)
    return to_device(host)


def from_nested(value: Any) -> Any:
    """Lists may hold arrays of either kind."""
    if isinstance(value, list | tuple):
        return [from_nested(part) for part in value]
    return value._host if isinstance(value, ndarray) else value


def asarray(a: Any, dtype: Any = None, order: Any = None, *, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy=False, order=order or "K")


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return call(np.ascontiguousarray, asarray(a, dtype))


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    return call(np.asfortranarray, asarray(a, dtype))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *,
            blocking: bool = True) -> np.ndarray:
    """Where NumPy arrays go out."""
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    if out is None:
        return np.asarray(a, order=order)
    out[...] = a
    return out


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if not isinstance(condition, ndarray):
        raise AttributeError(f"{type(condition).__name__!r} object has no attribute 'astype'")
    if x is None and y is None:
        return condition.nonzero()
    if x is None or y is None:
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    return call(np.where, condition, x, y)


def take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    """Indices out of bounds wrap around: a GPU kernel cannot raise."""
    return a.take(indices, axis, out)


def sort(a: ndarray, axis: Any = -1, kind: Any = None) -> ndarray:
    check_kind(kind)
    return call(np.sort, a, axis, "stable")


def argsort(a: ndarray, axis: Any = -1, kind: Any = None) -> ndarray:
    return a.argsort(axis, kind)


def diagonal(a: ndarray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
    return a.diagonal(offset, axis1, axis2)


def as_device_bool(name: str) -> Callable:
    """NumPy answers `True`, CuPy with a 0-d array, so as not to wait for the GPU."""
    def function(*args: Any, **kwargs: Any) -> ndarray:
        answer = call(getattr(np, name), *args, **kwargs)
        return answer if isinstance(answer, ndarray) else to_device(np.asarray(answer))
    return function


def get_array_module(*args: Any) -> ModuleType:
    return MODULES["cupy"] if any(isinstance(arg, ndarray) for arg in args) else np


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*(arg.dtype if isinstance(arg, ndarray) else arg
                            for arg in arrays_and_dtypes))


def ndim(a: Any) -> int:
    return a.ndim if hasattr(a, "ndim") else np.ndim(a)


POOL = cuda.MemoryPool()

# `cupyx.errstate`: by default a failed factorisation goes unnoticed.
errors: dict[str, str | None] = dict.fromkeys(("divide", "over", "under", "invalid"))
errors["linalg"] = "ignore"


def seterr(*, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None,
           linalg: Any = None) -> dict:
    if any(value is not None for value in (divide, over, under, invalid)):
        raise NotImplementedError
    if linalg not in (None, "ignore", "raise"):
        raise NotImplementedError
    before = dict(errors)
    errors["linalg"] = linalg or errors["linalg"]
    return before


@contextlib.contextmanager
def errstate(**changes: Any) -> Iterator[None]:
    before = seterr(**changes)
    try:
        yield
    finally:
        errors.update(before)


def unnoticed(name: str) -> Callable:
    """numpy.linalg's `name`; a matrix that it cannot do gives nan unless `linalg="raise"`."""
    def function(a: ndarray, *others: Any) -> Any:
        try:
            return call(getattr(np.linalg, name), a, *others)
        except np.linalg.LinAlgError as error:
            hopeless = "Singular" in str(error) or "positive definite" in str(error)
            if errors["linalg"] == "raise" or not hopeless:
                raise
            like = others[0] if others else a
            return to_device(np.full(like.shape, np.nan, np.result_type(a.dtype, np.float32)))
    return function


SPECIAL: dict[str, dict[str, Any]] = {
    "cupy": {
        "ndarray": ndarray, "ufunc": ufunc, "array": array, "asarray": asarray,
        "asanyarray": asarray, "ascontiguousarray": ascontiguousarray,
        "asfortranarray": asfortranarray, "asnumpy": asnumpy, "where": where, "take": take,
        "sort": sort, "argsort": argsort, "diagonal": diagonal, "result_type": result_type,
        "ndim": ndim, "size": lambda a: call(np.size, a),
        "allclose": as_device_bool("allclose"), "array_equal": as_device_bool("array_equal"),
        "array_equiv": as_device_bool("array_equiv"),
        "count_nonzero": as_device_bool("count_nonzero"),
        "get_array_module": get_array_module, "is_available": lambda: True,
        "get_default_memory_pool": lambda: POOL,
        "Inf": np.inf, "Infinity": np.inf, "PINF": np.inf, "infty": np.inf, "NINF": -np.inf,
        "NAN": np.nan, "NaN": np.nan, "PZERO": 0.0, "NZERO": -0.0,
        "float_": np.float64, "complex_": np.complex128, "cfloat": np.complex128,
        "singlecomplex": np.complex64, "alltrue": lambda *a, **k: call(np.all, *a, **k),
        "sometrue": lambda *a, **k: call(np.any, *a, **k),
        "trapz": lambda *a, **k: call(np.trapezoid, *a, **k),
        "min_scalar_type": lambda a: np.min_scalar_type(to_host(a)),
        **{name: getattr(np.exceptions, name) for name in
           ("AxisError", "ComplexWarning", "ModuleDeprecationWarning", "RankWarning",
            "TooHardError", "VisibleDeprecationWarning")},
        "newaxis": None,
    },
    "cupy.cuda": cuda.NAMES,
    "cupy.linalg": {
        "LinAlgError": np.linalg.LinAlgError,
        **{name: unnoticed(name) for name in ("inv", "cholesky", "solve", "tensorsolve")},
    },
    "cupyx": {
        "scatter_add": lambda a, slices, value: a.scatter_add(slices, value),
        "scatter_max": lambda a, slices, value: a.scatter_max(slices, value),
        "scatter_min": lambda a, slices, value: a.scatter_min(slices, value),
        "rsqrt": lambda x, **out: call(np.reciprocal, call(np.sqrt, x), **out),
        "errstate": errstate, "seterr": seterr, "geterr": lambda: dict(errors),
    },
    "cupyx.scipy": {
        "get_array_module": lambda *args: (
            MODULES["cupyx.scipy"] if any(isinstance(arg, ndarray) for arg in args)
            else importlib.import_module("scipy")),
    },
}
# The same names as NumPy's, but ufuncs in CuPy, or NumPy's very own objects.
UFUNCS_IN_CUPY = {"fix": 1, "i0": 1, "sinc": 1}
NUMPYS_OWN = {
    "broadcast_shapes", "get_printoptions", "isdtype", "issubdtype", "iterable", "mintypecode",
    "printoptions", "promote_types", "set_printoptions", "typename",
}
# Made of arrays at once, so NumPy's own would give NumPy arrays.
GRIDS = {"c_", "mgrid", "ogrid", "r_"}
# Parameters that hold one array: a list in its place is refused, though NumPy would convert it.
ARRAY_PARAMETERS = {"a", "x", "x1", "m", "arr", "ary", "array"}
TAKES_LISTS = {"array", "asarray", "broadcast_to", "ndim", "shape", "copy", "require"}

# -------------------------------------------------------------------------------------------------
# Modules
# -------------------------------------------------------------------------------------------------


def check_arguments(name: str, parameters: list[str], args: tuple, kwargs: dict) -> None:
    """Refuse what CuPy's signature does not have."""
    starred = next((i for i, part in enumerate(parameters) if part.startswith("*")), None)
    positional = [part for part in parameters[:starred] if part != "/"]
    if len(args) > len(positional) and not any(
            part.startswith("*") and part[1:2] not in ("", "*") for part in parameters):
        raise TypeError(f"{name}() takes {len(positional)} positional arguments but "
                        f"{len(args)} were given")
    if not any(part.startswith("**") for part in parameters):
        for keyword in kwargs.keys() - set(parameters):
            raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}")
    for part, value in zip(positional, args, strict=False):
        if part in ARRAY_PARAMETERS and name not in TAKES_LISTS and isinstance(value, list):
            raise unsupported(value)


def checked(function: Callable, name: str, parameters: list[str]) -> Callable:
    def fake(*args: Any, **kwargs: Any) -> Any:
        check_arguments(name, parameters, args, kwargs)
        return call(function, *args, **kwargs)

    fake.__name__ = fake.__qualname__ = name
    return fake


def without_equal(full_name: str) -> Callable:
    def missing(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"CuPy has {full_name}, but the stand-in does not")

    return missing


class FakeModule(ModuleType):
    """A module that makes each attribute when it is first asked for, if CuPy has it."""

    def __init__(self, name: str, host: str) -> None:
        super().__init__(name, f"A stand-in for {name} (CuPy {NAMES['version']}).")
        self.__path__: list[str] = []
        self._host_name = host
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        self._known: dict[str, list[str] | None] = NAMES["modules"].get(name, {})

    def __dir__(self) -> list[str]:
        return sorted(self._known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._known:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = self._make(name)
        setattr(self, name, value)
        return value

    def _make(self, name: str) -> Any:
        special = SPECIAL.get(self.__name__, {})
        if name in special:
            return special[name]
        host = getattr(importlib.import_module(self._host_name), name, None)
        parameters = self._known[name]
        if isinstance(host, np.ufunc) and not host.signature:
            return ufunc(host)
        if name in UFUNCS_IN_CUPY:
            return checked(host, name, ["x", "out"])
        if host is None or inspect.ismodule(host) or name in GRIDS:
            return without_equal(f"{self.__name__}.{name}")
        if name in NUMPYS_OWN or not callable(host):
            return host
        if isinstance(host, type):
            own = issubclass(host, np.generic | np.dtype | np.finfo | np.iinfo | Exception)
            return host if own or name == "ndindex" else without_equal(f"{self.__name__}.{name}")
        if parameters is None:
            parameters = ["*args", "**kwargs"]
        return checked(host, name, parameters)


HOSTS = {
    "cupy": "numpy", "cupy.cuda": "numpy", "cupy.exceptions": "numpy.exceptions",
    "cupy.fft": "numpy.fft", "cupy.lib": "numpy.lib",
    "cupy.lib.stride_tricks": "numpy.lib.stride_tricks", "cupy.linalg": "numpy.linalg",
    "cupy.random": "numpy.random", "cupyx": "numpy", "cupyx.scipy": "scipy",
    "cupyx.scipy.fft": "scipy.fft", "cupyx.scipy.linalg": "scipy.linalg",
    "cupyx.scipy.special": "scipy.special",
}
MODULES = {name: FakeModule(name, host) for name, host in HOSTS.items()}
MODULES["cupy"].__version__ = NAMES["version"]  # type: ignore[attr-defined]
for path, module in MODULES.items():
    parent, _, child = path.rpartition(".")
    if parent:
        setattr(MODULES[parent], child, module)
