"""The geometric distribution."""

from __future__ import annotations

from typing import Any

from .. import finfo, no_grad, zeros_like
from ..nn.functional import binary_cross_entropy_with_logits
from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, broadcast_all, either


class Geometric(ProbsOrLogits, Distribution):
    """Failures before the first success, of probability `probs` (log odds `logits`)."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None) -> None:
        either(probs, logits)
        self._given = "logits" if probs is None else "probs"
        (parameter,) = broadcast_all(logits if probs is None else probs)
        setattr(self, self._given, parameter)
        super().__init__(parameter.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not (parameter > 0).all():
            raise ValueError(
                f"Expected parameter probs ({type(parameter).__name__} of shape "
                f"{tuple(parameter.shape)}) of distribution {self!r} to be positive but found "
                f"invalid values:\n{parameter.data[~(parameter > 0)]}")

    mean = property(lambda self: 1.0 / self.probs - 1.0)
    mode = property(lambda self: zeros_like(self.probs))
    variance = property(lambda self: (1.0 / self.probs - 1.0) / self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            u = self.probs.new_empty(self._extended_shape(sample_shape))
            u.uniform_(finfo(self.probs.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Any) -> Any:
        value, probs = broadcast_all(self._checked(value), self.probs)
        probs = probs.clone()
        probs[(probs == 1) & (value == 0)] = 0
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(
            self.logits, self.probs, reduction="none") / self.probs
