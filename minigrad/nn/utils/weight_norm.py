"""The older weight_norm: a forward pre-hook computes the weight from `<name>_g` and `<name>_v`.

parametrizations.weight_norm has taken its place, and can load what this one saved.
"""

from __future__ import annotations

import warnings
from typing import Any

from ...ops.linalg_norm import norm_except_dim
from ...ops.weight_norm import weight_norm as weight_norm_of
from ..modules.module import Module
from ..modules.module_hooks import forward_pre_hooks, remove_forward_pre_hook
from ..parameter import Parameter


class WeightNorm:
    """The hook: $w = g\\,v / \\|v\\|$ (ops/weight_norm.py), before every forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return weight_norm_of(v, g, self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Put the hook on the module, and the two parameters in the place of the one."""
        warnings.warn("`torch.nn.utils.weight_norm` is deprecated in favor of "
                      "`torch.nn.utils.parametrizations.weight_norm`.", FutureWarning,
                      stacklevel=3)
        if any(hook.name == name for _, hook in forward_pre_hooks(module, WeightNorm)):
            raise RuntimeError("Cannot register two weight_norm hooks on the same parameter "
                               f"{name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        del module._parameters[name]
        norms = norm_except_dim(weight, 2, hook.dim)
        module.register_parameter(name + "_g", Parameter(norms.data))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Module) -> None:
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of the weight's slices along `dim` apart. Deprecated."""
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with the value it has."""
    for number, hook in forward_pre_hooks(module, WeightNorm):
        if hook.name == name:
            hook.remove(module)
            remove_forward_pre_hook(module, number)
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
