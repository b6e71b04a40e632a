"""Floating-point numbers taken apart, and the odds and ends of pointwise functions."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..inplace import inplace
from ..out import takes_out
from ..primitive import derivative, no_kernel, primitive
from .arithmetic import pow
from .choosing import masked
from .convert import cast
from .creation import common_operands
from .extremes import return_type

__all__ = [
    "copysign", "deg2rad", "float_power", "fmax", "fmin", "frexp", "heaviside", "hypot", "is_conj",
    "is_neg", "isreal", "ldexp", "logaddexp2", "nan_to_num", "nextafter", "positive", "rad2deg",
    "resolve_neg", "signbit", "sinc"]

# --- signs ---------------------------------------------------------------------------------------

def positive(input: Any) -> Any:
    """The tensor itself: what `+a` is."""
    if input._data.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def resolve_neg(input: Any) -> Any:
    """The tensor itself: negation is computed at once here, never remembered as a bit."""
    return input


def is_neg(input: Any) -> bool:
    """Whether a negation is still to be computed: never, here."""
    return False


def is_conj(input: Any) -> bool:
    """Whether a conjugation is still to be computed: never, here."""
    return False


@primitive(promote="exact", lies="operands")
def isreal(xp, input):
    """Where the imaginary part is 0."""
    return input.imag == 0 if input.dtype.kind == "c" else xp.ones_like(input, bool)


@primitive(promote="exact", lies="operands")
def signbit(xp, input):
    """Where the sign is a minus, also that of -0."""
    if input.dtype.kind == "c":
        raise NotImplementedError("signbit is not implemented for complex tensors.")
    return input < 0 if input.dtype.kind in "biu" else xp.signbit(input)


def _only_bool(found, wanted):
    if wanted.kind != "b":
        raise RuntimeError("signbit does not support non-boolean outputs.")


signbit.op.check_out = _only_bool


@primitive(promote="int_to_float", overload_of_number=1, numbers="last",
           refuses={"c": "copysign_cpu"})
def copysign(xp, input, other):
    r"""$y = |a|\,\mathrm{sgn}(b)$, also of -0; $\bar a = \bar y\,y/a$, and 0 at $a = 0$."""
    return xp.copysign(input, other)


derivative(copysign,
    input=lambda g, input, result: g * (result / input).masked_fill(input == 0, 0),
    other=lambda g: g.zeros_like())


@primitive(promote="exact", name="heaviside", node_name="NotImplemented", lies="operands")
def _heaviside(xp, input, values):
    r"""$y = [a > 0]$, and $b$ where $a = 0$; it has no derivative."""
    return xp.where(input == 0, values, (input > 0).astype(input.dtype))


def _no_derivative(g):
    raise RuntimeError("derivative for aten::heaviside is not implemented")


derivative(_heaviside, input=_no_derivative, values=_no_derivative)


def _same_as_input(found, wanted):
    if found != wanted:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


@takes_out(check=_same_as_input)
def heaviside(input: Any, values: Any) -> Any:
    """0 where $a < 0$, 1 where $a > 0$, and `values` where $a = 0$; it has no derivative."""
    _refuse_numbers("heaviside", input=input, values=values)
    if "c" in (input._data.dtype.kind, values._data.dtype.kind):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return _heaviside(input, values)


def _refuse_numbers(function: str, **operands: Any) -> None:
    for position, (name, operand) in enumerate(operands.items(), 1):
        if not isinstance(operand, TensorBase):
            raise TypeError(f"{function}(): argument '{name}' (position {position}) must be "
                            f"Tensor, not {type(operand).__name__}")


# --- a number's parts ----------------------------------------------------------------------------

Frexp = return_type("frexp", "mantissa", "exponent")


@primitive(name="frexp", outputs=("mantissa", "exponent"), lies="operands")
def _frexp(xp, input):
    r"""$a = m\,2^e$ with $\tfrac12 \le |m| < 1$, so $\bar a = \bar m\,2^{-e}$."""
    mantissa, exponent = xp.frexp(input)
    return mantissa, exponent.astype(xp.int32)


derivative(_frexp, input=lambda grads, exponent: (
    None if grads[0] is None else grads[0] / exponent.exp2()))


def _frexp_types(found, wanted):
    if found != wanted:
        part, kind = (("exponent", "int dtype") if found.kind == "i" else
                      ("mantissa", f"dtype {dtypes.of(found).c_name}"))
        raise RuntimeError(f"torch.frexp() expects {part} to have {kind} but got "
                           f"{dtypes.of(wanted).c_name}")


@takes_out(check=_frexp_types)
def frexp(input: Any) -> Any:
    r"""$a = m\,2^e$ with $\tfrac12 \le |m| < 1$."""
    if input._data.dtype.kind != "f" and input._data.dtype not in dtypes.HALF_TYPES:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return Frexp(*_frexp(input))


@primitive(promote="int_to_float", numbers="none")
def ldexp(xp, input, other):
    r"""$y = a\,2^b$, so $\bar a = \bar y\,(2^b)^*$ and $\bar b = \bar y\,y^* \ln 2$."""
    return input * xp.power(input.dtype.type(2), other)


def _ldexp_castable(found, wanted):
    if dtypes.of(found).category > dtypes.of(wanted).category:
        raise RuntimeError("ldexp can't be cast to the desired output type "
                           f"{dtypes.of(wanted).scalar_name}")


def _refuse_exponent(operands):
    input, other = operands
    if not (isinstance(input, TensorBase) and isinstance(other, TensorBase)):
        return
    if other.dtype is dtypes.bool_ and input.dtype.is_floating_point:
        raise no_kernel("ldexp_cpu_exp", other._data.dtype)
    if other.dtype is dtypes.float16 and other._data.ndim and input.dtype.is_complex:
        raise NotImplementedError("\"pow\" not implemented for 'ComplexHalf'")


ldexp.op.check_out, ldexp.op.refuse = _ldexp_castable, _refuse_exponent
derivative(ldexp,
    input=lambda g, other: g * pow(2, other).conj(),
    other=lambda g, result: g * result.conj() * math.log(2))


_ldexp_over = inplace(ldexp)


def ldexp_(self: Any, other: Any) -> Any:
    """In-place version of `ldexp`."""
    if self._data.dtype.kind in "biu":
        _ldexp_castable(dtypes.get_default_dtype().numpy, self._data.dtype)
    return _ldexp_over(self, other)


@primitive(promote="exact", name="nextafter", lies="operands")
def _nextafter(xp, input, other):
    r"""The floating-point number next to $a$ on the way to $b$; $a$ gets the gradient."""
    if input.dtype.kind in "biuc":
        raise no_kernel("nextafter_cpu", input.dtype)
    return xp.nextafter(input, other)


derivative(_nextafter,
    input=lambda g, input, other: g.masked_fill(input == other, 0),
    other=lambda g: g.zeros_like())


@takes_out(casts=True)
def nextafter(input: Any, other: Any) -> Any:
    """The neighbouring floating-point number of `input` on the way to `other`."""
    _refuse_numbers("nextafter", input=input, other=other)
    return _nextafter(*common_operands(input, other))


@primitive(promote="exact", name="nan_to_num", lies="operands")
def _nan_to_num(xp, input, *, nan, posinf, neginf):
    r"""$y = a$ where it is finite; nan and the infinities are replaced and get no gradient."""
    if input.dtype.kind == "c":
        result = xp.empty_like(input)
        for part in ("real", "imag"):
            setattr(result, part, _nan_to_num.op.kernel(
                xp, getattr(input, part), nan=nan, posinf=posinf, neginf=neginf))
        return result
    number, largest = input.dtype.type, _largest(input.dtype)
    result = xp.where(input != input, number(0 if nan is None else nan), input)
    result = xp.where(input == np.inf, number(largest if posinf is None else posinf), result)
    return xp.where(input == -np.inf, number(-largest if neginf is None else neginf), result)


derivative(_nan_to_num, input=lambda g, input: g * input.isfinite())


def _largest(dtype: np.dtype) -> Any:
    """The largest finite number of a floating-point type."""
    return ml_dtypes.finfo(dtype).max


def _nan_to_num_type(found, wanted):
    if found != wanted:
        raise RuntimeError(f"nan_to_num: dtype of out: {dtypes.of(wanted).scalar_name} should be "
                           f"same as input: {dtypes.of(found).scalar_name}")


@takes_out(check=_nan_to_num_type)
def nan_to_num(input: Any, nan: float | None = None, posinf: float | None = None,
               neginf: float | None = None) -> Any:
    """Numbers for nan (0) and for the infinities (the largest and smallest of the dtype)."""
    if input._data.dtype.kind in "biu":
        return input.clone()
    if input._data.dtype.kind == "c" and input.requires_grad:
        raise RuntimeError("nan_to_num does not support automatic differentiation for outputs with "
                           "complex dtype.")
    return _nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)


# --- the larger, the smaller ---------------------------------------------------------------------

def _refuse_complex(name: str) -> Any:
    def refuse(operands: tuple) -> None:
        if all(isinstance(each, TensorBase) for each in operands) and any(
                each._data.dtype.kind == "c" for each in operands):
            raise RuntimeError(f"{name} not implemented for complex tensors.")
    return refuse


@primitive(promote="default", numbers="none", refuses={"c": "fmax_cpu"})
def fmax(xp, input, other):
    r"""$y = \max(a, b)$, the other one where one is nan, so $\bar a = \bar y\,[a \ge b]$."""
    return xp.fmax(input, other)


@primitive(promote="default", numbers="none", refuses={"c": "fmin_cpu"})
def fmin(xp, input, other):
    r"""$y = \min(a, b)$, the other one where one is nan, so $\bar a = \bar y\,[a \le b]$."""
    return xp.fmin(input, other)


for _op in (fmax, fmin):
    _op.op.refuse = _refuse_complex(_op.__name__)
derivative(fmax,
    input=lambda g, input, other: masked(g, (input >= other) | other.isnan()),
    other=lambda g, input, other: g.masked_fill((input >= other) | other.isnan(), 0))
derivative(fmin,
    input=lambda g, input, other: masked(g, (input <= other) | other.isnan()),
    other=lambda g, input, other: g.masked_fill((input <= other) | other.isnan(), 0))


# --- angles and lengths --------------------------------------------------------------------------

def _in_degrees(input, function):
    if input.dtype.kind == "c":
        raise RuntimeError(f"{function} is not supported for complex tensors.")


@primitive(promote="int_to_float", node_name="Deg2RadBackward0")
def deg2rad(xp, input):
    r"""$y = a\,\pi/180$."""
    _in_degrees(input, "deg2rad")
    return input * input.dtype.type(math.pi / 180)


@primitive(promote="int_to_float", node_name="Rad2DegBackward0")
def rad2deg(xp, input):
    r"""$y = a\,180/\pi$."""
    _in_degrees(input, "rad2deg")
    return input * input.dtype.type(180 / math.pi)


derivative(deg2rad, input=lambda g: g * (math.pi / 180))
derivative(rad2deg, input=lambda g: g * (180 / math.pi))


@primitive(promote="default", numbers="none", refuses={"biuc": "hypot_cpu"})
def hypot(xp, input, other):
    r"""$y = \sqrt{a^2 + b^2}$ without overflow, so $\bar a = \bar y\,a/y$."""
    return xp.hypot(input, other)


derivative(hypot,
    input=lambda g, input, result: g * input / result,
    other=lambda g, other, result: g * other / result)


@primitive(promote="int_to_float")
def sinc(xp, input):
    r"""$y = \frac{\sin \pi a}{\pi a}$, $\bar a = \bar y\,((\cos \pi a - y)/a)^*$; 1 and 0 at 0."""
    return xp.sinc(input).astype(input.dtype, copy=False)


def _sinc_rule(g, input):
    angle, area = input * math.pi, input * input * math.pi
    slope = (angle * angle.cos() - angle.sin()) / area
    return (g * slope.conj()).masked_fill(area == 0, 0)


derivative(sinc, input=_sinc_rule)


# --- powers and logarithms -----------------------------------------------------------------------

@primitive(promote="default", numbers="none", refuses={"biuc": "logaddexp2_cpu"})
def logaddexp2(xp, input, other):
    r"""$y = \log_2(2^a + 2^b)$, so $\bar a = \bar y / (1 + 2^{b-a})$."""
    return xp.logaddexp2(input, other)


derivative(logaddexp2,
    input=lambda g, input, other: g / (1 + pow(2, other - input)),
    other=lambda g, input, other: g / (1 + pow(2, input - other)))


def _power_type(input: Any, exponent: Any) -> dtypes.dtype:
    """The widest type: complex128 if base or exponent is complex, else float64."""
    is_complex = any(each._data.dtype.kind == "c" if isinstance(each, TensorBase)
                     else isinstance(each, complex) for each in (input, exponent))
    return dtypes.complex128 if is_complex else dtypes.float64


@takes_out(casts=True)
def _float_power(input: Any, exponent: Any) -> Any:
    wide = _power_type(input, exponent)
    convert = complex if wide.is_complex else float
    return pow(*[cast(each, wide.numpy) if isinstance(each, TensorBase) else convert(each)
                 for each in (input, exponent)])


def float_power(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """$a^b$, computed in float64 or complex128."""
    if out is not None:
        _check_wide(out, "output", "float_power", input, exponent)
    return _float_power(input, exponent, out=out)


def float_power_(self: Any, exponent: Any) -> Any:
    """In-place version of `float_power`; the tensor must be float64 or complex128."""
    _check_wide(self, "base", "float_power_", self, exponent)
    return self.pow_(exponent)


def _check_wide(tensor, role, name, input, exponent):
    wide = _power_type(input, exponent)
    if tensor.dtype is not wide:
        raise RuntimeError(f"the {role} given to {name} has dtype {tensor.dtype.scalar_name} but "
                           f"the operation's result requires dtype {wide.scalar_name}")
