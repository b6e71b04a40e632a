"""Adagrad: steps divided by the root of the sum of all squared gradients."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, new_step, zeros_for
from .updates import add_product, add_quotient, add_scaled, as_real, sqrt


class Adagrad(Optimizer):
    r"""$s \leftarrow s + g^2$, $p \leftarrow p - \frac{\eta}{1 + (t - 1)\lambda}
    \frac{g}{\sqrt s + \epsilon}$.

    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.
    """

    def __init__(self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10,
                 foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, fused: bool | None = None) -> None:
        check_options(
            (lr >= 0.0, f"Invalid learning rate: {lr}"),
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
                self._begin(group, parameter._data, self.state[parameter])

    def _begin(self, group: dict, parameter: Any, state: dict) -> None:
        start = group["initial_accumulator_value"]
        state["step"] = new_step()
        state["sum"] = zeros_for(parameter)
        add_scaled(state["sum"]._data, complex(start, start) if parameter.dtype.kind == "c"
                   else start)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        if not state:  # of a group that was added later
            self._begin(group, parameter, state)
        parameter, gradient = as_real(parameter), as_real(gradient)
        state["step"]._data += 1
        step = float(state["step"]._data)
        if group["weight_decay"] != 0:
            gradient = add_scaled(gradient.copy(), parameter, group["weight_decay"])
        total = as_real(state["sum"]._data)
        add_product(total, gradient, gradient)
        root = sqrt(total)
        root += group["eps"]
        add_quotient(parameter, gradient, root,
                     -(float(group["lr"]) / (1 + (step - 1) * group["lr_decay"])))
