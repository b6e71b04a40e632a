"""addmm_ and its relatives: but for addbmm_, they do not broadcast the tensor they write to."""

from __future__ import annotations

from typing import Any

from ..inplace import BAD_CALL, inplace
from ..out import resize
from .matmul import addbmm, addmm, addmv, addr, baddbmm

__all__ = ["addbmm_", "addmm_", "addmv_", "addr_", "baddbmm_"]


def _addr_fitting(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`addr` for an input of the result's very size, as the in-place form needs it."""
    own, sizes = list(input._data.shape), [vec1._data.size, vec2._data.size]
    if len(own) != 2:
        raise RuntimeError(f"2D tensor expected, got {len(own)}D tensor for input")
    if own != sizes:
        raise RuntimeError(f"size mismatch, input: {own}, v1: {sizes[:1]}, v2: {sizes[1:]}")
    return addr(input, vec1, vec2, beta=beta, alpha=alpha)


def _addbmm_growing(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1,
                    alpha: Any = 1) -> Any:
    """`addbmm`, whose in-place form torch lets grow from what broadcasts to the result's size."""
    result = addbmm(input, batch1, batch2, beta=beta, alpha=alpha)
    if input._data.shape != result._data.shape:
        resize(input, result._data.shape)
    return result


addmm_, addmv_ = inplace(addmm, words=BAD_CALL), inplace(addmv, words=BAD_CALL)
baddbmm_, addbmm_ = inplace(baddbmm, words=BAD_CALL), inplace(_addbmm_growing, "addbmm_")
addr_ = inplace(_addr_fitting, "addr_")
