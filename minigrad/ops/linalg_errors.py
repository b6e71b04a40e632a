"""What torch.linalg refuses, in torch's words: shapes, dtypes, and matrices without factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import TensorBase
from ..device import host


class _LinAlgError(RuntimeError):
    """A matrix that an algorithm cannot work with: singular, or not positive-definite."""


_LinAlgError.__module__ = "torch._C"
LinAlgError = _LinAlgError


# --- arguments -----------------------------------------------------------------------------------

def require_matrix(input: Any, name: str, argument: str = "A") -> None:
    """Refuse what has less than two dimensions."""
    if input._data.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")


def require_square(input: Any, name: str, argument: str = "A") -> None:
    """Refuse what is not one square matrix or a batch of them."""
    require_matrix(input, name, argument)
    rows, columns = input._data.shape[-2:]
    if rows != columns:
        raise RuntimeError(f"{name}: {argument} must be batches of square matrices, but they are "
                           f"{rows} by {columns} matrices")


def require_inexact(input: Any, name: str, low_precision: bool = True) -> None:
    """Refuse integers and bools; with `low_precision=False` the 16-bit floats, too."""
    dtype = input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got "
                           f"{dtype.scalar_name}")
    if not low_precision and dtype.itemsize == 2:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {dtype.scalar_name}")


def require_lapack(input: Any, kernel: str) -> None:
    """Refuse the dtypes that LAPACK has no routines for; `kernel` is what torch calls its own."""
    if input._data.dtype.name not in LAPACK_DTYPES:
        raise NotImplementedError(f'"{kernel}" not implemented for \'{input.dtype.scalar_name}\'')


def require_tensors(name: str, **arguments: Any) -> None:
    """Refuse positional arguments that are no tensors."""
    for position, (argument, value) in enumerate(arguments.items()):
        if not isinstance(value, TensorBase):
            raise TypeError(f"{name}(): argument '{argument}' (position {position + 1}) must be "
                            f"Tensor, not {type(value).__name__}")


LAPACK_DTYPES = ("float32", "float64", "complex64", "complex128")


def require_equation(a: Any, b: Any, name: str, left: bool) -> None:
    """Refuse an equation AX = B (or XA = B) whose matrices do not fit."""
    require_matrix(b, name, "B")
    (rows, columns), (n, m) = a._data.shape[-2:], b._data.shape[-2:]
    if columns != (n if left else m):
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation "
                           f"{'AX' if left else 'XA'} = B ({rows}x{columns} and {n}x{m})")


# --- results -------------------------------------------------------------------------------------

def check_info(info: Any, name: str, problem: str) -> None:
    """Raise for the first matrix whose `info`, LAPACK's report, is not 0. In `problem`, `{info}`
    stands for the number."""
    reports = host(info._data)
    failed = np.flatnonzero(reports)
    if failed.size:
        first = int(failed[0])
        where = f"(Batch element {first}): " if reports.ndim else ""
        raise _LinAlgError(f"{name}: {where}{problem.format(info=int(reports.flat[first]))}")


NOT_POSITIVE_DEFINITE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {info} is not positive-definite).")
SINGULAR_SOLVE = "The solver failed because the input matrix is singular."
SINGULAR_INVERSE = ("The diagonal element {info} is zero, the inversion could not be completed "
                    "because the input matrix is singular.")
