"""`torch.jit`: programs run as they are, with one warning that says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .compiler import warn_once
from .names import missing_in

__all__ = ["export", "freeze", "ignore", "is_scripting", "is_tracing", "load",
           "optimized_execution", "save", "script", "script_if_tracing", "trace", "unused"]


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The function, module or class itself."""
    warn_once("torch.jit.script")
    return obj


def trace(func: Callable, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself."""
    warn_once("torch.jit.trace")
    return func


def _itself(fn: Any = None, *args: Any, **kwargs: Any) -> Any:
    """What is decorated, unchanged."""
    return fn if callable(fn) else lambda function: function


export = ignore = unused = script_if_tracing = freeze = _itself


def is_scripting() -> bool:
    """Whether this code is being compiled: never."""
    return False


def is_tracing() -> bool:
    """Whether calls are being traced: never."""
    return False


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """Accepted: there is nothing to optimise."""
    yield


def save(m: Any, f: Any, *args: Any, **kwargs: Any) -> None:
    """Refused: there is no compiled program to save."""
    raise NotImplementedError("minigrad compiles no programs, so it cannot save one: save the "
                              "module's state_dict() with torch.save")


def load(f: Any, *args: Any, **kwargs: Any) -> Any:
    """Refused: see `save`."""
    raise NotImplementedError("minigrad cannot load a compiled program: load a state_dict with "
                              "torch.load into a module of the program's own class")


__getattr__ = missing_in(__name__)
