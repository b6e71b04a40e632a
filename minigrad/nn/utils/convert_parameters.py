"""All parameters of a model as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The parameters, flattened and joined."""
    from ...ops.joining import cat
    parameters = list(parameters)
    _check_devices(parameters)
    return cat([parameter.view(-1) for parameter in parameters])


def _check_devices(parameters: list[Any]) -> None:
    if len({parameter.device for parameter in parameters}) > 1:
        raise TypeError("Found two parameters on different devices, this is currently not "
                        "supported.")


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Make the parameters views of consecutive pieces of the vector."""
    from ...core import TensorBase
    from ..modules.module import typename
    if not isinstance(vec, TensorBase):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    parameters = list(parameters)
    _check_devices(parameters)
    start = 0
    flat: Any = vec
    for parameter in parameters:
        count = parameter.numel()
        parameter.data = flat[start:start + count].view_as(parameter).data
        start += count
