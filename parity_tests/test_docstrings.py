"""Every public function, class and method says what it is: its docstring opens with a formula or a
sentence. What a base class has said, or Python about its dicts and lists, need not be said again.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
from typing import Any

import pytest

NAMESPACES = [
    "", "amp", "autograd", "autograd.forward_ad", "autograd.functional", "autograd.graph", "cuda",
    "fft", "func", "linalg", "masked", "nn", "nn.functional", "nn.init", "nn.utils",
    "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.prune", "nn.utils.rnn", "optim",
    "optim.lr_scheduler", "optim.swa_utils", "distributions", "random", "signal.windows", "special",
    "testing", "utils.checkpoint", "utils.data", "viz"]
# A sentence; a formula, in TeX or in plain text: y = exp(x), |x|, log |x|.
OPENING = re.compile(r"[A-Z0-9$`\"(+-]|torch|\||[a-z]\w*(\(| [=+-] | \|)")


def namespace(path: str) -> Any:
    return importlib.import_module(f"minigrad.{path}" if path else "minigrad")


def public(path: str) -> list[tuple[str, Any]]:
    """The functions and classes that minigrad defines, with the names that torch has there too; all
    of them in the first room, and where torch has no such room."""
    try:
        theirs = importlib.import_module(f"torch.{path}") if path else None
    except ModuleNotFoundError:
        theirs = None
    return [(name, value) for name, value in vars(namespace(path)).items()
            if not name.startswith("_") and not isinstance(value, types.ModuleType)
            and callable(value) and str(getattr(value, "__module__", "")).startswith("minigrad")
            and (theirs is None or hasattr(theirs, name))]


# Methods that are explained once, by the class that they belong to.
SAY_NOTHING_NEW = {"reset_parameters", "domain", "codomain"}


def methods(cls: type) -> list[tuple[str, Any]]:
    """The methods and properties that a class defines, but for those of Python's containers."""
    return [(name, getattr(cls, name)) for name, value in vars(cls).items()
            if not name.startswith("_") and name not in dir(dict) + dir(list)
            and name not in SAY_NOTHING_NEW
            and isinstance(value, types.FunctionType | property | staticmethod | classmethod)
            and getattr(getattr(value, "fget", None), "__name__", "") != "<lambda>"]


def fault(value: Any) -> str | None:
    text = inspect.getdoc(value)
    if isinstance(value, type) and text == inspect.getdoc(value.__mro__[1]):
        text = value.__doc__  # a class is more than its base
    if not text:
        return "has no docstring"
    opening = text.split("\n\n")[0].rstrip()
    if not OPENING.match(opening) or opening[-1] not in ".:?":
        return f"opens with {opening!r}"
    return None


@pytest.mark.parametrize("path", NAMESPACES)
def test_docstrings(path):
    faults = {}
    for name, value in public(path):
        faults[name] = fault(value)
        if isinstance(value, type):
            faults |= {f"{name}.{method}": fault(each) for method, each in methods(value)}
    assert len(faults) > 1
    assert {name: each for name, each in faults.items() if each} == {}
