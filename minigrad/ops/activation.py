"""Activations. Each hot backward is a primitive of its own: fused, and differentiable again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import mode, wrap
from ..device import host, move
from ..inplace import inplace as in_place
from ..out import check_found, check_scalar, takes_out
from ..primitive import derivative, joint_derivative, primitive
from ..random_streams import default_generator
from .arithmetic import add_number, mul_number, sub, sub_number
from .choosing import where
from .error_function import erf_array, fits_gelu, gelu_in_blocks, gelu_slope_in_blocks
from .joining import cat
from .no_derivative import no_derivative
from .piecewise_linear import finish
from .pointwise import sigmoid, sigmoid_backward, tanh

__all__ = [
    "gelu", "glu", "leaky_relu", "logsigmoid", "mish", "prelu", "relu", "rrelu", "sigmoid", "silu",
    "softplus", "softsign", "tanh", "tanhshrink", "threshold"]


# --- relu and its relatives ----------------------------------------------------------------------

_ZEROS: dict[str, Any] = {"f": np.zeros(4096, np.float32), "d": np.zeros(4096, np.float64)}


@primitive(name="relu", lies="operands")
def _relu(xp, input):
    r"""$y = \max(a, 0)$, so $\bar a = \bar y\,[y > 0]$."""
    if xp is np and input.size % 4096 == 0 and input.dtype.char in _ZEROS \
            and input.flags.c_contiguous:  # NumPy's loop against a scalar is not vectorised
        rows = input.reshape(-1, 4096)
        return np.maximum(rows, _ZEROS[input.dtype.char]).reshape(input.shape)
    return xp.maximum(input, input.dtype.type(0))


derivative(_relu, input=lambda g, result: threshold_backward(g, result, threshold=0))


@primitive(lies="operands")
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


def written_over(function: Any, **rules: Any) -> Any:
    """The in-place form of an op whose node is another one then (ThresholdBackward1), because its
    rule reads what is still there afterwards: the result."""
    op = primitive(function.op.kernel, name=function.op.name, overload=1)
    derivative(op, **rules)
    return in_place(op)


@primitive(name="threshold", lies="operands")
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


@primitive(name="leaky_relu", lies="operands")
def _leaky_relu(xp, input, *, negative_slope):
    r"""$y = a$ for $a > 0$, else $s\,a$; so $\bar a = \bar y$ for $a > 0$, else $s\,\bar y$."""
    return xp.where(input > 0, input, input * input.dtype.type(negative_slope))


@primitive(lies="operands")
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


@primitive
def rrelu_with_noise_backward(xp, grad_output, input, *, noise):
    r"""$\bar y\,s$ with the drawn slopes $s$."""
    return grad_output * noise._data


derivative(_rrelu_with_noise, input=lambda g, input, noise: rrelu_with_noise_backward(
    g, input, noise=noise))
derivative(rrelu_with_noise_backward,
    grad_output=lambda g, input, noise: rrelu_with_noise_backward(g, input, noise=noise),
    input=lambda g: g.zeros_like())
_rrelu_ = written_over(_rrelu_with_noise, input=lambda g, result, noise: (
    rrelu_with_noise_backward(g, result, noise=noise)))


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


@primitive(name="prelu_kernel", lies="operands")
def _prelu(xp, input, weight):
    r"""$y = a$ for $a > 0$, else $w\,a$; so $\bar w = \bar y\,a\,[a \le 0]$."""
    return xp.where(input > 0, input, weight * input)


@primitive(name="prelu_kernel_backward", outputs=("grad_input", "grad_weight"), lies="operands")
def _prelu_backward(xp, grad_output, input, weight):
    r"""$\bar a = \bar y$ and $\bar w = 0$ for $a > 0$, else $\bar a = w\,\bar y$ and
    $\bar w = a\,\bar y$."""
    above = input > 0
    return (xp.where(above, grad_output, weight * grad_output),
            xp.where(above, grad_output.dtype.type(0), input * grad_output))


joint_derivative(_prelu, ("input", "weight"), lambda g, input, weight: _prelu_backward(
    g, input, weight))


def _prelu_slope_rule(grads, grad_output, input, weight):
    """The gradients of `_prelu_backward`, of which either may be unused; torch counts 0 among the
    positive numbers here."""
    by_input, by_weight = grads
    above, zero = input >= 0, grad_output.new_zeros(())
    if by_weight is None:
        slope = where(above, by_input, by_input * weight)
    elif by_input is None:
        slope = where(above, zero, by_weight * input)
    else:
        slope = where(above, by_input, by_input * weight + by_weight * input)
    return [slope,
            input.zeros_like() if by_weight is None else where(
                above, zero, grad_output * by_weight),
            input.zeros_like() if by_input is None else where(
                above, zero, grad_output * by_input)]


joint_derivative(_prelu_backward, ("grad_output", "input", "weight"), _prelu_slope_rule)


# --- smooth gates --------------------------------------------------------------------------------

@primitive(name="gelu", lies="operands")
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


@primitive(lies="operands")
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


@primitive(name="silu", lies="operands")
def _silu(xp, input):
    r"""$y = a\,\sigma(a)$, so $\bar a = \bar y\,\sigma(a)\,(1 + a(1 - \sigma(a)))$."""
    y = xp.exp(-input)
    y += 1
    return xp.divide(input, y)


@primitive(lies="operands")
def silu_backward(xp, grad_output, input):
    r"""$\bar y\,\sigma(a)\,(1 + a(1 - \sigma(a)))$; torch has no derivative of this."""
    s = 1 / (1 + xp.exp(-input))
    return grad_output * (s * (1 + input * (1 - s)))


def _silu_rule(g, input):
    if not mode.grad:
        return silu_backward(g, input)
    s = input.sigmoid()
    return g * s * add_number(input * sub(1.0, s), other=1)


derivative(_silu, input=_silu_rule)
derivative(silu_backward, **dict.fromkeys(
    ("grad_output", "input"), no_derivative("silu_backward")))


def silu(input: Any, inplace: bool = False) -> Any:
    r"""$a\,\sigma(a)$, also called swish."""
    return finish(_silu, input, inplace)


@primitive(name="softplus", lies="operands")
def _softplus(xp, input, *, beta, threshold):
    r"""$y = \ln(1 + e^{\beta a})/\beta$ for $\beta a \le t$, else $a$; so
    $\bar a = \bar y\,\sigma(\beta a)$ for $\beta a \le t$, else $\bar y$."""
    scaled = input * input.dtype.type(beta)
    return xp.where(scaled > threshold, input,
                    xp.log1p(xp.exp(xp.minimum(scaled, threshold))) / input.dtype.type(beta))


@primitive(lies="operands")
def softplus_backward(xp, grad_output, input, *, beta, threshold):
    r"""$\bar y\,\sigma(\beta a)$ for $\beta a \le t$, else $\bar y$."""
    scaled = input * input.dtype.type(beta)
    return xp.where(scaled > threshold, grad_output, grad_output / (1 + xp.exp(-scaled)))


def _softplus_curve(g, grad_output, input, beta, threshold):
    scaled = mul_number(input, other=beta)
    curved = (scaled < threshold).type_as(input)
    return mul_number(sigmoid_backward(g * grad_output, scaled.sigmoid()) * curved, other=beta)


derivative(_softplus, input=lambda g, input, beta, threshold: softplus_backward(
    g, input, beta=beta, threshold=threshold))
derivative(softplus_backward,
    grad_output=lambda g, input, beta, threshold: softplus_backward(
        g, input, beta=beta, threshold=threshold),
    input=_softplus_curve)


@autocasts
@takes_out(check=check_found)
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    r"""$\ln(1 + e^{\beta a})/\beta$: a smooth relu; $a$ itself above the threshold."""
    return _softplus(input, beta=beta, threshold=threshold)


@primitive(name="mish", lies="operands")
def _mish(xp, input):
    r"""$y = a\,t$ with $t = \tanh(\ln(1 + e^a))$, so
    $\bar a = \bar y\,(t + a(1 - t^2)\,\sigma(a))$."""
    return input * _mish_gate(xp, input)


def _mish_gate(xp, x):
    r"""$\tanh(\ln(1 + e^x)) = p/(p + 2)$ for $p = e^x(e^x + 2)$: 1 from x = 20 on."""
    power = xp.exp(xp.minimum(x, x.dtype.type(20)))
    power = power * (power + 2)
    return power / (power + 2)


@primitive(lies="operands")
def mish_backward(xp, grad_output, input):
    r"""$\bar y\,(t + a\,\sigma(a)(1 - t^2))$ for $t = \tanh(\ln(1 + e^a))$; torch has no
    derivative of this."""
    gate = _mish_gate(xp, input)
    return grad_output * (gate + input * (1 - gate * gate) / (1 + xp.exp(-input)))


def _mish_rule(g, input):
    if not mode.grad:
        return mish_backward(g, input)
    gate = input.exp().log1p().tanh()
    return g * (gate + input * input.sigmoid() * sub(1.0, gate * gate))


derivative(_mish, input=_mish_rule)
derivative(mish_backward, **dict.fromkeys(
    ("grad_output", "input"), no_derivative("mish_backward")))


def mish(input: Any, inplace: bool = False) -> Any:
    r"""$a\tanh(\mathrm{softplus}(a))$."""
    return finish(_mish, input, inplace)


@primitive(name="log_sigmoid", lies="rows")
def _logsigmoid(xp, input):
    r"""$y = \ln\sigma(a) = \min(a, 0) - \ln(1 + e^{-|a|})$, so $\bar a = \bar y\,\sigma(-a)$."""
    return xp.minimum(input, input.dtype.type(0)) - xp.log1p(xp.exp(-xp.abs(input)))


@primitive(lies="operands")
def log_sigmoid_backward(xp, grad_output, input):
    r"""$\bar y\,\sigma(-a)$."""
    return grad_output / (1 + xp.exp(input))


def _logsigmoid_curve(g, grad_output, input):
    s = input.sigmoid()
    return g * grad_output * sub_number(s, other=1) * s


derivative(_logsigmoid, input=lambda g, input: log_sigmoid_backward(g, input))
derivative(log_sigmoid_backward,
    grad_output=lambda g, input: log_sigmoid_backward(g, input),
    input=_logsigmoid_curve)


@takes_out(name="log_sigmoid", check=check_scalar, warns=False)
def logsigmoid(input: Any) -> Any:
    r"""$\ln\sigma(a)$, without overflow."""
    return _logsigmoid(input)


@primitive(name="glu")
def _glu(xp, input, *, dim):
    r"""$y_i = a_i\,\sigma(a_{i+n/2})$ along the dimension, of $n$ elements."""
    first, second = xp.split(input, 2, axis=dim)
    return first / (1 + xp.exp(-second))


@primitive
def glu_backward(xp, grad_output, input, *, dim):
    r"""$\bar a_i = \bar y_i\,\sigma(b_i)$ and $\bar b_i = \bar a_i\,a_i (1 - \sigma(b_i))$ for
    the two halves $a$ and $b$."""
    first, second = xp.split(input, 2, axis=dim)
    gate = 1 / (1 + xp.exp(-second))
    by_first = grad_output * gate
    return xp.concatenate([by_first, by_first * first * (1 - gate)], axis=dim)


def _glu_incoming_rule(g, input, dim):
    (first, second), (by_first, by_second) = input.chunk(2, dim), g.chunk(2, dim)
    gate = second.sigmoid()
    return by_first * gate + by_second * first * sigmoid_backward(gate.ones_like(), gate)


def _glu_input_rule(g, grad_output, input, dim):
    (first, second), (by_first, by_second) = input.chunk(2, dim), g.chunk(2, dim)
    gate = second.sigmoid()
    slope = gate * sub(1.0, gate)
    curve = first * slope * sub(1.0, mul_number(gate, other=2))
    return cat([by_second * grad_output * slope,
                by_first * grad_output * slope + by_second * grad_output * curve], dim)


derivative(_glu, input=lambda g, input, dim: glu_backward(g, input, dim=dim))
derivative(glu_backward, grad_output=_glu_incoming_rule, input=_glu_input_rule)


def glu(input: Any, dim: int = -1) -> Any:
    r"""The first half times the sigmoid of the second."""
    if not input._data.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = input._data.shape[dim]
    if size % 2:
        raise RuntimeError("Halving dimension must be even, but dimension "
                           f"{dim % input._data.ndim} is size {size}")
    return _glu(input, dim=dim)


def softsign(input: Any) -> Any:
    r"""$a / (1 + |a|)$."""
    return input / (input.abs() + 1)


def tanhshrink(input: Any) -> Any:
    r"""$a - \tanh a$."""
    return input - input.tanh()
