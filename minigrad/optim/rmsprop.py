"""RMSprop: steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import (
    add_product,
    add_quotient,
    add_scaled,
    blocks,
    copy,
    decayed,
    lerp,
    scale,
    shift,
    sqrt,
)


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
        check_rate(lr)
        check_options(
            (eps >= 0.0, f"Invalid epsilon value: {eps}"),
            (momentum >= 0.0, f"Invalid momentum value: {momentum}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (alpha >= 0.0, f"Invalid alpha value: {alpha}"))
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter(group, parameter)
        state["square_avg"] = zeros_for(parameter)
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_for(parameter)
        if group["centered"]:
            state["grad_avg"] = zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        count(state)
        alpha, lr, momentum = group["alpha"], rate_of(group), group["momentum"]
        names = (["momentum_buffer"] if momentum > 0 else []) + (
            ["grad_avg"] if group["centered"] else [])
        for p, g, square, *rest in blocks(group, parameter, gradient, state["square_avg"],
                                          *[state[name] for name in names]):
            more = dict(zip(names, rest, strict=True))
            g = decayed(g, p, group["weight_decay"])
            add_product(scale(square, alpha), g, g, 1 - alpha)
            if group["centered"]:
                mean = lerp(more["grad_avg"], g, 1 - alpha)
                square = add_product(copy(square), mean, mean, -1)
            root = shift(sqrt(square), group["eps"])
            if momentum > 0:
                buffer = add_quotient(scale(more["momentum_buffer"], momentum), g, root)
                add_scaled(p, buffer, -lr)
            else:
                add_quotient(p, g, root, -lr)
