"""SciPy's special functions as kernels, and what torch refuses to compute them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..device import host, special
from ..primitive import no_kernel, primitive


def scipy_function(xp: Any, name: str, *arrays: Any) -> Any:
    """SciPy's function of that name; on CuPy its own, or through the host where it has none."""
    function = getattr(special(xp), name, None)
    if function is None:
        return xp.asarray(getattr(special(np), name)(*[host(array) for array in arrays]))
    return function(*arrays)


def special_function(name: str, formula: str, compute: Callable | str, halves: bool = False,
                     **options: Any) -> Any:
    """`torch.special.NAME` of one tensor: a primitive whose kernel is `compute(xp, array)`, or
    SciPy's function of that name; only for real numbers, and for 16-bit ones where `halves`."""
    def kernel(xp, input):
        result = (scipy_function(xp, compute, input) if isinstance(compute, str)
                  else compute(xp, input))
        return result.astype(input.dtype, copy=False)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = formula
    function = primitive(kernel, promote="int_to_float", name=f"special_{name}",
                         refuses={"c": f"{name}_cpu"}, **options)
    return function if halves else refuse_halves(function, f"{name}_cpu")


def refuse_halves(function: Any, label: str) -> Any:
    """Let a primitive refuse 16-bit floats, for which torch's CPU has no kernel `label`."""
    def refuse(operands: tuple) -> None:
        common = dtypes.result_type(
            (each.dtype, 2 if each._data.ndim else 1) if isinstance(each, TensorBase)
            else (dtypes.of_number(each), 0) for each in operands)
        if common.numpy in dtypes.HALF_TYPES:
            raise no_kernel(label, common.numpy)

    function.op.refuse = refuse
    return function
