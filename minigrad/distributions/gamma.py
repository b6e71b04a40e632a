"""The gamma distribution, and the chi-squared, which is one."""

from __future__ import annotations

from typing import Any

from .. import as_tensor, finfo, special
from ..ops.gamma_samples import standard_gamma
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all


class Gamma(Distribution):
    r"""$p(x) = \beta^\alpha x^{\alpha-1} e^{-\beta x} / \Gamma(\alpha)$: concentration $\alpha$,
    rate $\beta$."""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    mean = property(lambda self: self.concentration / self.rate)
    mode = property(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0))
    variance = property(lambda self: self.concentration / self.rate.pow(2))

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        value = standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=finfo(value.dtype).tiny)  # log_prob(0) would be infinite
        return value

    def log_prob(self, value: Any) -> Any:
        value = as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        value, alpha = self._checked(value), self.concentration
        return (alpha.xlogy(self.rate) + (alpha - 1).xlogy(value) - self.rate * value
                - alpha.lgamma())

    def cdf(self, value: Any) -> Any:
        return special.gammainc(self.concentration, self.rate * self._checked(value))

    def entropy(self) -> Any:
        alpha = self.concentration
        return alpha - self.rate.log() + alpha.lgamma() + (1.0 - alpha) * alpha.digamma()


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers: Gamma(df / 2, 1 / 2)."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    df = property(lambda self: self.concentration * 2)
