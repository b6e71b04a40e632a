"""Lists of user functions that can be removed again."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any

_next_id = itertools.count().__next__


class Hooks:
    """Functions to call in order; each `add` returns a handle whose `remove()` takes it out."""

    __slots__ = ("functions", "__weakref__")

    def __init__(self) -> None:
        self.functions: dict[int, Any] = {}

    def add(self, function: Any, prepend: bool = False) -> RemovableHandle:
        handle = RemovableHandle(self)
        if prepend:
            self.functions = {handle.id: function, **self.functions}
        else:
            self.functions[handle.id] = function
        return handle

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.functions.values()))  # a hook may remove itself while running


class RemovableHandle:
    """Removes the hook it was returned for; also usable as a context manager."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = weakref.ref(hooks)
        self.id = _next_id()

    def remove(self) -> None:
        hooks = self.hooks()
        if hooks is not None:
            hooks.functions.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()
