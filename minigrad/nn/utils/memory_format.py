"""The weights of convolutions laid out as asked: channels last, or row by row."""

from __future__ import annotations

from typing import Any

from ..modules.module import Module


def convert_conv2d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Lay out the weights of all 2d convolutions in `module`, transposed ones too."""
    return _convert(module, ("Conv2d", "ConvTranspose2d"), memory_format)


def convert_conv3d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Lay out the weights of all 3d convolutions in `module`, transposed ones too."""
    return _convert(module, ("Conv3d", "ConvTranspose3d"), memory_format)


def _convert(module: Module, names: tuple[str, str], memory_format: Any) -> Module:
    for each in module.modules():
        if any(kind.__name__ in names for kind in type(each).__mro__):
            each.weight.data = each.weight.detach().to(memory_format=memory_format)
    return module
