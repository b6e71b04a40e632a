"""The comparison of what is determined: it ignores what is open, and finds every planted fault."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from parity_tests.gauge import DETERMINED, compare_determined

torch.manual_seed(0)
MATRIX = torch.randn(3, 3, dtype=torch.complex128)
HERMITIAN = MATRIX + MATRIX.mH
WIDE = torch.randn(2, 3, dtype=torch.complex128)
TIES = torch.tensor([[2.0, 1.0, 2.0, 1.0, 0.0]])


def compare_with(name: str, changed: Any, result: Any, *args: Any, **kwargs: Any) -> None:
    ours, theirs = (SimpleNamespace(lib=torch, result=each, args=[args, kwargs])
                    for each in (changed, result))
    compare_determined(SimpleNamespace(name=name), ours, theirs)


def vectors(name: str) -> tuple:
    """What the operator returns of a sample."""
    match name:
        case "linalg.eig":
            return torch.linalg.eig(MATRIX)
        case "linalg.eigh":
            return torch.linalg.eigh(HERMITIAN)
        case "linalg.svd":
            return torch.linalg.svd(WIDE)
        case _:
            return torch.svd(WIDE, some=name != "svd")


NAMES = ["linalg.eig", "linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank"]


def turned(name: str, result: tuple, factors: torch.Tensor) -> tuple:
    """The same vectors times factors, the same for both of a pair of singular vectors."""
    if name.startswith("linalg.eig"):
        return result[0], result[1] * factors
    u, s, v = result
    u = u * factors[:2]
    if name == "linalg.svd":
        return u, s, factors[:v.shape[-2], None].conj() * v
    return u, s, v * factors[:v.shape[-1]]


@pytest.mark.parametrize("name", NAMES)
def test_phases_are_open(name):
    result = vectors(name)
    angles = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64)
    phases = torch.polar(torch.ones_like(angles), angles)
    compare_with(name, turned(name, result, phases), result)


@pytest.mark.parametrize("name", NAMES)
def test_lengths_are_not(name):
    result = vectors(name)
    with pytest.raises(AssertionError, match="determined"):
        compare_with(name, turned(name, result, torch.full((3,), 1.001)), result)


@pytest.mark.parametrize(("name", "part"), [
    (name, part) for name in NAMES for part in range(2 if name.startswith("linalg.eig") else 3)])
def test_every_wrong_part_is_found(name, part):
    result = list(vectors(name))
    wrong = result[part].clone()
    wrong[..., 0] = wrong[..., -1] if wrong.ndim > 1 else wrong[0] + 1e-6
    result[part] = wrong
    with pytest.raises(AssertionError):
        compare_with(name, tuple(result), vectors(name))


def test_a_pair_has_one_phase():
    u, s, v = torch.svd(WIDE)
    with pytest.raises(AssertionError, match="determined"):
        compare_with("svd", (u * 1j, s, v), (u, s, v))


def test_equal_elements_come_in_any_order():
    values, indices = TIES.sort(descending=True, stable=True)
    swapped = indices[:, [1, 0, 3, 2, 4]]
    compare_with("sort", (values, swapped), (values, indices), TIES, descending=True)
    compare_with("argsort", swapped, indices, TIES, descending=True)
    compare_with("topk", (values[:, :1], swapped[:, :1]), (values[:, :1], indices[:, :1]), TIES, 1)
    one, two = torch.tensor([1]), torch.tensor([3])
    compare_with("kthvalue", (TIES[0, one], one), (TIES[0, one], two), TIES, 2)


@pytest.mark.parametrize("indices", [[2, 0, 3, 4, 1], [0, 0, 3, 1, 4]], ids=["other", "twice"])
def test_wrong_indices_are_found(indices):
    values, right = TIES.sort(descending=True, stable=True)
    with pytest.raises(AssertionError):
        compare_with("sort", (values, torch.tensor([indices])), (values, right), TIES)
    with pytest.raises(AssertionError):
        compare_with("argsort", torch.tensor([indices]), right, TIES)


def test_stable_leaves_nothing_open():
    values, indices = TIES.sort(descending=True, stable=True)
    swapped = indices[:, [1, 0, 3, 2, 4]]
    with pytest.raises(AssertionError):
        compare_with("sort", (values, swapped), (values, indices), TIES, stable=True)


def test_all_of_them_are_tried_here():
    assert set(DETERMINED) == {*NAMES, "sort", "argsort", "topk", "kthvalue"}
