"""What the matrix factorisations share: memory layout, batches, and the way to LAPACK on the host.

Note [Matrices by columns]
~~~~~~~~~~~~~~~~~~~~~~~~~~
LAPACK is Fortran: it writes a matrix column by column, and torch hands its results out as they are,
with strides (..., 1, rows). `by_columns` lays out NumPy's results in the same way, so that a
program sees the strides it would see in torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core import give_array
from ..device import host
from ..out import check_same, write_into


def by_columns(xp: Any, array: Any) -> Any:
    """The same matrices, each laid out column by column (see the Note above)."""
    return array.swapaxes(-1, -2).copy().swapaxes(-1, -2)


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


def takes_matrix_out(name: str, *, checks: tuple[Callable, ...] = (),
                     check: Callable = check_same) -> Callable:
    """`@takes_out` for factorisations: an `out` that is resized gets the result's own layout (see
    Note [Matrices by columns]).

    With `checks`, one for each result's dtype beside out's (see `castable`), the function is one of
    torch's older ones, which do so only where out is empty and of the very dtype. `check` is the
    rule of the newer ones, for all results.
    """
    def decorate(function: Callable) -> Callable:
        def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if out is None:
                return function(*args, **kwargs)
            resized = []

            def compute(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                targets = out if isinstance(out, tuple | list) else (out,)
                found = result if isinstance(result, tuple) else (result,)
                for i, (target, each) in enumerate(zip(targets, found, strict=True)):
                    data, place = each._data, target._data
                    (checks[i] if checks else check)(data.dtype, place.dtype)
                    fresh = not place.size and data.dtype == place.dtype
                    if place.shape != data.shape and (fresh or not checks):
                        resized.append((target, data))
                return result

            write_into(out, name, _judged, compute, args, kwargs)
            for target, data in resized:
                if data.ndim > 1 and data.strides != target._data.strides:
                    *batch, rows, columns = data.shape
                    turned = target._data.reshape((*batch, columns, rows))
                    give_array(target, turned.swapaxes(-1, -2))
                    target._data[...] = data
            return out

        functools.update_wrapper(call, function)
        call.takes_out = True  # type: ignore[attr-defined]
        return call

    return decorate


def castable(called: str, *results: str) -> tuple[Callable, ...]:
    """A check for each result, by name: its dtype can be cast to out's without losing category."""
    def check(result: str, found: np.dtype, wanted: np.dtype) -> None:
        own, asked = dtypes.of(found), dtypes.of(wanted)
        if own.category > asked.category:
            raise RuntimeError(f"{called}: Expected {result} to be safely castable from "
                               f"{own.scalar_name} dtype, but got {result} with dtype "
                               f"{asked.scalar_name}")

    return tuple([functools.partial(check, result) for result in results])


def _judged(found: np.dtype, wanted: np.dtype) -> None:
    """The dtypes were judged where the results were made."""
