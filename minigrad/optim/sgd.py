"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, rate_of, zeros_for
from .updates import add_scaled, assign, blocks, copy, decayed, detached, scale


class SGD(Optimizer):
    r"""$b \leftarrow \mu b + (1 - \tau) g$, $p \leftarrow p - \eta b$.

    With $\mu = 0$ plain descent. Nesterov's variant looks ahead: it moves along $g + \mu b$.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: Any = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        check_rate(lr)
        check_options(
            (momentum >= 0.0, f"Invalid momentum value: {momentum}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (not nesterov or (momentum > 0 and dampening == 0),
             "Nesterov momentum requires a momentum and zero dampening"))
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        if group["momentum"] != 0:
            state["momentum_buffer"] = None

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        momentum, lr = group["momentum"], rate_of(group)
        if momentum == 0:
            for p, g in blocks(group, parameter, gradient):
                add_scaled(p, decayed(g, p, group["weight_decay"]), -lr)
            return
        first = state["momentum_buffer"] is None  # it starts as the first gradient
        if first:
            state["momentum_buffer"] = zeros_for(parameter)
        for p, g, buffer in blocks(group, parameter, gradient, state["momentum_buffer"]):
            g = decayed(g, p, group["weight_decay"])
            if first:
                assign(buffer, detached(g))
            else:
                add_scaled(scale(buffer, momentum), g, 1 - group["dampening"])
            add_scaled(p, add_scaled(copy(g), buffer, momentum) if group["nesterov"] else buffer,
                       -lr)
