"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any

from .. import broadcast_shapes, cholesky_inverse, eye, linalg, matmul
from ..tensor import Size
from . import constraints
from .distribution import Distribution
from .utils import lazy_property


def mahalanobis(scale_tril: Any, x: Any) -> Any:
    """|L^-1 x|^2 for each vector x, with a matrix L for the last batch dimensions of x."""
    n, batch = x.shape[-1], x.shape[:-1]
    more = len(batch) - (scale_tril.dim() - 2)
    solved = linalg.solve_triangular(scale_tril.expand(batch[more:] + (n, n)),
                                     x.reshape((-1,) + batch[more:] + (n, 1)), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1).reshape(batch)


def precision_to_scale_tril(precision: Any) -> Any:
    """The lower triangular L with L L^T = precision^-1, without inverting the whole."""
    upper = linalg.cholesky(precision.flip((-2, -1))).flip((-2, -1)).mT
    identity = eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return linalg.solve_triangular(upper, identity, upper=False)


class MultivariateNormal(Distribution):
    """loc + L z, z standard normal; L L^T is the covariance, its inverse the precision."""

    arg_constraints = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None,
                 scale_tril: Any = None, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {name: matrix for name, matrix in (
            ("covariance_matrix", covariance_matrix), ("precision_matrix", precision_matrix),
            ("scale_tril", scale_tril)) if matrix is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril "
                             "may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            what = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(f"{what} must be at least two-dimensional, with optional leading "
                             "batch dimensions")
        batch = Size(broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand(batch + (-1, -1)))
        self.loc = loc.expand(batch + (-1,))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        if covariance_matrix is not None:
            matrix = linalg.cholesky(covariance_matrix)
        elif precision_matrix is not None:
            matrix = precision_to_scale_tril(precision_matrix)
        self._unbroadcasted_scale_tril = matrix

    def _event_part(self, name: str, value: Any) -> Any:
        if name == "_unbroadcasted_scale_tril":
            return self._event_shape * 2
        return super()._event_part(name, value)

    def _expanded(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        return self._expanded(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        tril = self._unbroadcasted_scale_tril
        return self._expanded(matmul(tril, tril.mT))

    @lazy_property
    def precision_matrix(self) -> Any:
        return self._expanded(cholesky_inverse(self._unbroadcasted_scale_tril))

    mean = property(lambda self: self.loc)
    mode = mean

    @property
    def variance(self) -> Any:
        variance = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return variance.expand(self._batch_shape + self._event_shape)

    def _half_log_det(self) -> Any:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Any:
        noise = self.loc.new_empty(self._extended_shape(sample_shape)).normal_()
        return self.loc + matmul(self._unbroadcasted_scale_tril, noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Any) -> Any:
        distance = mahalanobis(self._unbroadcasted_scale_tril, self._checked(value) - self.loc)
        return (-0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance)
                - self._half_log_det())

    def entropy(self) -> Any:
        entropy = (0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
                   + self._half_log_det())
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
