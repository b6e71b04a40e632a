"""Joining tensors: cat, stack and what is made of them. The gradient is cut up the same way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autocast_rules import autocasts
from ..core import TensorBase, wrap
from ..dtypes import get_default_dtype
from ..out import check_cat, takes_out
from ..primitive import derivative, primitive
from .dims import wrap_dim

__all__ = ["cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack",
           "column_stack", "block_diag", "cartesian_prod", "atleast_1d", "atleast_2d",
           "atleast_3d"]


@primitive(promote="default", name="cat", lies="rows")
def _cat(xp, *tensors, dim):
    for i, each in enumerate(tensors):
        if not each.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    kept = [(i, each) for i, each in enumerate(tensors) if each.shape != (0,)] or [(0, tensors[0])]
    first = kept[0][1]
    dim = wrap_dim(dim, first.ndim)
    for i, each in kept:
        if each.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and "
                               f"{each.ndim}")
        for d, (a, b) in enumerate(zip(first.shape, each.shape, strict=True)):
            if d != dim and a != b:
                raise RuntimeError(f"Sizes of tensors must match except in dimension {dim}. "
                                   f"Expected size {a} but got size {b} for tensor number {i} in "
                                   "the list.")
    return xp.concatenate([each for _, each in kept], axis=dim)


def _cut(grads, tensors_shape, dim, needs):
    """The part of the gradient that lies where each tensor lay."""
    g, start, parts = grads[0], 0, []
    for shape, needed in zip(tensors_shape, needs, strict=True):
        if shape == (0,) and g.ndim != 1:
            parts.append(g.new_zeros(shape) if needed else None)
            continue
        parts.append(g.narrow(dim, start, shape[dim]) if needed else None)
        start += shape[dim]
    return parts


derivative(_cat, tensors=_cut)


def _listed(name: str, tensors: Any) -> list:
    """A sequence of tensors as a list; for all but `cat` it may not be empty."""
    if not isinstance(tensors, list | tuple):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
                        f"{type(tensors).__name__}")
    for i, each in enumerate(tensors):
        if not isinstance(each, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got "
                            f"{type(each).__name__}")
    if not tensors and name != "cat":
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(tensors)


@autocasts
@takes_out(check=check_cat, apart=True)
def cat(tensors: Any, dim: int = 0) -> Any:
    """The tensors one after the other along `dim`; empty tensors of shape (0,) are skipped."""
    tensors = _listed("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    return _cat(*tensors, dim=dim)


concat = concatenate = cat


@primitive(promote="default", name="stack", lies="rows")
def _stack(xp, *tensors, dim):
    first = tensors[0].shape
    for i, each in enumerate(tensors):
        if each.shape != first:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(first)} "
                               f"at entry 0 and {list(each.shape)} at entry {i}")
    return xp.stack(tensors, axis=dim)


derivative(_stack, tensors=lambda grads, dim, needs: [
    grads[0].select(dim, i) if needed else None for i, needed in enumerate(needs)])


@autocasts
@takes_out(check=check_cat)
def stack(tensors: Any, dim: int = 0) -> Any:
    """The tensors side by side along a new dimension `dim`."""
    tensors = _listed("stack", tensors)
    return _stack(*tensors, dim=wrap_dim(dim, tensors[0]._data.ndim + 1))


# --- NumPy's family ------------------------------------------------------------------------------

def _each(function: Any, tensors: tuple) -> Any:
    """`function` of one tensor, or a tuple of it for several or for a sequence."""
    if len(tensors) == 1 and not isinstance(tensors[0], list | tuple):
        return function(tensors[0])
    items = tensors[0] if len(tensors) == 1 else tensors
    return tuple([function(each) for each in items])


def _to_1d(tensor: Any) -> Any:
    return tensor if tensor.ndim else tensor.reshape(1)


def _to_2d(tensor: Any) -> Any:
    if tensor.ndim == 0:
        return tensor.reshape(1, 1)
    return tensor if tensor.ndim > 1 else tensor.unsqueeze(0)


def _to_3d(tensor: Any) -> Any:
    if tensor.ndim == 0:
        return tensor.reshape(1, 1, 1)
    return tensor if tensor.ndim > 2 else _to_2d(tensor).unsqueeze(-1)


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors become 1-d."""
    return _each(_to_1d, tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Vectors become one row."""
    return _each(_to_2d, tensors)


def atleast_3d(*tensors: Any) -> Any:
    """Vectors become (1, n, 1), matrices (n, m, 1)."""
    return _each(_to_3d, tensors)


@takes_out(check=check_cat)
def hstack(tensors: Any) -> Any:
    """Joined along dimension 1; vectors along dimension 0."""
    tensors = [_to_1d(each) for each in _listed("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@takes_out(check=check_cat)
def vstack(tensors: Any) -> Any:
    """Joined along dimension 0; vectors are rows."""
    return cat([_to_2d(each) for each in _listed("vstack", tensors)], 0)


row_stack = vstack


@takes_out(check=check_cat)
def dstack(tensors: Any) -> Any:
    """Joined along dimension 2."""
    return cat([_to_3d(each) for each in _listed("dstack", tensors)], 2)


@takes_out(check=check_cat)
def column_stack(tensors: Any) -> Any:
    """Joined along dimension 1; vectors are columns."""
    return cat([each if each.ndim > 1 else each.reshape(-1, 1)
                for each in _listed("column_stack", tensors)], 1)


def block_diag(*tensors: Any) -> Any:
    """The matrices along the diagonal of one matrix that is zero elsewhere."""
    for i, each in enumerate(_listed("block_diag", tensors) if tensors else ()):
        if each._data.ndim > 2:
            raise RuntimeError("torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                               f"Input {i} has {each._data.ndim} dimensions")
    return _block_diag(*tensors) if tensors else wrap(np.empty((1, 0), get_default_dtype().numpy))


@primitive(promote="default", name="block_diag", lies="rows")
def _block_diag(xp, *tensors):
    blocks = [xp.atleast_2d(each) for each in tensors]
    result = xp.zeros([sum(sizes) for sizes in zip(*[b.shape for b in blocks], strict=True)],
                      blocks[0].dtype)
    top = left = 0
    for block in blocks:
        height, width = block.shape
        result[top:top + height, left:left + width] = block
        top, left = top + height, left + width
    return result


def _blocks(g, tensors_shape, needs):
    """The part of the gradient that lies where each matrix lay."""
    top = left = 0
    parts = []
    for shape, needed in zip(tensors_shape, needs, strict=True):
        height, width = (1,) * (2 - len(shape)) + tuple(shape)
        parts.append(g.narrow(0, top, height).narrow(1, left, width).reshape(shape) if needed
                     else None)
        top, left = top + height, left + width
    return parts


derivative(_block_diag, tensors=_blocks)


def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of one element from each vector, a row each."""
    from .shape import meshgrid
    if len(tensors) == 1:
        return tensors[0]
    return stack([grid.flatten() for grid in meshgrid(*tensors, indexing="ij")], 1)
