"""The harness on trial: torch passes as its own candidate, and every planted fault is caught."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from parity_tests import harness
from parity_tests.compare import compare, graph_signature
from parity_tests.harness import check, check_error, program, use_candidate

# -------------------------------------------------------------------------------------------------
# Torch against itself
# -------------------------------------------------------------------------------------------------

EQUAL = {
    "add_broadcast": lambda: check([(3, 4), (4,)], lambda x, y: x + y, same_graph=True),
    "scalar_input": lambda: check([(3,), 2.5], lambda x, y: x * y, same_graph=True),
    "zero_dim": lambda: check([()], lambda x: x.exp() * x),
    "empty": lambda: check([(0, 3)], lambda x: x.sum(0)),
    "domain": lambda: check([(3, 4)], lambda x: x.log(), domain=(0.1, 3)),
    "not_finite": lambda: check([np.array([0.0, -1.0, np.inf, np.nan])], lambda x: x.log(),
                                second=False),
    "many_outputs": lambda: check([(3, 5)], lambda x: x.max(1)),
    "nested_outputs": lambda: check([(4, 6)], lambda x: {"a": x.chunk(2), "b": [x.sin(), None]}),
    "list_input": lambda: check([[(2, 3), (4, 3)]], lambda lib, xs: lib.cat(xs), same_graph=True),
    "index_input": lambda: check([(5, 3), np.array([0, 4, 4])], lambda x, i: x[i]),
    "tensor_input": lambda: check([torch.eye(3), (3,)], lambda x, y: x.double() @ y.double()),
    "unused_input": lambda: check([(3,), (3,)], lambda x, y: x * 2),
    "no_gradient": lambda: check([(3, 4)], lambda x: (x > 0, x.argmax(1), x.sign())),
    "views": lambda: check([(3, 4, 5)], lambda x: (x.permute(2, 0, 1), x[1:, ::2]), strides=True,
                           same_graph=True),
    "softmax": lambda: check([(4, 7)], lambda x: x.softmax(-1)),
    "layer_norm": lambda: check([(4, 6), (6,), (6,)], lambda lib, x, w, b:
                                lib.nn.functional.layer_norm(x, (6,), w, b), rtol=1e-5),
    "matmul": lambda: check([(2, 3, 4), (4, 5)], lambda x, y: x @ y),
    "solve": lambda: check([(3, 3), (3,)], lambda lib, a, b: lib.linalg.solve(a, b), rtol=1e-4),
    "integers": lambda: check([(3, 4)], lambda x: x // 2, dtypes=("int64", "uint8", "int8")),
    "bools": lambda: check([(3, 4), (3, 4)], lambda x, y: x & ~y, dtypes=("bool",)),
    "complex": lambda: check([(3, 4), (4,)], lambda x, y: x * y.conj(),
                             dtypes=("complex128", "complex64")),
    "halves": lambda: check([(3, 4)], lambda x: x.tanh(), dtypes=("float16", "bfloat16")),
    "in_place": lambda: check([(3, 4), (4,)], lambda x, y: x.mul_(y).sin_(), mutates=True,
                              same_graph=True),
    "in_place_view": lambda: check([(3, 4)], lambda x: x[1].exp_(), mutates=True),
    "random": lambda: check([(20,)], lambda lib, x: lib.nn.functional.dropout(x, 0.5), random=True),
    "error": lambda: check_error([(3,), (4,)], lambda x, y: x + y),
    "error_class_of_torch": lambda: check_error([np.zeros((2, 2))],
                                                lambda lib, x: lib.linalg.cholesky(x)),
    "error_in_place_leaf": lambda: check_error([(3,)], lambda x: x.add_(1), grad=True),
    "error_pattern": lambda: check_error([(3,)], lambda x: x.sum("a"), match=r"sum\(\)"),
    "program": lambda: program(lambda lib: [lib.nn.Linear(3, 2).weight, lib.rand(3).sum().item(),
                                            "text", lib.float32, lib.Size([1]), (True, 3, None)]),
    "program_device": lambda: program(lambda lib, device: lib.ones(3, device=device)),
}


@pytest.mark.parametrize("case", EQUAL)
def test_torch_equals_itself(case):
    with use_candidate(torch):
        EQUAL[case]()


# -------------------------------------------------------------------------------------------------
# Planted faults
# -------------------------------------------------------------------------------------------------

class Library:
    """Torch with some names replaced."""

    def __init__(self, **replaced):
        self.__dict__.update(replaced)

    def __getattr__(self, name):
        return getattr(torch, name)


def wrong_gradient(x):
    """exp with a gradient that is off by 1e-4."""
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.exp())
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0] * 1.0001

    return Exp.apply(x)


def wrong_second_gradient(x):
    """exp whose gradient is right, but forgets that it depends on x."""
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].detach().exp()

    return Exp.apply(x)


def greedy_backward(x, mutated):
    """exp whose backward pass writes into something that is not its own."""
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            gradient = g * ctx.saved_tensors[0].exp()
            (g if mutated == "cotangent" else ctx.saved_tensors[0]).data.mul_(3)
            return gradient

    return Exp.apply(x)


def mutated_input(x):
    result = x.exp()
    x.data[0] += 1
    return result


LEAKED = []


def leaked_result(x):
    LEAKED.append(x.exp())
    return LEAKED[-1]


def leaked_input(x):
    LEAKED.append(x)
    return x.exp()


def cycle(x):
    """A result that only the garbage collector can free."""
    result = x.exp()
    result.myself = result
    return result


def leaked_gradient(x):
    result = x.exp()
    result.register_hook(LEAKED.append)
    x.register_hook(LEAKED.append)
    return result


def ignores_strides(x):
    """exp that reads memory in order, as a kernel without strides would."""
    flat = torch.as_strided(x, x.shape, torch.empty(x.shape).stride(), x.storage_offset())
    return flat.exp()


def off_by_one_element(x):
    result = x.exp()
    nudge = torch.zeros_like(result)
    nudge.view(-1)[-1] = 1e-5
    return result + nudge


def no_gradient_at_all(x):
    return x.detach().exp().requires_grad_(x.requires_grad) + 0 * x.detach()


FAULTS = {  # what replaces exp, and the words of the report
    "value": (off_by_one_element, r"1 of 12 elements differ, worst at \(2, 3\)"),
    "gradient": (wrong_gradient, "^gradient"),
    "second_gradient": (wrong_second_gradient, "second gradient"),
    "unconnected": (no_gradient_at_all, "gradient"),
    "requires_grad": (lambda x: x.detach().exp(), "requires_grad"),
    "dtype": (lambda x: x.exp().float(), "dtype"),
    "shape": (lambda x: x.exp()[None], "shape"),
    "stride": (lambda x: x.exp().t().contiguous().t(), r"stride\(\)"),
    "graph": (lambda x: x.exp() * 1, "graph"),
    "not_a_tensor": (lambda x: x.exp().tolist(), "candidate list"),
    "structure": (lambda x: (x.exp(),), "candidate tuple"),
    "mutated_input": (mutated_input, "mutated an input"),
    "input_mutated_backward": (lambda x: greedy_backward(x, "input"), "mutated an input"),
    "cotangent_mutated": (lambda x: greedy_backward(x, "cotangent"), "mutated a grad_output"),
    "leaked_result": (leaked_result, "still referenced .*a result"),
    "leaked_input": (leaked_input, "still referenced .*an input"),
    "leaked_gradient": (leaked_gradient, "still referenced .*a gradient"),
    "cycle": (cycle, "still referenced .*a result"),
    "ignores_strides": (ignores_strides, "elements differ"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_caught(fault):
    exp, words = FAULTS[fault]
    lone = dict(same_graph=fault == "graph", strides=fault == "stride")
    with use_candidate(Library(exp=exp)), pytest.raises(AssertionError, match=words):
        check([(3, 4)], lambda lib, x: lib.exp(x), **lone)
    LEAKED.clear()


def test_the_unharmed_exp_passes():
    with use_candidate(Library(exp=lambda x: x.exp())):
        check([(3, 4)], lambda lib, x: lib.exp(x), same_graph=True, strides=True)


def forgets_to_mutate(x, y):
    return x * y


def mutates_past_the_history(x, y):
    x.data.mul_(y)
    return x


def writes_too_much(x, y):
    x.mul_(y)
    y.data.add_(1)
    return x


@pytest.mark.parametrize("mul_", [forgets_to_mutate, mutates_past_the_history, writes_too_much])
def test_wrong_mutation_is_caught(mul_):
    with use_candidate(Library(mul_=mul_)), pytest.raises(AssertionError):
        check([(3, 4), (4,)], lambda lib, x, y: getattr(lib, "mul_", torch.Tensor.mul_)(x, y),
              mutates=True)


def test_undeclared_mutation_is_caught():
    with use_candidate(torch), pytest.raises(AssertionError, match="mutates=True"):
        check([(3,)], lambda x: x.add_(1), grad=False)


def raising(error):
    def add(x, y):
        raise error
    return add


WORDS = ("The size of tensor a (3) must match the size of tensor b (4) at non-singleton "
         "dimension 0")


@pytest.mark.parametrize("add", [
    raising(ValueError(WORDS)), raising(RuntimeError("shapes differ")), lambda x, y: x,
], ids=["class", "words", "none"])
def test_wrong_error_is_caught(add):
    case = [(3,), (4,)], lambda lib, x, y: lib.add(x, y)
    with use_candidate(Library(add=add)), pytest.raises(AssertionError):
        check_error(*case)
    with use_candidate(Library(add=raising(RuntimeError(WORDS)))):
        check_error(*case)


def test_an_error_torch_does_not_raise_is_caught():
    with use_candidate(Library(add=raising(RuntimeError(WORDS)))):
        with pytest.raises(AssertionError, match="torch raises nothing"):
            check_error([(3,), (3,)], lambda lib, x, y: lib.add(x, y))
        with pytest.raises(RuntimeError, match="size of tensor"):  # it is the candidate's own
            check([(3,), (3,)], lambda lib, x, y: lib.add(x, y))


def test_error_classes_of_torch_are_matched_by_their_builtin_base():
    class LinAlgError(RuntimeError):
        pass

    try:
        torch.inverse(torch.zeros(2, 2))
    except RuntimeError as error:
        words = str(error)
    for kind, passes in ((LinAlgError, True), (RuntimeError, True), (ValueError, False)):
        def inverse(x, kind=kind):
            raise kind(words)

        with use_candidate(Library(inverse=inverse)):
            case = [np.zeros((2, 2))], lambda lib, x: lib.inverse(x)
            if passes:
                check_error(*case)
            else:
                with pytest.raises(AssertionError):
                    check_error(*case)


@pytest.mark.parametrize("replaced, returned", [
    (dict(rand=lambda n: torch.rand(n + 1)[1:]), lambda lib: lib.rand(4)),
    (dict(numel=lambda x: float(x.numel())), lambda lib: lib.numel(lib.ones(3))),
    (dict(numel=lambda x: x.numel() + 1), lambda lib: {"n": [lib.numel(lib.ones(3))]}),
    (dict(float32="torch.float64"), lambda lib: lib.float32),
    (dict(Size=list), lambda lib: lib.Size([2])),
], ids=["stream", "type", "number", "text", "container"])
def test_wrong_program_is_caught(replaced, returned):
    with use_candidate(Library(**replaced)), pytest.raises(AssertionError):
        program(returned)


# -------------------------------------------------------------------------------------------------
# The pieces
# -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, near, far", [
    ("float64", 1e-13, 1e-11), ("float32", 1e-6, 1e-5), ("float16", 1e-3, 1e-2),
    ("bfloat16", 1e-2, 1e-1), ("complex64", 1e-6j, 1e-5j)])
def test_tolerance_knows_the_dtype(dtype, near, far):
    one = torch.ones(3, dtype=getattr(torch, dtype))
    compare(one + near, one)
    with pytest.raises(AssertionError):
        compare(one + far, one)


def test_tolerance_knows_infinities_and_nans():
    odd = torch.tensor([1.0, float("inf"), float("nan")])
    compare(odd, odd.clone())
    for i, value in ((1, 1e30), (1, -float("inf")), (2, 0.0), (0, float("nan"))):
        other = odd.clone()
        other[i] = value
        with pytest.raises(AssertionError, match=rf"worst at \({i},\)"):
            compare(other, odd)


def test_a_huge_element_does_not_excuse_the_others():
    huge = torch.tensor([1.0, 1.0, 1e9], dtype=torch.float64)
    with pytest.raises(AssertionError, match=r"worst at \(0,\)"):
        compare(huge + torch.tensor([1e-6, 0.0, 0.0]), huge)


def test_graph_signature_tells_operands_apart():
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    assert graph_signature(x / y, [x, y]) == [
        ("DivBackward0", ((1, 0), (2, 0))), ("AccumulateGrad", 0), ("AccumulateGrad", 1)]
    assert graph_signature(y / x, [x, y]) != graph_signature(x / y, [x, y])
    assert graph_signature(x * 2, [x]) == [("MulBackward0", ((1, 0), None)), ("AccumulateGrad", 0)]
    assert graph_signature(x, [x]) == []


def test_the_same_case_draws_the_same_numbers():
    draw = lambda inputs: harness._masters(inputs)[0]
    assert torch.equal(draw([(3, 4), 2]), draw([(3, 4), 2]))
    assert not torch.equal(draw([(3, 4), 2]), draw([(3, 4), 3]))


def test_reports_name_the_function_and_the_inputs():
    with use_candidate(Library(exp=wrong_gradient)), pytest.raises(AssertionError) as caught:
        check([(3, 4)], lambda lib, x: lib.exp(x), dtypes=("float32",))
    notes = "\n".join(caught.value.__notes__)
    assert "lambda lib, x: lib.exp(x)" in notes and "[(3, 4)], float32, contiguous" in notes


# -------------------------------------------------------------------------------------------------
# The list of gaps
# -------------------------------------------------------------------------------------------------

SUITE = """
import pytest

@pytest.mark.parametrize("case", ["open", "closed"])
def test_op(case):
    assert case == "closed"
"""


@pytest.mark.parametrize("gaps, outcome", [
    ({}, "1 failed, 1 passed"),
    ({"open": "a reason"}, "1 passed, 1 xfailed"),
    ({"test_op[open]": "a reason"}, "1 passed, 1 xfailed"),
    ({"test_suite.py::test_op[open]": "a reason"}, "1 passed, 1 xfailed"),
    ({"open @cpu": "a reason"}, "1 passed, 1 xfailed"),
    ({"open @cuda": "a reason"}, "1 failed, 1 passed"),
    ({"open": "a reason", "closed": "no longer true"}, "1 failed, 1 xfailed"),
    ({"open": "a reason", "no such test": "left behind"}, "names no test: ['no such test']"),
])
def test_gaps(tmp_path, gaps, outcome):
    folder = tmp_path / "parity_tests"
    folder.mkdir()
    for name in ("__init__", "conftest"):
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    (folder / "known_gaps.py").write_text(f"GAPS = {gaps}")
    (folder / "harness.py").write_text("")  # conftest.py leaves the device there
    (folder / "test_suite.py").write_text(SUITE)
    (tmp_path / "torch.py").write_text("set_num_threads = int")  # the real one takes seconds
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "parity_tests"],
        cwd=tmp_path, capture_output=True, text=True)
    assert outcome in run.stdout + run.stderr
