"""Whether ops are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

Each is a context manager and a decorator. A decorated generator holds the mode only while its own
body runs: the code that iterates over it keeps the mode it has.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Generator
from typing import Any

from ..core import TensorBase, mode, switches, version_of


def is_grad_enabled() -> bool:
    """Whether ops on tensors that require gradients are recorded now, in this thread."""
    return mode.grad is True


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on, in this thread."""
    return mode.inference


class ContextDecorator:
    """A context manager that may also decorate functions and generator functions."""

    def __call__(self, function: Callable) -> Callable:
        if inspect.isclass(function):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You "
                "should only decorate functions or methods. To preserve the current behavior of "
                "class decoration, you can directly decorate the `__init__` method and nothing "
                "else.", FutureWarning, stacklevel=2)
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
        self.previous = mode.grad
        mode.grad = False if mode.inference else self.enabled or mode.off

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
        if not isinstance(mode, bool):
            raise TypeError("set_grad_enabled(): argument 'enabled' (position 1) must be bool, not "
                            f"{type(mode).__name__}")
        self.mode = mode
        self._switch(mode)

    def _switch(self, enabled: bool) -> None:
        self.previous, mode.grad = mode.grad, bool(enabled) or mode.off

    def __call__(self, function: Callable) -> Callable:
        mode.grad = self.previous  # as a decorator it acts when the function runs, not now
        return super().__call__(function)

    def clone(self) -> Any:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        mode.grad = bool(self.mode) or mode.off

    def __exit__(self, *error: object) -> None:
        mode.grad = self.previous

    def __repr__(self) -> str:
        return f"set_grad_enabled(mode={self.mode})"


class inference_mode(ContextDecorator):
    """`no_grad`, and tensors made here are inference tensors: nobody counts their versions, so they
    can neither be saved for backward nor be written to outside."""

    def __new__(cls, mode: bool | Callable = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def clone(self) -> Any:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        self.previous = mode.grad, mode.inference
        switches.add("inference", 1)
        mode.inference = self.mode
        mode.grad = False if self.mode else mode.grad or self.previous[1]

    def __exit__(self, *error: object) -> None:
        switches.add("inference", -1)
        mode.grad, mode.inference = self.previous


class _unsafe_preserve_version_counter(ContextDecorator):
    """Writes in this context go unnoticed: the tensors' versions are put back at its end."""

    def __init__(self, tensors: TensorBase | tuple[TensorBase, ...]) -> None:
        self.tensors = (tensors,) if isinstance(tensors, TensorBase) else tuple(tensors)

    def __enter__(self) -> None:
        self.versions = [version_of(tensor).count for tensor in self.tensors]

    def __exit__(self, *error: object) -> None:
        for tensor, count in zip(self.tensors, self.versions, strict=True):
            version_of(tensor).count = count


class set_multithreading_enabled(ContextDecorator):
    """Accepted for torch's sake: a backward of minigrad runs in the thread that asks for it."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def clone(self) -> Any:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass
