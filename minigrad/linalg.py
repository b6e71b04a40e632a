"""torch.linalg: matrices factored, solved and measured."""

from __future__ import annotations

from .names import missing_in
from .ops.linalg_errors import LinAlgError

__all__ = [
    "LinAlgError",
]
__getattr__ = missing_in(__name__)
