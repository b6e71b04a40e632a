"""Comparing what two engines made: tensors, numbers, texts, any nest of them, recorded graphs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

# Note [Tolerances]
# An element may differ by rtol * (the reference's magnitude + the tensor's scale). The scale is
# the median magnitude and at least 1: a sum that cancels is wrong by the size of what was summed,
# not of what is left; and a median, unlike a maximum, lets no huge element excuse the others. Each
# order of differentiation stacks more roundings, so rtol grows by SLACK. Integers are exact.
RTOL = {
    "float64": 1e-12, "complex128": 1e-12,
    "float32": 2e-6, "complex64": 2e-6,
    "float16": 2e-3, "bfloat16": 1.6e-2,  # two units in the last place
}
EPSILON = {
    "float64": 2.0**-52, "complex128": 2.0**-52, "float32": 2.0**-23, "complex64": 2.0**-23,
    "float16": 2.0**-10, "bfloat16": 2.0**-7,
}
SLACK = (1, 2, 4, 8)  # for the value, its gradient, its second and third gradient


class Largest:
    """The largest error seen, in units of the last place of the element's magnitude or 1."""

    error = 0.0


_largest = Largest()


@contextlib.contextmanager
def measure() -> Iterator[Largest]:
    """Inside the block, what is compared is measured as well."""
    global _largest
    _largest = Largest()
    yield _largest


def is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad_") and hasattr(value, "dtype")


def dtype_name(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def to_numpy(tensor: Any) -> np.ndarray:
    """A copy of the tensor's numbers; bfloat16, which NumPy lacks, comes as float32."""
    tensor = tensor.detach().cpu()
    if isinstance(tensor, torch.Tensor):
        tensor = (tensor.clone() if tensor._is_zerotensor() else tensor).resolve_conj()
        tensor = tensor.resolve_neg()
    if dtype_name(tensor) == "bfloat16":
        tensor = tensor.float()
    return np.array(tensor.numpy(), order="C", copy=True)


def compare(
    got: Any, want: Any, where: str = "result", *, order: int = 0, rtol: float | None = None,
    atol: float | None = None, flags: bool = True, strides: bool = False,
    none_is_zero: bool = False, values: bool = True,
) -> None:
    """Raise AssertionError unless `got` equals torch's `want`: tensors, numbers, any nest of them.

    `flags` compares requires_grad and is_leaf, `strides` the strides; `none_is_zero` lets a missing
    gradient stand for zeros; `order` says how many derivatives were taken (Note [Tolerances]).
    Without `values` the numbers in tensors are not looked at.
    """
    options = dict(order=order, rtol=rtol, atol=atol, flags=flags, strides=strides,
                   none_is_zero=none_is_zero, values=values)
    if none_is_zero and (got is None) != (want is None):
        present, missing = (want, "candidate") if got is None else (got, "torch")
        assert not to_numpy(present).any(), f"{where}: None in {missing}, elsewhere {present}"
    elif is_tensor(want):
        _compare_tensors(got, want, where, options)
    elif isinstance(want, np.ndarray):
        _same(type(got).__name__, "ndarray", f"{where}: type")
        _same(got.dtype, want.dtype, f"{where}: dtype")
        _same(got.shape, want.shape, f"{where}: shape")
        _compare_arrays(got, want, where, want.dtype.name, options)
    elif isinstance(want, dict):
        _same(list(got), list(want), f"{where}: keys")
        for key in want:
            compare(got[key], want[key], f"{where}[{key!r}]", **options)
    elif isinstance(want, (tuple, list)):
        kind = list if isinstance(want, list) else tuple
        assert isinstance(got, kind), f"{where}: candidate {type(got).__name__}, torch {kind}"
        _same(len(got), len(want), f"{where}: length")
        for i, (mine, theirs) in enumerate(zip(got, want, strict=True)):
            compare(mine, theirs, f"{where}[{i}]", **options)
    elif isinstance(want, (bool, int, float, complex)):
        _same(type(got).__name__, type(want).__name__, f"{where}: type")
        # Python's floats are 64-bit, but most come out of a float32 tensor's item().
        dtype = "float32" if isinstance(want, (float, complex)) else "int64"
        _compare_arrays(np.asarray(got), np.asarray(want), where, dtype, options)
    elif isinstance(want, type):
        _same(getattr(got, "__name__", got), want.__name__, where)
    else:  # strings, None, dtypes, devices, slices, ...
        _same(normalise(str(got)), normalise(str(want)), where)


def _same(got: Any, want: Any, what: str) -> None:
    assert got == want, f"{what}: candidate {got}, torch {want}"


def _compare_tensors(got: Any, want: Any, where: str, options: dict) -> None:
    assert is_tensor(got), f"{where}: candidate {type(got).__name__}, torch a tensor"
    _same(dtype_name(got), dtype_name(want), f"{where}: dtype")
    _same(tuple(got.shape), tuple(want.shape), f"{where}: shape")
    if options["flags"]:
        _same(got.requires_grad, want.requires_grad, f"{where}: requires_grad")
        _same(got.is_leaf, want.is_leaf, f"{where}: is_leaf")
    if options["strides"]:
        _same(tuple(got.stride()), tuple(want.stride()), f"{where}: stride()")
    if options["values"]:
        _compare_arrays(to_numpy(got), to_numpy(want), where, dtype_name(want), options)


def _compare_arrays(got: np.ndarray, want: np.ndarray, where: str, dtype: str, options) -> None:
    if dtype in RTOL:
        error, allowed = _error_and_allowance(got, want, dtype, options)
        if error.any() and np.isfinite(error).all():
            scale = EPSILON[dtype] * np.maximum(1.0, np.abs(np.nan_to_num(want)).astype(float))
            _largest.error = max(_largest.error, float(np.max(error / scale)))
    else:
        error, allowed = np.asarray(got != want, float), np.zeros(want.shape)
    wrong = error > allowed
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(wrong, error - allowed, -1)), want.shape)
        index = tuple(int(i) for i in worst)
        raise AssertionError(
            f"{where} ({dtype}): {wrong.sum()} of {wrong.size} elements differ, worst at {index}: "
            f"candidate {got[index]}, torch {want[index]}, "
            f"off by {error[index]:.3g}, allowed {allowed[index]:.3g}")


def _error_and_allowance(got, want, dtype, options) -> tuple[np.ndarray, np.ndarray]:
    """|got - want| of each element, and how much of it is tolerated. See Note [Tolerances]."""
    wide = np.complex128 if np.iscomplexobj(want) else np.float64
    got, want = got.astype(wide), want.astype(wide)
    finite = np.isfinite(want)
    with np.errstate(all="ignore"):
        error = np.abs(got - want)
    error = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0.0, error)
    error = np.where(np.isnan(error), np.inf, error)

    rtol, atol = options["rtol"], options["atol"]
    if rtol is None:
        rtol = RTOL[dtype] * SLACK[options["order"]]
    size = np.abs(np.where(finite, want, 0.0))
    if atol is None:
        atol = rtol * max(1.0, float(np.median(size[finite])) if finite.any() else 0.0)
    return error, np.where(finite, rtol * size + atol, 0.0)


def normalise(text: str) -> str:
    """A text without what differs from run to run: addresses, C++ stacks and places, spacing, the
    device."""
    text = re.sub(r"^.* INTERNAL ASSERT FAILED at .*, please report a bug to PyTorch\. ", "", text)
    text = re.sub(r"0x[0-9a-f]+", "0x", text.split("\nException raised from")[0])
    text = re.sub(r"cuda(:\d+)?", "cpu", text).replace("torch.cpu.", "torch.")
    text = text.replace("CUDA", "CPU")
    return re.sub(r"\s+", " ", text).strip()


def graph_signature(tensor: Any, inputs: Sequence[Any] = ()) -> list[tuple]:
    """The recorded graph as (name, edges) of each node, numbered depth first from `grad_fn`.

    An edge is (node number, output number) or None; in the place of edges, a leaf's AccumulateGrad
    has the leaf's position in `inputs`.
    """
    if tensor.grad_fn is None:
        return []
    positions = {id(leaf): i for i, leaf in enumerate(inputs)}
    numbers: dict[int, int] = {}
    nodes, stack = [], [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if id(node) not in numbers:
            numbers[id(node)] = len(nodes)
            nodes.append(node)  # which also keeps it alive, so that no id comes twice
            stack.extend(child for child, _ in reversed(node.next_functions) if child is not None)

    def describe(node):
        name = node.name().rpartition("::")[2]
        if name == "AccumulateGrad":
            return name, positions.get(id(node.variable))
        return name, tuple(None if child is None else (numbers[id(child)], output)
                           for child, output in node.next_functions)

    return [describe(node) for node in nodes]
