"""Element types: torch's names for NumPy's types, and torch's rules for mixing them.

Note [Type promotion]
~~~~~~~~~~~~~~~~~~~~~
NumPy asks "which type holds both?"; torch asks first "who is allowed to vote?". Operands fall into
three priorities: tensors with dimensions, 0-d tensors, and Python numbers. A lower priority can
only raise the *category* (bool < integer < float < complex), never the width within a category:

    float32 tensor + Python 2.5       -> float32       (a number never widens)
    int32 tensor   + Python 2.5       -> float32       (a new category: the default dtype)
    float32 tensor + 0-d float64      -> float32       (a 0-d tensor never widens a tensor)
    int32 tensor   + 0-d float64      -> float64       (it raises the category, with its own width)

Within one priority the usual lattice holds, with two corners of torch's own: float16 with bfloat16
gives float32, and an integer with any float gives that float (int64 + float16 is float16).
`result_type` implements this; see torch.result_type and c10/core/ScalarType.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import ml_dtypes
import numpy as np


class dtype:
    """A torch element type. Instances are singletons; compare with `is` or `==`."""

    __slots__ = ("name", "scalar_name", "numpy", "itemsize", "category", "is_floating_point",
                 "is_complex", "is_signed")

    def __init__(self, name: str, scalar_name: str, numpy_type: object) -> None:
        self.name = name
        self.scalar_name = scalar_name  # what torch's error messages call it
        self.numpy = np.dtype(numpy_type)  # type: ignore[call-overload]
        self.itemsize = self.numpy.itemsize
        kind = "f" if name == "bfloat16" else self.numpy.kind
        self.category = "biufc".replace("u", "").index("i" if kind == "u" else kind)
        self.is_floating_point = kind == "f"
        self.is_complex = kind == "c"
        self.is_signed = kind in "ifc"

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    @property
    def c_name(self) -> str:
        """The C++ type, which some of torch's messages name."""
        return _C_NAMES.get(self.name, self.name)

    def to_real(self) -> dtype:
        """The type of the real and imaginary parts: complex64 -> float32."""
        return _REAL_PARTS.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type with this precision: float64 -> complex128, float32 -> complex64."""
        return _COMPLEX_OF.get(self, complex64)


_C_NAMES = {
    "uint8": "unsigned char", "int8": "signed char", "int16": "short int", "int32": "int",
    "int64": "long int", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float",
    "float64": "double", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>"}

BOOL, INTEGER, FLOATING, COMPLEX = 0, 1, 2, 3  # the categories, in promotion order

bool_ = dtype("bool", "Bool", np.bool_)
uint8 = dtype("uint8", "Byte", np.uint8)
uint16 = dtype("uint16", "UInt16", np.uint16)
uint32 = dtype("uint32", "UInt32", np.uint32)
uint64 = dtype("uint64", "UInt64", np.uint64)
int8 = dtype("int8", "Char", np.int8)
int16 = dtype("int16", "Short", np.int16)
int32 = dtype("int32", "Int", np.int32)
int64 = dtype("int64", "Long", np.int64)
float16 = dtype("float16", "Half", np.float16)
bfloat16 = dtype("bfloat16", "BFloat16", ml_dtypes.bfloat16)
float32 = dtype("float32", "Float", np.float32)
float64 = dtype("float64", "Double", np.float64)
complex64 = dtype("complex64", "ComplexFloat", np.complex64)
complex128 = dtype("complex128", "ComplexDouble", np.complex128)

half, float_, double = float16, float32, float64
short, int_, long = int16, int32, int64
cfloat, cdouble = complex64, complex128

ALL = (bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
       float16, bfloat16, float32, float64, complex64, complex128)

_REAL_PARTS = {complex64: float32, complex128: float64}
_COMPLEX_OF = {float64: complex128, complex128: complex128}
_BY_NUMPY = {d.numpy: d for d in ALL}
_BY_PYTHON = {bool: bool_, int: int64, float: float64, complex: complex128}

# Kernels see only types that hardware computes in: these go through float32 and are rounded once.
HALF_TYPES = frozenset({float16.numpy, bfloat16.numpy})
# Gradients exist only over the reals and the complex numbers.
DIFFERENTIABLE = frozenset(d.numpy for d in ALL if d.category >= FLOATING)


def of(numpy_dtype: np.dtype) -> dtype:
    """The torch name of a NumPy type; TypeError where torch has none (strings, objects, ...)."""
    try:
        return _BY_NUMPY[numpy_dtype]
    except KeyError:
        native = numpy_dtype.newbyteorder("=")
        if native in _BY_NUMPY and native != numpy_dtype:
            raise ValueError(
                "given numpy array has byte order different from the native byte order. "
                "Conversion between byte orders is currently not supported.") from None
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype.type.__module__}."
            f"{numpy_dtype.type.__name__}. The only supported types are: float64, float32, "
            "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
            "uint8, and bool.") from None


def check_castable(found: np.dtype, wanted: np.dtype) -> None:
    """A result may lose width but not category: a float does not fit into an integer tensor."""
    found_type, wanted_type = of(found), of(wanted)
    if found_type.category > wanted_type.category:
        raise RuntimeError(f"result type {found_type.scalar_name} can't be cast to the desired "
                           f"output type {wanted_type.scalar_name}")


_default = float32


def get_default_dtype() -> dtype:
    """The type of `tensor(1.5)`, of `zeros(3)`, and of `int / int`: float32 unless changed."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Make `d` (a floating-point type) the default; see `get_default_dtype`."""
    global _default
    if not isinstance(d, dtype):
        raise TypeError(f"invalid dtype object: only floating-point types are supported as the "
                        f"default type, got {type(d).__name__}")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default = d
    for forget in on_default_change:
        forget()


on_default_change: list[Callable[[], None]] = []  # caches that depend on the default dtype


def default_for(category: int) -> dtype:
    """The type a Python number of this category takes when nothing else votes."""
    return (bool_, int64, _default, _default.to_complex())[category]


@functools.cache
def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that both convert to, by torch's lattice (see Note [Type promotion])."""
    if type1 is type2:
        return type1
    if (type1 in _WIDE_UNSIGNED and type2.category != FLOATING
            or type2 in _WIDE_UNSIGNED and type1.category != FLOATING):
        raise RuntimeError("Promotion for uint16, uint32, uint64 types is not supported, attempted "
                           f"to promote {type1.scalar_name} and {type2.scalar_name}")
    if type1.category != type2.category and INTEGER >= min(type1.category, type2.category):
        return type1 if type1.category > type2.category else type2
    if COMPLEX in (type1.category, type2.category):
        wide = float64 in (type1.to_real(), type2.to_real())
        return complex128 if wide else complex64
    if {type1, type2} == {float16, bfloat16}:
        return float32
    if type1.category == FLOATING:
        return type1 if type1.itemsize > type2.itemsize else type2
    return of(np.promote_types(type1.numpy, type2.numpy))


_WIDE_UNSIGNED = (uint16, uint32, uint64)


def result_type(operands: Iterable[tuple[dtype, int]]) -> dtype:
    """The common type of (dtype, priority) pairs: 2 a tensor, 1 a 0-d tensor, 0 a Python number.

    See Note [Type promotion].
    """
    best: list[dtype | None] = [None, None, None]
    for d, priority in operands:
        present = best[priority]
        best[priority] = d if present is None else promote_types(present, d)
    number, scalar, tensor = best
    if number is not None and number.category >= FLOATING:
        number = default_for(number.category)
    result = tensor
    for lower in (scalar, number):
        if lower is None:
            continue
        if result is None:
            result = lower
        elif lower.category > result.category:
            result = _raise_category(result, lower)
    assert result is not None
    return result


def _raise_category(winner: dtype, higher: dtype) -> dtype:
    """`winner` lifted into the category of an operand that may not widen it."""
    if winner.category == BOOL:
        return promote_types(winner, higher)
    return higher if winner.category == INTEGER else winner.to_complex()


def of_number(value: Any) -> dtype:
    """The type of a Python (or NumPy) number that stands in for a tensor."""
    found = _BY_PYTHON.get(type(value))
    return found if found is not None else of(np.asarray(value).dtype)


def default_of_number(value: bool | int | float | complex) -> dtype:
    """The type of `tensor(value)`: the default dtype for floats, int64 for ints."""
    return default_for(of_number(value).category)
