"""NAdam: Adam with Nesterov's momentum."""

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
    add_quotient,
    blocks,
    copy,
    decayed,
    divide,
    lerp,
    scale,
    shift,
    sqrt,
)


class NAdam(Optimizer):
    r"""$p \leftarrow p - \eta\left(\frac{(1 - \mu_t) g}{1 - \prod_{i \le t}\mu_i} +
    \frac{\mu_{t+1} m}{1 - \prod_{i \le t+1}\mu_i}\right) / (\sqrt{\hat v} + \epsilon)$, with Adam's
    $m$ and $\hat v$, and $\mu_t = \beta_1 (1 - \frac12 0.96^{t \psi})$.

    Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    _captured = "params, mu_products and state_steps"
    _numbers = ("step", "mu_product")

    def __init__(self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
                 decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False) -> None:
        check_rate(lr)
        check_options((eps >= 0.0, f"Invalid epsilon value: {eps}"))
        check_betas(betas)
        check_options(
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (momentum_decay >= 0.0, f"Invalid momentum_decay value: {momentum_decay}"))
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"], state["mu_product"] = counter(group, parameter), counter(
            group, parameter, 1.0)
        state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, lr, (beta1, beta2) = count(state), rate_of(group), group["betas"]
        weight_decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
        mu, next_mu = (beta1 * (1.0 - 0.5 * (0.96 ** (t * group["momentum_decay"])))
                       for t in (step, step + 1))
        product = state["mu_product"]._data
        product *= mu
        past = state["mu_product"].clone() if group["differentiable"] else product.item()
        for p, g, mean, square in blocks(group, parameter, gradient, state["exp_avg"],
                                         state["exp_avg_sq"]):
            if not decoupled:
                g = decayed(g, p, weight_decay)
            elif weight_decay != 0:
                scale(p, 1 - lr * weight_decay)
            lerp(mean, g, 1 - beta1)
            add_product(scale(square, beta2), g, g, 1 - beta2)
            root = shift(sqrt(divide(copy(square), 1 - beta2**step)), group["eps"])
            add_quotient(p, g, root, -lr * (1.0 - mu) / (1.0 - past))
            add_quotient(p, mean, root, (-lr * next_mu) / (1.0 - past * next_mu))
