"""Adam, and AdamW, whose weight decay does not pass through the moments."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, new_step, zeros_for
from .updates import (
    add_product,
    add_quotient,
    add_scaled,
    as_real,
    lerp,
    scale,
    set_to_maximum,
    sqrt,
)


class Adam(Optimizer):
    r"""$m \leftarrow \beta_1 m + (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$,
    $p \leftarrow p - \eta\,\hat m / (\sqrt{\hat v} + \epsilon)$.

    $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$ undo the pull of the zeros
    that the moments start from. Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False, fused: bool | None = None,
                 decoupled_weight_decay: bool = False) -> None:
        check_options(
            (lr >= 0.0, f"Invalid learning rate: {lr}"),
            (eps >= 0.0, f"Invalid epsilon value: {eps}"),
            (0.0 <= betas[0] < 1.0, f"Invalid beta parameter at index 0: {betas[0]}"),
            (0.0 <= betas[1] < 1.0, f"Invalid beta parameter at index 1: {betas[1]}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay})

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        if not state:
            state["step"] = new_step()
            state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = zeros_for(parameter)
        parameter, gradient = as_real(parameter), as_real(gradient)
        state["step"]._data += 1
        step = float(state["step"]._data)
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                scale(parameter, 1 - lr * group["weight_decay"])
            else:
                gradient = add_scaled(gradient.copy(), parameter, group["weight_decay"])
        mean, square = as_real(state["exp_avg"]._data), as_real(state["exp_avg_sq"]._data)
        lerp(mean, gradient, 1 - beta1)
        add_product(scale(square, beta2), gradient, gradient, 1 - beta2)
        if group["amsgrad"]:
            square = set_to_maximum(as_real(state["max_exp_avg_sq"]._data), square)
        denominator = sqrt(square)
        denominator /= (1 - beta2**step) ** 0.5
        denominator += group["eps"]
        add_quotient(parameter, mean, denominator, -(lr / (1 - beta1**step)))


class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by lr · weight_decay before each step.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
                 maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
                 differentiable: bool = False, fused: bool | None = None) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach,
                         maximize=maximize, capturable=capturable, differentiable=differentiable,
                         fused=fused, decoupled_weight_decay=True)
