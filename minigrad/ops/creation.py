"""New tensors from sizes and numbers: constants, the `*_like` and `new_*` forms.

Ranges are in ranges.py, tensors made from existing data in from_data.py, random ones in random.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import ARRAY_MODULES, device, device_of, get_default_device, module_for
from ..inplace import inplace
from ..out import fit, require_place, written
from ..overlap import is_dense
from ..primitive import derivative, primitive
from ..strides import memory_like
from .convert import cast, item
from .strided import restrided

__all__ = [
    "empty", "empty_like", "empty_strided", "eye", "fill", "full", "full_like", "ones",
    "ones_like", "scalar_tensor", "tril_indices", "triu_indices", "zeros", "zeros_like"]

# --- the arguments that all of them take ---------------------------------------------------------

_PYTHON_TYPES = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float64,
                 complex: dtypes.complex128}


def dtype_argument(name: str, dtype: Any, default: dtypes.dtype | None = None) -> dtypes.dtype:
    """`dtype=` as given: one of ours, a Python type, or None for the default."""
    if isinstance(dtype, dtypes.dtype):
        return dtype
    if dtype is None:
        return default or dtypes.get_default_dtype()
    if dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype]
    raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")


def size_of(name: str, size: tuple) -> tuple[int, ...]:
    """The size in `zeros(2, 3)`, `zeros((2, 3))` or `zeros(2)`."""
    if len(size) == 1:
        (only,) = size
        if type(only) in (tuple, list):
            size = tuple(only)
        elif isinstance(only, str) or not (isinstance(only, Iterable) or _is_size(only)):
            raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
                            f"{type(only).__name__}")
        elif not _is_size(only):
            size = tuple(only)
    elif not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
    sizes = []
    for position, each in enumerate(size):
        if type(each) is not int:
            if not _is_size(each):
                raise TypeError(_wrong_size(name, position, each))
            each = each.__index__()
        sizes.append(each)
        if each < 0:
            raise RuntimeError(
                "zeros: Dimension size must be non-negative." if name == "zeros" else
                f"Trying to create tensor with negative dimension {each}: {list(size)}")
    return tuple(sizes)


def _is_size(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, TensorBase):
        return not value._data.ndim and value._data.dtype.kind in "iu"
    return isinstance(value, int | np.integer)


def _wrong_size(name: str, position: int, found: Any) -> str:
    kind = type(found).__name__
    if position == 0:
        return (f"{name}(): argument 'size' (position 1) must be tuple of ints, but found element "
                f"of type {kind} at pos 0")
    return (f"{name}(): argument 'size' failed to unpack the object at pos {position + 1} with "
            f'error "type must be tuple of ints,but got {kind}"')


def finished(array: Any, requires_grad: bool = False) -> Any:
    """The array as a new leaf."""
    if type(requires_grad) is not bool:
        raise TypeError("argument 'requires_grad' must be bool, not "
                        f"{type(requires_grad).__name__}")
    if requires_grad and array.dtype not in dtypes.DIFFERENTIABLE:
        raise RuntimeError(
            "Only Tensors of floating point and complex dtype can require gradients")
    tensor = wrap(array)
    tensor._tracked = bool(requires_grad)
    return tensor


def library_on(place: Any) -> Any:
    """The array library of a `device=` argument; None is the default device."""
    return module_for(get_default_device() if place is None else device(place))


# --- numbers as elements -------------------------------------------------------------------------

_BY_C_NAME = ("bool", "int32", "float32", "float64", "float16", "bfloat16", "complex64",
              "complex128")  # torch's errors call the others int64_t, ...


def element(value: Any, dtype: np.dtype, name: str | None = None) -> np.ndarray:
    """A Python number as a 0-d array: a fraction is cut off, what does not fit is refused."""
    if isinstance(value, TensorBase):
        value = item(value)
    if not _fits(value, dtype):
        own = dtypes.of(dtype)
        name = name or (own.c_name if own.name in _BY_C_NAME else f"{own.name}_t")
        raise RuntimeError(f"value cannot be converted to type {name} without overflow")
    if isinstance(value, complex) and dtype.kind not in "cb":
        value = value.real
    return np.asarray(value).astype(dtype)


def _fits(value: Any, dtype: np.dtype) -> bool:
    if dtype.kind in "bc":
        return True
    if isinstance(value, complex):
        if value.imag:
            return False
        value = value.real
    if dtype.kind in "iu":
        if not math.isfinite(value):
            return False
        most = np.iinfo(dtype).max
        least = np.iinfo(dtype).min or -most  # an unsigned type wraps negative numbers around
        return least <= int(value) <= most
    return not math.isfinite(value) or abs(value) <= float(dtypes_max(dtype))


def dtypes_max(dtype: np.dtype) -> np.floating:
    """The largest finite number of a floating-point type."""
    import ml_dtypes

    return ml_dtypes.finfo(dtype).max


def common_operands(a: Any, b: Any, beside: TensorBase | None = None) -> tuple[Any, Any]:
    """Two operands (tensors or numbers) as tensors of their common dtype.

    Numbers land where the tensors are; `beside` is a tensor that says where if both are numbers.
    """
    if not any(isinstance(each, TensorBase) for each in (a, b, beside)):
        raise TypeError(f"no tensor among {type(a).__name__}, {type(b).__name__}")
    votes = [(each.dtype, 2 if each._data.ndim else 1) if isinstance(each, TensorBase)
             else (dtypes.of_number(each), 0) for each in (a, b)]
    common = dtypes.result_type(votes)
    if not any(isinstance(each, TensorBase) for each in (a, b)):
        common = dtypes.default_for(common.category)
    xp = ARRAY_MODULES[type(next(each for each in (a, b, beside)
                                 if isinstance(each, TensorBase))._data)]
    return tuple(cast(each, common.numpy) if isinstance(each, TensorBase)
                 else wrap(xp.asarray(element(each, common.numpy))) for each in (a, b))


# --- constants -----------------------------------------------------------------------------------

def _constant(name: str, make: Callable) -> Callable:
    """zeros, ones and empty: `make(xp)` is the array library's own function."""

    def create(*size: Any, out: Any = None, dtype: Any = None, layout: Any = None,
               device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
               memory_format: Any = None, **more: Any) -> Any:
        if "size" in more:
            size = (more.pop("size"),)
        if more:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(more))}'")
        shape = size_of(name, size)
        if out is not None:
            return written(out, make(np)(shape, out._data.dtype), dtype)
        kind = dtype_argument(name, dtype).numpy
        return finished(_allocated(make(library_on(device)), shape, kind), requires_grad)

    create.__name__ = create.__qualname__ = name
    return create


def _allocated(make: Callable, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    try:
        return make(shape, dtype)
    except (MemoryError, ValueError):
        wanted = math.prod(shape) * dtype.itemsize
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] err == 0. DefaultCPUAllocator: can't "
                           f"allocate memory: you tried to allocate {wanted} bytes. Error code 12 "
                           "(Cannot allocate memory)") from None


zeros = _constant("zeros", lambda xp: xp.zeros)
zeros.__doc__ = "All elements 0. `zeros(2, 3)` or `zeros((2, 3))`."
ones = _constant("ones", lambda xp: xp.ones)
ones.__doc__ = "All elements 1. `ones(2, 3)` or `ones((2, 3))`."
_empty = _constant("empty", lambda xp: xp.empty)


def empty(*size: Any, out: Any = None, dtype: Any = None, **options: Any) -> Any:
    """Elements that are whatever was in memory."""
    if out is None:
        return _empty(*size, dtype=dtype, **options)
    require_place(out, dtype, "cannot resize variables that require grad")
    fit(out, size_of("empty", size or (options["size"],)), warn=False)
    return out




def full(size: Any, fill_value: Any, *, out: Any = None, dtype: Any = None, layout: Any = None,
         device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """All elements `fill_value`, whose own type decides the dtype where none is given."""
    default = (fill_value.dtype if isinstance(fill_value, TensorBase)
               else dtypes.default_of_number(fill_value))
    kind = dtype_argument("full", dtype, default).numpy
    shape, value = size_of("full", (size,)), element(fill_value, kind)
    if out is not None:
        return written(out, np.full(shape, value, out._data.dtype), dtype)
    return finished(library_on(device).full(shape, value[()], kind), requires_grad)


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, layout: Any = None,
                  device: Any = None, requires_grad: bool = False,
                  pin_memory: bool = False) -> Any:
    """Uninitialised elements with the given strides (in elements)."""
    shape, strides = tuple(size), tuple(stride)
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    kind, xp = dtype_argument("empty_strided", dtype).numpy, library_on(device)
    span = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    array = restrided(xp, xp.empty(span, kind), shape, [s * kind.itemsize for s in strides])
    return finished(array, requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """A number as a 0-d tensor, in the default dtype where none is given."""
    return full((), s, dtype=dtype_argument("scalar_tensor", dtype), device=device,
                requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, out: Any = None, dtype: Any = None, layout: Any = None,
        device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """Ones on the diagonal of an n x m matrix, zeros elsewhere."""
    for name, count in (("n", n), ("m", n if m is None else m)):
        if count < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {count}")
    kind = dtype_argument("eye", dtype).numpy
    if out is not None:
        return written(out, np.eye(n, m, dtype=out._data.dtype), dtype)
    return finished(library_on(device).eye(n, m, dtype=kind), requires_grad)


# --- triangles ---------------------------------------------------------------------------------

def _triangle(indices: Callable) -> Callable:
    def create(row: int, col: int, offset: int = 0, *, dtype: Any = None, layout: Any = None,
               device: Any = None, pin_memory: bool = False) -> Any:
        kind = dtype_argument("tril_indices", dtype, dtypes.int64).numpy
        places = np.stack(indices(row, offset, col)).astype(kind)
        return finished(library_on(device).asarray(places))
    return create


tril_indices = _triangle(np.tril_indices)
tril_indices.__doc__ = "Row and column numbers of the lower triangle of a row x col matrix."
triu_indices = _triangle(np.triu_indices)
triu_indices.__doc__ = "Row and column numbers of the upper triangle of a row x col matrix."


# --- like another tensor -------------------------------------------------------------------------

def _like(name: str, make: Callable) -> Callable:
    """zeros_like, ones_like, empty_like: same shape, strides where they are dense, dtype, place."""

    def create(input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
               requires_grad: bool = False, pin_memory: bool = False,
               memory_format: Any = None) -> Any:
        try:
            model = input._data
        except AttributeError:
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not "
                            f"{type(input).__name__}") from None
        kind = model.dtype if dtype is None else dtype_argument(name, dtype).numpy
        xp = ARRAY_MODULES[type(model)]
        if device is not None and library_on(device) is not xp:
            xp = library_on(device)
            model = xp.empty(model.shape, kind)
        elif not is_dense(model):
            model = memory_like(xp, model, kind)
        return finished(make(xp)(model, dtype=kind), requires_grad)

    create.__name__ = create.__qualname__ = name
    return create


zeros_like = _like("zeros_like", lambda xp: xp.zeros_like)
zeros_like.__doc__ = "Zeros in the shape, dtype and place of `input`."
ones_like = _like("ones_like", lambda xp: xp.ones_like)
ones_like.__doc__ = "Ones in the shape, dtype and place of `input`."
empty_like = _like("empty_like", lambda xp: xp.empty_like)
empty_like.__doc__ = "Uninitialised elements in the shape, dtype and place of `input`."


def full_like(input: Any, fill_value: Any, **options: Any) -> Any:
    """`fill_value` everywhere, in the shape, dtype and place of `input`."""
    requires_grad = options.pop("requires_grad", False)
    result = empty_like(input, **options)
    result._data[...] = element(fill_value, result._data.dtype)[()]
    return finished(result._data, requires_grad)


def _new(create: Callable) -> Callable:
    """`x.new_zeros(2, 3)`: on x's device and in x's dtype unless said otherwise."""

    def method(self: Any, *size: Any, dtype: Any = None, device: Any = None,
               **options: Any) -> Any:
        return create(*size, dtype=self.dtype if dtype is None else dtype,
                      device=device_of(self._data) if device is None else device, **options)

    method.__name__ = method.__qualname__ = f"new_{create.__name__}"
    method.__doc__ = f"`{create.__name__}` in this tensor's dtype and place."
    return method


new_zeros, new_ones, new_empty = _new(zeros), _new(ones), _new(empty)
new_full, new_empty_strided = _new(full), _new(empty_strided)


# --- overwriting ---------------------------------------------------------------------------------

@primitive(promote="exact")
def zero(xp, input, *, out=None):
    """$y = 0$, so $\\bar a = 0$."""
    result = xp.empty_like(input) if out is None else out
    result.fill(0)
    return result


derivative(zero, input=lambda g: g.zeros_like())
zero_ = inplace(zero, overlap=None)


@primitive(promote="exact", name="fill")
def _fill(xp, input, *, value):
    """$y = c$, so $\\bar a = 0$."""
    return xp.full_like(input, value)


@primitive(promote="exact", name="fill", overload=1)
def _fill_with_tensor(xp, input, value):
    """$y_i = v$, so $\\bar v = \\sum_i \\bar y_i$."""
    return xp.full_like(input, value.astype(input.dtype))


_filled = primitive(_fill.op.kernel, promote="exact", name="fill", overload=2)  # in place
_filled_with_tensor = primitive(_fill_with_tensor.op.kernel, promote="exact", name="fill",
                                overload=3)
for _op in (_fill, _filled):
    derivative(_op, input=lambda g: g.zeros_like())
for _op in (_fill_with_tensor, _filled_with_tensor):
    derivative(_op, input=lambda g: g.zeros_like(), value=lambda g: g.sum())


def _filler(by_number: Callable, by_tensor: Callable) -> Callable:
    def fill(input: Any, value: Any) -> Any:
        """Every element `value`, a number or a 0-d tensor."""
        if isinstance(value, TensorBase):
            if value._data.ndim:
                raise RuntimeError("fill_ only supports 0-dimension value tensor but got tensor "
                                   f"with {value._data.ndim} dimensions.")
            return by_tensor(input, value)
        return by_number(input, value=element(value, input._data.dtype)[()])

    return fill


fill = _filler(_fill, _fill_with_tensor)
_fill_with_number_ = inplace(_filler(_filled, _filled_with_tensor), overlap=None)
_fill_with_tensor_ = inplace(_filler(_filled, _filled_with_tensor), overlap="any")


def fill_(self: Any, value: Any) -> Any:
    """In-place version of `fill`."""
    fill = _fill_with_tensor_ if isinstance(value, TensorBase) else _fill_with_number_
    return fill(self, value)
