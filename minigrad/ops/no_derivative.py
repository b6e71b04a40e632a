"""Rules of ops that torch cannot differentiate: they refuse, in torch's words, during backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def no_derivative(name: str) -> Callable:
    """For an op of which torch's table of derivatives knows nothing; torch calls such a node
    "NotImplemented"."""
    def refuse(grads: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return refuse


def declared_missing(name: str) -> Callable:
    """For an op, or an input of it, that the table lists as not implemented."""
    def refuse(grads: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return refuse
