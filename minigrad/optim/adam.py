"""Adam, and AdamW, whose weight decay does not pass through the moments."""

from __future__ import annotations

from typing import Any

from ..core import TensorBase
from .optimizer import (
    Optimizer,
    check_betas,
    check_options,
    check_rate,
    count,
    counter,
    rate_of,
    without_dimensions,
    zeros_for,
)
from .updates import (
    add_product,
    add_quotient,
    blocks,
    decayed,
    divide,
    lerp,
    scale,
    set_to_maximum,
    shift,
    sqrt,
)


class Adam(Optimizer):
    r"""$m \leftarrow \beta_1 m + (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$,
    $p \leftarrow p - \eta\,\hat m / (\sqrt{\hat v} + \epsilon)$.

    $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$ undo the pull of the zeros
    that the moments start from. Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: Any = 0, amsgrad: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False, fused: bool | None = None,
                 decoupled_weight_decay: bool = False) -> None:
        by_kernel = foreach and not capturable
        if by_kernel and isinstance(lr, TensorBase):
            raise ValueError("lr as a Tensor is not supported for capturable=False and "
                             "foreach=True")
        check_rate(lr)
        check_options((eps >= 0.0, f"Invalid epsilon value: {eps}"))
        check_betas(betas)
        check_options((weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}"))
        if not any(all(isinstance(beta, kind) for beta in betas) for kind in (float, TensorBase)):
            raise ValueError("betas must be either both floats or both Tensors")
        for index, beta in enumerate(betas):
            if isinstance(beta, TensorBase):
                check_options(
                    (not by_kernel, f"betas[{index}] as a Tensor is not supported for "
                                    "capturable=False and foreach=True"),
                    (beta._data.size == 1, f"Tensor betas[{index}] must be 1-element"))
        betas = without_dimensions(betas[0]), without_dimensions(betas[1])
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay})

    def begin(self, group: dict, parameter: Any, state: dict) -> None:
        state["step"] = counter(group, parameter)
        state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_for(parameter)

    def update(self, group: dict, parameter: Any, gradient: Any, state: dict) -> None:
        step, lr, (beta1, beta2) = count(state), rate_of(group), group["betas"]
        recorded = group["differentiable"]
        if recorded:
            step = state["step"].clone()  # and so are the corrections: tensors in float32
        eps, weight_decay, decoupled = (group[name] for name in (
            "eps", "weight_decay", "decoupled_weight_decay"))
        rate = lr / (1 - beta1**step)
        root_of_correction = (1 - beta2**step) ** 0.5
        largest = [state["max_exp_avg_sq"]] if group["amsgrad"] else []
        for p, g, mean, square, *most in blocks(group, parameter, gradient, state["exp_avg"],
                                                state["exp_avg_sq"], *largest):
            if not decoupled:
                g = decayed(g, p, weight_decay)
            elif weight_decay != 0:
                scale(p, 1 - lr * weight_decay)
            lerp(mean, g, 1 - beta1)
            add_product(scale(square, beta2), g, g, 1 - beta2)
            if most:
                square = set_to_maximum(most[0], square)
            if recorded:  # torch folds the rate into the denominator here; it rounds so
                add_quotient(p, mean, shift(divide(sqrt(square), root_of_correction * -rate),
                                            eps / -rate))
            else:
                add_quotient(p, mean, shift(divide(sqrt(square), root_of_correction), eps), -rate)


class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by lr · weight_decay before each step.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: Any = 1e-2, amsgrad: bool = False, *,
                 maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
                 differentiable: bool = False, fused: bool | None = None) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach,
                         maximize=maximize, capturable=capturable, differentiable=differentiable,
                         fused=fused, decoupled_weight_decay=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # also in what was saved before the option existed
            group["decoupled_weight_decay"] = True
