"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

from ..nn.functional import one_hot
from ..ops.gamma_samples import sample_dirichlet
from . import constraints
from .distribution import Distribution


class Dirichlet(Distribution):
    r"""$p(x) \propto \prod_i x_i^{\alpha_i - 1}$ on the simplex."""

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:],
                         validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        alpha = self.concentration
        return ((alpha - 1.0).xlogy(self._checked(value)).sum(-1) + alpha.sum(-1).lgamma()
                - alpha.lgamma().sum(-1))

    mean = property(lambda self: self.concentration / self.concentration.sum(-1, True))

    @property
    def mode(self) -> Any:
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        corner = (self.concentration < 1).all(dim=-1)
        mode[corner] = one_hot(mode[corner].argmax(dim=-1), above.shape[-1]).to(mode)
        return mode

    @property
    def variance(self) -> Any:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Any:
        alpha, total = self.concentration, self.concentration.sum(-1)
        return (alpha.lgamma().sum(-1) - total.lgamma()
                - (alpha.shape[-1] - total) * total.digamma()
                - ((alpha - 1.0) * alpha.digamma()).sum(-1))
