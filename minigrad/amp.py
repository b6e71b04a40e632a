"""Mixed precision: `autocast` runs matrix products in 16 bits, `GradScaler` keeps their gradients
from vanishing.

Which ops are cast, and how, is in autocast_rules.py.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from . import dtypes
from .autocast_rules import eligible, settings
from .core import TensorBase, mode
from .device import cuda_device_count, device
from .grad_scaler import GradScaler
from .names import missing_in

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


class autocast:
    """Context manager and decorator: inside, the ops of torch's lists run in `dtype`.

    `cache_enabled=False` casts a parameter anew each time it is used.
    """

    def __init__(self, device_type: str, dtype: dtypes.dtype | None = None, enabled: bool = True,
                 cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self.device = device_type
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else \
            cache_enabled
        if enabled and device_type == "cuda":
            if cuda_device_count() == 0:
                warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.",
                              stacklevel=2)
                enabled = False
        elif enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(
                f"In {device_type.upper()} autocast, but the target dtype is not supported. "
                f"Disabling autocast.\n{device_type.upper()} Autocast only supports dtypes of "
                "torch.bfloat16, torch.float16 currently.", stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._outer: list = []

    def __enter__(self) -> autocast:
        self._outer.append((is_autocast_enabled(self.device), get_autocast_dtype(self.device),
                            is_autocast_cache_enabled()))
        set_autocast_dtype(self.device, self.fast_dtype)
        set_autocast_enabled(self.device, self._enabled)
        set_autocast_cache_enabled(self._cache_enabled)
        autocast_increment_nesting()
        return self

    def __exit__(self, *error: object) -> None:
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        enabled, dtype, cache_enabled = self._outer.pop()
        set_autocast_dtype(self.device, dtype)
        set_autocast_enabled(self.device, enabled)
        set_autocast_cache_enabled(cache_enabled)

    def __call__(self, func: Any) -> Any:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you "
                "mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n        output = model(input)")

        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return wrapped


# --- the state behind it -------------------------------------------------------------------------

def _place(device_type: str) -> str:
    place = device(device_type).type
    if place not in settings.dtypes:
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
    return place


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for the device at all."""
    return device(device_type).type in settings.dtypes


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether the device's ops are being cast now."""
    return mode.autocast is not None and _place(device_type) in mode.autocast


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast on or off; with one argument, for CUDA."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    place = _place(device_type)
    active = {each: dtype for each, dtype in (mode.autocast or {}).items() if each != place}
    if enabled:
        active[place] = settings.dtypes[place].numpy
    mode.autocast = active or None


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """What autocast casts to on the device, also while it is off."""
    return settings.dtypes[_place(device_type)]


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Set what autocast casts to on the device."""
    settings.dtypes[_place(device_type)] = dtype
    if is_autocast_enabled(device_type):
        set_autocast_enabled(device_type, True)


def is_autocast_cache_enabled() -> bool:
    """Whether the casts of parameters are kept."""
    return settings.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether to keep the casts of parameters."""
    settings.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Forget the casts of parameters."""
    settings.cache.clear()


def autocast_increment_nesting() -> int:
    """One more `autocast` is open: how many now."""
    settings.nesting += 1
    return settings.nesting


def autocast_decrement_nesting() -> int:
    """One `autocast` less: how many are left."""
    settings.nesting -= 1
    return settings.nesting


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`, its old name."""
    _old("is_autocast_cpu_enabled", "is_autocast_enabled('cpu')")
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled("cpu", enabled)`, its old name."""
    _old("set_autocast_cpu_enabled", "set_autocast_enabled('cpu', enabled)")
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> dtypes.dtype:
    """`get_autocast_dtype("cpu")`, its old name."""
    _old("get_autocast_cpu_dtype", "get_autocast_dtype('cpu')")
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: dtypes.dtype) -> None:
    """`set_autocast_dtype("cpu", dtype)`, its old name."""
    _old("set_autocast_cpu_dtype", "set_autocast_dtype('cpu', dtype)")
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> dtypes.dtype:
    """`get_autocast_dtype("cuda")`, its old name."""
    _old("get_autocast_gpu_dtype", "get_autocast_dtype('cuda')")
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: dtypes.dtype) -> None:
    """`set_autocast_dtype("cuda", dtype)`, its old name."""
    _old("set_autocast_gpu_dtype", "set_autocast_dtype('cuda', dtype)")
    set_autocast_dtype("cuda", dtype)


def _old(name: str, instead: str) -> None:
    warnings.warn(f"torch.{name}() is deprecated and will be removed in a future release. Please "
                  f"use torch.{instead} instead.", DeprecationWarning, stacklevel=3)


# --- for autograd.Function -----------------------------------------------------------------------

def custom_fwd(fwd: Callable | None = None, *, device_type: str,
               cast_inputs: dtypes.dtype | None = None) -> Any:
    """Decorate the `forward` of a Function: with `cast_inputs`, it runs on inputs of that dtype and
    without autocast; else as autocast has it."""
    _check_device_type(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = get_autocast_dtype(device_type)
        enabled = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs),
                       **_cast(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Callable | None = None, *, device_type: str) -> Any:
    """Decorate the `backward` of a Function: it runs under autocast where `forward` did."""
    _check_device_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return backward


def _check_device_type(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def _cast(value: Any, device_type: str, dtype: dtypes.dtype) -> Any:
    if isinstance(value, TensorBase):
        tensor: Any = value
        return tensor.to(dtype) if eligible(tensor, device_type) else tensor
    if isinstance(value, str | bytes | np.ndarray):
        return value
    if isinstance(value, Mapping):
        return {_cast(key, device_type, dtype): _cast(each, device_type, dtype)
                for key, each in value.items()}
    if isinstance(value, Iterable):
        parts = (_cast(each, device_type, dtype) for each in value)
        return type(value)(parts) if isinstance(value, list | tuple) else parts
    return value


__getattr__ = missing_in(__name__)
