"""Dropout: random zeros in training, and the rest scaled up so that the mean stays."""

from __future__ import annotations

from typing import Any

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d",
           "feature_alpha_dropout", "feature_dropout"]


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _noise_like(input: Any, per_feature: bool) -> Any:
    """Where the random numbers go: one an element, or one a feature map."""
    if not per_feature:
        return input.detach().empty_like()
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return input.new_empty((*shape[:2], *[1] * (len(shape) - 2)))


def _dropout(input: Any, p: float, training: bool, inplace: bool, per_feature: bool) -> Any:
    """$y = a\\,m / (1 - p)$ with $m$ drawn from Bernoulli(1 - p)."""
    _check(p)
    if p == 0 or not training or not input._data.size:
        return input
    if p == 1:
        scaled_mask = input.new_zeros(())
    else:
        scaled_mask = _noise_like(input, per_feature).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scaled_mask) if inplace else input * scaled_mask


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each element is zeroed with probability `p`, the others are divided by 1 - p."""
    return _dropout(input, p, training, inplace, False)


def feature_dropout(input: Any, p: float = 0.5, training: bool = True,
                    inplace: bool = False) -> Any:
    """Whole feature maps (dimensions 0 and 1 number them) are zeroed together."""
    return _dropout(input, p, training, inplace, True)


dropout2d = feature_dropout


def _per_sample(batched_ndim: int) -> Any:
    """dropout1d and dropout3d."""

    def drop(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        """Whole channels are zeroed together; they come first where there is no batch dimension."""
        _check(p)
        if input._data.ndim == batched_ndim:
            return feature_dropout(input, p, training, inplace)
        alone = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
        dropped = feature_dropout(alone, p, training, inplace)
        return dropped.squeeze_(0) if inplace else dropped.squeeze(0)

    return drop


dropout1d, dropout3d = _per_sample(3), _per_sample(5)

_ALPHA = 1.7580993408473766  # minus the limit of selu at -inf


def _alpha(input: Any, p: float, training: bool, inplace: bool, per_feature: bool) -> Any:
    """Dropped elements become selu's negative limit; an affine map keeps mean and variance."""
    _check(p)
    if p == 0 or not training or not input._data.size:
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * 0.0
    a = ((_ALPHA * _ALPHA * p + 1) * (1 - p)) ** -0.5
    keep = _noise_like(input, per_feature).bernoulli_(1 - p)
    shift = (keep - 1).mul_(_ALPHA * a).add_(_ALPHA * a * p)
    keep.mul_(a)
    return input.mul_(keep).add_(shift) if inplace else input * keep + shift


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False,
                  inplace: bool = False) -> Any:
    """Dropout for networks of selu: mean and variance are kept."""
    return _alpha(input, p, training, inplace, False)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False,
                          inplace: bool = False) -> Any:
    """`alpha_dropout` of whole feature maps."""
    return _alpha(input, p, training, inplace, True)
