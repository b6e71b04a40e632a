"""The levels at which an operator is compared with torch's: what test_operators.py runs.

A level is a function of an entry of torch's database and a `Tally`; it raises AssertionError where
the engines differ, and counts what it compared. `LEVELS` tells which operators have which level.
"""

from __future__ import annotations

import functools
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from parity_tests import harness
from parity_tests.compare import RTOL, compare, graph_signature
from parity_tests.gauge import compare_determined, determined
from parity_tests.harness import candidate, check_error
from parity_tests.operator_samples import (
    error_samples_of,
    flat,
    function_of,
    in_place_name,
    is_pointwise,
    is_pointwise_binary,
    method,
    method_name,
    noting,
    random_like,
    reference_samples_of,
    samples_of,
    tangents,
    translated,
)
from parity_tests.outs import OUTS, empty, keeps_layout

MAIN_DTYPES = ("float64", "complex128", "float32")
OTHER_DTYPES = ("int64", "bool", "float16", "bfloat16", "complex64", "int32", "int16", "int8",
                "uint8")
ALL_DTYPES = MAIN_DTYPES + OTHER_DTYPES

# Samples per dtype. All of them would take hours; these are spread evenly over all there are.
FEW, SOME, MANY = 3, 6, 16

# The database says that these take `out`, but torch refuses every call.
NO_OUT = {"_batch_norm_with_update", "equal", "histogramdd"}

UNINITIALISED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


class Tally:
    """How many comparisons were made, and where the code of the operator's rule is."""

    def __init__(self) -> None:
        self.comparisons = 0
        self.source = ""


class Side:
    """One engine's run of one sample: outputs and the tensors to differentiate by."""

    def __init__(self, lib, function, args, kwargs):
        self.lib = lib
        self.args = [args, kwargs]
        self.inputs = [tensor for tensor in flat([args, kwargs]) if tensor.requires_grad]
        lib.manual_seed(0)
        try:
            self.result = function(*args, **kwargs)
        except Exception as error:
            self.result = error
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


def both(functions: tuple, sample: Any) -> tuple[Side, Side]:
    """The sample, run by minigrad and by torch."""
    args, kwargs = (sample.input, *sample.args), sample.kwargs
    known: dict = {}
    ours = Side(candidate(), functions[0], translated(args, known), translated(kwargs, known))
    return ours, Side(torch, functions[1], args, kwargs)


def pair(op: Any) -> tuple[Callable, Callable]:
    return function_of(op, candidate()), function_of(op, torch)


def dtypes_of(op: Any, names: tuple[str, ...]) -> list[str]:
    supported = op.supported_dtypes("cpu")
    return [name for name in names if getattr(torch, name) in supported]


def each_sample(op: Any, dtypes: Any, limit: int, grad: bool = False) -> Iterator[Any]:
    for dtype in dtypes:
        yield from samples_of(op, getattr(torch, dtype), grad, limit)


def same_result(op: Any, ours: Side, theirs: Side, **options: Any) -> bool:
    """Compare results or errors; True if there are results."""
    if any(tensor.dtype is torch.complex32 for tensor in flat(theirs.result)):
        assert isinstance(ours.result, Exception), "minigrad has no complex32"
        return False
    if isinstance(ours.result, Exception) or isinstance(theirs.result, Exception):
        same_error(ours.result, theirs.result)
        return False
    if op.name in UNINITIALISED:
        for name in ("shape", "dtype", "requires_grad"):
            assert str(getattr(ours.result, name)) == str(getattr(theirs.result, name)), name
        assert ours.result.stride() == theirs.result.stride()
    else:
        compare_determined(op, ours, theirs, **options)
    return True


def same_error(got: Any, want: Any) -> None:
    def again(lib):
        result = got if lib is candidate() else want
        if isinstance(result, Exception):
            raise result

    check_error([], again)


def same_gradients(op: Any, ours: Side, theirs: Side, twice: bool) -> int:
    """Compare first and, if wanted, second gradients; how many comparisons that were."""
    for side in (ours, theirs):
        side.outputs = [tensor for tensor in flat(determined(op, side)) if tensor.requires_grad]
    if not (theirs.outputs and theirs.inputs):
        return 0
    cotangents = random_like(theirs.outputs, requires_grad=twice)
    want = attempt(theirs.gradients, cotangents, twice)
    got = attempt(ours.gradients, translated(cotangents), twice)
    if isinstance(got, Exception) or isinstance(want, Exception):
        same_error(got, want)
        return 1
    if not twice:
        compare(got, want, "gradient", order=1, flags=False, none_is_zero=True)
        return 1
    chosen = [i for i, tensor in enumerate(want) if tensor is not None and tensor.requires_grad]
    if not chosen:
        return 1  # equal to torch in having none
    weights = random_like([want[i] for i in chosen])
    for i in chosen:
        assert got[i] is not None and got[i].requires_grad, f"gradient {i} has no gradient"
    got, want = attempt(ours.second_gradients, chosen, translated(weights)), attempt(
        theirs.second_gradients, chosen, weights)
    if isinstance(got, Exception) or isinstance(want, Exception):
        same_error(got, want)
    else:
        compare(got, want, "second gradient", order=2, flags=False, none_is_zero=True)
    return 1


def attempt(function: Callable, *args: Any) -> Any:
    """What the function returns, or what it raises: torch cannot differentiate some ops twice."""
    try:
        return function(*args)
    except Exception as error:
        return error


# --- the levels ----------------------------------------------------------------------------------

def forward(op: Any, tally: Tally) -> None:
    """Values, dtype, shape, `requires_grad`, and whether memory is shared with the input."""
    functions = pair(op)
    dtypes = dtypes_of(op, MAIN_DTYPES) or dtypes_of(op, ALL_DTYPES)[:2]
    for dtype in dtypes:
        limit = MANY if dtype == dtypes[0] else SOME
        for sample in each_sample(op, [dtype], limit, grad=is_differentiable(op)):
            with noting(sample, functions[1]):
                ours, theirs = both(functions, sample)
                if same_result(op, ours, theirs):
                    assert shared(ours, candidate()) == shared(theirs, torch), "shares memory"
            tally.comparisons += 1


def shared(side: Side, lib: Any) -> list[bool]:
    """For each result, whether it is a view of one of the tensors that went in."""
    if harness.DEVICE != "cpu":
        return []
    if lib is torch:
        start = lambda tensor: tensor.untyped_storage().data_ptr()
    else:
        start = lambda tensor: tensor.data_ptr() - tensor.storage_offset() * tensor.element_size()
    found = {start(tensor) for tensor in flat(side.args) if tensor.numel()}
    return [start(tensor) in found for tensor in flat(side.result) if tensor.numel()]


def is_differentiable(op: Any) -> bool:
    return op.supports_autograd and bool(gradient_dtypes(op))


def gradient_dtypes(op: Any) -> list[str]:
    supported = op.supported_backward_dtypes("cpu")
    return [name for name in ("float64", "complex128") if getattr(torch, name) in supported]


def _gradients(op: Any, tally: Tally, twice: bool) -> None:
    functions = pair(op)
    for dtype in gradient_dtypes(op):
        for sample in each_sample(op, [dtype], MANY if dtype == "float64" else SOME, grad=True):
            with noting(sample, functions[1]):
                ours, theirs = both(functions, sample)
                if isinstance(ours.result, Exception) or isinstance(theirs.result, Exception):
                    same_error(ours.result, theirs.result)
                    continue
                tally.comparisons += same_gradients(op, ours, theirs, twice)
                tally.source = tally.source or rule_of(ours)


def rule_of(side: Side) -> str:
    """file:line of the first rule of the node that the operator recorded."""
    for output in side.outputs:
        op = getattr(type(output.grad_fn), "op", None)
        for rule in op.rules.values() if op else ():
            code = getattr(rule, "__code__", None)
            if code:
                return f"{code.co_filename}:{code.co_firstlineno}"
    return ""


def gradient(op: Any, tally: Tally) -> None:
    """The gradient of every differentiable input, real and complex."""
    _gradients(op, tally, twice=False)


def second_gradient(op: Any, tally: Tally) -> None:
    """The gradient of the gradient, in the inputs and in the incoming gradient."""
    _gradients(op, tally, twice=True)


def forward_ad(op: Any, tally: Tally) -> None:
    """Forward mode: the tangent of every output for tangents of all inputs."""
    functions = pair(op)
    for dtype in gradient_dtypes(op):
        for sample in each_sample(op, [dtype], SOME if dtype == "float64" else FEW, grad=True):
            with noting(sample, functions[1]):
                want = tangents(op, torch, functions[1], sample, {})
                if not isinstance(want, Exception):  # torch's formula may be for some forms only
                    compare(tangents(op, candidate(), functions[0], sample, {}), want,
                            "tangent", order=1, flags=False, none_is_zero=True)
                tally.comparisons += 1


def graph(op: Any, tally: Tally) -> None:
    """The recorded graph: each node's name and its edges."""
    functions = pair(op)
    for sample in each_sample(op, gradient_dtypes(op), SOME, grad=True):
        with noting(sample, functions[1]):
            ours, theirs = both(functions, sample)
            if isinstance(theirs.result, Exception):
                continue
            assert len(ours.outputs) == len(theirs.outputs), "other outputs require gradients"
            for mine, reference in zip(ours.outputs, theirs.outputs, strict=True):
                got = graph_signature(mine, ours.inputs)
                want = graph_signature(reference, theirs.inputs)
                assert got == want, f"candidate\n  {got}\ntorch\n  {want}"
                tally.comparisons += 1


def _variant(op: Any, tally: Tally, name: str) -> None:
    functions = method(name), method(name)
    for dtype in dtypes_of(op, (*MAIN_DTYPES, "int64", "bool", "bfloat16")):
        grad = op.supports_autograd and dtype in ("float64", "complex128")
        for sample in each_sample(op, [dtype], FEW, grad):
            with noting(sample, functions[1]):
                ours, theirs = both(functions, sample)
                if same_result(op, ours, theirs):
                    if not name.endswith("_") or op.supports_inplace_autograd:
                        assert ours.names() == theirs.names()
                        same_gradients(op, ours, theirs, twice=False)
            tally.comparisons += 1


def as_method(op: Any, tally: Tally) -> None:
    """The same through the method of Tensor."""
    _variant(op, tally, method_name(op))


def in_place(op: Any, tally: Tally) -> None:
    """The same through the in-place method: value, node, gradient, errors."""
    _variant(op, tally, in_place_name(op))


def into_out(op: Any, tally: Tally) -> None:
    """`out=`: strided, empty, too large, of another dtype, in need of a gradient."""
    functions = pair(op)
    for dtype in dtypes_of(op, ("float64", "float32", "int64"))[:2]:
        for sample in each_sample(op, [dtype], FEW):
            _, reference = both(functions, sample)
            if isinstance(reference.result, Exception):
                continue
            if op.name in NO_OUT:
                _no_out(functions, sample)
                tally.comparisons += 1
                continue
            for make in OUTS:
                with noting(sample, functions[1]):
                    _one_out(op, functions, sample, reference.result, make)
                tally.comparisons += 1


def _no_out(functions: tuple, sample: Any) -> None:
    functions = tuple([functools.partial(each, out=(torch.zeros(1),)) for each in functions])
    for side in both(functions, sample):
        assert isinstance(side.result, TypeError | RuntimeError), f"{side.lib}: {side.result!r}"


def _one_out(op: Any, functions: tuple, sample: Any, result: Any, make: Callable) -> None:
    several = isinstance(result, tuple)
    runs = []
    for lib, function in zip((candidate(), torch), functions, strict=True):
        outs = [make(tensor) for tensor in flat(result)]
        arguments = [(sample.input, *sample.args), sample.kwargs]
        if lib is not torch:
            outs, arguments = [translated(outs), translated(arguments)][0:2]
        before = [tensor.data_ptr() for tensor in outs]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            side = Side(lib, functools.partial(
                function, out=tuple(outs) if several else outs[0]), *arguments)
        resized = any("An output with one or more elements was resized" in str(each.message)
                      for each in caught)
        runs.append((side, outs, before, resized))
    (ours, mine, mine_before, warned), (theirs, want, want_before, torch_warned) = runs
    if all("don't support automatic differentiation" in str(side.result)
           for side in (ours, theirs)):
        return  # which inner op noticed, and says so, is torch's own affair
    if isinstance(ours.result, Exception) or isinstance(theirs.result, Exception):
        same_error(ours.result, theirs.result)
        return
    if op.name in UNINITIALISED:
        compare(mine, want, f"out ({make.__name__})", strides=keeps_layout(make, want),
                values=False)
        return
    exact = len({str(tensor.dtype) for tensor in flat([want, result])}) == 1
    compare_determined(op, ours, theirs, f"out ({make.__name__})",
                       strides=keeps_layout(make, want),
                       rtol=None if exact else RTOL["float32"])
    for i, tensor in enumerate(flat(ours.result)):
        assert tensor is mine[i], "the result is not out"
    kept = [a == t.data_ptr() for a, t in zip(want_before, want, strict=True)]
    if make is not empty:
        assert [a == t.data_ptr() for a, t in zip(mine_before, mine, strict=True)] == kept, (
            "writes into out's memory")
    assert warned == torch_warned, f"warns that out was resized: {warned}, torch {torch_warned}"


def errors(op: Any, tally: Tally) -> None:
    """What torch refuses is refused: the same class, and words that fit torch's own test."""
    functions = pair(op)
    cases = error_samples_of(op)
    tally.comparisons += not cases  # the database may have none for the CPU
    for case in cases:
        with noting(case.sample_input, functions[1]):
            ours, theirs = both(functions, case.sample_input)
            if not isinstance(theirs.result, Exception):  # accepted by this version of torch
                same_result(op, ours, theirs)
                tally.comparisons += 1
                continue
            got, want = ours.result, theirs.result
            assert isinstance(got, Exception), f"no error; torch {want!r}"
            builtin = next(c for c in type(want).__mro__ if c.__module__ == "builtins")
            assert isinstance(got, builtin), f"candidate {got!r}, torch {want!r}"
            same_words = harness.normalise(str(got)) == harness.normalise(str(want))
            assert same_words or re.search(case.error_regex, str(got)), (
                f"candidate {got!r}, torch {want!r}, which must match {case.error_regex!r}")
        tally.comparisons += 1


def layouts(op: Any, tally: Tally) -> None:
    """Inputs that are not contiguous; for pointwise operators also 0-d and without elements."""
    functions = pair(op)
    dtypes = dtypes_of(op, MAIN_DTYPES)[:1] or dtypes_of(op, ALL_DTYPES)[:1]
    grad = is_differentiable(op)
    for sample in each_sample(op, dtypes, SOME, grad):
        changed = [sample.noncontiguous()]
        if is_pointwise(op) and not sample.kwargs.get("memory_format"):
            changed += [sample.transform(scalar), sample.transform(without_elements)]
        for each in changed:
            with noting(each, functions[1]):
                ours, theirs = both(functions, each)
                if same_result(op, ours, theirs) and grad:
                    same_gradients(op, ours, theirs, twice=False)
            tally.comparisons += 1


def scalar(value):
    if not (isinstance(value, torch.Tensor) and value.numel()):
        return value
    return value.detach().reshape(-1)[0].clone().requires_grad_(value.requires_grad)


def without_elements(value):
    if not isinstance(value, torch.Tensor) or not value.ndim:
        return value
    return value.detach()[:0].clone().requires_grad_(value.requires_grad)


def other_dtypes(op: Any, tally: Tally) -> None:
    """Every dtype torch's CPU supports beyond float64, complex128 and float32."""
    functions = pair(op)
    for sample in each_sample(op, dtypes_of(op, OTHER_DTYPES), FEW):
        with noting(sample, functions[1]):
            same_result(op, *both(functions, sample))
        tally.comparisons += 1


def promotion(op: Any, tally: Tally) -> None:
    """All pairs of dtypes: two tensors, a tensor and a 0-d tensor, a tensor and a number."""
    functions = pair(op)
    vector = lambda name: torch.tensor([1, 2, 3]).to(getattr(torch, name))
    number = lambda name: torch.tensor(2).to(getattr(torch, name))
    pairs = [(make_left(a), make_right(b)) for a, b in itertools.product(ALL_DTYPES, repeat=2)
             for make_left, make_right in ((vector, vector), (vector, number), (number, vector))]
    pairs += [(vector(a), value) for a in ALL_DTYPES for value in (2, 2.5, True, 2j)]
    if not op.name.startswith("__"):  # a method of a number
        pairs += [(value, vector(a)) for a in ALL_DTYPES for value in (2, 2.5, True, 2j)]
    for left, right in pairs:
        if torch.result_type(left, right) is torch.complex32:
            continue  # a type that minigrad does not have
        sample = Sample(left, (right,), {})
        with noting(sample, functions[1]):
            ours, theirs = both(functions, sample)
            if isinstance(theirs.result, Exception):
                assert isinstance(ours.result, Exception), f"no error; torch {theirs.result!r}"
                kinds = [type(result).__name__ for result in (ours.result, theirs.result)]
                assert kinds[0] == kinds[1], f"{ours.result!r}, torch {theirs.result!r}"
            else:
                same_result(op, ours, theirs)
        tally.comparisons += 1


class Sample(NamedTuple):
    input: Any
    args: tuple
    kwargs: dict


def extremal(op: Any, tally: Tally) -> None:
    """torch's reference inputs: nan, infinities, very large and very small numbers, odd shapes."""
    functions = pair(op)
    for dtype in dtypes_of(op, MAIN_DTYPES) or dtypes_of(op, ALL_DTYPES)[:2]:
        for sample in reference_samples_of(op, getattr(torch, dtype), MANY):
            with noting(sample, functions[1]):
                same_result(op, *both(functions, sample))
            tally.comparisons += 1


class Level(NamedTuple):
    compare: Callable[[Any, Tally], None]
    applies: Callable[[Any], bool]


LEVELS = {
    "forward": Level(forward, lambda op: True),
    "gradient": Level(gradient, is_differentiable),
    "second": Level(second_gradient, lambda op: is_differentiable(op) and op.supports_gradgrad),
    "forward_ad": Level(forward_ad, lambda op: is_differentiable(op) and op.supports_forward_ad),
    "graph": Level(graph, is_differentiable),
    "method": Level(as_method, lambda op: method_name(op) is not None),
    "inplace": Level(in_place, lambda op: in_place_name(op) is not None),
    "out": Level(into_out, lambda op: op.supports_out),
    "errors": Level(errors, lambda op: op.error_inputs_func is not None),
    "layouts": Level(layouts, lambda op: op.name not in UNINITIALISED),
    "dtypes": Level(other_dtypes, lambda op: bool(dtypes_of(op, OTHER_DTYPES))),
    "promotion": Level(promotion, is_pointwise_binary),
    "extremal": Level(extremal, lambda op: op.reference_inputs_func is not None),
}
