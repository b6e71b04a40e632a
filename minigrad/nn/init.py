r"""Initial values of weights, filled in place; the same numbers as torch from the same seed.

The idea behind most of them: a layer that sums $n$ terms keeps the variance of its input if its
weights have variance $1/n$; the gain makes up for what the activation takes away.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from ..autograd.grad_mode import no_grad
from ..core import version_of
from ..device import array_module
from ..names import missing_in

_LINEAR = frozenset(["linear", *(f"conv{kind}{n}d" for kind in ("", "_transpose")
                                 for n in (1, 2, 3))])
_GAINS = {"sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that makes up for the variance a nonlinearity takes away."""
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "leaky_relu":
        if param is None:
            slope = 0.01
        elif isinstance(param, int | float) and not isinstance(param, bool):
            slope = param
        else:
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """$U(a, b)$."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    r"""$N(\mu, \sigma^2)$."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0,
                  b: float = 2.0, generator: Any = None) -> Any:
    r"""$N(\mu, \sigma^2)$ confined to $[a, b]$, by rejection.

    Where the interval holds much of the mass, normals are drawn until all lie in it; where it is a
    thin slice, uniform numbers from it are accepted with a probability that follows the density.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
                      "The distribution of values may be incorrect.", stacklevel=2)
    low, high = (a - mean) / std, (b - mean) / std
    likely = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    with no_grad():
        if likely > 0.3:
            return _reject_normals(tensor, mean, std, a, b, generator)
        return _reject_uniforms(tensor, mean, std, a, b, generator)


def _reject_normals(tensor: Any, mean: float, std: float, a: float, b: float,
                    generator: Any) -> Any:
    low, high = tensor.new_tensor(a).item(), tensor.new_tensor(b).item()  # as the dtype has them
    tensor.normal_(mean, std, generator=generator)
    while True:
        outside = (tensor < low) | (tensor > high)
        if not outside.any():
            return tensor
        again = tensor.new_empty(tensor.shape).normal_(mean, std, generator=generator)
        tensor.copy_(again.where(outside, tensor))


def _reject_uniforms(tensor: Any, mean: float, std: float, a: float, b: float,
                     generator: Any) -> Any:
    nearest = min(max(mean, a), b)
    peak = -((nearest - mean) / std) ** 2 / 2  # the log density where it is largest in [a, b]
    pending = None
    while pending is None or pending.any():
        proposal = tensor.new_empty(tensor.shape).uniform_(a, b, generator=generator)
        chance = tensor.new_empty(tensor.shape).uniform_(0, 1, generator=generator)
        refused = chance.log() > ((proposal - mean) / std) ** 2 * -0.5 - peak
        tensor.copy_(proposal if pending is None else proposal.where(pending, tensor))
        pending = refused if pending is None else pending & refused
    return tensor


def constant_(tensor: Any, val: float) -> Any:
    """All `val`."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    with no_grad():
        return tensor.zero_()


def _assign(tensor: Any, values: np.ndarray) -> Any:
    """Write a NumPy array into the tensor, wherever it lives."""
    data = tensor._data
    data[...] = array_module(data).asarray(values.astype(data.dtype))
    return _touch(tensor)


def eye_(tensor: Any) -> Any:
    """The identity: as many inputs as possible pass unchanged."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _assign(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """The identity for convolutions: as many channels as possible pass unchanged."""
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    sizes = tuple(tensor.shape)
    if sizes[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    channels = sizes[0] // groups
    centre = tuple(size // 2 for size in sizes[2:])
    values = np.zeros(sizes)
    passed = np.arange(min(channels, sizes[1]))
    for group in range(groups):
        values[(group * channels + passed, passed, *centre)] = 1
    return _assign(tensor, values)


def _calculate_fan_in_and_fan_out(tensor: Any) -> tuple[int, int]:
    """How many inputs each output sums, and how many outputs each input goes to."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 "
                         "dimensions")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    r"""$U(-b, b)$, $b = \sqrt3\,\mathrm{gain}\sqrt{2 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}$.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010: a compromise between the variances of the activations and of the gradients.
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    std = gain * math.sqrt(2.0 / float(fan_in + fan_out))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    r"""$N(0, \sigma^2)$, $\sigma = \mathrm{gain}\sqrt{2 / (\mathrm{fan_{in}+fan_{out}})}$."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _calculate_correct_fan(tensor: Any, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def kaiming_uniform_(tensor: Any, a: float = 0, mode: str = "fan_in",
                     nonlinearity: str = "leaky_relu", generator: Any = None) -> Any:
    r"""$U(-b, b)$, $b = \mathrm{gain}\sqrt{3 / \mathrm{fan}}$.

    He et al., "Delving deep into rectifiers", 2015.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan)
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Any, a: float = 0, mode: str = "fan_in",
                    nonlinearity: str = "leaky_relu", generator: Any = None) -> Any:
    r"""$N(0, \sigma^2)$, $\sigma = \mathrm{gain} / \sqrt{\mathrm{fan}}$."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    return normal_(tensor, 0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Orthonormal rows (or columns): the Q of a normal matrix, with the signs that make it unique.

    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2013.
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    from ..ops.qr import linalg_qr
    with no_grad():
        drawn = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
        q, r = linalg_qr(drawn.t() if rows < columns else drawn)
        q = q * r.diagonal().sign()
        tensor.view(rows, columns).copy_(q.t() if rows < columns else q)
        return tensor.mul_(gain)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    r"""$N(0, \sigma^2)$ with a share `sparsity` of each column set to 0."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    from ..ops.random import randperm
    rows, columns = tensor.shape
    zeros = int(math.ceil(sparsity * rows))
    normal_(tensor, 0, std, generator)
    for column in range(columns):
        chosen = randperm(rows)._data[:zeros]  # from the default generator, as in torch
        tensor._data[chosen, column] = 0
    return _touch(tensor)


def _touch(tensor: Any) -> Any:
    """Say that the tensor was written."""
    version_of(tensor).count += 1
    return tensor


# --- the old names -------------------------------------------------------------------------------

def _old_name(function: Any) -> Any:
    """`function` under its name without the underscore: it works, and warns."""
    new, old = function.__name__, function.__name__[:-1]

    @functools.wraps(function)
    def deprecated(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.",
                      FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__ = old
    return deprecated


uniform = _old_name(uniform_)
normal = _old_name(normal_)
constant = _old_name(constant_)
eye = _old_name(eye_)
dirac = _old_name(dirac_)
xavier_uniform = _old_name(xavier_uniform_)
xavier_normal = _old_name(xavier_normal_)
kaiming_uniform = _old_name(kaiming_uniform_)
kaiming_normal = _old_name(kaiming_normal_)
orthogonal = _old_name(orthogonal_)
sparse = _old_name(sparse_)

__getattr__ = missing_in(__name__)
