"""What to say about a name that torch may have and minigrad has not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from typing import Any


def missing_in(module_name: str, later: Collection[str] = ()) -> Callable[[str], Any]:
    """The `__getattr__` of a module: an AttributeError that names minigrad and torch's name.

    `later` are submodules that few programs use: they are imported when first asked for.
    """
    torch_name = "torch" + module_name.removeprefix("minigrad")

    def __getattr__(name: str) -> Any:
        if name in later:
            return importlib.import_module(f"{module_name}.{name}")
        raise AttributeError(f"minigrad has no '{torch_name}.{name}'", name=name,
                             obj=sys.modules.get(module_name))

    return __getattr__
