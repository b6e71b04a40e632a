"""Ready-made parametrizations: orthogonal matrices, weights of unit spectral norm, weight norm."""

from __future__ import annotations

from typing import Any

from ...autograd.grad_mode import no_grad
from ...core import TensorBase
from ...ops.comparison import allclose
from ...ops.creation import eye
from ...ops.joining import cat
from ...ops.linalg_norm import norm_except_dim
from ...ops.matmul import mv, vdot
from ...ops.matrix_exp import matrix_exp
from ...ops.norm import normalize
from ...ops.qr import geqrf, householder_product
from ...ops.random import randn
from ...ops.solve import solve
from ...ops.weight_norm import weight_norm as weight_norm_of
from ...type_info import finfo
from ..modules.module import Module
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _weight_of(module: Module, name: str) -> Any:
    weight = getattr(module, name, None)
    if not isinstance(weight, TensorBase):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# --- orthogonal ----------------------------------------------------------------------------------

def _is_orthogonal(q: Any) -> bool:
    rows, columns = q.shape[-2:]
    identity = eye(columns, dtype=q.dtype, device=q.device)
    return allclose(q.mH @ q, identity, atol=10.0 * rows * finfo(q.dtype).eps)


def _make_orthogonal(a: Any) -> Any:
    """The Q of a = QR, with the signs that make R's diagonal positive."""
    reflectors, tau = geqrf(a)
    q = householder_product(reflectors, tau)
    return q * reflectors.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    r"""Orthogonal matrices from any: $e^A$ or the Cayley map $(I + A/2)(I - A/2)^{-1}$ of the skew
    $A = X - X^H$ with X lower triangular, or a product of Householder reflections whose vectors
    are X's columns.

    With a trivialization the result is multiplied by `base`, the matrix last assigned: then X = 0
    stands for it. That gives maps with no known inverse, like the first two, one. Lezcano-Casado,
    "Trivializations for gradient-based optimization on manifolds", 2019.
    """

    base: Any

    def __init__(self, weight: Any, orthogonal_map: str, *,
                 use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":  # X does not determine tau
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Any:
        wide = X.size(-2) < X.size(-1)
        X = X.mT if wide else X  # now tall
        q = self._reflections(X) if self.orthogonal_map == "householder" else self._of_skew(X)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def _of_skew(self, X: Any) -> Any:
        rows, columns = X.shape[-2:]
        X = X.tril()
        if rows != columns:
            X = cat([X, X.new_zeros(rows, rows - columns).expand(*X.shape[:-2], -1, -1)], dim=-1)
        skew = X - X.mH
        if self.orthogonal_map == "matrix_exp":
            q = matrix_exp(skew)
        else:
            identity = eye(rows, dtype=skew.dtype, device=skew.device)
            q = solve(identity.add(skew, alpha=-0.5), identity.add(skew, alpha=0.5))
        return q[..., :columns] if rows != columns else q

    def _reflections(self, X: Any) -> Any:
        vectors = X.tril(diagonal=-1)
        tau = 2.0 / (1.0 + (vectors * vectors).sum(dim=-2))
        signs = X.diagonal(dim1=-2, dim2=-1).int()  # 1 or -1: not to be differentiated
        return householder_product(vectors, tau) * signs.unsqueeze(-2)

    @no_grad()
    def right_inverse(self, Q: Any) -> Any:
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. "
                             f"Got a tensor of shape {Q.shape}.")
        wide = Q.size(-2) < Q.size(-1)
        tall = Q.mT if wide else Q
        if hasattr(self, "base"):
            self.base = self._completed(tall)
            inverse = Q.new_zeros(Q.shape)
            inverse.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # householder(-I below 0) is I
            return inverse
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False.")
        reflectors, tau = geqrf(tall)
        diagonal = reflectors.diagonal(dim1=-2, dim2=-1)
        diagonal.sign_()
        diagonal.mul_((tau != 0) * 2 - 1)  # no reflection was needed there
        return reflectors.mT if wide else reflectors

    @staticmethod
    def _completed(q: Any) -> Any:
        """An orthogonal square matrix that begins with the columns of q."""
        rows, columns = q.shape[-2:]
        if rows == columns:
            return q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
        more = randn(*q.shape[:-2], rows, rows - columns, dtype=q.dtype, device=q.device)
        return _make_orthogonal(cat([q, more], dim=-1))


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> Module:
    """Keep a matrix (or each of a batch) orthogonal: of its rows and columns, the fewer are
    orthonormal. `orthogonal_map` is "matrix_exp", "cayley" or "householder"."""
    weight = _weight_of(module, name)
    if weight.dim() < 2:
        raise ValueError("Expected a matrix or batch of matrices. "
                         f"Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError('orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
                         f"Got: {orthogonal_map}")
    orth = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, orth, unsafe=True)


# --- weight norm ---------------------------------------------------------------------------------

class _WeightNorm(Module):
    """$w = g\\,v / \\|v\\|$ (ops/weight_norm.py)."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return weight_norm_of(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """Train the length and the direction of the weight's slices along `dim` apart."""
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict, prefix: str, *rest: Any) -> None:
        """What the older weight_norm saved has other names."""
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


# --- spectral norm -------------------------------------------------------------------------------

class _SpectralNorm(Module):
    r"""$W / \sigma(W)$, where $\sigma \approx u^T W v$ is the largest singular value: u and v are
    buffers that each forward in training brings nearer to its vectors by the power method.

    Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0,
                 eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError("Dimension out of range (expected to be in range of "
                             f"[-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError("Expected n_power_iterations to be positive, but got "
                             f"n_power_iterations={n_power_iterations}")
        self.dim, self.eps = dim % ndim, eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._as_matrix(weight)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                drawn = matrix.new_empty(size).normal_(0, 1)
                self.register_buffer(name, normalize(drawn, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _as_matrix(self, weight: Any) -> Any:
        if self.dim != 0:
            others = [axis for axis in range(weight.dim()) if axis != self.dim]
            weight = weight.permute(self.dim, *others)
        return weight.flatten(1)

    @no_grad()
    def _power_method(self, matrix: Any, iterations: int) -> None:
        for _ in range(iterations):  # in place, so that all who share the buffers see it
            self._u.copy_(normalize(mv(matrix, self._v), dim=0, eps=self.eps))
            self._v.copy_(normalize(mv(matrix.mH, self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._as_matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # copies: the next forward writes into the buffers before this one's backward
        u, v = self._u.clone(), self._v.clone()
        return weight / vdot(u, mv(matrix, v))

    def right_inverse(self, value: Any) -> Any:
        """The identity: the value is taken to be normalised already."""
        return value


def output_dim(module: Module) -> int:
    """Where a layer's weight has its outputs: transposed convolutions have them second."""
    return 1 if any("ConvTranspose" in kind.__name__ for kind in type(module).__mro__) else 0


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None) -> Module:
    """Keep the largest singular value of the weight, taken as a matrix, near 1."""
    weight = _weight_of(module, name)
    dim = output_dim(module) if dim is None else dim
    return register_parametrization(module, name,
                                    _SpectralNorm(weight, n_power_iterations, dim, eps))
