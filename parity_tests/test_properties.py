"""What must hold for any shape, index, equation and program: hypothesis looks for exceptions.

    pytest parity_tests/test_properties.py                              # the same 100 of each
    pytest parity_tests/test_properties.py --hypothesis-profile nightly # 2,000 new ones
"""

from __future__ import annotations

import math
import string

import numpy as np
import torch
from hypothesis import assume, event, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from parity_tests import harness
from parity_tests.harness import candidate, check, check_error
from parity_tests.random_programs import SHAPES, compare_outcomes, programs, run

shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def agree(inputs, fn, **options):
    """The same result, gradients and second gradients, or the same refusal."""
    masters = harness._masters(inputs, "float64")
    try:
        harness._call(torch, fn, [each.clone() if isinstance(each, torch.Tensor) else each
                                  for each in masters])
    except Exception:
        event("refused")
        check_error(inputs, fn, dtype="float64")
    else:
        check(inputs, fn, dtypes=("float64",), leaks=False, **options)


# --- shapes --------------------------------------------------------------------------------------

POINTWISE = [
    lambda lib, x, y, z: x + y * z,
    lambda lib, x, y, z: lib.where(x > 0, y, z),
    lambda lib, x, y, z: lib.maximum(x, y) / (2 + z.sin()),
    lambda lib, x, y, z: lib.addcmul(x, y, z, value=0.5),
    lambda lib, x, y, z: lib.lerp(x, y, z),
    lambda lib, x, y, z: x.sub(y, alpha=2) ** 2 - z,
]


@given(mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=4),
       st.sampled_from(POINTWISE))
def test_broadcasting(broadcast, fn):
    agree(list(broadcast.input_shapes), fn, same_graph=True)


@given(shapes, shapes)
def test_broadcasting_of_any_two_shapes(one, other):
    agree([one, other], lambda x, y: x * y)


@given(shapes, shapes)
def test_expand_and_sum_to_size(shape, target):
    agree([shape], lambda x: x.expand(target))
    agree([shape], lambda x: x.sum_to_size(target))


REDUCTIONS = [
    lambda x, dim, keep: x.sum(dim, keep),
    lambda x, dim, keep: x.mean(dim, keep),
    lambda x, dim, keep: x.amax(dim, keep),
    lambda x, dim, keep: x.amin(dim, keep),
    lambda x, dim, keep: x.var(dim, keepdim=keep),
    lambda x, dim, keep: x.std(dim, correction=0, keepdim=keep),
    lambda x, dim, keep: x.logsumexp(dim, keep),
    lambda x, dim, keep: x.norm(2, dim, keep),
    lambda x, dim, keep: x.norm(1, dim, keep),
    lambda x, dim, keep: x.count_nonzero(dim),
]


@st.composite
def reductions(draw):
    shape = draw(shapes)
    span = max(len(shape), 1)
    dims = st.lists(st.integers(-span, span - 1), max_size=span)
    return shape, tuple(draw(dims)), draw(st.booleans())


@given(reductions(), st.sampled_from(REDUCTIONS))
def test_reductions(case, fn):
    shape, dims, keep = case
    # torch's gradient of var(dim=()) divides by zero, and no numbers have no variance.
    assume(fn not in REDUCTIONS[4:6] or dims and math.prod(shape))
    agree([shape], lambda x: fn(x, dims, keep))


@given(reductions(), st.sampled_from(["sum", "prod", "cumsum", "cumprod", "softmax", "argmax"]))
def test_reductions_over_one_dim(case, name):
    shape, dims, _ = case
    agree([shape], lambda x: getattr(x, name)(dims[0] if dims else 0))


# --- indexing ------------------------------------------------------------------------------------

@st.composite
def indexings(draw):
    """A shape and an index that fits it: numbers, slices, None, an ellipsis, lists and masks."""
    shape = draw(array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    common = draw(st.sampled_from([(1,), (3,), (2, 1), (2, 3)]))
    index, dim = [], 0
    ellipsis = draw(st.integers(0, len(shape))) if draw(st.booleans()) else None
    while dim < draw(st.integers(dim, len(shape))):
        if ellipsis == dim:
            index.append(...)
            ellipsis, dim = None, dim + draw(st.integers(0, len(shape) - dim))
            continue
        size = shape[dim]
        kind = draw(st.sampled_from(["number", "slice", "list", "mask", "none", "all"]))
        if kind == "none":
            index.append(None)
            continue
        if kind == "number":
            index.append(draw(st.integers(-size, size - 1)))
        elif kind == "slice":
            bound = st.none() | st.integers(-size - 1, size + 1)
            index.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
        elif kind == "list":
            numbers = st.lists(st.integers(-size, size - 1), min_size=math.prod(common),
                               max_size=math.prod(common))
            index.append(np.array(draw(numbers)).reshape(common))
        elif kind == "mask":
            index.append(np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))))
        else:
            index.append(slice(None))
        dim += 1
    return shape, tuple(index)


def _index(lib, x, index):
    return tuple(lib.tensor(item, device=x.device) if isinstance(item, np.ndarray) else item
                 for item in index)


@given(indexings())
def test_indexing(case):
    shape, index = case
    agree([shape], lambda lib, x: x[_index(lib, x, index)])


@given(indexings(), st.sampled_from(["number", "like", "row"]))
def test_index_assignment(case, kind):
    shape, index = case

    def assign(lib, x, v):
        place = _index(lib, x, index)
        value = {"number": lambda: 2.5, "row": lambda: v[:1].sum(),
                 "like": lambda: x.detach()[place].cos() * v.sum()}[kind]()
        x[place] = value
        return x * 1

    agree([shape, (3,)], assign, mutates=True)


@given(indexings(), st.booleans())
def test_index_put_accumulates(case, accumulate):
    shape, index = case
    arrays = [item for item in index if isinstance(item, np.ndarray)]
    assume(arrays)
    agree([shape], lambda lib, x: x.index_put(_index(lib, x, arrays), x.sum() * 0 + 1.5,
                                              accumulate=accumulate))


@st.composite
def strided(draw):
    """A size of a base, and sizes, strides and an offset inside it, overlaps included."""
    sizes = draw(st.lists(st.integers(0, 3), max_size=3))
    strides = draw(st.lists(st.integers(0, 4), min_size=len(sizes), max_size=len(sizes)))
    offset = draw(st.integers(0, 3))
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)
                        if size)
    return last + 1 + draw(st.integers(0, 2)), tuple(sizes), tuple(strides), offset


@given(strided())
def test_as_strided(case):
    length, sizes, strides, offset = case
    agree([(length,)], lambda x: (x * 1).as_strided(sizes, strides, offset), noncontiguous=False)
    places = np.lib.stride_tricks.as_strided(np.arange(length)[offset:], sizes, [
        8 * stride for stride in strides])
    if len(set(places.flat)) == places.size:  # else a write has no defined result
        agree([(length,)], lambda x: x.as_strided(sizes, strides, offset).mul_(2), mutates=True,
              noncontiguous=False)


# --- einsum --------------------------------------------------------------------------------------

@st.composite
def equations(draw):
    """Operands with repeated, shared, broadcast and summed-out letters."""
    sizes = dict(zip("abcd", draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)),
                     strict=True))
    operands = draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    present = sorted(set("".join(operands)))
    output = "".join(draw(st.permutations(draw(st.lists(
        st.sampled_from(present), unique=True)) if present else [])))
    # A size of 1 broadcasts, except within one operand's repeated letter.
    shapes = [tuple(1 if operand.count(letter) == 1 and draw(st.integers(0, 4)) == 0
                    else sizes[letter] for letter in operand) for operand in operands]
    arrow = draw(st.sampled_from(["->" + output, "->" + output, ""]))
    return ",".join(operands) + arrow, shapes


@given(equations())
def test_einsum(case):
    equation, operands = case
    assert set(equation) <= set(string.ascii_lowercase + ",->")
    agree(operands, lambda lib, *tensors: lib.einsum(equation, *tensors))


# --- programs ------------------------------------------------------------------------------------

@given(programs, st.integers(0, 2**31))
def test_programs(program, seed):
    masters = [np.random.default_rng(seed + i).uniform(-1, 1, shape)
               for i, shape in enumerate(SHAPES)]
    device = "cpu" if harness.DEVICE == "cpu" else "cuda"
    want = run(torch, program, masters, "cpu")
    event("not differentiable" if want.first is None else
          "refused by the engine" if isinstance(want.first, str) else
          "one derivative" if want.second is None or isinstance(want.second, str) else
          "two derivatives")
    compare_outcomes(run(candidate(), program, masters, device), want)
