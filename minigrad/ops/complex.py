"""Complex numbers: parts, conjugates, and views between pairs of reals and complex numbers.

Gradients follow torch's convention: the gradient of a real loss L with respect to z = x + iy is
dL/dx + i dL/dy, so that a step against it descends. A rule then multiplies by the conjugate of the
derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..dtypes import bfloat16
from ..out import check_found, check_object, takes_out
from ..primitive import derivative, primitive, view
from .choosing import masked
from .strided import flat_memory, restrided

__all__ = ["angle", "complex", "conj", "conj_physical", "imag", "is_complex", "polar", "real",
           "resolve_conj", "view_as_complex", "view_as_real"]


@primitive(promote="exact", name="conj", lies="operands")
def _conj(xp, input):
    r"""$y = a^*$, so $\bar a = \bar y^*$."""
    return input.conj()


derivative(_conj, input=lambda g: g.conj())


def conj(input: Any) -> Any:
    """The complex conjugate; a real tensor is its own."""
    return _conj(input) if input._data.dtype.kind == "c" else input


@primitive(promote="exact", name="conj_physical", lies="operands")
def _conj_physical(xp, input):
    r"""$y = a^*$, so $\bar a = \bar y^*$."""
    return xp.conj(input) if input.dtype.kind == "c" else input.copy()


conj_physical_in_place = primitive(  # torch numbers its in-place form as another overload
    _conj_physical.op.kernel, promote="exact", name="conj_physical", overload=1)
derivative(_conj_physical, input=lambda g: g.conj_physical())
derivative(conj_physical_in_place, input=lambda g: g.conj_physical())


@takes_out(check=check_found)
def conj_physical(input: Any) -> Any:
    r"""$y = a^*$ in memory of its own; a real tensor is its own conjugate."""
    return _conj_physical(input) if input._data.dtype.kind == "c" else input


def resolve_conj(input: Any) -> Any:
    """The tensor itself: conjugates are computed at once here, never remembered as a bit."""
    return input


def real(input: Any) -> Any:
    """The real parts, as a view."""
    return view_as_real(input).select(-1, 0) if input._data.dtype.kind == "c" else input


def imag(input: Any) -> Any:
    """The imaginary parts, as a view."""
    if input._data.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view_as_real(input).select(-1, 1)


@view
def view_as_real(xp, input):
    """The complex tensor as pairs (real, imaginary): shape (*, 2)."""
    if input.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    part = input.real
    return restrided(xp, part, (*part.shape, 2), (*part.strides, part.dtype.itemsize))


@autocasts
@view
def view_as_complex(xp, input):
    """Pairs in the last dimension as complex numbers: shape (*, 2) -> (*)."""
    if input.dtype.kind != "f":
        raise RuntimeError("view_as_complex is only supported for half, float and double tensors, "
                           f"but got a tensor of scalar type: {input.dtype.name}")
    if not input.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    kind = "c8" if input.dtype.itemsize == 4 else "c16"
    if not input.size:  # NumPy's strides of nothing say nothing
        return xp.empty(input.shape[:-1], kind)
    if input.strides[-1] != input.dtype.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if xp is np:
        return input.view(kind)[..., 0]
    memory = flat_memory(xp, input, 0)  # CuPy views only what is contiguous as another type
    return xp.lib.stride_tricks.as_strided(memory[:memory.size // 2 * 2].view(kind),
                                           input.shape[:-1], input.strides[:-1])


derivative(view_as_real, input=lambda g: view_as_complex(g.contiguous()))
derivative(view_as_complex, input=lambda g: view_as_real(g))


@primitive(promote="int_to_float", name="angle")
def angle(xp, input):
    r"""$y = \arg a$; for real numbers 0 or $\pi$."""
    if input.dtype.kind == "c":
        return xp.angle(input)
    return xp.where(xp.isnan(input), input, xp.where(input < 0, xp.pi, 0)).astype(input.dtype)


derivative(angle, input=lambda g, input: _angle_rule(g, input))


def _angle_rule(g, input):
    if not input.is_complex():
        return g.zeros_like()
    size = input.abs()
    return masked(1j * g * input / (size * size), size != 0)


def _check_parts(a: Any, b: Any) -> None:
    """Both parts, or radius and angle, are of one floating-point type."""
    for number, each in enumerate((a, b), 1):
        if not isinstance(each, TensorBase):
            raise TypeError(f"argument (position {number}) must be Tensor, not "
                            f"{type(each).__name__}")
    if not all(d.is_floating_point and d is not bfloat16 for d in (a.dtype, b.dtype)):
        raise RuntimeError("Expected both inputs to be Half, Float or Double tensors but got "
                           f"{a.dtype.scalar_name} and {b.dtype.scalar_name}")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"Expected object of scalar type {a.dtype.scalar_name} but got scalar "
                           f"type {b.dtype.scalar_name} for second argument")


def _check_wide(label: str, part: Any) -> None:
    """complex32, of two halves, is not among the dtypes here; torch, too, does little with it."""
    if part.dtype.itemsize == 2:
        raise NotImplementedError(f"\"{label}\" not implemented for '{part.dtype.scalar_name}'")


@primitive(name="complex", lies="operands")
def _complex(xp, real, imag):
    r"""$y = a + i b$, so $\bar a$ and $\bar b$ are the real and the imaginary part of $\bar y$."""
    shape = xp.broadcast_shapes(real.shape, imag.shape) if hasattr(xp, "broadcast_shapes") \
        else (real + imag).shape
    result = xp.empty(shape, "c8" if real.dtype.itemsize == 4 else "c16")
    result.real, result.imag = real, imag
    return result


derivative(_complex, real=lambda g: g.real, imag=lambda g: g.imag)


@takes_out(check=check_object)
def complex(real: Any, imag: Any) -> Any:
    """$x + iy$ from its parts."""
    _check_parts(real, imag)
    _check_wide("complex", real)
    return _complex(real, imag)


@primitive(promote="exact", name="polar", lies="operands")
def _polar(xp, abs, angle):
    r"""$y = r\,e^{i\phi}$."""
    result = xp.empty(xp.broadcast_shapes(abs.shape, angle.shape), f"c{2 * abs.dtype.itemsize}")
    result.real, result.imag = abs * xp.cos(angle), abs * xp.sin(angle)
    return result


derivative(_polar,
    abs=lambda g, abs, result: (g * result.sgn().conj()).real * abs.sgn(),
    angle=lambda g, result: (g * (result * 1j).conj()).real)


@autocasts
@takes_out(check=check_object)
def polar(abs: Any, angle: Any) -> Any:
    r"""$y = r\,e^{i\phi}$."""
    _check_parts(abs, angle)
    _check_wide("polar_cpu", abs)
    return _polar(abs, angle)



def is_complex(input: Any) -> bool:
    """Whether the elements are complex numbers."""
    return input._data.dtype.kind == "c"
