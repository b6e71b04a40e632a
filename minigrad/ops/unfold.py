"""Unfolding: every window of an image as a column of a matrix (im2col), and the transpose, folding.

A convolution is a matrix product with these columns: see Note [Three products] in convolution.py.
"""

from __future__ import annotations

import math
from typing import Any

from ..primitive import derivative, no_kernel, primitive
from .convolution import add_windows, output_size, windows
from .dims import int_tuple, wrap_dim

__all__ = ["fold", "unfold"]


# --- the ops -------------------------------------------------------------------------------------

@primitive(promote="exact", name="Im2Col", node_name="Im2ColBackward0")
def _im2col(xp, input, *, count, kernel, dilation, padding, stride):
    r"""(N, C, H, W) as (N, C $\cdot$ kernel places, windows)."""
    images = input if input.ndim == 4 else input[None]
    batch, channels = images.shape[:2]
    seen = windows(xp, images, kernel, count, stride, padding, dilation).copy()
    columns = seen.reshape(batch, channels * math.prod(kernel), math.prod(count))
    return columns if input.ndim == 4 else columns[0]


@primitive(promote="exact", name="Col2Im", node_name="Col2ImBackward0")
def _col2im(xp, input, *, size, count, kernel, dilation, padding, stride):
    """The transpose of im2col: images of spatial `size`, each element the sum of all its copies."""
    columns = input if input.ndim == 3 else input[None]
    seen = columns.reshape(len(columns), columns.shape[1] // math.prod(kernel), *kernel, *count)
    images = xp.ascontiguousarray(add_windows(xp, seen, size, stride, padding, dilation))
    return images if input.ndim == 3 else images[0]


derivative(_im2col,
    input=lambda g, input_shape, count, kernel, dilation, padding, stride: _col2im(
        g, size=input_shape[-2:], count=count, kernel=kernel, dilation=dilation, padding=padding,
        stride=stride))
derivative(_col2im,
    input=lambda g, count, kernel, dilation, padding, stride: _im2col(
        g, count=count, kernel=kernel, dilation=dilation, padding=padding, stride=stride))


# --- checks, in torch's words --------------------------------------------------------------------

def _pair(name: str, what: str, position: int, value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple | str) else (value, value)
    values = int_tuple(name, what, position, tuple(values))
    if len(values) != 2:
        raise RuntimeError(f"It is expected {what} equals to 2, but got size {len(values)}")
    return values


def _check_ranges(kernel: tuple, dilation: tuple, padding: tuple, stride: tuple) -> None:
    for what, short, values, least in (
            ("kernel size", "kernel", kernel, 1), ("dilation", "dilation", dilation, 1),
            ("padding", "pad", padding, 0), ("stride", "stride", stride, 1)):
        if min(values) < least:
            bound = "greater than zero" if least else "non-negative"
            raise RuntimeError(f"{what} should be {bound}, but got {short}_height: {values[0]} "
                               f"{short}_width: {values[1]}")


def _check_dtype(label: str, input: Any) -> None:
    if input._data.dtype.kind in "iu":
        raise no_kernel(label, input._data.dtype)


def _is_batch(shape: tuple, ndim: int) -> bool:
    """Whether no dimension but the batch's is empty, of `ndim` dimensions or one more."""
    return (len(shape) in (ndim, ndim + 1)
            and 0 not in shape[len(shape) - ndim:])


# --- the functions -------------------------------------------------------------------------------

def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
           ) -> Any:
    """Each window of the images (N, C, H, W) as a column, channel by channel."""
    kernel = _pair("im2col", "kernel_size", 2, kernel_size)
    dilation = _pair("im2col", "dilation", 3, dilation)
    padding = _pair("im2col", "padding", 4, padding)
    stride = _pair("im2col", "stride", 5, stride)
    _check_ranges(kernel, dilation, padding, stride)
    shape = input._data.shape
    if not shape:
        raise IndexError("Dimension specified as 1 but tensor has no dimensions")
    wrap_dim(1, len(shape))
    wrap_dim(2, len(shape))
    if not _is_batch(shape, 3):
        raise RuntimeError("Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and "
                           f"other non-zero dimensions for input, but got: {list(shape)}")
    count = output_size(shape[-2:], kernel, stride, padding, dilation, False, (0, 0))
    if min(count) < 1:
        raise RuntimeError(
            f"Given input with spatial size {shape[-2:]}, kernel_size={kernel}, "
            f"dilation={dilation}, padding={padding}, calculated shape of the array of sliding "
            f"blocks as {count}, but its components must be at least one.")
    _check_dtype("im2col_out_cpu", input)
    return _im2col(input, count=count, kernel=kernel, dilation=dilation, padding=padding,
                   stride=stride)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
         stride: Any = 1) -> Any:
    """The columns of `unfold` back in their places in images of spatial `output_size`, summed
    where windows overlap."""
    size = _pair("col2im", "output_size", 2, output_size)
    kernel = _pair("col2im", "kernel_size", 3, kernel_size)
    dilation = _pair("col2im", "dilation", 4, dilation)
    padding = _pair("col2im", "padding", 5, padding)
    stride = _pair("col2im", "stride", 6, stride)
    _check_ranges(kernel, dilation, padding, stride)
    count = _check_columns(input._data.shape, size, kernel, dilation, padding, stride)
    _check_dtype("col2im_out_cpu", input)
    return _col2im(input, size=size, count=count, kernel=kernel, dilation=dilation,
                   padding=padding, stride=stride)


def _check_columns(shape: tuple, size: tuple, kernel: tuple, dilation: tuple, padding: tuple,
                   stride: tuple) -> tuple[int, ...]:
    """How many windows there are in each dimension."""
    if not _is_batch(shape, 2):
        raise RuntimeError("Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch "
                           "size and non-zero dimensions for input, but got: "
                           f"{list(shape)}")
    if shape[-2] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={shape[-2]} and kernel_size={kernel}.")
    count = output_size(size, kernel, stride, padding, dilation, False, (0, 0))
    given = (f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, "
             f"padding={padding}, stride={stride}, ")
    if math.prod(count) != shape[-1]:
        raise RuntimeError(
            f"{given}expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {count[0]} * {count[1]} = {math.prod(count)}, but got "
            f"input.size(2)={shape[-1]}.")
    if min(count) < 1:
        raise RuntimeError(f"{given}calculated shape of the array of sliding blocks as {count}, "
                           "which is too small (non-positive)")
    if min(size) < 1:
        raise RuntimeError("Expected output spatial size to be positive, but got: "
                           f"output_size={size}.")
    return count
