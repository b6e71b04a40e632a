"""The limits of number types: `finfo(float32).eps`, `iinfo(int8).max`."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from . import dtypes


class finfo:
    """The limits of a floating-point type (by default the default dtype)."""

    def __init__(self, type: dtypes.dtype | None = None) -> None:
        type = dtypes.get_default_dtype() if type is None else type
        if type.category < dtypes.FLOATING:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo "
                            f"to handle '{type.name}'")
        info = ml_dtypes.finfo(type.to_real().numpy)
        self.bits = info.bits
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 10.0 ** -info.precision
        self.dtype = type.name

    def __repr__(self) -> str:
        return (f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
                f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, "
                f"tiny={self.tiny:g}, dtype={self.dtype})")


class iinfo:
    """The limits of an integer type."""

    def __init__(self, type: dtypes.dtype) -> None:
        if type.category != dtypes.INTEGER:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to "
                            f"handle '{type.name}'")
        info = np.iinfo(type.numpy)
        self.bits, self.max, self.min = info.bits, int(info.max), int(info.min)
        self.dtype = type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
