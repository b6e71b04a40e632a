"""What to say about a name that torch may have and minigrad has not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn


def missing_in(module_name: str) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module: an AttributeError that names minigrad and torch's name."""
    torch_name = "torch" + module_name.removeprefix("minigrad")

    def __getattr__(name: str) -> NoReturn:
        raise AttributeError(f"minigrad has no '{torch_name}.{name}'", name=name,
                             obj=sys.modules.get(module_name))

    return __getattr__
