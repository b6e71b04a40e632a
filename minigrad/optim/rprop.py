"""Rprop: only the signs of the gradient count."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import add_product, assign, blocks, clip, copy, scale, sign


class Rprop(Optimizer):
    r"""Each element has a step of its own, which grows while its gradient keeps its sign and
    shrinks when the sign changes: $s \leftarrow \eta_\pm s$,
    $p \leftarrow p - s\,\mathrm{sign}(g)$.

    Where the sign has changed nothing moves, and the next step starts anew. Riedmiller and Braun,
    "A direct adaptive method for faster backpropagation learning", 1993.
    """

    def __init__(self, params: Any, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False) -> None:
        check_rate(lr)
        check_options((0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}"))
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        lr = float(rate_of(group))
        state["step"] = counter(group, parameter)
        state["prev"], state["step_size"] = zeros_for(parameter), zeros_for(parameter)
        state["step_size"]._data[...] = complex(lr, lr) if parameter.dtype.is_complex else lr

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        count(state)
        shrink, grow = group["etas"]
        for p, g, before, size in blocks(group, parameter, gradient, state["prev"],
                                         state["step_size"]):
            factor = sign(g * copy(before))
            turned, kept, still = factor < 0, factor > 0, factor == 0
            factor[kept], factor[turned], factor[still] = grow, shrink, 1
            clip(scale(size, factor), *group["step_sizes"])
            g = copy(g)
            g[turned] = 0
            add_product(p, sign(g), size, -1)
            assign(before, g)
