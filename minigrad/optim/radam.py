"""RAdam: Adam that trusts its denominators only once they have seen enough."""

from __future__ import annotations

from typing import Any

from .optimizer import (
    Optimizer,
    check_betas,
    check_options,
    check_rate,
    count,
    counter,
    rate_of,
    zeros_for,
)
from .updates import (
    add_product,
    add_scaled,
    blocks,
    copy,
    decayed,
    divide,
    lerp,
    scale,
    shift,
    sqrt,
)


class RAdam(Optimizer):
    r"""$p \leftarrow p - \eta\,r_t\,\hat m / \sqrt{\hat v}$ where $\rho_t > 5$, else
    $p \leftarrow p - \eta\,\hat m$.

    $\rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)$ is how many gradients $\hat v$ averages
    in effect, and $r_t$ makes up for the variance of so few. Liu et al., "On the variance of the
    adaptive learning rate and beyond", 2020.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False,
                 *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False) -> None:
        check_rate(lr)
        check_options((eps >= 0.0, f"Invalid epsilon value: {eps}"))
        check_betas(betas)
        check_options((weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter(group, parameter)
        state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, lr, (beta1, beta2) = count(state), rate_of(group), group["betas"]
        weight_decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
        correction = 1 - beta2**step
        most = 2 / (1 - beta2) - 1
        length = most - 2 * step * beta2**step / correction
        trusted = length > 5.0
        if trusted:
            factor = ((length - 4) * (length - 2) * most
                      / ((most - 4) * (most - 2) * length)) ** 0.5
        for p, g, mean, square in blocks(group, parameter, gradient, state["exp_avg"],
                                         state["exp_avg_sq"]):
            if not decoupled:
                g = decayed(g, p, weight_decay)
            elif weight_decay != 0:
                scale(p, 1 - lr * weight_decay)
            lerp(mean, g, 1 - beta1)
            add_product(scale(square, beta2), g, g, 1 - beta2)
            move = scale(divide(copy(mean), 1 - beta1**step), lr)
            if trusted:
                root = shift(sqrt(square), group["eps"])
                scale(scale(move, correction**0.5 / root), factor)
            add_scaled(p, move, -1.0)
