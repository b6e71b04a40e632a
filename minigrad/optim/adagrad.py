"""Adagrad: steps divided by the root of the sum of all squared gradients."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import add_product, add_quotient, blocks, decayed, shift, sqrt


class Adagrad(Optimizer):
    r"""$s \leftarrow s + g^2$, $p \leftarrow p - \frac{\eta}{1 + (t - 1)\lambda}
    \frac{g}{\sqrt s + \epsilon}$.

    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.
    """

    def __init__(self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10,
                 foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, fused: bool | None = None) -> None:
        check_rate(lr)
        check_options(
            (lr_decay >= 0.0, f"Invalid lr_decay value: {lr_decay}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"),
            (initial_accumulator_value >= 0.0,
             f"Invalid initial_accumulator_value value: {initial_accumulator_value}"),
            (eps >= 0.0, f"Invalid epsilon value: {eps}"))
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.begin(group, parameter, self.state[parameter])

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        start = group["initial_accumulator_value"]
        state["step"] = counter(group, parameter)
        state["sum"] = zeros_for(parameter)
        state["sum"]._data[...] = complex(start, start) if parameter.dtype.is_complex else start

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step = count(state)
        rate = rate_of(group) / (1 + (step - 1) * group["lr_decay"])
        for p, g, total in blocks(group, parameter, gradient, state["sum"]):
            g = decayed(g, p, group["weight_decay"])
            add_product(total, g, g)
            add_quotient(p, g, shift(sqrt(total), group["eps"]), -rate)
