"""Activations. Each hot backward is a primitive of its own: fused, and differentiable again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import wrap
from ..device import host, move
from ..inplace import inplace as in_place
from ..out import check_found, check_scalar, takes_out
from ..primitive import derivative, no_kernel, primitive
from ..random_streams import default_generator
from ..type_info import finfo
from .error_function import erf_array, fits_gelu, gelu_in_blocks, gelu_slope_in_blocks
from .joining import cat
from .pointwise import sigmoid, tanh

__all__ = [
    "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "sigmoid",
    "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold"]


# --- relu and its relatives ----------------------------------------------------------------------

_ZEROS: dict[str, Any] = {"f": np.zeros(4096, np.float32), "d": np.zeros(4096, np.float64)}


@primitive(name="relu")
def _relu(xp, input):
    r"""$y = \max(a, 0)$, so $\bar a = \bar y\,[y > 0]$."""
    if xp is np and input.size % 4096 == 0 and input.dtype.char in _ZEROS \
            and input.flags.c_contiguous:  # NumPy's loop against a scalar is not vectorised
        rows = input.reshape(-1, 4096)
        return np.maximum(rows, _ZEROS[input.dtype.char]).reshape(input.shape)
    return xp.maximum(input, input.dtype.type(0))


derivative(_relu, input=lambda g, result: threshold_backward(g, result, threshold=0))


@primitive
def threshold_backward(xp, grad_output, input, *, threshold):
    r"""$\bar y\,[a > t]$: 0 where $a \le t$, even if $\bar y$ is nan; not where $a$ is nan."""
    dropped = input <= threshold
    if xp is np and grad_output.dtype.char == "f" and grad_output.flags.c_contiguous \
            and dropped.flags.c_contiguous and dropped.shape == grad_output.shape:
        bits = np.subtract(dropped.view(np.int8), 1, dtype=np.int8)  # 0 or all ones: NumPy's
        return np.bitwise_and(grad_output.view(np.int32), bits).view(np.float32)  # `where` is slow
    return xp.where(dropped, grad_output.dtype.type(0), grad_output)


derivative(threshold_backward,
    grad_output=lambda g, input, threshold: threshold_backward(g, input, threshold=threshold),
    input=lambda g: g.zeros_like())

_relu_ = in_place(_relu, "relu_")


def relu(input: Any, inplace: bool = False) -> Any:
    r"""$\max(a, 0)$."""
    if input._data.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    return _relu_(input) if inplace else _relu(input)


def relu_(input: Any) -> Any:
    """In-place version of `relu`."""
    return _relu_(input)


def relu6(input: Any, inplace: bool = False) -> Any:
    r"""$\min(\max(a, 0), 6)$."""
    return hardtanh(input, 0.0, 6.0, inplace)


def written_over(function: Any, **rules: Any) -> Any:
    """The in-place form of an op whose node is another one then (ThresholdBackward1), because its
    rule reads what is still there afterwards: the result."""
    op = primitive(function.op.kernel, name=function.op.name, overload=1)
    derivative(op, **rules)
    return in_place(op)


@primitive(name="threshold")
def _threshold(xp, input, *, threshold, value):
    r"""$y = a$ for $a > t$, else $v$; so $\bar a = \bar y\,[a > t]$."""
    return xp.where(input <= threshold, input.dtype.type(value), input)


derivative(_threshold, input=lambda g, input, threshold: threshold_backward(
    g, input, threshold=threshold))


_threshold_ = written_over(_threshold, input=lambda g, input, threshold: threshold_backward(
    g, input, threshold=threshold))


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """$a$ where it is above the threshold, `value` elsewhere."""
    run = _threshold_ if inplace else _threshold
    return run(input, threshold=threshold, value=value)


def _finish(function: Any, input: Any, inplace: bool, **values: Any) -> Any:
    """Out of place, or written over `input`."""
    return in_place(function)(input, **values) if inplace else function(input, **values)


@primitive(name="leaky_relu")
def _leaky_relu(xp, input, *, negative_slope):
    r"""$y = a$ for $a > 0$, else $s\,a$; so $\bar a = \bar y$ for $a > 0$, else $s\,\bar y$."""
    return xp.where(input > 0, input, input * input.dtype.type(negative_slope))


@primitive
def leaky_relu_backward(xp, grad_output, input, *, negative_slope):
    r"""$\bar y$ for $a > 0$, else $s\,\bar y$."""
    return xp.where(input > 0, grad_output, grad_output * grad_output.dtype.type(negative_slope))


derivative(_leaky_relu, input=lambda g, input, negative_slope: leaky_relu_backward(
    g, input, negative_slope=negative_slope))
derivative(leaky_relu_backward,
    grad_output=lambda g, input, negative_slope: leaky_relu_backward(
        g, input, negative_slope=negative_slope),
    input=lambda g: g.zeros_like())


def _leaky_relu_rule(g, result, negative_slope):
    if negative_slope < 0:
        raise RuntimeError(NOT_FROM_RESULT.format("leakyReLu") + (
            " File an issue at https://github.com/pytorch/pytorch if you do require supporting "
            "in-place leakRelu backward calculation with negative slope"))
    return leaky_relu_backward(g, result, negative_slope=negative_slope)


NOT_FROM_RESULT = (  # whose sign then no longer tells that of the input
    "In-place {} backward calculation is triggered with a negative slope which is not supported. "
    "This is caused by calling in-place forward function with a negative slope, please call "
    "out-of-place version instead.")
_leaky_relu_ = written_over(_leaky_relu, input=_leaky_relu_rule)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """$a$ where positive, else $a$ times a small slope."""
    return (_leaky_relu_ if inplace else _leaky_relu)(input, negative_slope=negative_slope)


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
          inplace: bool = False) -> Any:
    """`leaky_relu` with the mean slope; in training each element <= 0 draws its own."""
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    data = input._data
    noise = np.ones(data.shape, data.dtype)
    chosen = np.asarray(host(data)) <= 0
    low, high = float(data.dtype.type(lower)), float(data.dtype.type(upper))
    noise[chosen] = (default_generator.u53(int(chosen.sum())) * (high - low) + low if training
                     else (lower + upper) / 2)
    run = _rrelu_ if inplace else _rrelu_with_noise
    return run(input, noise=wrap(move(noise, input.device)))


@primitive(name="rrelu_with_noise")
def _rrelu_with_noise(xp, input, *, noise):
    """$y = a s$ with the drawn slopes $s$."""
    return input * noise._data


derivative(_rrelu_with_noise, input=lambda g, noise: g * noise)
_rrelu_ = written_over(_rrelu_with_noise, input=lambda g, noise: g * noise)


@autocasts
def prelu(input: Any, weight: Any) -> Any:
    """`leaky_relu` with a learned slope, one for all or one a channel."""
    shape, ndim = weight._data.shape, input._data.ndim
    if len(shape) > 1:
        raise RuntimeError("prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
                           f"{len(shape)}")
    if weight._data.size != 1:
        if input._data.ndim < 1:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input._data.shape[1] if input._data.ndim > 1 else 1
        if shape[0] != channels:
            raise RuntimeError("Mismatch of parameter numbers and input channel size. Found "
                               f"parameter numbers = {shape[0]} and channel size = {channels}.")
    if ndim != len(shape):
        weight = weight.reshape([weight._data.size if dim == 1 else 1 for dim in range(ndim)])
    return _prelu(input, weight)


@primitive(name="prelu_kernel")
def _prelu(xp, input, weight):
    r"""$y = a$ for $a > 0$, else $w\,a$; so $\bar w = \bar y\,a\,[a \le 0]$."""
    return xp.where(input > 0, input, weight * input)


derivative(_prelu,
    input=lambda g, input, weight: g.where(input > 0, g * weight),
    weight=lambda g, input: (g * input).masked_fill(input > 0, 0))


@primitive(name="hardtanh")
def _hardtanh(xp, input, *, min_val, max_val):
    r"""$y = \min(\max(a, l), u)$, so $\bar a = \bar y\,[l < a < u]$: 0 at the limits themselves."""
    return xp.clip(input, input.dtype.type(min_val), input.dtype.type(max_val))


derivative(_hardtanh, input=lambda g, input, min_val, max_val: g.masked_fill(
    (input <= min_val) | (input >= max_val), 0))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0,
             inplace: bool = False) -> Any:
    """`clamp` with no gradient at the limits themselves."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _finish(_hardtanh, input, inplace, min_val=min_val, max_val=max_val)


# --- smooth gates --------------------------------------------------------------------------------

@primitive(name="gelu")
def _gelu(xp, input, *, approximate):
    r"""$y = a\,\Phi(a)$ with $\Phi(a) = \tfrac12(1 + \mathrm{erf}(a/\sqrt2))$, so
    $\bar a = \bar y\,(\Phi(a) + a\,\Phi'(a))$."""
    if approximate == "none" and fits_gelu(xp, input):
        return gelu_in_blocks(input)
    t = input.dtype.type
    y = erf_array(xp, input * t(math.sqrt(0.5))) if approximate == "none" \
        else xp.tanh(input * (t(_K) + t(_K3) * input * input))
    y = y + t(1)
    return y * input * t(0.5)


_K, _K3 = math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * 0.044715


@primitive
def gelu_backward(xp, grad_output, input, *, approximate):
    r"""$\bar y\,(\Phi(a) + a\,\Phi'(a))$."""
    if approximate == "none" and fits_gelu(xp, input, grad_output):
        return gelu_slope_in_blocks(input, grad_output)
    t = input.dtype.type
    square = input * input
    if approximate == "none":
        slope = erf_array(xp, input * t(math.sqrt(0.5))) + t(1)
        slope = slope + input * xp.exp(square * t(-0.5)) * t(_K)
    else:
        u = xp.tanh(input * (t(_K) + t(_K3) * square))
        slope = (1 - u * u) * (t(_K) + t(3 * _K3) * square) * input + u + t(1)
    return slope * grad_output * t(0.5)


derivative(_gelu, input=lambda g, input, approximate: gelu_backward(
    g, input, approximate=approximate))
derivative(gelu_backward,
    grad_output=lambda g, input, approximate: gelu_backward(g, input, approximate=approximate),
    input=lambda g, grad_output, input, approximate: g * grad_output * _gelu_second(
        input, approximate))


def _gelu_second(x, approximate):
    if approximate == "none":
        return (2 - x * x) * (-0.5 * x * x).exp() / math.sqrt(2 * math.pi)
    inner = x * (_K + _K3 * x * x)
    slope, curve = _K + 3 * _K3 * x * x, 6 * _K3 * x
    u = inner.tanh()
    v = 1 - u * u
    return v * slope + 0.5 * x * (v * curve - 2 * u * v * slope * slope)


@takes_out(check=check_found)
def gelu(input: Any, approximate: str = "none") -> Any:
    r"""$a$ times the probability that a standard normal lies below it ("tanh": approximated)."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu(input, approximate=approximate)


@primitive(name="silu")
def _silu(xp, input):
    r"""$y = a\,\sigma(a)$, so $\bar a = \bar y\,\sigma(a)\,(1 + a(1 - \sigma(a)))$."""
    y = xp.exp(-input)
    y += 1
    return xp.divide(input, y)


@primitive
def silu_backward(xp, grad_output, input):
    r"""$\bar y\,\sigma(a)\,(1 + a(1 - \sigma(a)))$."""
    s = 1 / (1 + xp.exp(-input))
    return grad_output * (s * (1 + input * (1 - s)))


derivative(_silu, input=lambda g, input: silu_backward(g, input))
derivative(silu_backward,
    grad_output=lambda g, input: silu_backward(g, input),
    input=lambda g, grad_output, input: g * grad_output * _silu_second(input))


def _silu_second(x):
    s = x.sigmoid()
    return s * (1 - s) * (2 + x * (1 - 2 * s))


def silu(input: Any, inplace: bool = False) -> Any:
    r"""$a\,\sigma(a)$, also called swish."""
    return _finish(_silu, input, inplace)


@primitive(name="softplus")
def _softplus(xp, input, *, beta, threshold):
    r"""$y = \ln(1 + e^{\beta a})/\beta$ for $\beta a \le t$, else $a$; so
    $\bar a = \bar y\,\sigma(\beta a)$ for $\beta a \le t$, else $\bar y$."""
    scaled = input * input.dtype.type(beta)
    return xp.where(scaled > threshold, input,
                    xp.log1p(xp.exp(xp.minimum(scaled, threshold))) / input.dtype.type(beta))


derivative(_softplus, input=lambda g, input, beta, threshold: g.where(
    input * beta > threshold, g * (input * beta).sigmoid()))


@autocasts
@takes_out(check=check_found)
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    r"""$\ln(1 + e^{\beta a})/\beta$: a smooth relu; $a$ itself above the threshold."""
    return _softplus(input, beta=beta, threshold=threshold)


@primitive(name="mish")
def _mish(xp, input):
    r"""$y = a\,t$ with $t = \tanh(\ln(1 + e^a))$, so
    $\bar a = \bar y\,(t + a(1 - t^2)\,\sigma(a))$."""
    return input * xp.tanh(xp.logaddexp(input, 0).astype(input.dtype))


derivative(_mish, input=lambda g, input: g * _mish_slope(input))


def _mish_slope(x):
    gate = softplus(x).tanh()
    return gate + x * x.sigmoid() * (1 - gate * gate)


def mish(input: Any, inplace: bool = False) -> Any:
    r"""$a\tanh(\mathrm{softplus}(a))$."""
    return _finish(_mish, input, inplace)


@primitive(name="log_sigmoid", lies="rows")
def _logsigmoid(xp, input):
    r"""$y = \ln\sigma(a) = \min(a, 0) - \ln(1 + e^{-|a|})$, so $\bar a = \bar y\,\sigma(-a)$."""
    return xp.minimum(input, input.dtype.type(0)) - xp.log1p(xp.exp(-xp.abs(input)))


derivative(_logsigmoid, input=lambda g, input: g * (-input).sigmoid())


@takes_out(name="log_sigmoid", check=check_scalar, warns=False)
def logsigmoid(input: Any) -> Any:
    r"""$\ln\sigma(a)$, without overflow."""
    return _logsigmoid(input)


@primitive(name="glu")
def _glu(xp, input, *, dim):
    r"""$y_i = a_i\,\sigma(a_{i+n/2})$ along the dimension, of $n$ elements."""
    first, second = xp.split(input, 2, axis=dim)
    return first / (1 + xp.exp(-second))


def _glu_rule(g, input, dim):
    first, second = input.chunk(2, dim)
    gate = second.sigmoid()
    return cat([g * gate, g * first * gate * (1 - gate)], dim)


derivative(_glu, input=_glu_rule)


def glu(input: Any, dim: int = -1) -> Any:
    r"""The first half times the sigmoid of the second."""
    if not input._data.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = input._data.shape[dim]
    if size % 2:
        raise RuntimeError("Halving dimension must be even, but dimension "
                           f"{dim % input._data.ndim} is size {size}")
    return _glu(input, dim=dim)


# --- piecewise linear ----------------------------------------------------------------------------

_ONE_SIXTH = float(np.float32(1) / np.float32(6))  # torch keeps it in float32


@primitive(name="hardsigmoid")
def _hardsigmoid(xp, input):
    r"""$y = \min(\max(a + 3, 0), 6)/6$, so $\bar a = \tfrac16\bar y\,[-3 < a < 3]$."""
    return xp.clip(input + 3, 0, 6) / input.dtype.type(6)


derivative(_hardsigmoid, input=lambda g, input: (g * _ONE_SIXTH).masked_fill(
    (input <= -3) | (input >= 3), 0))


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    r"""$\mathrm{clamp}(a + 3, 0, 6)/6$."""
    return _finish(_hardsigmoid, input, inplace)


@primitive(name="hardswish")
def _hardswish(xp, input):
    r"""$y = a \min(\max(a + 3, 0), 6)/6$, so
    $\bar a = \bar y\,((a/3 + 1/2)\,[|a| < 3] + [a \ge 3])$."""
    return input * xp.clip(input + 3, 0, 6) / input.dtype.type(6)


derivative(_hardswish, input=lambda g, input: (g * (input / 3 + 0.5)).masked_fill(
    input <= -3, 0).where(input < 3, g))


def hardswish(input: Any, inplace: bool = False) -> Any:
    r"""$a\,\mathrm{clamp}(a + 3, 0, 6)/6$."""
    return _finish(_hardswish, input, inplace)


@primitive(name="hardshrink")
def _hardshrink(xp, input, *, lambd):
    r"""$y = a\,[|a| > \lambda]$, so $\bar a = \bar y\,[|a| > \lambda]$."""
    return xp.where(xp.abs(input) <= lambd, input.dtype.type(0), input)


@primitive(name="softshrink")
def _softshrink(xp, input, *, lambd):
    r"""$y = \mathrm{sgn}(a)\max(|a| - \lambda, 0)$, so $\bar a = \bar y\,[|a| > \lambda]$."""
    shrunk = input - xp.clip(input, input.dtype.type(-lambd), input.dtype.type(lambd))
    return shrunk


for _shrink in (_hardshrink, _softshrink):
    derivative(_shrink, input=lambda g, input, lambd: g.masked_fill(input.abs() <= lambd, 0))


@takes_out(check=check_found)
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""0 where $|a| \le \lambda$."""
    return _hardshrink(input, lambd=lambd)


@takes_out(check=check_found)
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""$a$ moved by $\lambda$ towards 0."""
    if input._data.dtype.kind in "biu":
        raise no_kernel("softshrink_check", input._data.dtype)
    largest = finfo(input.dtype).max
    if not 0 <= lambd <= largest:
        raise RuntimeError(f"lambda must be in range [0, {largest:g}] for input dtype "
                           f"{input.dtype.scalar_name}, but found {lambd:g}")
    return _softshrink(input, lambd=lambd)


def softsign(input: Any) -> Any:
    r"""$a / (1 + |a|)$."""
    return input / (input.abs() + 1)


def tanhshrink(input: Any) -> Any:
    r"""$a - \tanh a$."""
    return input - input.tanh()
