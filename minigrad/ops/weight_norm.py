r"""Weights as lengths and directions: $w = g\,v / \|v\|$, with a norm for each slice along `dim`.

Salimans and Kingma, "Weight normalization: a simple reparameterization to accelerate training of
deep neural networks", 2016.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import HALF_TYPES
from ..primitive import joint_derivative, no_kernel, primitive
from .dims import wrap_dim
from .linalg_norm import norm_except_dim


@primitive(promote="exact", name="_weight_norm_interface", outputs=("result", "norms"))
def _weight_norm_interface(xp, v, g, *, dim):
    """The product and the norms; 16-bit floats are computed in float32."""
    own = v.dtype
    wide = v.astype(np.float32) if own in HALF_TYPES else v
    others = tuple([axis for axis in range(v.ndim) if axis != dim])
    norms = xp.sqrt(xp.square(wide).sum(axis=others, keepdims=True))
    return (wide * (g.astype(wide.dtype, copy=False) / norms)).astype(own, copy=False), norms


def _weight_norm_rule(grads, v, g, dim):
    r"""$\bar g = \sum \bar w\,v / \|v\|$ and $\bar v = \frac{g}{\|v\|}\left(\bar w -
    v\,\frac{\sum \bar w\,v}{\|v\|^2}\right)$.

    torch takes the saved norms for constants here, so that its second derivative lacks a term.
    """
    grad = grads[0]
    norms = norm_except_dim(v, 2, dim)
    along = [axis for axis in range(v._data.ndim) if axis != dim]
    total = (grad * v).sum(along, True) if along else grad * v
    return [g / norms * (grad - v * (total / (norms * norms))), total / norms]


joint_derivative(_weight_norm_interface, ("v", "g"), _weight_norm_rule)


def weight_norm_interface(v: Any, g: Any, dim: int = 0) -> Any:
    """`weight_norm` along the first or the last dim, and the norms."""
    if v.dtype.category != dtypes.FLOATING:
        raise no_kernel("weight_norm_kernel", v.dtype.numpy)
    if v.dtype is not g.dtype:
        raise RuntimeError(f"expected scalar type {v.dtype.scalar_name} but found "
                           f"{g.dtype.scalar_name}")
    result, norms = _weight_norm_interface(v, g, dim=dim)
    return result, norms.detach()


def weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    r"""$g\,v / \|v\|$, with a norm for each slice along `dim` (-1: one for all)."""
    if dim != -1:
        wrap_dim(dim, v._data.ndim)
    if dim in (0, v._data.ndim - 1):
        return weight_norm_interface(v.contiguous(), g.contiguous(), dim)[0]
    return v * (g / norm_except_dim(v, 2, dim))
