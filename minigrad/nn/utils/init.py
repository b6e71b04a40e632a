"""Modules without initial values."""

from __future__ import annotations

import inspect
from typing import Any

from ...random import get_rng_state, set_rng_state
from ..modules.module import Module


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """`module_cls(*args, **kwargs)` with values that nobody chose, for what will be loaded anyway.

    The random numbers are left as if nothing had been drawn.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    state = get_rng_state()
    try:
        module = module_cls(*args, **{**kwargs, "device": "cpu"})
    finally:
        set_rng_state(state)
    return module.to_empty(device=kwargs.get("device", "cpu"))
