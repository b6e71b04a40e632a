"""Convolution: every window of an image times the same weights, and its transpose.

Note [Three products]
~~~~~~~~~~~~~~~~~~~~~
A convolution is trilinear in image x, weight w and (as a gradient) output g, so three functions on
arrays do everything, each of them one batched matrix product over the *columns* of x, a matrix with
one column for each window:

    correlate           y = w @ columns(x)
    spread              x = the windows' sum of w^T @ g, the transpose of `correlate` in x
    weight_gradient     w = g @ columns(x)^T, summed over the batch

A transposed convolution is `spread`; its gradients are the same three with x and g exchanged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..primitive import derivative, joint_derivative, primitive
from .matmul import require_dtype_of
from .padding import constant_pad_nd
from .strided import restrided

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
           "conv_transpose3d", "convolution"]

_WIDE = 16  # from so many channels on, `spread` is faster as a correlation with the flipped weight,
#             and so are columns by bands


# --- on arrays -----------------------------------------------------------------------------------

def windows(xp, images, kernel, size, stride, padding, dilation):
    """(N, C, *kernel, *size): the `size` windows of each image, as a view of it (padded by 0)."""
    dims = len(kernel)
    if any(padding):
        padded = xp.zeros((*images.shape[:2], *[n + 2 * p for n, p in zip(
            images.shape[2:], padding, strict=True)]), images.dtype)
        padded[(..., *[slice(p, p + n) for n, p in zip(
            images.shape[2:], padding, strict=True)])] = images
        images = padded
    images = xp.ascontiguousarray(images)
    steps = images.strides[-dims:]
    return restrided(xp, images, (*images.shape[:2], *kernel, *size), (
        *images.strides[:2],
        *[step * d for step, d in zip(steps, dilation, strict=True)],
        *[step * s for step, s in zip(steps, stride, strict=True)]))


def add_windows(xp, seen, size, stride, padding, dilation):
    """The transpose of `windows`: the sum of all windows at their places, of spatial `size`."""
    dims = len(size)
    kernel, count = seen.shape[2:2 + dims], seen.shape[2 + dims:]
    images = xp.zeros((*seen.shape[:2], *[n + 2 * p for n, p in zip(size, padding, strict=True)]),
                      seen.dtype)
    for offset in itertools.product(*map(range, kernel)):
        places = [slice(o * d, o * d + s * (n - 1) + 1, s)
                  for o, d, s, n in zip(offset, dilation, stride, count, strict=True)]
        images[(..., *places)] += seen[(slice(None), slice(None), *offset)]
    return images[(..., *[slice(p, p + n) for n, p in zip(size, padding, strict=True)])]


def _columns(xp, images, kernel, size, where, groups):
    """(N, groups, C/groups * kernel, positions)."""
    batch, channels = images.shape[:2]
    return windows(xp, images, kernel, size, *where).reshape(
        batch, groups, channels // groups * math.prod(kernel), math.prod(size))


def _matrices(array, groups):
    """The weight as (groups, outputs/groups, inputs/groups * kernel)."""
    return array.reshape(groups, array.shape[0] // groups, math.prod(array.shape[1:]))


def _rows(array, groups):
    """Images as (N, groups, C/groups, positions)."""
    batch, channels = array.shape[:2]
    return array.reshape(batch, groups, channels // groups, math.prod(array.shape[2:]))


def _bands(xp, images, kernel, size, where, groups):
    """The columns of each position along the first spatial dimension, and for each of the kernel's
    places there the slice of them that it meets: (N, groups, C/groups * kernel[1:], positions).

    Note [Columns by bands]: a full matrix of columns holds every element once for each place of the
    kernel. Shifts along the first dimension, however, are slices of a smaller one, so a product for
    each of them does; with enough channels these cost no more and the copying costs less.
    """
    stride, padding, dilation = where
    length = images.shape[2] + 2 * padding[0]
    row = math.prod(size[1:])
    columns = _columns(xp, images, (1, *kernel[1:]), (length, *size[1:]), where, groups)
    starts = [place * dilation[0] * row for place in range(kernel[0])]
    return [columns[..., start:start + size[0] * row] for start in starts]


def _by_bands(images, kernel, where, groups):
    """Whether that pays."""
    return (len(kernel) > 1 and kernel[0] > 1 and where[0][0] == 1
            and images.shape[1] >= _WIDE * groups)


def correlate(xp, images, weight, size, where, groups):
    """The convolution itself, with results of spatial `size`; `where`: stride, padding, dilation.
    """
    kernel = weight.shape[2:]
    if not _by_bands(images, kernel, where, groups):
        columns = _columns(xp, images, kernel, size, where, groups)
        result = xp.matmul(_matrices(weight, groups), columns)
        return result.reshape(images.shape[0], weight.shape[0], *size)
    result = None
    for place, band in enumerate(_bands(xp, images, kernel, size, where, groups)):
        term = xp.matmul(_matrices(xp.ascontiguousarray(weight[:, :, place]), groups), band)
        result = term if result is None else xp.add(result, term, out=result)
    return result.reshape(images.shape[0], weight.shape[0], *size)


def spread(xp, g, weight, size, where, groups):
    """The transpose of `correlate`: images of spatial `size`."""
    stride, padding, dilation = where
    outputs, inputs, *kernel = weight.shape
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    dense = all(s == 1 and r >= p and n + r - 2 * p == m for s, r, p, n, m in zip(
        stride, reach, padding, g.shape[2:], size, strict=True))
    if dense and (inputs >= _WIDE or groups >= _WIDE):
        grouped = weight.reshape(groups, outputs // groups, inputs, *kernel).swapaxes(1, 2)
        flipped = grouped[(..., *[slice(None, None, -1)] * len(kernel))].reshape(
            groups * inputs, outputs // groups, *kernel)
        rest = tuple(r - p for r, p in zip(reach, padding, strict=True))
        return correlate(xp, g, flipped, size, (stride, rest, dilation), groups)
    seen = xp.matmul(_matrices(weight, groups).swapaxes(1, 2), _rows(g, groups)).reshape(
        g.shape[0], groups * inputs, *kernel, *g.shape[2:])
    return xp.ascontiguousarray(add_windows(xp, seen, size, stride, padding, dilation))


def weight_gradient(xp, g, images, shape, where, groups):
    """The gradient of a weight of this shape."""
    kernel, size, rows = shape[2:], g.shape[2:], _rows(g, groups)
    if not _by_bands(images, kernel, where, groups):
        columns = _columns(xp, images, kernel, size, where, groups)
        return xp.matmul(rows, columns.swapaxes(2, 3)).sum(axis=0).reshape(shape)
    result = xp.empty(shape, g.dtype)
    for place, band in enumerate(_bands(xp, images, kernel, size, where, groups)):
        result[:, :, place] = xp.matmul(rows, band.swapaxes(2, 3)).sum(axis=0).reshape(
            *shape[:2], *kernel[1:])
    return result


def output_size(size, kernel, stride, padding, dilation, transposed, output_padding):
    """How many windows fit; transposed: how large an image has so many."""
    if transposed:
        return tuple((n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, d, extra in zip(
            size, kernel, stride, padding, dilation, output_padding, strict=True))
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(
        size, kernel, stride, padding, dilation, strict=True))


# --- the primitives ------------------------------------------------------------------------------

@primitive(name="convolution")
def _convolution(xp, input, weight, bias=None, *, stride, padding, dilation, transposed,
                 output_padding, groups):
    r"""$y_o = b_o + \sum_c w_{oc} \star x_c$; transposed, the transpose of that map."""
    size = output_size(input.shape[2:], weight.shape[2:], stride, padding, dilation, transposed,
                       output_padding)
    product = spread if transposed else correlate
    result = product(xp, input, weight, size, (stride, padding, dilation), groups)
    if bias is not None:
        result += bias.reshape(-1, *[1] * len(size))
    return result


@primitive(name="convolution_backward", outputs=("grad_input", "grad_weight", "grad_bias"))
def _convolution_backward(xp, grad_output, input, weight, *, stride, padding, dilation, transposed,
                          output_padding, groups, output_mask):
    """The gradients of input, weight and bias: those of `output_mask`, the others are empty."""
    where = stride, padding, dilation
    grad_input = grad_weight = grad_bias = xp.zeros(0, grad_output.dtype)
    if output_mask[0]:
        product = correlate if transposed else spread
        grad_input = product(xp, grad_output, weight, input.shape[2:], where, groups)
    if output_mask[1]:
        few, many = (input, grad_output) if transposed else (grad_output, input)
        grad_weight = weight_gradient(xp, few, many, weight.shape, where, groups)
    if output_mask[2]:
        batch, channels = grad_output.shape[:2]
        positions = math.prod(grad_output.shape[2:])
        rows = grad_output.reshape(batch * channels, positions)
        grad_bias = (rows @ xp.ones(positions, rows.dtype)).reshape(batch, channels).sum(axis=0)
    return grad_input, grad_weight, grad_bias


def _convolution_rule(g, input, weight, stride, padding, dilation, transposed, output_padding,
                      groups, needs):
    gradients = _convolution_backward(
        g, input, weight, stride=stride, padding=padding, dilation=dilation, transposed=transposed,
        output_padding=output_padding, groups=groups, output_mask=needs)
    return [gradient if need else None for gradient, need in zip(gradients, needs, strict=True)]


def _second_rule(grads, grad_output, input, weight, stride, padding, dilation, transposed,
                 output_padding, groups, needs):
    """Each of the two gradients is bilinear, so each of its derivatives is one of the products."""
    how = {"stride": stride, "padding": padding, "dilation": dilation, "transposed": transposed,
           "output_padding": output_padding, "groups": groups}
    of_input, of_weight, of_bias = grads
    second: list[Any] = [None, None, None]
    if needs[0]:
        terms = []
        if of_input is not None:
            terms.append(_convolution(of_input, weight, **how))
        if of_weight is not None:
            terms.append(_convolution(input, of_weight, **how))
        if of_bias is not None:
            terms.append(of_bias.reshape(-1, *[1] * len(stride)).expand(grad_output.shape))
        if terms:
            second[0] = sum(terms[1:], terms[0])
    if needs[1] and of_weight is not None:
        second[1] = _convolution_backward(grad_output, input, of_weight, **how,
                                          output_mask=(True, False, False))[0]
    if needs[2] and of_input is not None:
        second[2] = _convolution_backward(grad_output, of_input, weight, **how,
                                          output_mask=(False, True, False))[1]
    return second


joint_derivative(_convolution, ("input", "weight", "bias"), _convolution_rule)
joint_derivative(_convolution_backward, ("grad_output", "input", "weight"), _second_rule)


# --- checks, in torch's words --------------------------------------------------------------------

def _expanded(name: str, value: Any, dims: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    if len(values) == 1:
        return values * dims
    if len(values) != dims:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match the "
            f"convolution dimensions, but got {name}={list(values)}")
    return values


def _times(sizes: Sequence[int]) -> str:
    return "(" + " x ".join(map(str, sizes)) + ")"


def _check_dtypes(input: Any, weight: Any, bias: Any, transposed: bool) -> None:
    if bias is not None and bias._data.dtype is not input._data.dtype:
        raise RuntimeError(f"Input type ({input.dtype.c_name}) and bias type "
                           f"({bias.dtype.c_name}) should be the same")
    require_dtype_of(input, weight)
    refused = input._data.dtype.kind == "b"
    if transposed:
        refused = input._data.dtype.kind in "biu" and input.dtype.name != "int64"
    if refused:
        dims = max(input._data.ndim - 2, 2)
        kernel = f"slow_conv_transpose{dims}d_out_cpu" if transposed else f"slow_conv{dims}d_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{input.dtype.scalar_name}'")


def _check_shapes(input: Any, weight: Any, bias: Any, stride: tuple, padding: tuple,
                  dilation: tuple, transposed: bool, output_padding: tuple, groups: int) -> None:
    shape, sizes = list(weight._data.shape), list(input._data.shape)
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(output_padding) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero, but got "
                           f"{list(dilation)}")
    if len(shape) != len(sizes):
        raise RuntimeError(
            f"Expected {len(shape)}-dimensional input for {len(shape)}-dimensional weight {shape}, "
            f"but got {len(sizes)}-dimensional input of size {sizes} instead")
    if shape[0] < groups:
        raise RuntimeError(f"Given groups={groups}, expected weight to be at least {groups} at "
                           f"dimension 0, but got weight of size {shape} instead")
    if shape[0] % groups:
        raise RuntimeError(f"Given groups={groups}, expected weight to be divisible by {groups} at "
                           f"dimension 0, but got weight of size [{shape}] instead")
    expected = shape[0] if transposed else shape[1] * groups
    given = "transposed=1" if transposed else f"groups={groups}"
    if sizes[1] != expected:
        raise RuntimeError(
            f"Given {given}, weight of size {shape}, expected input{sizes} to have {expected} "
            f"channels, but got {sizes[1]} channels instead")
    outputs = shape[1] * groups if transposed else shape[0]
    if bias is not None and bias._data.shape != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {shape}, expected bias "
            f"to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias._data.shape)} instead")
    if transposed:
        _check_transposed_size(sizes, shape, stride, padding, dilation, output_padding)
        return
    padded = [n + 2 * p for n, p in zip(sizes[2:], padding, strict=True)]
    kernel = [d * (k - 1) + 1 for d, k in zip(dilation, shape[2:], strict=True)]
    if any(n < k for n, k in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {_times(padded)}. Kernel size: "
            f"{_times(kernel)}. Kernel size can't be greater than actual input size")


def _check_transposed_size(sizes: list, shape: list, stride: tuple, padding: tuple,
                           dilation: tuple, output_padding: tuple) -> None:
    names = ("depth", "height", "width")[-max(len(stride), 2):]  # 1-d is 2-d with a height of 1
    if any(o >= s and o >= d for o, s, d in zip(output_padding, stride, dilation, strict=True)):
        one = len(stride) == 1
        parts = [f"{what}_{name}: {value}"
                 for what, values, fill in (("output_padding", output_padding, 0),
                                            ("stride", stride, 1), ("dilation", dilation, 1))
                 for name, value in zip(names, (fill,) * one + values, strict=True)]
        raise RuntimeError("output padding must be smaller than either stride or dilation, but "
                           "got " + " ".join(parts))
    size = output_size(sizes[2:], shape[2:], stride, padding, dilation, True, output_padding)
    if min(size) < 1:
        raise RuntimeError(f"Given input size per channel: {_times(sizes[2:])}. Calculated output "
                           f"size per channel: {_times(size)}. Output size is too small")


# --- the functions -------------------------------------------------------------------------------

def convolution(input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
                transposed: bool, output_padding: Any, groups: int) -> Any:
    """A convolution, or its transpose, over as many dimensions as `weight` has besides two."""
    dims = weight._data.ndim - 2
    if dims <= 0:
        raise RuntimeError("weight should have at least three dimensions")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    stride = _expanded("stride", stride, dims)
    padding = _expanded("padding", padding, dims)
    dilation = _expanded("dilation", dilation, dims)
    output_padding = _expanded("output_padding", output_padding, dims)
    _check_shapes(input, weight, bias, stride, padding, dilation, transposed, output_padding,
                  groups)
    _check_dtypes(input, weight, bias, transposed)
    return _convolution(input, weight, bias, stride=stride, padding=padding, dilation=dilation,
                        transposed=transposed, output_padding=output_padding, groups=groups)


def _same_padding(input: Any, weight: Any, stride: Any, dilation: Any) -> tuple[Any, tuple]:
    """The padding that keeps the size; an odd element is added to the input's far end first."""
    dims = weight._data.ndim - 2
    if weight._data.ndim != input._data.ndim:
        raise RuntimeError(
            f"Expected {dims + 2}-dimensional input for {dims + 2}-dimensional weight "
            f"{list(weight._data.shape)}, but got {input._data.ndim}-dimensional input of size "
            f"{list(input._data.shape)} instead")
    if any(s != 1 for s in _expanded("stride", stride, dims)):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(
        _expanded("dilation", dilation, dims), weight._data.shape[2:], strict=True)]
    if any(t % 2 for t in total):
        input = constant_pad_nd(input, [n for t in reversed(total) for n in (0, t % 2)])
    return input, tuple(t // 2 for t in total)


def _with_mode(input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
               transposed: bool, output_padding: Any, groups: int) -> Any:
    """`convolution`, where padding may also be "same" or "valid"."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if groups <= 0:
            raise RuntimeError("non-positive groups is not supported")
        if padding == "same":
            input, padding = _same_padding(input, weight, stride, dilation)
        else:
            padding = 0
    return convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding,
                       groups)


@primitive(name="mul", overload=1)
def _times_i(xp, input):
    r"""$y = i\,a$, complex also for a real $a$, so $\bar a = -i\,\bar y$."""
    return xp.multiply(input, xp.asarray(1j, "F" if input.dtype.itemsize <= 4 else "D"))


derivative(_times_i, input=lambda g: g * -1j)


def _complex_convolution(input: Any, weight: Any, bias: Any, *how: Any) -> Any:
    """Three real convolutions, not four: $(a+b)(c+d) - ac - bd$ is the imaginary part."""
    x, w = [t.resolve_conj().view_as_real() for t in (input, weight)]
    b = None if bias is None else bias.resolve_conj().view_as_real()
    real_b = None if b is None else b.select(-1, 0)
    imag_b = None if b is None else b.select(-1, 1)
    real_x, imag_x, real_w, imag_w = [t.select(-1, i) for t in (x, w) for i in (0, 1)]
    both_b = None if real_b is None else real_b + imag_b
    real = _with_mode(real_x, real_w, real_b, *how)
    imaginary = _with_mode(imag_x, imag_w, None, *how)
    both = _with_mode(real_x + imag_x, real_w + imag_w, both_b, *how)
    return real - imaginary + _times_i(both - real - imaginary)


def _convolve(name: str, dims: int, input: Any, weight: Any, bias: Any, *how: Any) -> Any:
    """Check the dimensions; an input without batch dimension gets one, and loses it again."""
    for position, (argument, tensor) in enumerate((("input", input), ("weight", weight))):
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"{name}(): argument '{argument}' (position {position + 1}) must be "
                            f"Tensor, not {type(tensor).__name__}")
    ndim = input._data.ndim
    if ndim not in (dims + 1, dims + 2):
        raise RuntimeError(f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to "
                           f"{name}, but got input of size: {list(input._data.shape)}")
    how = tuple([(value,) * dims if type(value) is int and place < 3 else value
                 for place, value in enumerate(how)])  # a number of stride, padding, dilation
    run = _complex_convolution if input.is_complex() and weight.is_complex() else _with_mode
    if ndim == dims + 2:
        return run(input, weight, bias, *how)
    return run(input.unsqueeze(0), weight, bias, *how).squeeze(0)


@autocasts
def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    """Convolve (N, C, L) with (O, C/groups, K)."""
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, False, 0, groups)


@autocasts
def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    """Convolve (N, C, H, W) with (O, C/groups, kH, kW)."""
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, False, 0, groups)


@autocasts
def conv3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    """Convolve (N, C, D, H, W) with (O, C/groups, kD, kH, kW)."""
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, False, 0, groups)


@autocasts
def conv_transpose1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """The transpose of `conv1d`: weight is (C, O/groups, K)."""
    return _convolve("conv_transpose1d", 1, input, weight, bias, stride, padding, dilation, True,
                     output_padding, groups)


@autocasts
def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """The transpose of `conv2d`: weight is (C, O/groups, kH, kW)."""
    return _convolve("conv_transpose2d", 2, input, weight, bias, stride, padding, dilation, True,
                     output_padding, groups)


@autocasts
def conv_transpose3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """The transpose of `conv3d`: weight is (C, O/groups, kD, kH, kW)."""
    return _convolve("conv_transpose3d", 3, input, weight, bias, stride, padding, dilation, True,
                     output_padding, groups)
