"""Every operator of torch's own database that minigrad has, on the database's own samples.

Values, dtypes, strides, `requires_grad`, the node's name, gradients, second gradients; the same
through the method and the in-place method; and what must fail fails with the same words.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parity_tests.compare import compare
from parity_tests.harness import candidate, check_error
from parity_tests.operator_samples import (
    flat,
    function_of,
    method,
    method_names,
    present,
    quiet,
    samples_of,
    title,
    translated,
)

PRESENT = present()
AT_LEAST = 399  # of torch 2.13's 677 entries; the number only grows
SAMPLES = {"float64": 16, "complex128": 6, "float32": 6, "bfloat16": 6, "int64": 6, "bool": 6}
SAMPLES_OF_METHODS = 3
UNINITIALISED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}

CASES = [
    (op, dtype) for op in PRESENT for dtype in SAMPLES
    if getattr(torch, dtype) in op.supported_dtypes("cpu")
]


def outcome(function, args, kwargs):
    """The result, or the exception."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error


class Side:
    """One engine's run of one sample: outputs and the tensors to differentiate by."""

    def __init__(self, lib, function, args, kwargs):
        self.lib = lib
        self.inputs = [tensor for tensor in flat([args, kwargs]) if tensor.requires_grad]
        lib.manual_seed(0)
        self.result = outcome(function, args, kwargs)
        self.outputs = [tensor for tensor in flat(self.result) if tensor.requires_grad]

    def names(self):
        return [tensor.grad_fn and tensor.grad_fn.name() for tensor in self.outputs]

    def gradients(self, cotangents, create_graph):
        self.cotangents = cotangents
        self.first = self.lib.autograd.grad(
            self.outputs, self.inputs, cotangents, create_graph=create_graph, allow_unused=True)
        return self.first

    def second_gradients(self, chosen, cotangents):
        return self.lib.autograd.grad(
            [self.first[i] for i in chosen], self.inputs + self.cotangents, cotangents,
            allow_unused=True)


def random_like(tensors, requires_grad=False):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal(tuple(tensor.shape))).to(tensor.dtype)
            .requires_grad_(requires_grad) for tensor in tensors]


def compare_runs(op, functions, sample, rounding):
    """Run a sample through both engines and compare all there is to compare."""
    args, kwargs = (sample.input, *sample.args), sample.kwargs
    known: dict = {}
    ours = Side(candidate(), functions[0], translated(args, known), translated(kwargs, known))
    theirs = Side(torch, functions[1], args, kwargs)
    if isinstance(ours.result, Exception) or isinstance(theirs.result, Exception):
        compare_errors(ours.result, theirs.result)
        return
    if op.name in UNINITIALISED:
        same_layout(ours.result, theirs.result)
        return
    compare(ours.result, theirs.result, **rounding)
    assert ours.names() == theirs.names(), f"candidate {ours.names()}, torch {theirs.names()}"
    if not (theirs.outputs and theirs.inputs):
        return

    twice = op.supports_gradgrad
    cotangents = random_like(theirs.outputs, requires_grad=twice)
    want = theirs.gradients(cotangents, twice)
    got = ours.gradients(translated(cotangents), twice)
    compare(got, want, "gradient", order=1, flags=False, none_is_zero=True, **rounding)
    chosen = [i for i, tensor in enumerate(want) if tensor is not None and tensor.requires_grad]
    if twice and chosen:
        weights = random_like([want[i] for i in chosen])
        compare(ours.second_gradients(chosen, translated(weights)),
                theirs.second_gradients(chosen, weights),
                "second gradient", order=2, flags=False, none_is_zero=True, **rounding)


def same_layout(got, want):
    for name in ("shape", "dtype", "requires_grad"):
        assert str(getattr(got, name)) == str(getattr(want, name)), name
    assert got.stride() == want.stride()


def compare_errors(got, want):
    def again(lib):
        result = got if lib is candidate() else want
        if isinstance(result, Exception):
            raise result

    check_error([], again)


def describe(sample):
    shapes = [str(tuple(tensor.shape)) for tensor in flat([sample.input, sample.args])]
    return f"tensors {' '.join(shapes)}, arguments {sample.args}, {sample.kwargs}"


@pytest.mark.parametrize(
    ("op", "dtype"), CASES, ids=[f"{title(op)}-{dtype}" for op, dtype in CASES])
def test_operator(op, dtype):
    grad = op.supports_autograd and dtype in ("float64", "complex128")
    functions = [(function_of(op, candidate()), function_of(op, torch))]
    functions += [(method(name), method(name)) for name in method_names(op)]
    for number, pair in enumerate(functions):
        limit = SAMPLES_OF_METHODS if number else SAMPLES[dtype]
        with quiet():
            for sample in samples_of(op, getattr(torch, dtype), grad, limit):
                try:
                    compare_runs(op, pair, sample, {})
                except Exception as error:
                    error.add_note(f"{pair[0].__name__}: {describe(sample)}")
                    raise
