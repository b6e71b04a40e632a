"""`torch.compile` and `torch.jit`: programs run as they are, with one warning that says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from .names import missing_in

__all__ = ["compile", "disable", "is_compiling", "reset"]

_warned: set[str] = set()


def warn_once(what: str) -> None:
    """Say once that `what` compiles nothing."""
    if what not in _warned:
        _warned.add(what)
        warnings.warn(f"{what}: minigrad compiles nothing, the program runs as it is", UserWarning,
                      stacklevel=3)


def compile(model: Callable | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
            backend: Any = "inductor", mode: str | None = None, options: dict | None = None,
            disable: bool = False) -> Any:
    """The function or module itself; also as a decorator, with or without arguments."""
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified "
                           "at the same time.")
    warn_once("torch.compile")
    return (lambda function: function) if model is None else model


def disable(fn: Callable | None = None, recursive: bool = True, *,
            reason: str | None = None) -> Any:
    """The function itself: nothing is compiled anyway."""
    return (lambda function: function) if fn is None else fn


def is_compiling() -> bool:
    """Whether this code is being compiled: never."""
    return False


def reset() -> None:
    """Nothing was compiled."""


__getattr__ = missing_in(__name__)
