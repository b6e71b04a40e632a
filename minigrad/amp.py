"""Mixed precision: `autocast` runs matrix products in 16 bits and leaves the rest as it is."""

from __future__ import annotations

import functools
import warnings
from typing import Any

from . import dtypes
from .core import mode
from .device import cuda_device_count, device
from .names import missing_in

_DEFAULT = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
_ALLOWED = {"cpu": (dtypes.bfloat16, dtypes.float16), "cuda": (dtypes.float16, dtypes.bfloat16)}


class autocast:
    """Context manager and decorator: inside, the ops listed as `lower_precision` run in `dtype`."""

    def __init__(self, device_type: str, dtype: dtypes.dtype | None = None, enabled: bool = True,
                 cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device(device_type).type not in _DEFAULT:
            raise RuntimeError(f"User specified an unsupported autocast device_type "
                               f"'{device_type}'")
        self.device = device_type
        self.fast_dtype = dtype or _DEFAULT[device_type]
        if device_type == "cuda" and enabled and cuda_device_count() == 0:
            warnings.warn("User provided device_type of 'cuda', but CUDA is not available. "
                          "Disabling", stacklevel=3)
            enabled = False
        if enabled and self.fast_dtype not in _ALLOWED[device_type]:
            warnings.warn(f"In {device_type.upper()} autocast, but the target dtype is not "
                          "supported. Disabling autocast.", stacklevel=3)
            enabled = False
        self._enabled = enabled
        self._outer: list = []

    def __enter__(self) -> autocast:
        self._outer.append(mode.autocast)
        mode.autocast = self.fast_dtype.numpy if self._enabled else None
        return self

    def __exit__(self, *error: object) -> None:
        mode.autocast = self._outer.pop()

    def __call__(self, function: Any) -> Any:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)
        return wrapped


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether ops of the lower-precision list are being cast now."""
    return mode.autocast is not None


__getattr__ = missing_in(__name__)
