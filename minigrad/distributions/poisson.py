"""The Poisson distribution."""

from __future__ import annotations

from typing import Any

from .. import no_grad
from .. import poisson as draw
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all


class Poisson(Distribution):
    r"""$p(k) = \lambda^k e^{-\lambda} / k!$, with rate $\lambda$."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = property(lambda self: self.rate)
    variance = mean
    mode = property(lambda self: self.rate.floor())

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return draw(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        rate, value = broadcast_all(self.rate, self._checked(value))
        return value.xlogy(rate) - rate - (value + 1).lgamma()
