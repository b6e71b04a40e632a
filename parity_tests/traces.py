"""Programs that tell what happens: the same program in both engines, told in the same words.

    @traced
    def test_hooks_run_in_order(torch, say):
        x = torch.ones(2, requires_grad=True)
        x.register_hook(lambda g: say("first", g))
        ...
        say(attempt(lambda: x.mul_(2)))   # what it returns, or the exception's class and words

All that `say` is told, and what the program returns, must be equal: tensors as the harness compares
them, everything else as text. So are warnings, but for those that torch gives once per process.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from parity_tests.compare import normalise
from parity_tests.harness import program


def attempt(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """What the call returns, or in words what it raises."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        builtin = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        words = normalise(str(error)).split(" Hint: ")[0]  # the hints differ: ours know the op
        return f"{builtin.__name__}: {words}"


def traced(function: Callable) -> Callable:
    """A test that runs `function(torch, say)` in both engines and compares what they said."""

    @functools.wraps(function)
    def test(*args: Any, **kwargs: Any) -> None:
        def run(torch: Any, device: str) -> list:
            told: list = []

            def say(*words: Any) -> None:
                told.append([word.detach().clone() if hasattr(word, "detach") else word
                             for word in words])

            def make(values: Any, requires_grad: bool = True, dtype: Any = None) -> Any:
                return torch.tensor(values, dtype=dtype or torch.float64, device=device,
                                    requires_grad=requires_grad)

            say.leaf = make  # type: ignore[attr-defined]
            here = contextlib.nullcontext() if device == "cpu" else torch.device(device)
            with warnings.catch_warnings(record=True) as caught, here:
                warnings.simplefilter("always")
                result = function(torch, say, *args, **kwargs)
            return [told, result, sorted({normalise(str(each.message)) for each in caught
                                          if "(Triggered" not in str(each.message)
                                          and "reference cycle" not in str(each.message)})]

        program(run)

    # pytest must not take `torch` and `say` for fixtures.
    parameters = list(inspect.signature(function).parameters.values())[2:]
    test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return test
