"""What to say about a name that torch may have and minigrad has not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any


def missing_in(module_name: str, reasons: Mapping[str, str] = MappingProxyType({}),
               later: Collection[str] = ()) -> Callable[[str], Any]:
    """The `__getattr__` of a module: an AttributeError that names minigrad and torch's name.

    `reasons` tells for some names why they are missing and what to do instead. `later` are
    submodules that few programs use: they are imported when first asked for.
    """
    torch_name = "torch" + module_name.removeprefix("minigrad")

    def __getattr__(name: str) -> Any:
        if name in later:
            return importlib.import_module(f"{module_name}.{name}")
        reason = f": {reasons[name]}" if name in reasons else ""
        raise AttributeError(f"minigrad has no '{torch_name}.{name}'{reason}", name=name,
                             obj=sys.modules.get(module_name))

    return __getattr__
