"""Adamax: Adam with the largest of the past gradients in place of their mean square."""

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
from .updates import add_quotient, blocks, decayed, lerp, scale, set_to_maximum, shift


class Adamax(Optimizer):
    r"""$m \leftarrow \beta_1 m + (1 - \beta_1) g$, $u \leftarrow \max(\beta_2 u, |g| + \epsilon)$,
    $p \leftarrow p - \frac{\eta}{1 - \beta_1^t} \frac{m}{u}$.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 7.
    """

    def __init__(self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False,
                 capturable: bool = False) -> None:
        check_rate(lr)
        check_options((eps >= 0.0, f"Invalid epsilon value: {eps}"))
        check_betas(betas)
        check_options((weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter(group, parameter)
        state["exp_avg"], state["exp_inf"] = zeros_for(parameter), zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, (beta1, beta2) = count(state), group["betas"]
        rate = rate_of(group) / (1 - beta1**step)
        for p, g, mean, largest in blocks(group, parameter, gradient, state["exp_avg"],
                                          state["exp_inf"]):
            g = decayed(g, p, group["weight_decay"])
            lerp(mean, g, 1 - beta1)
            set_to_maximum(scale(largest, beta2), shift(abs(g), group["eps"]))
            add_quotient(p, mean, largest, -rate)
