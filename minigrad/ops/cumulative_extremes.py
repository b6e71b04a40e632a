"""Running extremes: at each place the largest, or smallest, of all up to it, and where it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..out import takes_out
from ..primitive import derivative, primitive
from .dims import wrap_dim
from .extremes import return_type

__all__ = ["cummax", "cummin"]

CummaxResult = return_type("cummax", "values", "indices")
CumminResult = return_type("cummin", "values", "indices")


def running(xp: Any, function: Any, array: Any, dim: int) -> Any:
    """At each place along `dim`, all elements up to it combined by an associative ufunc.

    CuPy's ufuncs cannot do that. There each pass combines every element with the result of as many
    before it as the last pass has covered, so the reach doubles: 1, 2, 4, ...
    """
    if xp is np:
        return function.accumulate(array, axis=dim)
    result = array.copy()
    steps, reach = xp.moveaxis(result, dim, 0), 1
    while reach < len(steps):
        steps[reach:] = function(steps[reach:], steps[:-reach])
        reach *= 2
    return result


def along(xp: Any, size: int, dim: int, ndim: int) -> Any:
    """0, 1, ..., size - 1 along `dim`: every element's place."""
    return xp.arange(size).reshape([size if d == dim else 1 for d in range(ndim)])


def _running_extreme(xp, input, dim, function):
    """An element is the extreme so far if it equals the running one (the last of equals counts), or
    if it is nan, which beats everything; the latest such place is the running maximum of places."""
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    found = (input == running(xp, function, input, dim)) | (input != input)
    places = along(xp, input.shape[dim], dim, input.ndim)
    indices = running(xp, xp.maximum, xp.where(found, places, 0), dim)
    values = xp.take_along_axis(input, indices, axis=dim)
    return xp.ascontiguousarray(values), xp.ascontiguousarray(indices)


@primitive(promote="exact", name="cummax", outputs=("values", "indices"),
           refuses={"c": "cummax_cpu"})
def _cummax(xp, input, *, dim):
    r"""$y_i = \max_{j \le i} a_j$; $\bar a_k$ is the sum of all $\bar y_i$ that came from $k$."""
    return _running_extreme(xp, input, dim, xp.maximum)


@primitive(promote="exact", name="cummin", outputs=("values", "indices"),
           refuses={"c": "cummin_cpu"})
def _cummin(xp, input, *, dim):
    r"""$y_i = \min_{j \le i} a_j$; $\bar a_k$ is the sum of all $\bar y_i$ that came from $k$."""
    return _running_extreme(xp, input, dim, xp.minimum)


for _op in (_cummax, _cummin):
    derivative(_op, input=lambda g, input_shape, indices, dim: g.new_zeros(
        input_shape).scatter_add(dim, indices, g))


def _extreme(name: str, op: Any, result: Any) -> Any:
    def function(input: Any, dim: int) -> Any:
        if not input._data.ndim and dim not in (-1, 0):
            raise IndexError(f"{name}(): Expected reduction dim -1 or 0 for scalar but got {dim}")
        return result(*op(input, dim=wrap_dim(dim, input._data.ndim)))

    function.__name__ = name
    function.__doc__ = (f"The running {name[3:]}imum along `dim` and where it was; the last of "
                        "equals, nan before all.")
    return takes_out(function, words="expected scalar_type {found} but found {wanted}")


cummax = _extreme("cummax", _cummax, CummaxResult)
cummin = _extreme("cummin", _cummin, CumminResult)
