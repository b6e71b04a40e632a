"""Piecewise functions: rounding, limits and choices; and the combinations of three tensors.

Where an element was rounded away no gradient passes; where it was chosen all of it does.
"""

from __future__ import annotations

import builtins
from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import check_found, takes_out
from ..primitive import derivative, primitive
from .arithmetic import div_number, div_rounded
from .creation import common_operands, element

__all__ = [
    "addcdiv", "addcmul", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "fix", "floor",
    "floor_divide", "fmod", "frac", "lerp", "masked_fill", "maximum", "minimum", "remainder",
    "round", "sign", "trunc", "where"]

# --- steps: the derivative is zero wherever there is one -----------------------------------------

def _flat(g: Any) -> Any:
    return g.zeros_like()


@primitive(promote="default")
def floor(xp, input):
    r"""$y = \lfloor a \rfloor$, the largest integer not above."""
    return xp.floor(input) if input.dtype.kind == "f" else input


@primitive(promote="default")
def ceil(xp, input):
    r"""$y = \lceil a \rceil$, the smallest integer not below."""
    return xp.ceil(input) if input.dtype.kind == "f" else input


@primitive(promote="default")
def trunc(xp, input):
    r"""$y = \mathrm{trunc}(a)$, the integer towards zero."""
    return xp.trunc(input) if input.dtype.kind == "f" else input


fix = trunc


@primitive(promote="default", name="round")
def _round(xp, input):
    r"""$y = \mathrm{round}(a)$, the nearest integer, halves to even."""
    return xp.rint(input) if input.dtype.kind == "f" else input


@primitive(promote="default", name="round", overload=1)
def _round_decimals(xp, input, *, decimals):
    r"""$y = 10^{-d}\,\mathrm{round}(10^d a)$ for $d$ decimals."""
    scale = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return (xp.rint(input * scale) / scale).astype(input.dtype)
    return (xp.rint(input / scale) * scale).astype(input.dtype)


@primitive(promote="default")
def sign(xp, input):
    """$y = [a > 0] - [a < 0]$: -1, 0 or 1; of nan 0."""
    if input.dtype.kind == "b":
        return input
    return xp.subtract(input > 0, input < 0, dtype=input.dtype)


for _step in (floor, ceil, trunc, _round, _round_decimals, sign):
    derivative(_step, input=_flat)


@takes_out(check=check_found)
def round(input: Any, *, decimals: int | None = None) -> Any:
    """The nearest integer, halves to even; or the nearest multiple of 10^-decimals."""
    return _round(input) if decimals is None else _round_decimals(input, decimals=decimals)


@primitive(promote="default")
def frac(xp, input):
    r"""$y = a - \mathrm{trunc}(a)$, so $\bar a = \bar y$."""
    return input - xp.trunc(input)


derivative(frac, input=lambda g: g)


@primitive(promote="default", overload=1, overload_of_number=0, refuses={"bc": "remainder_cpu"})
def remainder(xp, input, other):
    r"""$y = a - b\lfloor a/b \rfloor$: it has the divisor's sign, as Python's %."""
    if input.dtype.kind in "iu" and not xp.all(other):
        raise RuntimeError("ZeroDivisionError")
    return xp.remainder(input, other)


derivative(remainder,
    input=lambda g: g,
    other=lambda g, input, other: -g * input.div(other, rounding_mode="floor"))


@primitive(promote="default", overload=1, overload_of_number=0, numbers="last",
           refuses={"bc": "fmod_cpu"})
def fmod(xp, input, other):
    r"""$y = a - b\,\mathrm{trunc}(a/b)$: it has the dividend's sign, as C's fmod."""
    if input.dtype.kind in "iu" and not xp.all(other):
        raise RuntimeError("ZeroDivisionError")
    return xp.fmod(input, other)


derivative(fmod,
    input=lambda g: g,
    other=lambda g, input, other: -g * input.div(other, rounding_mode="trunc"))


@primitive(promote="default", node_name="NotImplemented", refuses={"bc": "div_floor_cpu"})
def floor_divide(xp, input, other):
    r"""$y = \lfloor a/b \rfloor$; torch has no derivative (`div` with rounding_mode has one)."""
    return div_rounded.op.kernel(xp, input, other, rounding_mode="floor")


def _no_derivative(g):
    raise RuntimeError("derivative for aten::floor_divide is not implemented")


derivative(floor_divide, input=_no_derivative, other=_no_derivative)


def rfloordiv(input: Any, other: Any) -> Any:
    """`other // input`."""
    return floor_divide(*common_operands(other, input))


def rmod(input: Any, other: Any) -> Any:
    """`other % input`."""
    return remainder(*common_operands(other, input))


# --- limits --------------------------------------------------------------------------------------

@primitive(promote="default", name="clamp", overload=1)
def _clamp(xp, input, *, min, max):
    r"""$y = \min(\max(a, l), u)$, so $\bar a = \bar y\,[l \le a \le u]$."""
    out = input if min is None else xp.maximum(input, input.dtype.type(min))
    out = out if max is None else xp.minimum(out, input.dtype.type(max))
    return out


derivative(_clamp, input=lambda g, input, min, max: masked(g, _inside(input, min, max)))


@primitive(promote="default", name="clamp")
def _clamp_tensors(xp, input, min=None, max=None):
    r"""$y = \min(\max(a, l), u)$, so $\bar a = \bar y\,[l \le a \le u]$ and
    $\bar l = \bar y\,[a < l < u]$; the upper limit gets the rest."""
    out = input if min is None else xp.maximum(input, min)
    return out if max is None else xp.minimum(out, max)


derivative(_clamp_tensors,
    input=lambda g, input, min, max: masked(g, _inside(input, min, max)),
    min=lambda g, input, min, max: masked(
        g, (input < min) if max is None else (input < min) & (min < max)),
    max=lambda g, input, min, max: masked(
        g, (input > max) if min is None else (input > max) | (min > max)))


def _inside(input, low, high):
    if low is None:
        return input <= high
    return input >= low if high is None else (input >= low) & (input <= high)


def masked(g: Any, mask: Any) -> Any:
    """`g` where the mask holds, 0 elsewhere, also where g is inf or nan."""
    return _select_by(mask, g, g.new_zeros(()))


@takes_out(casts=True)
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Every element raised to `min` and lowered to `max` (numbers, tensors; one may be None)."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, TensorBase) or isinstance(max, TensorBase):
        return _clamp_tensors(input, min, max)
    if input._data.dtype.kind in "biu" and (isinstance(min, float) or isinstance(max, float)):
        input = input.float()
    return _clamp(input, min=min, max=max)


clip = clamp


@primitive(promote="default", overload=1, overload_of_number=0, numbers="last",
           refuses={"c": "maximum_cpu"})
def clamp_min(xp, input, min):
    r"""$y = \max(a, l)$, so $\bar a = \bar y\,[a \ge l]$ and $\bar l = \bar y\,[a < l]$."""
    return xp.maximum(input, min)


@primitive(promote="default", overload=1, overload_of_number=0, numbers="last",
           refuses={"c": "minimum_cpu"})
def clamp_max(xp, input, max):
    r"""$y = \min(a, u)$, so $\bar a = \bar y\,[a \le u]$ and $\bar u = \bar y\,[a > u]$."""
    return xp.minimum(input, max)


clamp_min.op.number_form.refused = {"b": "clamp_min_scalar_cpu", "c": "clamp_min_scalar_cpu"}
clamp_max.op.number_form.refused = {"b": "clamp_max_scalar_cpu", "c": "clamp_max_scalar_cpu"}
derivative(clamp_min,
    input=lambda g, input, min: masked(g, input >= min),
    min=lambda g, input, min: masked(g, input < min))
derivative(clamp_max,
    input=lambda g, input, max: masked(g, input <= max),
    max=lambda g, input, max: masked(g, input > max))


@primitive(promote="default", numbers="none")
def maximum(xp, input, other):
    r"""$y = \max(a, b)$; where they are equal each gets half the gradient."""
    if input.dtype.kind == "c":
        raise RuntimeError("maximum not implemented for complex tensors.")
    return xp.maximum(input, other)


@primitive(promote="default", numbers="none")
def minimum(xp, input, other):
    r"""$y = \min(a, b)$; where they are equal each gets half the gradient."""
    if input.dtype.kind == "c":
        raise RuntimeError("minimum not implemented for complex tensors.")
    return xp.minimum(input, other)


def _winner(g, equal, loses):
    return div_number(g, other=2).where(equal, g).masked_fill(loses, 0)


derivative(maximum,
    input=lambda g, input, other: _winner(g, input == other, input < other),
    other=lambda g, input, other: _winner(g, input == other, input > other))
derivative(minimum,
    input=lambda g, input, other: _winner(g, input == other, input > other),
    other=lambda g, input, other: _winner(g, input == other, input < other))


# --- choosing ------------------------------------------------------------------------------------

@primitive(promote="exact", name="where", lies="operands")
def _select_by(xp, condition, input, other):
    r"""$y = a$ where $c$ holds, else $b$, so $\bar a = \bar y$ where $c$ holds, else $0$."""
    return xp.where(condition, input, other)


derivative(_select_by,
    input=lambda g, condition: masked(g, condition),
    other=lambda g, condition: _select_by(condition, g.new_zeros(()), g))


@takes_out(words="Expected out type to be {found} but got {wanted}")
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other` (tensors or numbers).

    With the condition alone: the indices where it holds, one tensor a dimension.
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype.name not in ("bool", "uint8"):
        raise RuntimeError("where expected condition to be a boolean tensor, but got a tensor with "
                           f"dtype {condition.dtype.scalar_name}")
    input, other = common_operands(input, other, condition)
    return _select_by(condition.bool(), input, other)


@primitive(promote="exact", name="masked_fill", lies="rows")
def _masked_fill(xp, input, mask, *, value):
    r"""$y = v$ where $m$ holds, else $a$; so $\bar a = 0$ where $m$ holds, else $\bar y$."""
    return xp.where(mask, input.dtype.type(value), input)


derivative(_masked_fill, input=lambda g, mask: _masked_fill(g, mask, value=0))


@primitive(promote="exact", name="masked_fill", overload=1, lies="rows")
def _masked_fill_tensor(xp, input, mask, value):
    r"""$y = v$ where $m$ holds, else $a$; $\bar v$ is the sum of $\bar y$ over the mask."""
    return xp.where(mask, value.astype(input.dtype), input)


derivative(_masked_fill_tensor,
    input=lambda g, mask: _masked_fill(g, mask, value=0),
    value=lambda g, mask: g.masked_fill(~mask, 0).sum())


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`value` (a number or a 0-d tensor) wherever `mask` holds."""
    if mask.dtype.name != "bool":
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype "
                           f"{mask.dtype.c_name}")
    if isinstance(value, TensorBase):
        if value._data.ndim:
            raise RuntimeError("masked_fill_ only supports a 0-dimensional value tensor, but got "
                               f"tensor with {value._data.ndim} dimension(s).")
        element(value, input._data.dtype)  # raises where it does not fit
        return _masked_fill_tensor(input, mask, value)
    return _masked_fill(input, mask, value=element(value, input._data.dtype)[()])


# --- combinations --------------------------------------------------------------------------------

@primitive(promote="default", name="lerp", overload=1, overload_of_number=0)
def _lerp(xp, input, end, weight):
    r"""$y = a + w\,(b - a)$, from the nearer end, so that it is exact at both."""
    step = end - input
    return xp.where(xp.abs(weight) < 0.5, input + weight * step, end - step * (1 - weight))


derivative(_lerp,
    input=lambda g, weight: g * (1 - weight).conj(),
    end=lambda g, weight: g * weight.conj(),
    weight=lambda g, input, end: g * (end - input).conj())


def lerp(input: Any, end: Any, weight: Any, *, out: Any = None) -> Any:
    """The point between `input` (weight 0) and `end` (weight 1)."""
    by_tensor = isinstance(weight, TensorBase)
    return (_lerp_by_tensor if by_tensor else _lerp_by_number)(input, end, weight, out=out)


def _lerp_between(input: Any, end: Any, weight: Any) -> Any:
    if input.dtype is not end.dtype:
        raise RuntimeError(f"expected dtype {input.dtype.name} for `end` but got dtype "
                           f"{end.dtype.name}".replace("float32", "float").replace(
                               "float64", "double"))
    return _lerp(input, end, weight)


_lerp_by_number = takes_out(_lerp_between, name="lerp", casts=True)
_lerp_by_tensor = takes_out(_lerp_between, name="lerp", check=check_found)


@autocasts
@takes_out(casts=True)
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """$a + v\\,b\\,c$."""
    return _addcmul(input, tensor1, tensor2, value=value)


@primitive(promote="default", name="addcmul")
def _addcmul(xp, input, tensor1, tensor2, *, value):
    r"""$y = a + v\,b\,c$, so $\bar b = \bar y\,(v c)^*$ and $\bar c = \bar y\,(v b)^*$."""
    return input + (tensor1 * tensor2 if value == 1 else input.dtype.type(value)
                    * tensor1 * tensor2)


derivative(_addcmul,
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (tensor2 * value).conj(),
    tensor2=lambda g, tensor1, value: g * (tensor1 * value).conj())


_INTEGER_DIVISION = (
    "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will "
    "perform a true division of tensor1 and tensor2. The historic addcdiv behavior can be "
    "implemented as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer "
    "inputs and as (input + value * tensor1 / tensor2) for float inputs. The future addcdiv "
    "behavior is just the latter implementation: (input + value * tensor1 / tensor2), for all "
    "dtypes.")


@autocasts
@takes_out(casts=True)
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """$a + v\\,b / c$."""
    if all(isinstance(each, TensorBase) and each._data.dtype.kind in "biu"
           for each in (tensor1, tensor2)):
        raise RuntimeError(_INTEGER_DIVISION)
    return _addcdiv(input, tensor1, tensor2, value=value)


@primitive(promote="default", name="addcdiv")
def _addcdiv(xp, input, tensor1, tensor2, *, value):
    r"""$y = a + v\,b/c$, so $\bar b = \bar y\,(v/c)^*$ and $\bar c = -\bar y\,(v b/c^2)^*$."""
    return input + input.dtype.type(value) * tensor1 / tensor2


derivative(_addcdiv,
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (value / tensor2).conj(),
    tensor2=lambda g, tensor1, tensor2, value: -g * (
        value * tensor1 / (tensor2 * tensor2)).conj())
