"""Invertible functions y = f(x) with log |dy/dx|: what TransformedDistribution is made of."""

from __future__ import annotations

import math
from typing import Any

from .. import broadcast_shapes, finfo, full_like
from ..nn.functional import logsigmoid, pad, softplus
from ..tensor import Size
from . import constraints
from .transform import (
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    Transform,
    identity_transform,
)
from .utils import broadcast_all, is_number, lazy_property, sum_rightmost

__all__ = [
    "AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform",
    "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform", "TanhTransform",
    "Transform", "identity_transform"]

# --- elementwise ---------------------------------------------------------------------------------

class _Alike(Transform):
    """A transform without parameters: all instances of the class are equal."""

    def __eq__(self, other: object) -> Any:
        return isinstance(other, type(self))

    __hash__ = object.__hash__


class ExpTransform(_Alike):
    """y = exp(x)."""

    domain, codomain, bijective, sign = constraints.real, constraints.positive, True, 1

    def _call(self, x: Any) -> Any:
        return x.exp()

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return x


class PowerTransform(Transform):
    """y = x ** exponent."""

    domain, codomain, bijective = constraints.positive, constraints.positive, True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        (self.exponent,) = broadcast_all(exponent)

    @lazy_property
    def sign(self) -> Any:
        return self.exponent.sign()

    def __eq__(self, other: object) -> Any:
        return isinstance(other, PowerTransform) and (self.exponent == other.exponent).all().item()

    __hash__ = object.__hash__

    def _arguments(self) -> tuple:
        return (self.exponent,)

    def _call(self, x: Any) -> Any:
        return x.pow(self.exponent)

    def _inverse(self, y: Any) -> Any:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Any:
        return Size(broadcast_shapes(shape, self.exponent.shape))

    inverse_shape = forward_shape


def clipped_sigmoid(x: Any) -> Any:
    """sigmoid(x), never quite 0 or 1."""
    info = finfo(x.dtype)
    return x.sigmoid().clamp(min=info.tiny, max=1.0 - info.eps)


class SigmoidTransform(_Alike):
    """y = 1 / (1 + exp(-x))."""

    domain, codomain, bijective, sign = constraints.real, constraints.unit_interval, True, 1

    def _call(self, x: Any) -> Any:
        return clipped_sigmoid(x)

    def _inverse(self, y: Any) -> Any:
        info = finfo(y.dtype)
        y = y.clamp(min=info.tiny, max=1.0 - info.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(_Alike):
    """y = log(1 + exp(x))."""

    domain, codomain, bijective, sign = constraints.real, constraints.positive, True, 1

    def _call(self, x: Any) -> Any:
        return softplus(x)

    def _inverse(self, y: Any) -> Any:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x)


class TanhTransform(_Alike):
    """y = tanh(x)."""

    domain, codomain = constraints.real, constraints.interval(-1.0, 1.0)
    bijective, sign = True, 1

    def _call(self, x: Any) -> Any:
        return x.tanh()

    def _inverse(self, y: Any) -> Any:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))  # log(1 - y^2), also near y = 1


class AbsTransform(_Alike):
    """y = |x|; of the two x for each y the inverse gives the positive one."""

    domain, codomain = constraints.real, constraints.positive

    def _call(self, x: Any) -> Any:
        return x.abs()

    def _inverse(self, y: Any) -> Any:
        return y


class AffineTransform(Transform):
    """y = loc + scale x."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        count = self._event_dim
        return constraints.independent(constraints.real, count) if count else constraints.real

    codomain = domain

    @property
    def sign(self) -> Any:
        if is_number(self.scale):
            return (self.scale > 0) - (self.scale < 0)
        return self.scale.sign()

    def _arguments(self) -> tuple:
        return self.loc, self.scale, self._event_dim

    def __eq__(self, other: object) -> Any:
        return isinstance(other, AffineTransform) and _equal(self.loc, other.loc) \
            and _equal(self.scale, other.scale)

    __hash__ = object.__hash__

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        count, shape = self._event_dim, x.shape
        result = (full_like(x, math.log(abs(self.scale))) if is_number(self.scale)
                  else self.scale.abs().log())
        if count:
            result, shape = sum_rightmost(result, count), shape[:-count]
        return result.expand(shape)

    def forward_shape(self, shape: Any) -> Any:
        return Size(broadcast_shapes(shape, *(getattr(each, "shape", ())
                                              for each in (self.loc, self.scale))))

    inverse_shape = forward_shape


def _equal(one: Any, other: Any) -> bool:
    same = one == other
    return same if isinstance(same, bool) else bool(same.all())


# --- vectors and matrices ------------------------------------------------------------------------

class _OfVectors(_Alike):
    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape

    inverse_shape = forward_shape


class SoftmaxTransform(_OfVectors):
    """y = softmax(x): not a bijection, for a constant added to x makes no difference."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Any) -> Any:
        weights = (x - x.max(-1, True)[0]).exp()
        return weights / weights.sum(-1, True)

    def _inverse(self, y: Any) -> Any:
        return y.log()


class StickBreakingTransform(_OfVectors):
    """A stick of length 1 broken again and again: n numbers to n + 1 lengths."""

    domain, codomain, bijective = constraints.real_vector, constraints.simplex, True

    def _call(self, x: Any) -> Any:
        broken = clipped_sigmoid(x - _pieces_left(x, x.shape[-1] + 1).log())
        return pad(broken, [0, 1], value=1) * pad((1 - broken).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        lengths = y[..., :-1]
        rest = (1 - lengths.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return lengths.log() - rest.log() + _pieces_left(lengths, y.shape[-1]).log()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - _pieces_left(x, x.shape[-1] + 1).log()
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        shape = super().forward_shape(shape)
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape: Any) -> Any:
        shape = super().forward_shape(shape)
        return shape[:-1] + (shape[-1] - 1,)


def _pieces_left(x: Any, count: int) -> Any:
    return count - x.new_ones(x.shape[-1]).cumsum(-1)


class LowerCholeskyTransform(_Alike):
    """Any matrix to a lower triangular one with a positive diagonal."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Any) -> Any:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()
