"""Student's t-distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import inf, nan
from . import constraints
from .distribution import Distribution
from .gamma import Chi2
from .utils import broadcast_all


class StudentT(Distribution):
    """loc + scale z / sqrt(c / df), z standard normal and c of Chi2(df)."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real,
                       "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0,
                 validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.shape, validate_args=validate_args)

    mode = property(lambda self: self.loc)

    @property
    def mean(self) -> Any:
        mean = self.loc.clone()
        mean[self.df <= 1] = nan
        return mean

    @property
    def variance(self) -> Any:
        variance, finite = self.df.clone(), self.df > 2
        df = self.df[finite]
        variance[finite] = self.scale[finite].pow(2) * df / (df - 2)
        variance[(self.df <= 2) & (self.df > 1)] = inf
        variance[self.df <= 1] = nan
        return variance

    def rsample(self, sample_shape: Any = ()) -> Any:
        noise = self.df.new_empty(self._extended_shape(sample_shape)).normal_()
        squares = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (noise * (squares / self.df).rsqrt())

    def log_prob(self, value: Any) -> Any:
        y, df = (self._checked(value) - self.loc) / self.scale, self.df
        normaliser = (self.scale.log() + 0.5 * df.log() + 0.5 * math.log(math.pi)
                      + (0.5 * df).lgamma() - (0.5 * (df + 1.0)).lgamma())
        return -0.5 * (df + 1.0) * (y**2.0 / df).log1p() - normaliser

    def entropy(self) -> Any:
        df = self.df
        log_beta = (0.5 * df).lgamma() + math.lgamma(0.5) - (0.5 * (df + 1)).lgamma()
        return (self.scale.log()
                + 0.5 * (df + 1) * ((0.5 * (df + 1)).digamma() - (0.5 * df).digamma())
                + 0.5 * df.log() + log_beta)
