"""Data loading, checkpointing, safetensors files."""

from __future__ import annotations

from ..names import missing_in
from . import checkpoint, data, safetensors

__all__ = ["checkpoint", "data", "safetensors"]

__getattr__ = missing_in(__name__)
