"""A strict stand-in for CuPy: NumPy inside, and every refusal by which CuPy differs from it.

With `install()`, `import cupy` gives this package's `cupy`, and minigrad's CUDA path runs where
there is no GPU. It has the names of the real CuPy and no others, with the real parameters
(names.json, read out of a wheel by read_names.py). It never takes or gives a NumPy array unasked.
What CuPy returns as a 0-d array is one here. So what passes here uses CuPy as CuPy can be used; it
says nothing about the last bit of a result, and nothing about speed.
"""

from __future__ import annotations

import sys

from .modules import MODULES

cupy = MODULES["cupy"]
cupyx = MODULES["cupyx"]


def install() -> None:
    """Let `import cupy` and `import cupyx` find the stand-in; call it before either is imported."""
    sys.modules.update(MODULES)
