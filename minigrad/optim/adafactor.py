"""Adafactor: Adam's second moments, remembered as one number a row and one a column."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import array_module
from ..type_info import finfo
from .optimizer import Optimizer, check_options, check_rate, count, counter, rate_of, zeros_for
from .updates import add_scaled, clip, divide, inverse_root, lerp, pieces, scale


class Adafactor(Optimizer):
    r"""$p \leftarrow p - \alpha_t u / \max(1, \mathrm{rms}(u) / d)$ with $u = g / \sqrt{\hat v}$
    and $\alpha_t = \max(\epsilon_2, \mathrm{rms}(p)) \min(\eta, 1 / \sqrt t)$.

    A matrix's $\hat v$ is $r c^T / \bar r$ with $r$, $c$ the running means of $g^2$ over its
    columns and rows: less memory than Adam by a factor of the size. Shazeer and Stern,
    "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
    """

    _takes_complex = False

    def __init__(self, params: Any, lr: Any = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0,
                 weight_decay: float = 0.0, *, foreach: bool | None = None,
                 maximize: bool = False) -> None:
        check_rate(lr, "Learning rate should be >= 0 but is:")
        check_options(
            (beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}"))
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter({}, parameter)
        shape = list(parameter.shape)
        if len(shape) > 1:
            state["row_var"] = parameter.new_zeros([*shape[:-1], 1], requires_grad=False)
            state["col_var"] = parameter.new_zeros([*shape[:-2], 1, shape[-1]],
                                                   requires_grad=False)
        else:
            state["variance"] = zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, lr, (eps1, eps2) = count(state), rate_of(group), group["eps"]
        eps1 = finfo(parameter.dtype).eps if eps1 is None else eps1
        newest = step ** group["beta2_decay"]  # the weight of this gradient in the means
        alpha = max(eps2, _rms(parameter._data)) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            scale(parameter._data, 1 - lr * group["weight_decay"])
        if gradient.ndim > 1:
            row, column = state["row_var"], state["col_var"]
            lerp(row._data, (gradient * gradient).mean(-1, keepdim=True)._data, newest)
            lerp(column._data, (gradient * gradient).mean(-2, keepdim=True)._data, newest)
            update = (row @ column)._data
            divide(update, row.mean(-2, keepdim=True).clamp(min=eps1)._data)
        else:
            for variance, g in pieces([state["variance"]._data, gradient._data]):
                lerp(variance, scale(g.copy(), g), newest)
            update = state["variance"]._data.copy()
        scale(inverse_root(clip(update, eps1 * eps1, None)), gradient._data)
        rate = alpha / max(1.0, _rms(update) / group["d"])
        for p, u in pieces([parameter._data, update]):
            add_scaled(p, u, rate if group["maximize"] else -rate)


def _rms(array: Any) -> float:
    """The root of the mean square."""
    flat = array.reshape(-1)
    if flat.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    return float(array_module(flat).dot(flat, flat)) ** 0.5 / max(flat.size, 1) ** 0.5
