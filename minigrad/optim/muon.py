"""Muon: momentum whose singular values are all made equal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from .optimizer import Optimizer, check_options, check_rate, rate_of, zeros_for

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    r"""$b \leftarrow \mu b + (1 - \mu) g$, $p \leftarrow (1 - \eta\lambda) p - \gamma\,U V^T$,
    where $U S V^T$ is the singular value decomposition of $b$ (or of $(1 - \mu) g + \mu b$,
    Nesterov's).

    For the matrices of a network's hidden layers; $\gamma$ is $\eta$ adjusted to the shape. Jordan
    et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """

    _takes_complex = False

    def __init__(self, params: Any, lr: Any = 1e-3, weight_decay: float = 0.1,
                 momentum: float = 0.95, nesterov: bool = True,
                 ns_coefficients: tuple[float, float, float] = COEFFICIENTS, eps: float = 1e-7,
                 ns_steps: int = 5, adjust_lr_fn: str | None = None) -> None:
        check_rate(lr, "Learning rate should be >= 0 but is:")
        check_options(
            (momentum >= 0.0, f"momentum should be >= 0 but is: {momentum}"),
            (weight_decay >= 0.0, f"weight decay should be >= 0 but is: {weight_decay}"),
            (adjust_lr_fn in (None, "original", "match_rms_adamw"),
             f"Adjust learning rate function {adjust_lr_fn} is not supported"))
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn})
        for group in self.param_groups:
            for each in group["params"]:
                check_options((each.ndim == 2, "Muon only supports 2D parameters whereas we found "
                                               f"a parameter with size: {each.size()}"))

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["momentum_buffer"] = zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        lr, momentum, buffer = rate_of(group), group["momentum"], state["momentum_buffer"]
        check_options((gradient.ndim == 2, "Param gradient must be a 2D matrix"))
        buffer.lerp_(gradient, 1 - momentum)
        direction = orthogonalised(
            gradient.lerp(buffer, momentum) if group["nesterov"] else buffer,
            group["ns_coefficients"], group["ns_steps"], group["eps"])
        parameter.mul_(1 - lr * group["weight_decay"])
        parameter.add_(direction, alpha=-lr * _ratio(group["adjust_lr_fn"], *parameter.shape))


def _ratio(name: str | None, rows: int, columns: int) -> float:
    """Steps so large that all shapes move by as much; "match_rms_adamw": as AdamW moves."""
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))


def orthogonalised(matrix: Any, coefficients: tuple, steps: int, eps: float) -> Any:
    r"""About $U V^T$, in bfloat16, by Newton and Schulz's iteration.

    $X \leftarrow a X + (b A + c A^2) X$ with $A = X X^T$ applies an odd polynomial to the singular
    values, which drives all that lie in (0, 1] to about 1, without a decomposition.
    """
    check_options(
        (steps < 100, "Number of steps must be less than 100 for computational efficiency"),
        (matrix.ndim == 2, "Input tensor gradient must be a 2D matrix"),
        (len(coefficients) == 3, "Coefficients must be a tuple of exactly 3 values"))
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(dtypes.bfloat16)
    if tall:  # the smaller of the two Gram matrices
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = _combined(a, x, 1, _combined(b, gram, c, gram, gram), x)
    return x.T if tall else x


def _combined(beta: float, added: Any, alpha: float, left: Any, right: Any) -> Any:
    """beta · added + alpha · left @ right, where torch multiplies by beta and adds in one rounding:
    in float64, which makes it one, because a difference here may tip over a bfloat16 below."""
    product = (left.float() @ right.float()).mul_(alpha)
    return product.double().add_(added.double().mul_(_single(beta))).to(dtypes.bfloat16)


def _single(number: float) -> float:
    return float(np.float32(number))
