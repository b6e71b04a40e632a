"""Products of vectors, of several matrices, and of one matrix with itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autocast_rules import autocasts
from ..out import any_dtype, check_same, takes_out
from ..primitive import derivative, primitive
from .creation import empty, eye
from .dims import wrap_dim
from .joining import cat
from .lapack import castable
from .linalg_errors import require_inexact, require_square, require_tensors
from .matmul import require_dtype_of
from .solve import inv

__all__ = ["chain_matmul", "cross", "matrix_power", "vander"]


# --- vectors -------------------------------------------------------------------------------------

@primitive(promote="exact", name="linalg_cross", refuses={"b": "cross"})
def _cross(xp, input, other, *, dim):
    r"""$y_i = a_{i+1} b_{i+2} - a_{i+2} b_{i+1}$, indices modulo 3; so
    $\bar a = b^* \times \bar y$ and $\bar b = \bar y \times a^*$."""
    a, b = xp.moveaxis(input, dim, 0), xp.moveaxis(other, dim, 0)
    return xp.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)], axis=dim)


derivative(_cross,
    input=lambda g, other, dim: _cross(other.conj(), g, dim=dim),
    other=lambda g, input, dim: _cross(g, input.conj(), dim=dim))


@takes_out
def linalg_cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """The vector product along a dimension of size 3; the others broadcast."""
    require_tensors("linalg_cross", input=input, other=other)
    a, b = input._data.shape, other._data.shape
    if len(a) != len(b):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if not a:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    along = wrap_dim(dim, len(a))
    if not a[along] == b[along] == 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got "
                           f"{a[along]} and {b[along]}")
    require_dtype_of(input, other)
    return _cross(input, other, dim=along)


@autocasts
@takes_out(name="linalg_cross")
def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The vector product along a dimension of size 3 (the first such by default)."""
    require_tensors("cross", input=input, other=other)
    if dim is None:
        if 3 not in input._data.shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = input._data.shape.index(3)
    return linalg_cross(input, other, dim=dim)


@autocasts
@takes_out(name="linalg_vecdot", words="linalg.vecdot: Expected out of dtype{found} but found "
                                       "{wanted}")
def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    r"""$\sum_i x_i^* y_i$ along a dimension; the others broadcast."""
    require_tensors("linalg_vecdot", x=x, y=y)
    require_inexact(x, "linalg.vecdot")
    if x._data.dtype is not y._data.dtype:
        raise RuntimeError("linalg.vecdot: Expected x and y to have the same dtype, but found x of "
                           f"type {x.dtype.scalar_name} and y of type {y.dtype.scalar_name} "
                           "instead")
    if x._data.ndim == y._data.ndim == 1:
        return x.vdot(y)
    return (x.conj() * y).sum(dim)


# --- powers of a vector's elements ---------------------------------------------------------------

def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """The powers 0 to N - 1 of each element, in a row: by default as many as elements."""
    require_tensors("linalg_vander", x=x)
    if x.dtype.name in ("bool", "float16", "bfloat16"):
        raise RuntimeError("linalg.vander supports floating point, complex, and integer tensors, "
                           f"but got {x.dtype.scalar_name}")
    x = x if x._data.ndim else x.unsqueeze(-1)
    count = x._data.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    powers = x.unsqueeze(-1).expand(*x._data.shape, count - 1).cumprod(-1)
    return cat((powers.new_ones((*x._data.shape, 1)), powers), -1)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of each element of a vector, in a row: from N - 1 down to 0, or increasing."""
    require_tensors("vander", x=x)
    if x._data.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    size, = x._data.shape
    count = size if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = empty(size, count, device=x.device, dtype=dtypes.promote_types(x.dtype, dtypes.int64))
    if count > 0:
        powers.select(1, 0).fill_(1)
    if count > 1:
        powers[:, 1:].copy_(x.unsqueeze(1))
        powers[:, 1:].copy_(powers[:, 1:].cumprod(1))
    return powers if increasing else powers.flip(1)


# --- powers of a matrix --------------------------------------------------------------------------

_check_power, = castable("matrix_power", "result")


def _check_product(found: np.dtype, wanted: np.dtype) -> None:
    _check_power(found, wanted)
    check_same(found, wanted)


def _power(input: Any, n: int) -> Any:
    require_square(input, "linalg.matrix_power")
    if n < 0:
        input, n = inv(input), -n
        if n == 1:
            return input
    if n < 2:
        result = input.clone(memory_format="contiguous_format")
        return result if n else result.copy_(
            eye(input._data.shape[-1], dtype=input.dtype, device=input.device))
    if n == 3:
        return input @ input @ input
    result = None
    while n:
        if n & 1:
            result = input if result is None else result @ input
        n >>= 1
        if n:
            input = input @ input
    return result


_copied_power = takes_out(
    _power, name="linalg_matrix_power", check=_check_power, recorded=True)
_multiplied_power = takes_out(_power, name="linalg_matrix_power", check=_check_product)


def matrix_power(input: Any, n: int, *, out: Any = None) -> Any:
    """$A^n$ of square matrices, by repeated squaring; for n < 0 the power of the inverse.

    Copies (n is 0 or 1) go into an `out` of any dtype that can hold them, products do not.
    """
    require_tensors("matrix_power", input=input)
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError("matrix_power(): argument 'n' (position 2) must be int, not "
                        f"{type(n).__name__}")
    return (_copied_power if n in (0, 1) else _multiplied_power)(input, n, out=out)


# --- products of several matrices ----------------------------------------------------------------

def _check_chain_out(found: np.dtype, wanted: np.dtype) -> None:
    if found != wanted:
        raise RuntimeError("multi_dot(): expected out tensor to have dtype "
                           f"{dtypes.of(found).c_name} but got {dtypes.of(wanted).c_name}")


@autocasts
@takes_out(name="linalg_multi_dot", check=_check_chain_out)
def multi_dot(tensors: Any) -> Any:
    """The product of matrices in the order that takes the fewest multiplications; the first may
    be a vector (a row), the last, too (a column)."""
    _check_chain(tensors)
    first, *others, last = tensors
    shape = [*first._data.shape[:-1], *last._data.shape[1:]]
    first = first.unsqueeze(0) if first._data.ndim == 1 else first
    last = last.unsqueeze(-1) if last._data.ndim == 1 else last
    matrices = [first, *others, last]
    return _product(matrices, _best_splits(matrices), 0, len(matrices) - 1).view(shape)


@takes_out(name="chain_matmul", check=any_dtype, recorded=True)
def _copy(matrix: Any) -> Any:
    return matrix.clone()


@autocasts
def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """The product of matrices in the order that takes the fewest multiplications; a single one is
    copied, into an `out` of any dtype."""
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for each in matrices:
        if each._data.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {each._data.ndim}, expected 2 instead.")
    return _copy(matrices[0], out=out) if len(matrices) == 1 else multi_dot(matrices, out=out)


def _best_splits(matrices: list) -> dict[tuple[int, int], int]:
    """For each run of the matrices where it is split in two for the fewest multiplications: after
    which matrix.

    The cheapest way to multiply a run is the cheapest of all its splits, whose parts are shorter
    runs; so the runs are gone through by length.
    """
    sizes = [matrices[0]._data.shape[0]] + [each._data.shape[1] for each in matrices]
    count = len(matrices)
    order = -1 if count == 3 else 1  # of equals torch takes (AB)C, but A(B(CD))
    cost = {(i, i): 0 for i in range(count)}
    splits = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            cost[first, last], split = min(
                (cost[first, k] + cost[k + 1, last]
                 + sizes[first] * sizes[k + 1] * sizes[last + 1], order * k)
                for k in range(first, last))
            splits[first, last] = abs(split)
    return splits


def _product(matrices: list, splits: dict[tuple[int, int], int], first: int, last: int) -> Any:
    if first == last:
        return matrices[first]
    k = splits[first, last]
    return _product(matrices, splits, first, k).mm(_product(matrices, splits, k + 1, last))


def _check_chain(tensors: Any) -> None:
    """Refuse less than two tensors, what is no matrix (nor a vector at an end), several dtypes, and
    neighbours that do not fit one another."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for place, each in (("first", tensors[0]), ("last", tensors[-1])):
        if each._data.ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {place} tensor must be 1D or 2D but got "
                               f"{each._data.ndim}D")
    first = tensors[0]
    for i, each in enumerate(tensors[1:-1], 1):
        if each._data.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {each._data.ndim}D")
    for i, each in enumerate(tensors):
        if each._data.dtype is not first._data.dtype:
            raise RuntimeError("multi_dot(): all tensors must have be the same dtype but tensor 0 "
                               f"is {first.dtype.c_name} and tensor {i} {each.dtype.c_name}")
        if i and tensors[i - 1]._data.shape[-1] != each._data.shape[0]:
            raise RuntimeError(f"multi_dot(): tensors {i - 1} and {i} with shapes "
                               f"{list(tensors[i - 1]._data.shape)} and "
                               f"{list(each._data.shape)} cannot be multiplied")


# --- a matrix's diagonal -------------------------------------------------------------------------

def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The view of the diagonals of the matrices in two dimensions."""
    require_tensors("linalg_diagonal", A=A)
    return A.diagonal(offset, dim1, dim2)
