"""Data loading and checkpointing."""

from __future__ import annotations

from ..names import missing_in
from . import checkpoint, data

__all__ = ["checkpoint", "data"]

__getattr__ = missing_in(__name__)
