"""What distributions share: parameters of one shape, probabilities and logits, lazy attributes."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from numbers import Number
from typing import Any

from .. import broadcast_tensors, enable_grad, finfo, get_default_dtype, tensor
from ..core import TensorBase
from ..nn.functional import softmax

euler_constant = 0.57721566490153286060


def is_number(value: Any) -> bool:
    return isinstance(value, Number)


def broadcast_all(*values: Any) -> tuple:
    """The values as tensors of one shape; numbers take the dtype and place of the first tensor."""
    tensors = [value for value in values if isinstance(value, TensorBase)]
    if not all(isinstance(value, TensorBase) or is_number(value) for value in values):
        raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects "
                         "implementing __torch_function__.")
    options: dict[str, Any] = {"dtype": get_default_dtype()}
    if tensors:
        options = {"dtype": tensors[0].dtype, "device": tensors[0].device}
    return broadcast_tensors(*(value if isinstance(value, TensorBase) else tensor(value, **options)
                               for value in values))


def sum_rightmost(value: Any, count: int) -> Any:
    """The sum over the last `count` dimensions."""
    return value.reshape(value.shape[:-count] + (-1,)).sum(-1) if count else value


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Log odds (`is_binary`), or log probabilities up to a constant, as probabilities."""
    return logits.sigmoid() if is_binary else softmax(logits, dim=-1)


def clamp_probs(probs: Any) -> Any:
    """The probabilities moved away from 0 and 1 by the dtype's epsilon."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """The inverse of `logits_to_probs`."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


class lazy_property:
    """An attribute that is computed when it is first asked for, recorded in the graph."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute = compute
        update_wrapper(self, compute)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.compute(instance)
        setattr(instance, self.compute.__name__, value)
        return value


def either(probs: Any, logits: Any) -> None:
    """Raise unless exactly one of the two was given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class ProbsOrLogits:
    """A distribution that was given one of the two, and computes the other when it is needed."""

    _is_binary = True
    _given: str

    @lazy_property
    def logits(self) -> Any:
        return probs_to_logits(self.probs, self._is_binary)

    @lazy_property
    def probs(self) -> Any:
        return logits_to_probs(self.logits, self._is_binary)

    @property
    def _param(self) -> Any:
        return getattr(self, self._given)

    @property
    def param_shape(self) -> Any:
        return self._param.shape
