"""minigrad: PyTorch's autograd, rebuilt in readable Python on NumPy and CuPy.

    import minigrad as torch

This file is the `torch` namespace: every public name, imported from where it is defined.
"""

from __future__ import annotations

from typing import NoReturn

from .memory import keep_freed_memory

keep_freed_memory()

from . import tensor as _tensor  # noqa: E402 (isort: the Tensor class comes before its users)
