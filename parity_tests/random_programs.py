"""Random programs of views, arithmetic, reductions and in-place writes, run by either engine.

A program is a list of steps. A step names an operation, picks two of the tensors made so far and
carries a number that decides what is left open (a dimension, a position). Any list of steps is a
program: what does not fit the shapes is refused, and both engines must refuse it in the same words
and go on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from parity_tests.compare import compare, graph_signature, normalise

SHAPES = ((2, 3), (3,), (2, 1, 3), ())


class Step(NamedTuple):
    operation: str
    first: int  # counted from the newest tensor back
    second: int
    number: int
    recorded: bool  # else under no_grad()


def _dim(a: Any, n: int) -> int:
    return n % max(a.dim(), 1)


def _place(a: Any, n: int) -> tuple[int, int]:
    """A dimension of `a` and a position in it."""
    dim = _dim(a, n)
    return dim, n % max(a.shape[dim] if a.dim() else 1, 1)


def _fitted(a: Any, b: Any) -> Any:
    """`b`, or its mean where the two do not broadcast."""
    pairs = zip(reversed(a.shape), reversed(b.shape), strict=False)
    return b if all(m == n or 1 in (m, n) for m, n in pairs) else b.mean()


def _into(a: Any, b: Any) -> Any:
    """`b`, or its mean where it does not broadcast to the shape of `a`."""
    pairs = list(zip(reversed(a.shape), reversed(b.shape), strict=False))
    fits = b.dim() <= a.dim() and all(n in (m, 1) for m, n in pairs)
    return _apart(a, b) if fits else b.mean()


def _apart(a: Any, b: Any) -> Any:
    """`b`, or a copy where `a` lies over it and has gaps: torch then does not look whether it reads
    what it has just written, and what comes out depends on how it runs through memory."""
    if a is b or not a.numel() or _has_no_gaps(a) and _has_no_gaps(b):
        return b
    memory, other = (each.untyped_storage().data_ptr() for each in (a, b))
    return b.clone() if memory == other else b


def _has_no_gaps(a: Any) -> bool:
    expected = 1
    for stride, size in sorted(zip(a.stride(), a.shape, strict=True)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True


# Values stay near 1, so that thirty steps neither overflow nor drown in rounding errors.
NEW: dict[str, Callable] = {
    "sin": lambda lib, a, b, n: a.sin(),
    "tanh": lambda lib, a, b, n: lib.tanh(a),
    "bell": lambda lib, a, b, n: (-a * a).exp(),
    "sigmoid": lambda lib, a, b, n: lib.sigmoid(a),
    "relu": lambda lib, a, b, n: lib.relu(a + 0.1),
    "root": lambda lib, a, b, n: (a * a + 0.5).sqrt(),
    "cube": lambda lib, a, b, n: a.tanh() ** 3,
    "add": lambda lib, a, b, n: (a + _fitted(a, b)) / 2,
    "subtract": lambda lib, a, b, n: lib.sub(a, _fitted(a, b), alpha=0.5),
    "multiply": lambda lib, a, b, n: a.tanh() * _fitted(a, b),
    "divide": lambda lib, a, b, n: a / (_fitted(a, b).cos() + 2),
    "where": lambda lib, a, b, n: lib.where(a > 0.3, a, _fitted(a, b)),
    "matmul": lambda lib, a, b, n: (a @ b).tanh(),
    "cat": lambda lib, a, b, n: lib.cat([a, b], _dim(a, n)),
    "stack": lambda lib, a, b, n: lib.stack([a, _into(a, b).expand_as(a)], _dim(a, n)),
    "clone": lambda lib, a, b, n: a.clone(),
    "softmax": lambda lib, a, b, n: a.softmax(_dim(a, n)),
    "cumsum": lambda lib, a, b, n: a.cumsum(_dim(a, n)).sin(),
    "sum": lambda lib, a, b, n: a.sum(_dim(a, n), keepdim=n % 2 == 0).sin(),
    "mean": lambda lib, a, b, n: a.mean(_dim(a, n)),
    "centred": lambda lib, a, b, n: a - a.mean(),
    "prod": lambda lib, a, b, n: a.tanh().prod(_dim(a, n)),
    "logsumexp": lambda lib, a, b, n: a.logsumexp(_dim(a, n)),
    "norm": lambda lib, a, b, n: (a + 1).norm(),
    "gather": lambda lib, a, b, n: a[[n % max(len(a), 1), 0]],
    "index_select": lambda lib, a, b, n: a.index_select(
        _dim(a, n), lib.tensor([_place(a, n)[1]] * 2, device=a.device)),
    "flip": lambda lib, a, b, n: a.flip(_dim(a, n)),
}
VIEWS: dict[str, Callable] = {
    "transpose": lambda lib, a, b, n: a.transpose(0, _dim(a, n)),
    "flatten": lambda lib, a, b, n: a.flatten(),
    "view": lambda lib, a, b, n: a.view(-1),
    "reshape": lambda lib, a, b, n: a.reshape(1, -1),
    "unsqueeze": lambda lib, a, b, n: a.unsqueeze(_dim(a, n)),
    "squeeze": lambda lib, a, b, n: a.squeeze(),
    "select": lambda lib, a, b, n: a.select(*_place(a, n)),
    "slice": lambda lib, a, b, n: a[..., n % 2:],
    "step": lambda lib, a, b, n: a[::2],
    "narrow": lambda lib, a, b, n: a.narrow(*_place(a, n), 1),
    "expand": lambda lib, a, b, n: a.expand(2, *a.shape),
    "diagonal": lambda lib, a, b, n: a.diagonal(),
    "unfold": lambda lib, a, b, n: a.unfold(_dim(a, n), 2, 2),
    "split": lambda lib, a, b, n: a.split(1, _dim(a, n))[0],
    "unbind": lambda lib, a, b, n: a.unbind(_dim(a, n))[-1],
    "as_strided": lambda lib, a, b, n: a.clone(
        memory_format=lib.contiguous_format).as_strided((2, 1), (2, 1)),
    "detach": lambda lib, a, b, n: a.detach(),
    "view_as": lambda lib, a, b, n: a.view_as(a),
}
INPLACE: dict[str, Callable] = {
    "sin_": lambda lib, a, b, n: a.sin_(),
    "tanh_": lambda lib, a, b, n: a.tanh_(),
    "add_": lambda lib, a, b, n: a.add_(_into(a, b), alpha=-0.25),
    "sub_": lambda lib, a, b, n: a.sub_(_into(a, b), alpha=0.5),
    "mul_": lambda lib, a, b, n: a.mul_(_into(a, b).tanh()),
    "halve_": lambda lib, a, b, n: a.mul_(0.5),
    "copy_": lambda lib, a, b, n: a.copy_(_into(a, b)),
    "zero_": lambda lib, a, b, n: a.zero_(),
    "masked_fill_": lambda lib, a, b, n: a.masked_fill_(a > 0.5, 0.25),
    "clamp_": lambda lib, a, b, n: a.clamp_(-0.7, 0.9),
    "setitem": lambda lib, a, b, n: a.__setitem__((..., n % 2), b.mean()),
    "setslice": lambda lib, a, b, n: a.__setitem__(slice(0, 1), _into(a[0:1], b)),
    "index_add_": lambda lib, a, b, n: a.index_add_(
        _dim(a, n), lib.tensor([_place(a, n)[1]], device=a.device),
        a.detach().narrow(*_place(a, n), 1)),
    "detach_": lambda lib, a, b, n: a.detach_(),
}
OPERATIONS = NEW | VIEWS | INPLACE

# Writes are rarer than reads: most programs should come as far as their second gradients.
_names = st.one_of(*[st.sampled_from(sorted(NEW))] * 4, *[st.sampled_from(sorted(VIEWS))] * 3,
                   st.sampled_from(sorted(INPLACE)))
_steps = st.builds(Step, _names, st.integers(0, 5), st.integers(0, 9), st.integers(0, 11),
                   st.sampled_from([True] * 11 + [False]))
programs = st.lists(_steps, min_size=5, max_size=30)


class Outcome(NamedTuple):
    """All that can be told of one engine's run."""

    refusals: list[str]
    tensors: list[Any]
    histories: list[tuple]
    first: Any  # gradients, or the words of a refusal
    second: Any


def run(lib: Any, program: list[Step], masters: list[Any], device: str) -> Outcome:
    """Carry out the steps, then differentiate the newest tensors once and twice."""
    leaves = [lib.tensor(master, device=device, requires_grad=True) for master in masters]
    tensors, refusals = [leaf * 1 for leaf in leaves], []
    tensors.append(leaves[0])
    for step in program:
        a, b = (tensors[-1 - pick % len(tensors)] for pick in (step.first, step.second))
        with contextlib.nullcontext() if step.recorded else lib.no_grad():
            made, refusal = _try(lambda a=a, b=b, step=step: OPERATIONS[step.operation](
                lib, a, b, step.number))
        refusals.append(refusal)
        if refusal is None and step.operation not in INPLACE and made.numel() <= 64:
            tensors.append(made)
        for tensor in tensors:  # torch does not refresh a stale view's history until it is asked
            _try(lambda tensor=tensor: tensor.grad_fn)

    histories = [_try(lambda tensor=tensor: (
        tensor.requires_grad, tensor.is_leaf, tensor._is_view(), tensor._version,
        graph_signature(tensor, leaves))) for tensor in tensors]
    outputs = [tensor for tensor in tensors[-4:] if tensor.requires_grad]
    weights = [lib.linspace(-1, 1, output.numel(), dtype=output.dtype, device=device)
               .view(output.shape).requires_grad_() for output in outputs]
    if not outputs:
        return Outcome(refusals, tensors, histories, None, None)
    first, refusal = _try(lambda: lib.autograd.grad(
        outputs, leaves, weights, create_graph=True, allow_unused=True))
    if refusal is not None:
        return Outcome(refusals, tensors, histories, refusal, None)
    variables = [gradient for gradient in first if gradient is not None and gradient.requires_grad]
    if not variables:
        return Outcome(refusals, tensors, histories, first, None)
    second, refusal = _try(lambda: lib.autograd.grad(
        [gradient.sin().sum() for gradient in variables], leaves + weights, allow_unused=True))
    return Outcome(refusals, tensors, histories, first, second if refusal is None else refusal)


def _try(act: Callable) -> tuple[Any, str | None]:
    try:
        return act(), None
    except Exception as error:  # which error is what is compared
        words = normalise(str(error)).partition(" Hint: ")[0]  # minigrad's hint says more
        return None, f"{type(error).__name__}: {words}"


# Thirty operations and two derivatives stack their roundings.
RTOL = 1e-9


def compare_outcomes(got: Outcome, want: Outcome) -> None:
    compare(got.refusals, want.refusals, "refusals")
    compare(got.tensors, want.tensors, "tensors", rtol=RTOL, flags=False)
    for i, (mine, theirs) in enumerate(zip(got.histories, want.histories, strict=True)):
        assert mine == theirs, f"history of tensor {i}:\n  candidate {mine}\n  torch     {theirs}"
    compare(got.first, want.first, "gradients", rtol=RTOL, flags=False)
    compare(got.second, want.second, "second gradients", rtol=RTOL, flags=False,
            none_is_zero=True)
