"""torch.signal: windows."""

from __future__ import annotations

from ..names import missing_in
from . import windows

__all__ = ["windows"]
__getattr__ = missing_in(__name__)
