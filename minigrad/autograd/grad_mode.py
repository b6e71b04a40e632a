"""Whether ops are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

Each is a context manager and a decorator. A decorated generator holds the mode only while its own
body runs: the code that iterates over it keeps the mode it has.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from ..core import mode


def is_grad_enabled() -> bool:
    """Whether ops on tensors that require gradients are recorded now, in this thread."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on, in this thread."""
    return getattr(mode, "inference", False)


class ContextDecorator:
    """A context manager that may also decorate functions and generator functions."""

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return _guarded_generator(self.clone, function)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return guarded

    def clone(self) -> Any:
        """A fresh guard for each call: a decorated function may call itself."""
        return type(self)()

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *error: object) -> None:
        raise NotImplementedError


def _guarded_generator(guard: Callable[[], Any], function: Callable) -> Callable:
    """The generator function with each step of its body under a guard of its own."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Generator:
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = functools.partial(next, generator)
        try:
            while True:
                with guard():
                    item = step()
                try:
                    received = yield item
                    step = functools.partial(generator.send, received)
                except GeneratorExit:
                    with guard():
                        generator.close()
                    raise
                except BaseException as error:  # thrown in by the caller: the body's to handle
                    step = functools.partial(generator.throw, error)
        except StopIteration as end:
            return end.value

    return guarded


class _NoParameters(ContextDecorator):
    """Guards without arguments, so that `@no_grad` works as `@no_grad()` does."""

    enabled: bool

    def __new__(cls, function: Callable | None = None) -> Any:
        guard = super().__new__(cls)
        return guard if function is None else guard(function)

    def __enter__(self) -> None:
        self.previous, mode.grad = mode.grad, self.enabled

    def __exit__(self, *error: object) -> None:
        mode.grad = self.previous


class no_grad(_NoParameters):
    """Record nothing: results have `requires_grad=False`."""

    enabled = False


class enable_grad(_NoParameters):
    """Record again, inside a `no_grad`."""

    enabled = True


class set_grad_enabled(ContextDecorator):
    """Switch recording on or off: at once when called, until its end as a context manager."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._switch(mode)

    def _switch(self, enabled: bool) -> None:
        self.previous, mode.grad = mode.grad, bool(enabled)

    def __call__(self, function: Callable) -> Callable:
        mode.grad = self.previous  # as a decorator it acts when the function runs, not now
        return super().__call__(function)

    def clone(self) -> Any:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        mode.grad = bool(self.mode)

    def __exit__(self, *error: object) -> None:
        mode.grad = self.previous

    def __repr__(self) -> str:
        return f"set_grad_enabled(mode={self.mode})"


class inference_mode(ContextDecorator):
    """`no_grad` under torch's other name. torch also drops version counting here; minigrad has
    nothing to gain by that and keeps it."""

    def __new__(cls, mode: bool | Callable = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def clone(self) -> Any:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        self.previous = mode.grad, is_inference_mode_enabled()
        mode.inference = self.mode
        mode.grad = False if self.mode else mode.grad

    def __exit__(self, *error: object) -> None:
        mode.grad, mode.inference = self.previous
