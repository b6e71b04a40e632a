"""Normalisation of rows: layer, group, root mean square. batch_norm.py has that of channels.

Note [Fused once, composed twice]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
The first derivative of a normalisation has a short closed form that touches each big array a few
times only, so it is an op on arrays. The second, `second_gradients`, is made of Tensor ops on the
input, which the engine can differentiate like anything else. For group_norm, as in torch, so is the
first one already, if whoever asks for it wants to go on (backward with create_graph=True).
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

from ..autocast_rules import autocasts
from ..core import mode
from ..out import takes_out
from ..primitive import joint_derivative, primitive
from ..type_info import finfo
from .arithmetic import add_number
from .softmax import by_rows, dots_along, row_sums
from .vector_norm import vector_norm

__all__ = ["group_norm", "layer_norm", "normalize", "rms_norm"]

# --- rows: mean 0 and variance 1 in each ---------------------------------------------------------


def _normalised_rows(xp, rows, eps, weight=None, bias=None):
    """(x - mean) / std for each row, times `weight`, plus `bias`; mean and 1/std as columns."""
    number = rows.dtype.type
    count = number(rows.shape[-1])
    result = xp.empty_like(rows)
    mean, rstd = [xp.empty((len(rows), 1), rows.dtype) for _ in range(2)]

    def compute(part):
        x, y = rows[part], result[part]
        mean[part] = row_sums(xp, x) / count
        xp.subtract(x, mean[part], out=y)
        rstd[part] = 1 / xp.sqrt(dots_along(xp, y, y, 1) / count + number(eps))
        y *= rstd[part]
        if weight is not None:
            y *= weight.reshape(-1)
        if bias is not None:
            y += bias.reshape(-1)

    by_rows(xp, compute, rows)
    return result, mean, rstd


def _rows_gradient(xp, g, rows, mean, rstd, weight):
    r"""The gradient of `_normalised_rows`: with $\hat x$ its result without weight and bias, n
    columns and $\bar z = w\bar y$, $\bar x =
    (\bar z - \tfrac1n\sum\bar z - \tfrac1n\hat x\sum\bar z\hat x)/\sigma$, arranged so that only
    four passes write."""
    count = g.dtype.type(g.shape[-1])
    result = xp.empty_like(rows)

    def compute(part):
        y, x, m, r = result[part], rows[part], mean[part], rstd[part]
        if weight is None:
            y[...] = g[part]
        else:
            xp.multiply(g[part], weight.reshape(-1), out=y)
        total, dot = row_sums(xp, y), dots_along(xp, y, x, 1)
        slope = (total * m - dot) * r ** 3 / count
        y *= r
        y += x * slope
        y -= slope * m + total * r / count

    by_rows(xp, compute, rows)
    return result


# --- layer_norm ----------------------------------------------------------------------------------

@primitive(name="native_layer_norm", outputs=("result", "mean", "rstd"))
def _layer_norm(xp, input, weight=None, bias=None, *, axes, eps):
    r"""$y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\,w + b$ over the last `axes` dimensions."""
    shape = input.shape
    rows = input.reshape(-1, math.prod(shape[len(shape) - axes:]))
    result, mean, rstd = _normalised_rows(xp, xp.ascontiguousarray(rows), eps, weight, bias)
    lead = (*shape[:len(shape) - axes], *[1] * axes)
    return result.reshape(shape), mean.reshape(lead), rstd.reshape(lead)


@primitive(promote="exact", name="native_layer_norm_backward",
           outputs=("grad_input", "grad_weight", "grad_bias"))
def _layer_norm_backward(xp, grad_output, input, mean, rstd, weight, bias, *, axes, eps,
                         output_mask):
    r"""The gradients of $y = \hat x w + b$: see `_rows_gradient`."""
    width = math.prod(input.shape[input.ndim - axes:])
    rows = xp.ascontiguousarray(input.reshape(-1, width))
    flat = grad_output.reshape(-1, width)
    mean, rstd = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    dx = dw = db = xp.zeros(0, input.dtype)
    if output_mask[1]:
        dw = (rstd.T @ (flat * rows) - (rstd * mean).T @ flat).reshape(weight.shape)
    if output_mask[2]:
        db = (xp.ones((1, len(flat)), flat.dtype) @ flat).reshape(bias.shape)
    if output_mask[0]:
        dx = _rows_gradient(xp, flat, rows, mean, rstd, weight).reshape(input.shape)
    return dx, dw, db


def _layer_norm_rule(grads, input, weight, bias, mean, rstd, axes, eps, needs):
    return wanted(needs, _layer_norm_backward(
        grads[0], input, mean.detach(), rstd.detach(), weight, bias, axes=axes, eps=eps,
        output_mask=needs))


joint_derivative(_layer_norm, ("input", "weight", "bias"), _layer_norm_rule)


def _layer_norm_second(grads, grad_output, input, weight, axes, eps, output_mask):
    dims, grads = tuple(range(-axes, 0)), wanted(output_mask, grads)
    x_hat, scale = standardised(input, dims, eps)
    by_g, by_x, by_w = second_gradients(grads, grad_output, weight, x_hat, scale, dims)
    return [by_g, by_x, None, None, by_w, None]


joint_derivative(_layer_norm_backward,
                 ("grad_output", "input", "mean", "rstd", "weight", "bias"), _layer_norm_second)


def standardised(input: Any, dims: tuple, eps: float) -> tuple:
    r"""$\hat x = (x - \mu)\,r$ and $r = 1/\sqrt{\sigma^2 + \epsilon}$ in Tensor ops."""
    centred = input - input.mean(dims, True)
    scale = add_number((centred * centred).mean(dims, True), other=eps).rsqrt()
    return centred * scale, scale


def second_gradients(grads, g, weight, x_hat, scale, dims, constant=False):
    r"""What comes back to $\bar y$, x and w from the gradients $u$ of $\bar x$, $v$ of $\bar w$ and
    $t$ of $\bar b$, any of which may be missing.

    With $P z = r (z - \overline z - \hat x\,\overline{z \hat x})$, which is its own transpose,
    $\bar x = P(\bar y w)$ and $\bar w = \sum \bar y \hat x$. So $u$ returns as $P u$; and $P$
    itself depends on x, through $r$ and $\hat x$, unless the statistics are `constant`.
    """
    u, v, t = grads
    by_g, by_x, by_w = [], [], None

    def project(z: Any) -> Any:
        return scale * z if constant else scale * (
            z - z.mean(dims, True) - x_hat * (z * x_hat).mean(dims, True))

    if u is not None:
        moved, gw = project(u), g if weight is None else g * weight
        by_w = g * moved
        by_g.append(moved if weight is None else moved * weight)
        if not constant:
            along_g, along_u = (gw * x_hat).mean(dims, True), (u * x_hat).mean(dims, True)
            both = (gw * u).mean(dims, True) - gw.mean(dims, True) * u.mean(dims, True)
            by_x.append(-scale * (along_u * project(gw) + along_g * moved
                                  + scale * x_hat * (both - along_g * along_u)))
    if v is not None:
        by_g.append(v * x_hat)
        by_x.append(project(g * v))
    if t is not None:
        by_g.append(t)
    return _total(by_g), _total(by_x), by_w


def _total(terms: list) -> Any:
    return functools.reduce(operator.add, terms) if terms else None


def composed_gradients(g, gw, x_hat, scale, dims, needs):
    r"""The gradients of $y = \hat x w + b$ in Tensor ops, those of w and b not yet summed; mean and
    variance go over `dims`."""
    dx = scale * (gw - gw.mean(dims, True) - x_hat * (gw * x_hat).mean(dims, True))
    return [dx if needs[0] else None, g * x_hat if needs[1] else None, g if needs[2] else None]


@autocasts
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None,
               eps: float = 1e-5, cudnn_enable: bool = True) -> Any:
    """Mean 0 and variance 1 over the last dimensions, whose sizes are `normalized_shape`."""
    shape = _checked_shape("layer_norm", input, normalized_shape, "[*, {}]")
    _check_parameters(shape, weight=weight, bias=bias)
    check_dtypes("LayerNormKernelImpl", input, weight, bias)
    return _layer_norm(input, weight, bias, axes=len(shape), eps=eps)[0]


def _checked_shape(name: str, input: Any, normalized_shape: Any, words: str) -> tuple:
    if isinstance(normalized_shape, int):
        raise TypeError(f"{name}(): argument 'normalized_shape' (position 2) must be tuple of "
                        "ints, not int")
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional, i.e., "
                           "containing at least one element, but got normalized_shape = []")
    own = input._data.shape
    if own[len(own) - len(shape):] != shape:
        sizes = words.format(", ".join(map(str, shape)))
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape "
                           f"{sizes}, but got input of size{list(own)}")
    return shape


def _check_parameters(shape: tuple, **parameters: Any) -> None:
    for name, tensor in parameters.items():
        if tensor is not None and tensor._data.shape != shape:
            raise RuntimeError(f"Expected {name} to be of same shape as normalized_shape, but got "
                               f"{name} of shape {list(tensor._data.shape)} and normalized_shape ="
                               f" {list(shape)}")


def check_dtypes(kernel: str, input: Any, *parameters: Any) -> None:
    """All of one dtype, or a 16-bit input with float32 parameters."""
    own = input.dtype
    found = [each.dtype for each in parameters if each is not None]
    if found and found[0] is not own:
        if any(dtype.name != "float32" for dtype in found):
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        if own.name not in ("float16", "bfloat16"):
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    elif not own.is_floating_point:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{own.scalar_name}'")
    else:
        for dtype in found:
            if dtype is not own:
                raise RuntimeError(f"expected scalar type {own.scalar_name} but found "
                                   f"{dtype.scalar_name}")


@autocasts
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None,
             eps: float | None = None) -> Any:
    r"""$y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}\,w$ over the last dimensions."""
    shape = _checked_shape("rms_norm", input, normalized_shape, "[*{}]")
    _check_parameters(shape, weight=weight)
    if input._data.dtype.kind in "biu":
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{input.dtype.scalar_name}'")
    dims = tuple(range(-len(shape), 0))
    wide = input.float() if input._data.dtype.itemsize == 2 else input
    eps = finfo(input.dtype).eps if eps is None else eps
    result = wide * add_number(wide.pow(2).mean(dims, True), other=eps).rsqrt()
    result = result if weight is None else result * weight
    return result.to(input.dtype)


# --- group_norm ----------------------------------------------------------------------------------

@primitive(name="native_group_norm", outputs=("result", "mean", "rstd"))
def _group_norm(xp, input, weight=None, bias=None, *, groups, eps):
    r"""`layer_norm` of each group of channels; w and b have one number per channel."""
    rows = input.reshape(input.shape[0] * groups, math.prod(input.shape[1:]) // groups)
    result, mean, rstd = _normalised_rows(xp, xp.ascontiguousarray(rows), eps)
    result = result.reshape(input.shape)
    along = (input.shape[1], *[1] * (input.ndim - 2))
    if weight is not None:
        result *= weight.reshape(along)
    if bias is not None:
        result += bias.reshape(along)
    return result, mean.reshape(input.shape[0], groups), rstd.reshape(input.shape[0], groups)


@primitive(name="native_group_norm_backward", outputs=("grad_input", "grad_weight", "grad_bias"))
def _group_norm_backward(xp, grad_output, input, weight, mean, rstd, *, groups, output_mask):
    r"""With $s_c = \sum \bar y x$ and $b_c = \sum \bar y$ of each sample's channel all else is
    small: $\bar x$ is $\bar y$ and $x$, each times a number for its channel or group, plus one."""
    batch, channels = input.shape[:2]
    number = input.dtype.type
    rows = (batch, groups, channels // groups, math.prod(input.shape[2:]))
    g, x = (xp.ascontiguousarray(each).reshape(rows) for each in (grad_output, input))
    dots, sums = dots_along(xp, g, x, 3), row_sums(xp, g)
    mean, rstd = mean.reshape(batch, groups, 1, 1), rstd.reshape(batch, groups, 1, 1)
    dx = dw = db = xp.zeros(0, input.dtype)
    if output_mask[1]:
        dw = ((dots - sums * mean) * rstd).sum(axis=0).reshape(channels)
    if output_mask[2]:
        db = sums.sum(axis=0).reshape(channels)
    if output_mask[0]:
        slope = rstd
        if weight is not None:
            weight = weight.reshape(1, *rows[1:3], 1)
            slope = rstd * weight
            dots, sums = dots * weight, sums * weight
        count = number(rows[2] * rows[3])
        dots, sums = dots.sum(axis=2, keepdims=True), sums.sum(axis=2, keepdims=True)
        curve = (sums * mean - dots) * rstd ** 3 / count
        dx = g * slope
        dx += x * curve
        dx -= curve * mean + sums * rstd / count
        dx = dx.reshape(input.shape)
    return dx, dw, db


def _group_norm_rule(grads, input, weight, mean, rstd, groups, eps, needs):
    g, shape = grads[0], input._data.shape
    if fits_closed_form(input, weight) and not mode.grad:
        return wanted(needs, _group_norm_backward(
            g, input, weight, mean, rstd, groups=groups, output_mask=needs))
    along = (shape[1], *[1] * (len(shape) - 2))
    rows = input.reshape(shape[0], groups, math.prod(shape[1:]) // groups)
    x_hat, scale = standardised(rows, (-1,), eps)
    gw = (g if weight is None else g * weight.view(along)).reshape(rows.shape)
    others = [d for d in range(len(shape)) if d != 1]
    dx, dw, _ = composed_gradients(g.reshape(rows.shape), gw, x_hat, scale, (-1,), needs)
    return [None if dx is None else dx.reshape(shape),
            None if dw is None else dw.reshape(shape).sum(others),
            g.sum(others) if needs[2] else None]


def fits_closed_form(input, weight):
    """Whether the closed form will do: one dtype holds all of it."""
    return weight is None or weight._data.dtype is input._data.dtype


def wanted(needs, gradients):
    return [gradient if need else None for need, gradient in zip(needs, gradients, strict=True)]


joint_derivative(_group_norm, ("input", "weight", "bias"), _group_norm_rule)


@autocasts
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None,
               eps: float = 1e-5) -> Any:
    """Mean 0 and variance 1 in each of `num_groups` groups of channels (dimension 1)."""
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received "
                           f"{len(shape)}")
    values = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if values[0] * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size "
                         f"{values}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={num_groups}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor._data.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(tensor._data.shape)} and input of shape "
                f"{list(shape)}")
    check_dtypes("GroupNormKernelImpl", input, weight, bias)
    return _group_norm(input, weight, bias, groups=num_groups, eps=eps)[0]


@takes_out(casts=True)
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12,
              out: Any = None) -> Any:
    r"""$x / \max(\|x\|_p, \epsilon)$ along `dim`."""
    return input / vector_norm(input, p, dim, True).clamp_min(eps).expand_as(input)
