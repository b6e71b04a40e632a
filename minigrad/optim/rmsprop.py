"""RMSprop: steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, new_step, zeros_for
from .updates import add_product, add_quotient, add_scaled, as_real, lerp, scale, sqrt


class RMSprop(Optimizer):
    r"""$v \leftarrow \alpha v + (1 - \alpha) g^2$,
    $p \leftarrow p - \eta g / (\sqrt v + \epsilon)$.

    `centered` subtracts the squared running mean from $v$: an estimate of the variance. Hinton,
    "Neural networks for machine learning", lecture 6, 2012.
    """

    def __init__(self, params: Any, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False,
                 capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False) -> None:
        check_options(
            (lr >= 0.0, f"Invalid learning rate: {lr}"),
            (eps >= 0.0, f"Invalid epsilon value: {eps}"),
            (momentum >= 0.0, f"Invalid momentum value: {momentum}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (alpha >= 0.0, f"Invalid alpha value: {alpha}"))
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable})

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        if not state:
            state["step"] = new_step()
            state["square_avg"] = zeros_for(parameter)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_for(parameter)
            if group["centered"]:
                state["grad_avg"] = zeros_for(parameter)
        parameter, gradient = as_real(parameter), as_real(gradient)
        state["step"]._data += 1
        if group["weight_decay"] != 0:
            gradient = add_scaled(gradient.copy(), parameter, group["weight_decay"])
        alpha, lr, square = group["alpha"], float(group["lr"]), as_real(state["square_avg"]._data)
        add_product(scale(square, alpha), gradient, gradient, 1 - alpha)
        if group["centered"]:
            mean = as_real(state["grad_avg"]._data)
            lerp(mean, gradient, 1 - alpha)
            square = add_product(square.copy(), mean, mean, -1)
        root = sqrt(square)
        root += group["eps"]
        if group["momentum"] > 0:
            buffer = as_real(state["momentum_buffer"]._data)
            add_quotient(scale(buffer, group["momentum"]), gradient, root)
            add_scaled(parameter, buffer, -lr)
        else:
            add_quotient(parameter, gradient, root, -lr)
