"""What the matrix factorisations share: memory layout, batches, and the way to LAPACK on the host.

Note [Matrices by columns]
~~~~~~~~~~~~~~~~~~~~~~~~~~
LAPACK is Fortran: it writes a matrix column by column, and torch hands its results out as they are,
with strides (..., 1, rows). `by_columns` lays out NumPy's results in the same way, so that a
program sees the strides it would see in torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import host


def by_columns(xp: Any, array: Any) -> Any:
    """The same matrices, each laid out column by column (see the Note above)."""
    return xp.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)


def on_host(xp: Any, function: Callable, *arrays: Any) -> Any:
    """`function(*arrays)` computed by NumPy and SciPy, for what CuPy has no routine for."""
    if xp is np:
        return function(*arrays)
    result = function(*[host(array) for array in arrays])
    return tuple([xp.asarray(each) for each in result]) if type(result) is tuple \
        else xp.asarray(result)


def routine(name: str, array: np.ndarray) -> Callable:
    """LAPACK's routine for the dtype of `array`: "getrf" is sgetrf, dgetrf, cgetrf or zgetrf."""
    from scipy.linalg import get_blas_funcs, get_lapack_funcs

    return (get_blas_funcs if name in _BLAS else get_lapack_funcs)(name, (array,))


_BLAS = ("trsm",)


def each_matrix(function: Callable, *batches: np.ndarray) -> list[Any]:
    """`function` of each matrix of the batches; its several results, stacked again.

    This is a loop: SciPy has these routines for one matrix only, and NumPy has none of them.
    """
    shape = batches[0].shape[:-2]
    count = math.prod(shape)
    flat = [batch.reshape((count, *batch.shape[len(shape):])) for batch in batches]
    columns = zip(*[function(*matrices) for matrices in zip(*flat, strict=True)], strict=True)
    stacked = [np.stack(column) for column in columns]
    return [each.reshape((*shape, *each.shape[1:])) for each in stacked]
