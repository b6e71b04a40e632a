"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..core import wrap
from .optimizer import Optimizer, check_options
from .updates import add_scaled, scale


class SGD(Optimizer):
    r"""$b \leftarrow \mu b + (1 - \tau) g$, $p \leftarrow p - \eta b$.

    With $\mu = 0$ plain descent. Nesterov's variant looks ahead: it moves along $g + \mu b$.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        check_options(
            (lr >= 0.0, f"Invalid learning rate: {lr}"),
            (momentum >= 0.0, f"Invalid momentum value: {momentum}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (not nesterov or (momentum > 0 and dampening == 0),
             "Nesterov momentum requires a momentum and zero dampening"))
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused})

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        if group["weight_decay"] != 0:
            gradient = add_scaled(gradient.copy(), parameter, group["weight_decay"])
        momentum = group["momentum"]
        if momentum != 0:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = wrap(gradient.copy())
            else:
                add_scaled(scale(buffer._data, momentum), gradient, 1 - group["dampening"])
            gradient = add_scaled(gradient.copy(), buffer._data, momentum) if group["nesterov"] \
                else buffer._data
        add_scaled(parameter, gradient, -float(group["lr"]))
