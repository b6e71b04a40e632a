"""torch.testing, and `compare`, which trains in torch and in minigrad and tells where they part."""

from __future__ import annotations

from ..names import missing_in
from .close import assert_allclose, assert_close
from .compare import compare
from .make_tensor import make_tensor

__all__ = ["assert_allclose", "assert_close", "compare", "make_tensor"]

__getattr__ = missing_in(__name__)
