"""The older spectral_norm: a forward pre-hook computes the weight from `<name>_orig`.

parametrizations.spectral_norm has taken its place.
"""

from __future__ import annotations

from typing import Any

from ...autograd.grad_mode import no_grad
from ...linalg import multi_dot
from ...ops.matmul import dot, mv
from ...ops.norm import normalize
from ..modules.module import Module
from ..modules.module_hooks import forward_pre_hooks, remove_forward_pre_hook
from ..parameter import Parameter
from .parametrizations import output_dim


class SpectralNorm:
    r"""The hook: $W / \sigma$ with $\sigma \approx u^T W v$, the largest singular value, where a
    forward in training brings u and v nearer to its vectors by the power method."""

    _version = 1  # of the state: v is a buffer since then, and the weight is none

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0,
                 eps: float = 1e-12) -> None:
        self.name, self.dim, self.eps = name, dim, eps
        if n_power_iterations <= 0:
            raise ValueError("Expected n_power_iterations to be positive, but got "
                             f"n_power_iterations={n_power_iterations}")
        self.n_power_iterations = n_power_iterations

    def reshape_weight_to_matrix(self, weight: Any) -> Any:
        if self.dim != 0:
            others = [axis for axis in range(weight.dim()) if axis != self.dim]
            weight = weight.permute(self.dim, *others)
        return weight.reshape(weight.size(0), -1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Any:
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):  # in place: they are the buffers
                    v.copy_(normalize(mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(normalize(mv(matrix, v), dim=0, eps=self.eps))
                # copies: the next forward writes into the buffers before this one's backward
                u, v = u.clone(), v.clone()
        return weight / dot(u, mv(matrix, v))

    def remove(self, module: Module) -> None:
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def solve_v_and_rescale(self, matrix: Any, u: Any, target_sigma: Any) -> Any:
        """A v with u = normalize(W v) and u W v = the target: what older states do not hold."""
        square = matrix.t().mm(matrix).pinverse()
        v = multi_dot([square, matrix.t(), u.unsqueeze(1)]).squeeze(1)
        return v.mul_(target_sigma / dot(u, mv(matrix, v)))

    @staticmethod
    def apply(module: Module, name: str, n_power_iterations: int, dim: int,
              eps: float) -> SpectralNorm:
        """Put the hook on the module, and parameter and buffers in the parameter's place."""
        if any(hook.name == name for _, hook in forward_pre_hooks(module, SpectralNorm)):
            raise RuntimeError("Cannot register two spectral_norm hooks on the same parameter "
                               f"{name}")
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight: Any = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        with no_grad():
            rows, columns = hook.reshape_weight_to_matrix(weight).shape
            u = normalize(weight.new_empty(rows).normal_(0, 1), dim=0, eps=eps)
            v = normalize(weight.new_empty(columns).normal_(0, 1), dim=0, eps=eps)
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        setattr(module, name, weight.data)  # a plain attribute: no parameter any more
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(hook)
        module._register_state_dict_hook(SpectralNormStateDictHook(hook))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(hook))
        return hook


class SpectralNormLoadStateDictPreHook:
    """Brings states from before version 1, which have the weight but no v, up to date."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool,
                 missing_keys: list, unexpected_keys: list, error_msgs: list) -> None:
        hook = self.fn
        version = local_metadata.get("spectral_norm", {}).get(hook.name + ".version")
        if version is not None and version >= 1:
            return
        key = prefix + hook.name
        if version is None and key not in state_dict and \
                all(key + suffix in state_dict for suffix in ("_orig", "_u", "_v")):
            return  # it is new, only its metadata was lost
        missing = [key + suffix for suffix in ("_orig", "", "_u") if key + suffix not in state_dict]
        if missing:
            missing_keys += missing if strict else []
            return
        with no_grad():
            original, weight = state_dict[key + "_orig"], state_dict.pop(key)
            sigma = (original / weight).mean()
            state_dict[key + "_v"] = hook.solve_v_and_rescale(
                hook.reshape_weight_to_matrix(original), state_dict[key + "_u"], sigma)


class SpectralNormStateDictHook:
    """Writes the version into the metadata."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: dict, prefix: str,
                 local_metadata: dict) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None) -> Module:
    """Keep the largest singular value of the weight, taken as a matrix, near 1."""
    SpectralNorm.apply(module, name, n_power_iterations,
                       output_dim(module) if dim is None else dim, eps)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with the value it has."""
    for number, hook in forward_pre_hooks(module, SpectralNorm):
        if hook.name == name:
            hook.remove(module)
            remove_forward_pre_hook(module, number)
            break
    else:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    module._forget_state_hooks(
        lambda hook: isinstance(hook, SpectralNormStateDictHook | SpectralNormLoadStateDictPreHook)
        and hook.fn.name == name)
    return module
