"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import add_product, add_scaled, assign, blocks, copy, decayed, scale


class ASGD(Optimizer):
    r"""$p \leftarrow (1 - \lambda\eta_t) p - \eta_t g$, with
    $\eta_t = \eta / (1 + \lambda\eta t)^\alpha$; the state's `ax` is the average of $p$ since step
    `t0`.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    _captured = "params, mus, etas, and state_steps"
    _numbers = ("step", "eta", "mu")

    def __init__(self, params: Any, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
                 t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None,
                 maximize: bool = False, differentiable: bool = False,
                 capturable: bool = False) -> None:
        check_rate(lr)
        check_options((weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        on_device = {"capturable": True}  # all of them lie beside the parameter
        state["step"] = counter(on_device, parameter)
        state["eta"] = counter(on_device, parameter, float(rate_of(group)))
        state["mu"] = counter(on_device, parameter, 1.0)
        state["ax"] = zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, lambd, lr = count(state), group["lambd"], rate_of(group)
        eta, mu = (float(state[name]._data.item()) for name in ("eta", "mu"))
        for p, g, average in blocks(group, parameter, gradient, state["ax"]):
            g = decayed(g, p, group["weight_decay"])
            add_scaled(scale(p, 1 - lambd * eta), g, -eta)
            if mu == 1:
                assign(average, p)
            else:
                add_product(average, add_scaled(copy(p), average, -1), mu)
        for name, value in (("eta", lr / ((1 + lambd * lr * step) ** group["alpha"])),
                            ("mu", 1 / max(1, step - group["t0"]))):
            state[name]._data[...] = counter(group, parameter, float(value))._data
