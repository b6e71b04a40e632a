"""What of an operator's result is determined, where torch's definition leaves something open.

Note [Comparing what is determined]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An eigenvector of length 1 is determined up to a factor of modulus 1, and LAPACK's choice of it
depends on the block size of the build. Whoever compares vectors compares rounding; whoever compares
|v| lets wrong vectors pass. The projector v v^H is free of the factor, and it determines v up to
that factor, so it fails for every wrong vector. Likewise u_i v_i^H for a pair of singular vectors,
whose factors are one and the same. Singular vectors that belong to no singular value (of
`full_matrices=True`) are only determined as a space: by the projector on it.

All of these are smooth functions of the matrix, so they are also what gradients are taken of: the
gradient of a single component depends on the factor and is defined by neither engine.

Which of equal elements comes first is open as well unless `stable=True`: then the values found at
the indices are compared, and that no index occurs twice.

Shapes, dtypes, strides and flags are compared of the results as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from parity_tests.compare import compare


class Run(NamedTuple):
    """One engine's run: what was called in which library (see also operator_levels.Side)."""

    lib: Any
    result: Any
    args: list


def determined(op: Any, side: Any) -> Any:
    """The determined part of the result of a `Run`: all of it for most operators, and for what is
    none (modules)."""
    function = None if op is None else DETERMINED.get(op.name)
    return side.result if function is None else function(side)


def compare_determined(op: Any, ours: Any, theirs: Any, where: str = "result", **options) -> None:
    """`compare` the results of two sides, as far as they are determined."""
    if op.name in DETERMINED:
        compare(ours.result, theirs.result, where, values=False, **options)
        options |= {"flags": False, "strides": False}
        where = f"what is determined of the {where}"
    compare(determined(op, ours), determined(op, theirs), where, **options)


# --- vectors up to a factor ----------------------------------------------------------------------

def _dyads(left: Any, right: Any) -> Any:
    """left_i right_i^H for each column i: (..., i, n, m)."""
    return left.mT.unsqueeze(-1) * right.mT.conj().unsqueeze(-2)


def _eigenvectors(side: Any) -> tuple:
    values, vectors = side.result
    return values, _dyads(vectors, vectors)


def _singular_vectors(side: Any) -> tuple:
    """Of U, S, V: S, the dyads of each two that belong together, and what remains as a space."""
    left, values, right = side.result
    count = values.shape[-1]
    u, v = left[..., :count], right[..., :count]
    spaces = tuple(rest @ rest.mH for rest in (left[..., count:], right[..., count:])
                   if rest.shape[-1])
    return values, _dyads(u, v), _dyads(u, u), _dyads(v, v), *spaces


def _low_rank(side: Any) -> tuple:
    """Of U, S, V whose singular values may lie so close together that single vectors are only good
    to a few digits: S, U S V^H, and that U and V are orthonormal. That makes them singular vectors
    of the same matrix."""
    left, values, right = side.result
    return (values, left * values.unsqueeze(-2) @ right.mH,
            (left.mH @ left).detach(), (right.mH @ right).detach())


def _singular_vectors_of_rows(side: Any) -> tuple:
    """The same of U, S, V^H."""
    left, values, right = side.result
    return _singular_vectors(Run(side.lib, (left, values, right.mH), side.args))


# --- equal elements ------------------------------------------------------------------------------

def _argument(side: Any, position: int, name: str, default: Any) -> Any:
    args, kwargs = side.args
    return kwargs.get(name, args[position] if len(args) > position else default)


def _found(side: Any, indices: Any, dim: int, keepdim: bool = True) -> Any:
    """The elements of the input at `indices` along `dim`, which must be distinct."""
    input = side.args[0][0]
    if not input.ndim:
        return indices
    if not keepdim:
        indices = indices.unsqueeze(dim)
    ordered = indices.sort(dim)[0]
    size = ordered.shape[dim]
    if size:
        later, earlier = ordered.narrow(dim, 1, size - 1), ordered.narrow(dim, 0, size - 1)
        assert bool((later != earlier).all()), "an index occurs twice"
    return side.lib.gather(input, dim, indices)


def _sorted(side: Any) -> Any:
    if side.args[1].get("stable"):
        return side.result
    values, indices = side.result
    return values, _found(side, indices, _argument(side, 1, "dim", -1))


def _sorting_indices(side: Any) -> Any:
    if side.args[1].get("stable"):
        return side.result
    return _found(side, side.result, _argument(side, 1, "dim", -1))


def _largest(side: Any) -> tuple:
    values, indices = side.result
    return values, _found(side, indices, _argument(side, 2, "dim", -1))


def _kth(side: Any) -> tuple:
    values, indices = side.result
    return values, _found(side, indices, _argument(side, 2, "dim", -1),
                          _argument(side, 3, "keepdim", False))


DETERMINED: dict[str, Callable] = {
    "linalg.eig": _eigenvectors,
    "linalg.eigh": _eigenvectors,
    "linalg.svd": _singular_vectors_of_rows,
    "svd": _singular_vectors,
    "svd_lowrank": _low_rank,
    "pca_lowrank": _low_rank,
    "sort": _sorted,
    "argsort": _sorting_indices,
    "topk": _largest,
    "kthvalue": _kth,
}
