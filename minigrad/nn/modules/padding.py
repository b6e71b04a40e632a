"""Padding as layers: what lies around an image.

`padding` is one width for all ends, or (left, right, top, bottom, front, back) as far as there are
dimensions; a negative width cuts off.
"""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .module import Module
from .sizes import each_dim


class _Pad(Module):
    """One kind of padding, named as `F.pad` names it, over `_dims` dimensions."""

    _dims: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = each_dim(padding, 2 * self._dims)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Any) -> Any:
        least = self._dims + 1
        if input.dim() not in (least, least + 1):
            raise ValueError(f"expected {least}D or {least + 1}D input (got {input.dim()}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """The signal repeats, for (N, C, L) or (C, L)."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """The image repeats, for (N, C, H, W) or (C, H, W)."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """The volume repeats, for (N, C, D, H, W) or (C, D, H, W)."""

    _dims = 3


class _ConstantPad(_Pad):
    _mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A constant around the last dimension."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """A constant around the last two dimensions."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """A constant around the last three dimensions."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """The signal mirrored at its ends, which are not repeated."""

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The image mirrored at its edges, which are not repeated."""

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The volume mirrored at its faces, which are not repeated."""

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The signal's end values go on."""

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The values of the image's edges go on."""

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The values of the volume's faces go on."""

    _dims, _mode = 3, "replicate"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Zeros around the last dimension."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Zeros around the last two dimensions."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Zeros around the last three dimensions."""
