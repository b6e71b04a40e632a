"""A Python function of numbers, called for each element: `apply_`, `map_`, `map2_`.

These are the only loops over elements in minigrad: the user's function knows nothing of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import TensorBase, version_of
from ..device import host
from .convert import tolist
from .views import expand

__all__ = ["apply_", "map2_", "map_"]


def apply_(self: Any, callable: Callable[[Any], Any]) -> Any:
    """Replace each element $a$ by `callable(a)`."""
    return _overwrite("apply_", callable, self)


def map_(self: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
    """Replace each element $a$ by `callable(a, b)`, with $b$ from `tensor`."""
    return _overwrite("map_", callable, self, other=tensor)


def map2_(self: Any, x: Any, y: Any, callable: Callable[[Any, Any, Any], Any]) -> Any:
    """Replace each element $a$ by `callable(a, b, c)`, with $b$ from `x` and $c$ from `y`."""
    return _overwrite("map2_", callable, self, x=x, y=y)


def _overwrite(name: str, callable: Callable, self: Any, **others: Any) -> Any:
    for position, (argument, other) in enumerate(others.items(), 1):
        if not isinstance(other, TensorBase):
            raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor,"
                            f" not {type(other).__name__}")
    if any(each.requires_grad for each in (self, *others.values())):
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use "
                           f"var.detach().{name}() instead.")
    for argument, other in others.items():
        if other.dtype is not self.dtype:
            raise TypeError(f"{name}: expected torch.{self.dtype.scalar_name}Tensor for "
                            f"'{argument}' (got torch.{other.dtype.scalar_name}Tensor)")
    if self.device.type != "cpu":
        raise TypeError(f"{name} is only implemented on CPU tensors")
    columns = [tolist(expand(each, self._data.shape).reshape(-1))
               for each in (self, *others.values())]
    values = [callable(*row) for row in zip(*columns, strict=True)]
    for value in values:
        if isinstance(value, str):
            raise TypeError("must be real number, not str")
    numbers = np.array(values).reshape(self._data.shape)
    self._data[...] = host(numbers).astype(self._data.dtype)
    version_of(self).count += 1
    return self
