"""Results lie in memory as torch lays them out (Note [The order of dimensions] in strides.py).

The operands are any views: transposed, overlapping, expanded, with gaps. Dimensions of size 1 have
no place of their own, so their strides are not compared.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests import harness
from parity_tests.harness import candidate
from parity_tests.traces import traced

SHAPES = ((2, 3), (3, 4, 2), (2, 2, 3), (3, 3))

VIEWS = {
    "transpose": lambda a, d, n: a.transpose(d, n % a.dim()),
    "unfold": lambda a, d, n: a.unfold(d, 2, 1 + n % 2),
    "unsqueeze": lambda a, d, n: a.unsqueeze(d),
    "expand": lambda a, d, n: a.expand(2, *a.shape),
    "step": lambda a, d, n: a[..., ::2],
    "narrow": lambda a, d, n: a.narrow(d, 0, max(a.shape[d] - 1, 1)),
    "select": lambda a, d, n: a.select(d, 0),
    "fresh": lambda a, d, n: a + 0,
}

ELEMENTWISE = {
    "exp": lambda lib, a, b: a.exp(),
    "neg": lambda lib, a, b: -a,
    "relu": lambda lib, a, b: a.relu(),
    "number": lambda lib, a, b: a + 1,
    "add": lambda lib, a, b: a + b,
    "atan2": lambda lib, a, b: lib.atan2(a, b),
    "where": lambda lib, a, b: lib.where(a > 1, a, b),
    "lerp": lambda lib, a, b: lib.lerp(a, b, 0.5),
    "clamp": lambda lib, a, b: a.clamp(0, 1),
    "compare": lambda lib, a, b: a <= b,
    "polar": lambda lib, a, b: lib.polar(a, b),
    "gelu": lambda lib, a, b: lib.nn.functional.gelu(a),
    "dropout": lambda lib, a, b: lib.nn.functional.dropout(a, 0.0),
    "bce": lambda lib, a, b: lib.nn.functional.binary_cross_entropy(
        a.sigmoid(), a.sigmoid(), reduction="none"),
}
LIKE = {
    "clone": lambda lib, a, dim: a.clone(),
    "to": lambda lib, a, dim: a.to(lib.float64),
    "zeros_like": lambda lib, a, dim: lib.zeros_like(a),
    "rand_like": lambda lib, a, dim: lib.rand_like(a),
    "flip": lambda lib, a, dim: a.flip(dim),
    "sort": lambda lib, a, dim: a.sort(dim)[0],
    "softmax": lambda lib, a, dim: a.softmax(dim),
    "cumsum": lambda lib, a, dim: a.cumsum(dim),
    "index_fill": lambda lib, a, dim: a.index_fill(dim, lib.tensor([0], device=a.device), 1.0),
    "index_put": lambda lib, a, dim: a.index_put(
        (lib.tensor([0], device=a.device),), lib.tensor(1.0, device=a.device)),
    "index_select": lambda lib, a, dim: a.index_select(dim, lib.tensor([0, 0], device=a.device)),
    "gradient of the mean": lambda lib, a, dim: _gradient(lib, a, lambda x: x.mean(dim)),
}
REDUCTIONS = {name: (lambda lib, a, dim, name=name: getattr(a, name)(dim)) for name in (
    "sum", "mean", "var", "amax", "argmax", "prod", "logsumexp", "nansum")}
REDUCTIONS |= {
    "median": lambda lib, a, dim: a.median(dim)[0],
    "max": lambda lib, a, dim: a.max(dim)[0],
    "var_mean": lambda lib, a, dim: lib.var_mean(a, dim)[1],
    "aminmax": lambda lib, a, dim: lib.aminmax(a, dim=dim)[0],
}


def _gradient(lib, a, function):
    x = a.detach().clone().requires_grad_()
    y = function(x)
    return lib.autograd.grad(y, x, lib.ones_like(y))[0]


_steps = st.lists(st.tuples(st.sampled_from(sorted(VIEWS)), st.integers(0, 5), st.integers(0, 5)),
                  max_size=4)


def _seen(a, steps):
    for name, dim, number in steps:
        if a.dim() == 0 or name == "unfold" and a.shape[dim % a.dim()] < 2:
            continue
        a = VIEWS[name](a, dim % a.dim(), number)
    return a


def _strides(tensor):
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _same_strides(function):
    """The results of `function(lib, ones)` have equal strides, or torch refuses."""
    try:
        theirs = function(torch, lambda shape: torch.ones(shape))
    except (RuntimeError, IndexError):
        return
    device = "cpu" if harness.DEVICE == "cpu" else "cuda"
    ours = function(candidate(), lambda shape: candidate().ones(shape, device=device))
    assert ours.shape == tuple(theirs.shape)
    assert _strides(ours) == _strides(theirs), f"{tuple(theirs.shape)}"


@given(st.sampled_from(sorted(ELEMENTWISE)), st.sampled_from(SHAPES), st.sampled_from(SHAPES),
       _steps, _steps)
def test_elementwise(name, one, other, steps, other_steps):
    _same_strides(lambda lib, ones: ELEMENTWISE[name](
        lib, _seen(ones(one), steps), _seen(ones(other), other_steps)))


@given(st.sampled_from(sorted(ELEMENTWISE)), st.sampled_from(SHAPES), _steps)
def test_elementwise_with_the_transpose(name, shape, steps):
    def run(lib, ones):
        a = _seen(ones(shape), steps)
        return ELEMENTWISE[name](lib, a, a.permute(list(reversed(range(a.dim())))))

    _same_strides(run)


@given(st.sampled_from(sorted(LIKE | REDUCTIONS)), st.sampled_from(SHAPES), _steps,
       st.integers(0, 5))
def test_like_and_reduced(name, shape, steps, dim):
    def run(lib, ones):
        a = _seen(ones(shape), steps)
        return (LIKE | REDUCTIONS)[name](lib, a, dim % max(a.dim(), 1))

    _same_strides(run)


@given(st.sampled_from(SHAPES), _steps, st.integers(0, 2),
       st.sampled_from([[0], [0, 1], [[0, 0], [1, 0], [0, 1]]]))
def test_indexed(shape, steps, position, index):
    def run(lib, ones):
        a = _seen(ones(shape), [step for step in steps if step[0] != "narrow"])
        return a[(slice(None),) * position + (lib.tensor(index, device=a.device),)]

    _same_strides(run)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4)], ids=str)
@traced
def test_channels_last(torch, say, shape):
    x = torch.ones(shape)
    if len(shape) == 4:
        x = x.to(memory_format=torch.channels_last)
    for y in (x.exp(), x + x, x + 1, x.clone(), torch.where(x > 0, x, x), torch.zeros_like(x)):
        say(y.stride())
