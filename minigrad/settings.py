"""Settings of torch's that have nothing to set here: they are kept, checked and answered.

minigrad's results do not depend on threads or on the choice among algorithms: it is deterministic,
and computes float32 in float32.
"""

from __future__ import annotations

import warnings


class _Settings:
    deterministic = False
    warn_only = False
    precision = "highest"
    warn_always = False
    interop_threads = 1


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: results are the same in every run as it is."""
    if not isinstance(mode, bool):
        raise TypeError("use_deterministic_algorithms(): argument 'mode' (position 1) must be "
                        f"bool, not {type(mode).__name__}")
    _Settings.deterministic, _Settings.warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was told."""
    return _Settings.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Its `warn_only`."""
    return _Settings.warn_only


_DEBUG_MODES = {"default": 0, "warn": 1, "error": 2}


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same setting as one of "default" (0), "warn" (1) and "error" (2)."""
    if not isinstance(debug_mode, int | str):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError("invalid value of debug_mode, expected one of `default`, `warn`, "
                               f"`error`, but got {debug_mode}")
        debug_mode = _DEBUG_MODES[debug_mode]
    if debug_mode not in (0, 1, 2):
        raise RuntimeError("invalid value of debug_mode, expected 0, 1, or 2, but got "
                           f"{debug_mode}")
    use_deterministic_algorithms(debug_mode != 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: see `set_deterministic_debug_mode`."""
    if not _Settings.deterministic:
        return 0
    return 1 if _Settings.warn_only else 2


def set_float32_matmul_precision(precision: str) -> None:
    """Accepted: products of float32 matrices are computed in float32, whatever it says."""
    if not isinstance(precision, str):
        raise TypeError("set_float32_matmul_precision(): argument 'precision' (position 1) must "
                        f"be str, not {type(precision).__name__}")
    if precision not in ("highest", "high", "medium"):
        warnings.warn(f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
                      "setFloat32MatmulPrecision call has no effect.", stacklevel=2)
        return
    _Settings.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told."""
    return _Settings.precision


def set_warn_always(b: bool) -> None:
    """Accepted: minigrad leaves it to Python how often a warning is shown."""
    _Settings.warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was told."""
    return _Settings.warn_always


def set_num_interop_threads(num: int) -> None:
    """Accepted: backward runs in the thread that asks for it."""
    if num <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _Settings.interop_threads = num


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was told."""
    return _Settings.interop_threads


def set_flush_denormal(mode: bool) -> bool:
    """False: tiny numbers are kept."""
    return False
