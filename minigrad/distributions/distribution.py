"""The base of all distributions: shapes, checks of parameters and values, expand, repr.

A distribution has a batch shape, of independent distributions with parameters of their own, and an
event shape, of one draw. `sample(s)` has the shape s + batch_shape + event_shape, `log_prob` gives
one number for each event.
"""

from __future__ import annotations

import warnings
from typing import Any

from .. import no_grad
from ..core import TensorBase
from ..tensor import Size, Tensor
from . import constraints
from .utils import lazy_property


class Distribution:
    """Base of the distributions: define `log_prob`, and `rsample` or `sample`."""

    has_rsample = False            # whether samples carry gradients to the parameters
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether arguments are checked where `validate_args` does not say."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape: Any = (), event_shape: Any = (),
                 validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            wanted = self.arg_constraints
        except NotImplementedError:
            wanted = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints ="
                " {}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.", stacklevel=3)
        for name, constraint in wanted.items():
            computed = name not in vars(self) and isinstance(
                getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or computed:
                continue
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}")

    # --- shapes
    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters: one distribution for each of its places."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of what one distribution draws."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        """The shape of `sample(sample_shape)`."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with a larger batch shape: every parameter is expanded."""
        new = self._blank(_instance)
        batch_shape = Size(batch_shape)
        value: Any
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                value = value.expand(batch_shape + self._event_part(name, value))
            elif isinstance(value, Distribution):
                value = value.expand(batch_shape)
            new.__dict__[name] = value
        new._batch_shape = batch_shape
        return new

    def _event_part(self, name: str, value: Any) -> Any:
        """The sizes of a parameter that belong to one event, not to the batch."""
        constraint = self.arg_constraints.get(name)
        count = constraint.event_dim if constraint is not None else 0
        return value.shape[value.dim() - count:]

    def _blank(self, instance: Any) -> Any:
        """An instance whose attributes are still to be set."""
        if instance is not None:
            return instance
        kind: Any = type(self)
        known = next(each for each in kind.__mro__ if each.__module__.startswith(__package__))
        if kind.__init__ is not known.__init__:
            raise NotImplementedError(
                f"Subclass {kind.__name__} of {known.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method.")
        return object.__new__(kind)

    # --- what a family defines
    @property
    def arg_constraints(self) -> dict[str, Any]:
        """What the parameters must satisfy, by name."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """Where the samples lie."""
        raise NotImplementedError

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The most probable value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Any:
        """The expected square of the distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """The square root of the variance."""
        return self.variance.sqrt()

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draw numbers that depend on the parameters differentiably."""
        raise NotImplementedError

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draw numbers, which are constants."""
        with no_grad():
            return self.rsample(sample_shape)

    def sample_n(self, n: int) -> Any:
        """The samples of shape (n,): torch's older name."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.",
                      FutureWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or probability at `value`."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of at most `value`."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """-E[log p]."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """The exponential of the entropy."""
        return self.entropy().exp()

    # --- checks, text
    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise ValueError("The value argument to log_prob must be a Tensor")
        tensor: Any = value
        start = tensor.dim() - len(self._event_shape)
        if tensor.shape[max(start, 0):] != self._event_shape:
            raise ValueError("The right-most size of value must match event_shape: "
                             f"{tensor.shape} vs {self._event_shape}.")
        expected = self._batch_shape + self._event_shape
        for mine, theirs in zip(reversed(tensor.shape), reversed(expected), strict=False):
            if mine != 1 and theirs != 1 and mine != theirs:
                raise ValueError("Value is not broadcastable with batch_shape+event_shape: "
                                 f"{tensor.shape} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3)
            return
        if not support.check(tensor).all():
            raise ValueError(
                f"Expected value argument ({type(tensor).__name__} of shape {tuple(tensor.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{tensor}")

    def _checked(self, value: Any) -> Any:
        """The value, after a look at it if arguments are to be checked."""
        if self._validate_args:
            self._validate_sample(value)
        return value

    def __repr__(self) -> str:
        known = {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}
        return "{}({})".format(type(self).__name__, ", ".join(
            f"{name}: {value if value.numel() == 1 else value.size()}"
            for name, value in known.items()))
