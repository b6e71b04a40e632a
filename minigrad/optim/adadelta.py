"""Adadelta: steps as long as the last ones were, so that no learning rate is needed."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import add_product, add_scaled, blocks, copy, decayed, divide, scale, shift, sqrt


class Adadelta(Optimizer):
    r"""$v \leftarrow \rho v + (1 - \rho) g^2$, $\Delta = g \sqrt{u + \epsilon} /
    \sqrt{v + \epsilon}$, $u \leftarrow \rho u + (1 - \rho)\Delta^2$, $p \leftarrow p - \eta\Delta$.

    Zeiler, "Adadelta: an adaptive learning rate method", 2012.
    """

    _capturing_devices = "['cuda', 'xpu', 'hpu', 'privateuseone']"

    def __init__(self, params: Any, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
                 maximize: bool = False, differentiable: bool = False) -> None:
        check_rate(lr)
        check_options(
            (0.0 <= rho <= 1.0, f"Invalid rho value: {rho}"),
            (eps >= 0.0, f"Invalid epsilon value: {eps}"),
            (weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter(group, parameter)
        state["square_avg"], state["acc_delta"] = zeros_for(parameter), zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        count(state)
        rho, eps, lr = group["rho"], group["eps"], rate_of(group)
        for p, g, square, moved in blocks(group, parameter, gradient, state["square_avg"],
                                          state["acc_delta"]):
            g = decayed(g, p, group["weight_decay"])
            add_product(scale(square, rho), g, g, 1 - rho)
            root = sqrt(shift(copy(square), eps))
            delta = scale(divide(sqrt(shift(copy(moved), eps)), root), g)
            add_product(scale(moved, rho), delta, delta, 1 - rho)
            add_scaled(p, delta, -lr)
