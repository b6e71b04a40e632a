"""SparseAdam: Adam for gradients that name the few rows they touch."""

from __future__ import annotations

from typing import Any

from ..core import TensorBase
from .optimizer import Optimizer, check_betas, check_options


class SparseAdam(Optimizer):
    """Adam for sparse gradients only, as torch's: since minigrad's gradients are all dense, `step`
    refuses each of them, in torch's words. It is here so that programs find it."""

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, maximize: bool = False) -> None:
        check_options(
            (not isinstance(lr, TensorBase) or lr._data.size == 1, "Tensor lr must be 1-element"))
        check_options((lr > 0.0, f"Invalid learning rate: {lr}"),
                      (eps > 0.0, f"Invalid epsilon value: {eps}"))
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        complex_ones = [[index, place] for index, group in enumerate(self.param_groups)
                        for place, each in enumerate(group["params"]) if each.dtype.is_complex]
        check_options((not complex_ones, f"Complex params at indices {complex_ones}: SparseAdam "
                                         "does not support complex parameters"))

    def _prepare(self, group: dict, parameter: Any) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam "
                           "instead")
