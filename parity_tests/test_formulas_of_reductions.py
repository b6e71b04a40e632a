"""What the docstrings of reductions, and of other ops along a dimension, say: checked as those of
pointwise ops are (test_formulas.py), on vectors of four elements."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import sympy

import minigrad
from parity_tests.tex import numbers_of, statements, symbol

COUNT = 4
ELEMENTS = [symbol(f"a_{i}") for i in range(COUNT)]
MEAN: Any = sum(ELEMENTS) / COUNT
ALONG = {"dim": 0}
DIMS = {"dim": (0,), "keepdim": False}

# op: (its keyword arguments, what the letters of its formula mean)
CASES: dict[str, tuple[dict, dict]] = {
    "cumulative._cumprod": (ALONG, {}),
    "cumulative._cumsum": (ALONG, {}),
    "cumulative._logcumsumexp": (ALONG, {}),
    "extremes._max_all": ({}, {}),
    "extremes._min_all": ({}, {}),
    "matmul._dot": ({}, {}),
    "matmul._vdot": ({}, {}),
    "reduction._logsumexp": (DIMS, {}),
    "reduction._mean_all": ({}, {"n": COUNT}),
    "reduction._mean_dims": (DIMS, {"n": COUNT}),
    "reduction._nansum": (DIMS, {}),
    "reduction._prod_all": ({}, {}),
    "reduction._prod_dim": ({"dim": 0, "keepdim": False}, {}),
    "reduction._std": ({**DIMS, "correction": 1}, {"n": COUNT, "c": 1, "mu": MEAN}),
    "reduction._sum_all": ({}, {}),
    "reduction._sum_dims": (DIMS, {}),
    "reduction._var": ({**DIMS, "correction": 1}, {"n": COUNT, "c": 1, "mu": MEAN}),
    "vector_norm._vector_norm": ({**DIMS, "ord": 3}, {"p": 3}),
    "softmax._log_softmax": (ALONG, {}),
    "softmax._log_softmax_backward_data": (ALONG, {}),
    "softmax._softmax": (ALONG, {}),
    "softmax._softmax_backward_data": (ALONG, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_formula(name):
    family, _, function = name.partition(".")
    op = getattr(importlib.import_module(f"minigrad.ops.{family}"), function)
    values, meanings = CASES[name]
    is_backward = op.op.inputs[0] == "grad_output"
    letters = ["bar y", "y"] if is_backward else ["a", "b"]
    rng = np.random.default_rng(len(name))
    inputs = {letter: minigrad.tensor(rng.uniform(-2, 2, COUNT), requires_grad=True)
              for letter, _ in zip(letters, op.op.inputs, strict=False)}
    output = op(*inputs.values(), **values)
    weight = minigrad.tensor(rng.uniform(-2, 2, output.shape))
    gradients = dict(zip(inputs, minigrad.autograd.grad(output, [*inputs.values()], weight),
                         strict=True))
    result, incoming = ("bar a", "weight") if is_backward else ("y", "bar y")
    at: dict[Any, list] = {}
    for letter, tensor in {**inputs, result: output, incoming: weight}.items():
        array = tensor.detach().numpy()
        for place, value in np.ndenumerate(array):
            at[symbol("_".join([letter, *map(str, place)]))] = [float(value)]

    def same(found, expression):
        (expected,) = numbers_of(expression, at)
        np.testing.assert_allclose(found, expected.real, 1e-10, 1e-12, err_msg=str(expression))

    told = statements(op.op.kernel.__doc__, count=COUNT, meanings=meanings)
    results = {left: right for left, right in told if left.name.split("_")[0] == result}
    assert len(results) == output.numel()
    for left, right in told:
        if left in results:
            same(at[left][0], right)
        else:
            letter, index = left.name.removeprefix("bar ").split("_")
            same(gradients[letter][int(index)].item(), right)
    for letter, gradient in gradients.items():
        for i, found in enumerate(gradient.tolist()):
            same(found, sum(
                symbol(left.name.replace(result, incoming, 1))
                * sympy.diff(right, symbol(f"{letter}_{i}")) for left, right in results.items()))


@pytest.mark.parametrize("wrong", [
    r"$y = \sum_i a_i^2$.", r"$y = \sum_i a_i$, so $\bar a_i = \bar y\,a_i$."])
def test_a_wrong_formula_is_noticed(wrong, monkeypatch):
    op = importlib.import_module("minigrad.ops.reduction")._sum_all.op
    monkeypatch.setattr(op.kernel, "__doc__", wrong)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_formula("reduction._sum_all")
