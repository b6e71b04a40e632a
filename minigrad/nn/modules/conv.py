"""Convolutions and transposed convolutions over one, two and three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import functional as F
from .. import init
from ..parameter import UninitializedParameter
from .lazy import LazyModuleMixin
from .linear import new_parameter
from .module import Module
from .sizes import each_dim

PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}
PADDINGS = {"same", "valid"}


class _ConvNd(Module):
    """Parameters and options of all convolutions; `weight` is (out, in / groups, *kernel_size), or
    (in, out / groups, *kernel_size) if `transposed`."""

    _dims: int
    _function: Callable
    transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any,
                 padding: Any, dilation: Any, output_padding: Any, groups: int, bias: bool,
                 padding_mode: str, device: Any, dtype: Any) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = each_dim(kernel_size, self._dims)
        self.stride = each_dim(stride, self._dims)
        self.padding = padding if isinstance(padding, str) else each_dim(padding, self._dims)
        self.dilation = each_dim(dilation, self._dims)
        self.output_padding = each_dim(output_padding, self._dims)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        self.weight = new_parameter(self._weight_shape(), device, dtype)
        self.register_parameter("bias", new_parameter(out_channels, device, dtype)
                                if bias else None)
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups != 0:
                raise ValueError(f"{name} must be divisible by groups")
        if isinstance(self.padding, str):
            if self.padding not in PADDINGS:
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of "
                                 f"{PADDINGS}")
            if self.padding == "same" and any(step != 1 for step in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got "
                             f"padding_mode='{self.padding_mode}'")

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
                 f"stride={self.stride}"]
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            values = getattr(self, name)
            if values != (usual,) * len(values):
                shown.append(f"{name}={values}")
        if self.groups != 1:
            shown.append(f"groups={self.groups}")
        if self.bias is None:
            shown.append("bias=False")
        if self.padding_mode != "zeros":
            shown.append(f"padding_mode={self.padding_mode}")
        return ", ".join(shown)


class _Conv(_ConvNd):
    """A convolution. `padding` is a number for each dimension, "valid" (none) or "same" (the output
    has the input's size); `padding_mode` says what it is filled with."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
                 padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0,
                         groups, bias, padding_mode, device, dtype)

    def _pad_widths(self) -> list[int]:
        """What `F.pad` wants: both ends of the last dimension, then of the one before, ..."""
        if self.padding == "valid":
            return [0, 0] * self._dims
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [width for t in reversed(total) for width in (t // 2, t - t // 2)]
        widths: Any = self.padding
        return [width for width in reversed(widths) for _ in range(2)]

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._pad_widths(), mode=self.padding_mode)
            padding = (0,) * self._dims
        return self._function(input, weight, bias, self.stride, padding, self.dilation,
                              self.groups)

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    r"""$y_o = b_o + \sum_c w_{oc} \star x_c$ for (N, C, L) or (C, L)."""

    _dims, _function = 1, staticmethod(F.conv1d)


class Conv2d(_Conv):
    r"""$y_o = b_o + \sum_c w_{oc} \star x_c$ for (N, C, H, W) or (C, H, W)."""

    _dims, _function = 2, staticmethod(F.conv2d)


class Conv3d(_Conv):
    r"""$y_o = b_o + \sum_c w_{oc} \star x_c$ for (N, C, D, H, W) or (C, D, H, W)."""

    _dims, _function = 3, staticmethod(F.conv3d)


class _ConvTranspose(_ConvNd):
    """The transpose of a convolution: it maps back to the size that the convolution came from.

    Several sizes may shrink to the same one; `output_padding`, or `output_size` in the call, says
    which of them is meant.
    """

    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
                 padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
                 dilation: Any = 1, padding_mode: str = "zeros", device: Any = None,
                 dtype: Any = None) -> None:
        if padding_mode != "zeros":
            raise ValueError('Only "zeros" padding mode is supported for '
                             f"{type(self).__name__}")
        super().__init__(in_channels, out_channels, kernel_size, stride,
                         each_dim(padding, self._dims), dilation, output_padding, groups, bias,
                         padding_mode, device, dtype)

    def _padding_for(self, input: Any, output_size: Sequence[int]) -> list[int]:
        """The output padding that gives this size."""
        dims, ndim = self._dims, input.dim()
        others = 2 if ndim == dims + 2 else 1
        size = list(output_size)
        if len(size) == dims + others:
            size = size[others:]
        if len(size) != dims:
            raise ValueError(
                f"ConvTranspose{dims}D: for {ndim}D input, output_size must have {dims} or "
                f"{dims + others} elements (got {len(size)})")
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(
            input.shape[others:], self.stride, self.padding, self.dilation, self.kernel_size,
            strict=True)]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not low <= n <= high for low, n, high in zip(least, size, most, strict=True)):
            shown = output_size if len(output_size) == dims else output_size[others:]
            raise ValueError(
                f"requested an output size of {shown}, but valid sizes range from {least} to "
                f"{most} (for an input of {input.size()[2:]})")
        return [n - low for n, low in zip(size, least, strict=True)]

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        output_padding = self.output_padding if output_size is None else \
            self._padding_for(input, output_size)
        return self._function(input, self.weight, self.bias, self.stride, self.padding,
                              output_padding, self.groups, self.dilation)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`, for (N, C, L) or (C, L)."""

    _dims, _function = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, for (N, C, H, W) or (C, H, W)."""

    _dims, _function = 2, staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`, for (N, C, D, H, W) or (C, D, H, W)."""

    _dims, _function = 3, staticmethod(F.conv_transpose3d)


# --- as many input channels as the first input has -----------------------------------------------

class _LazyConvNd(LazyModuleMixin, _ConvNd):
    """Takes the arguments of the class that it becomes, without `in_channels`."""

    def __init__(self, out_channels: int, kernel_size: Any, bias: bool, device: Any, dtype: Any,
                 **options: Any) -> None:
        super().__init__(0, 0, kernel_size, bias=False, device=device, dtype=dtype, **options)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any, *args: Any, **kwargs: Any) -> None:
        if self.has_uninitialized_params():
            self.in_channels = self._channels_of(input)
            if self.in_channels % self.groups != 0:
                raise ValueError("in_channels must be divisible by groups")
            self._materialize(weight=self._weight_shape(), bias=(self.out_channels,))
            self.reset_parameters()

    def _channels_of(self, input: Any) -> int:
        least = self._dims + 1
        if input.dim() not in (least, least + 1):
            raise RuntimeError(
                f"Expected {least}D (unbatched) or {least + 1}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}")
        return input.shape[input.dim() - least]


class _LazyConv(_LazyConvNd):
    def __init__(self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:
        super().__init__(out_channels, kernel_size, bias, device, dtype, stride=stride,
                         padding=padding, dilation=dilation, groups=groups,
                         padding_mode=padding_mode)


class _LazyConvTranspose(_LazyConvNd):
    def __init__(self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:
        super().__init__(out_channels, kernel_size, bias, device, dtype, stride=stride,
                         padding=padding, output_padding=output_padding, groups=groups,
                         dilation=dilation, padding_mode=padding_mode)


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d of as many input channels as the first input has."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d of as many input channels as the first input has."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d of as many input channels as the first input has."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """ConvTranspose1d of as many input channels as the first input has."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """ConvTranspose2d of as many input channels as the first input has."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """ConvTranspose3d of as many input channels as the first input has."""

    cls_to_become = ConvTranspose3d
