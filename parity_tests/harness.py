"""`check(inputs, fn)` runs a function in torch and in minigrad and demands equal results.

    check([(3, 4), (4,)], lambda x, y: x + y)                 # a shape stands for random numbers
    check([(3, 4)], lambda lib, x: lib.cumsum(x, 1))          # `lib` comes first: the library
    check([(3, 4)], lambda x: x.t(), strides=True, same_graph=True)
    check([(3, 4)], lambda x: x.mul_(2), mutates=True)
    check_error([(3,), (4,)], lambda x, y: x + y)             # the same exception, the same words
    program(lambda torch: torch.nn.Linear(3, 2).weight)       # the same seed, the same numbers

Torch on the CPU is the reference. The candidate is minigrad on `DEVICE`, unless `use_candidate`
puts another library in its place.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import linecache
import re
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from parity_tests.compare import (
    RTOL,
    compare,
    dtype_name,
    graph_signature,
    is_tensor,
    normalise,
    to_numpy,
)

DEVICE = "cpu"  # "cpu", "cuda" or "fake-cuda": conftest.py sets it from --device
_replacement = None


def levels_left_out() -> set[str]:
    """Levels of test_operators.py that do not depend on where the numbers are computed: they are
    not repeated on the stand-in."""
    if DEVICE != "fake-cuda":
        return set()
    return {"graph", "method", "inplace", "out", "errors", "promotion", "extremal"}


def candidate() -> Any:
    """The library on trial: minigrad, or what `use_candidate` put in its place."""
    return _replacement or importlib.import_module("minigrad")


@contextlib.contextmanager
def use_candidate(lib: Any, device: str = "cpu") -> Iterator[None]:
    """Put another library on trial inside a `with` block."""
    global _replacement, DEVICE
    before = _replacement, DEVICE
    _replacement, DEVICE = lib, device
    try:
        yield
    finally:
        _replacement, DEVICE = before


# -------------------------------------------------------------------------------------------------
# Inputs: one master copy of each, a torch tensor, from which both engines' tensors are made
# -------------------------------------------------------------------------------------------------

def _is_shape(spec: Any) -> bool:
    return isinstance(spec, tuple) and all(type(size) is int for size in spec)


def _takes_dtype(spec: Any) -> bool:
    if isinstance(spec, list):
        return any(_takes_dtype(item) for item in spec)
    return _is_shape(spec) or (isinstance(spec, np.ndarray) and spec.dtype.kind in "fc")


def _masters(inputs, dtype="float32", domain=None, seed=None) -> list:
    """The case's inputs: always the same numbers for the same inputs."""
    if seed is None:
        seed = zlib.crc32(normalise(repr(inputs)).encode())
    rng = np.random.default_rng(seed)
    return [_master(spec, rng, getattr(torch, dtype), domain) for spec in inputs]


def _master(spec: Any, rng: np.random.Generator, dtype: torch.dtype, domain) -> Any:
    if isinstance(spec, list):
        return [_master(item, rng, dtype, domain) for item in spec]
    if _is_shape(spec):
        return _random(spec, rng, dtype, domain)
    if isinstance(spec, torch.Tensor):
        return spec.detach().clone()
    if not isinstance(spec, np.ndarray):
        return spec
    if spec.dtype.kind == "c":
        return torch.tensor(spec).to(dtype.to_complex() if dtype.is_floating_point else dtype)
    return torch.tensor(spec).to(dtype) if spec.dtype.kind == "f" else torch.tensor(spec)


def _random(shape: tuple, rng: np.random.Generator, dtype: torch.dtype, domain) -> torch.Tensor:
    draw = lambda: rng.uniform(*domain, shape) if domain else rng.standard_normal(shape)
    if dtype is torch.bool:
        values = rng.random(shape) < 0.5
    elif dtype.is_complex:
        values = draw() + 1j * draw()
    elif dtype.is_floating_point:
        values = draw()
    else:
        low, high = domain or (-9 if dtype.is_signed else 0, 10)
        values = rng.integers(low, high, shape)
    return torch.tensor(values).to(dtype)


def _tensor(lib: Any, master: torch.Tensor, device: str) -> Any:
    tensor = lib.tensor(to_numpy(master))
    if master.dtype is torch.bfloat16:
        tensor = tensor.to(lib.bfloat16)
    return tensor if device == "cpu" else tensor.to("cuda")


def _spread(master: torch.Tensor) -> torch.Tensor:
    """A larger tensor from which `_gather` takes `master`, its strides neither dense nor sorted."""
    turned = master.transpose(0, -1)
    return torch.stack([turned, torch.ones_like(turned)], -1).flatten(-2)


def _gather(tensor: Any) -> Any:
    return tensor[..., ::2].transpose(0, -1)


def _flat(nest: Any) -> list:
    """The tensors of a nest of tuples, lists and dicts, in order."""
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (tuple, list)):
        return [tensor for item in nest for tensor in _flat(item)]
    return [nest] if is_tensor(nest) else []


def _call(lib: Any, fn: Callable, arguments: Sequence[Any]) -> Any:
    first = next(iter(inspect.signature(fn).parameters), "")
    return fn(lib, *arguments) if first in ("lib", "torch") else fn(*arguments)


def _describe(fn: Callable) -> str:
    code = getattr(fn, "__code__", None)
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip() if code else ""
    return line or repr(fn)


class _Side:
    """One engine with its own copy of the inputs.

    Gradients are taken in `leaves`. A function that mutates its arguments gets clones (`bases`), or
    strided views of clones, which then count as outputs too.
    """

    def __init__(self, lib, device, masters, fn, *, grad, spread, mutates, random):
        self.lib, self.device, self.grad, self.spread = lib, device, grad, spread
        self.mutates = mutates
        self.leaves: list = []
        self.bases: list = []
        arguments = [self._argument(master) for master in masters]
        self.before = [to_numpy(leaf) for leaf in self.leaves]
        if random:
            lib.manual_seed(0)
        result = _call(lib, fn, arguments)
        self.outputs = (result, self.bases) if mutates else result

    def _argument(self, master):
        if isinstance(master, list):
            return [self._argument(item) for item in master]
        if not isinstance(master, torch.Tensor):
            return master
        spread = self.spread and master.ndim > 0
        if self.mutates:
            leaf = _tensor(self.lib, _spread(master) if spread else master, self.device)
        else:
            leaf = self._constant(master)
        if self.grad and dtype_name(leaf) in RTOL:
            leaf.requires_grad_()
        self.leaves.append(leaf)
        if not self.mutates:
            return leaf
        self.bases.append(leaf.clone())
        return _gather(self.bases[-1]) if spread else self.bases[-1]

    def _constant(self, master):
        if not (self.spread and master.ndim > 0):
            return _tensor(self.lib, master, self.device)
        return _gather(_tensor(self.lib, _spread(master), self.device)).detach()

    def differentiable(self) -> list:
        return [output for output in _flat(self.outputs) if output.requires_grad]

    def gradients(self, masters, create_graph=False):
        """d outputs / d leaves along cotangents, which with `create_graph` are variables too."""
        self.variables = [leaf for leaf in self.leaves if leaf.requires_grad]
        self.cotangents = [self._constant(master) for master in masters]
        for cotangent in self.cotangents:
            cotangent.requires_grad_(create_graph)
        self.first = self.lib.autograd.grad(
            self.differentiable(), self.variables, self.cotangents,
            create_graph=create_graph, allow_unused=True)
        return self.first

    def second_gradients(self, masters):
        """The gradients' own gradients, in the leaves and in the first cotangents."""
        variables = self.variables + self.cotangents
        pairs = [(gradient, self._constant(master))
                 for gradient, master in zip(self.first, masters, strict=True)
                 if gradient is not None and gradient.requires_grad]
        if not pairs:
            return (None,) * len(variables)
        gradients, weights = zip(*pairs, strict=True)
        return self.lib.autograd.grad(gradients, variables, weights, allow_unused=True)

    def untouched(self) -> bool:
        return all(np.array_equal(to_numpy(leaf), before, equal_nan=before.dtype.kind in "fc")
                   for leaf, before in zip(self.leaves, self.before, strict=True))


# -------------------------------------------------------------------------------------------------
# The checks
# -------------------------------------------------------------------------------------------------

def check(
    inputs: Sequence[Any], fn: Callable, *, grad: bool = True, second: bool = True,
    dtypes: Sequence[str] = ("float64", "float32"), noncontiguous: bool = True,
    rtol: float | None = None, atol: float | None = None, domain: tuple | None = None,
    same_graph: bool = False, strides: bool = False, mutates: bool = False, leaks: bool = True,
    random: bool = False, seed: int | None = None,
) -> None:
    """Run `fn` in both engines: values, shapes, dtypes, gradients, second gradients, side effects.

    inputs         shapes, NumPy arrays, torch tensors, lists of these; anything else goes to `fn`
                   as it is. Shapes and floating arrays come in each of `dtypes`; other arrays and
                   tensors keep theirs. What is floating or complex requires grad if `grad`.
    noncontiguous  once more, in the first dtype, with strided inputs and strided cotangents
    domain         (low, high) of the random numbers; else standard normal, integers of -9 ... 9
    same_graph     the recorded graphs must have the same nodes and the same edges
    strides        the results must have the same stride(), for contiguous inputs
    mutates        `fn` writes into its arguments: it gets clones, and they are compared as well
    leaks          with the garbage collector off, everything must die with its last reference
    random         `manual_seed(0)` in both engines before each run
    """
    variants = [(name, False) for name in dtypes]
    if not _takes_dtype(list(inputs)):
        variants = variants[:1]
    if noncontiguous:
        variants.append((dtypes[0], True))

    for number, (dtype, spread) in enumerate(variants):
        masters = _masters(inputs, dtype, domain, seed)
        make = lambda lib, device, masters=masters, spread=spread: _Side(
            lib, device, masters, fn, grad=grad, spread=spread, mutates=mutates, random=random)
        try:
            cotangents = _check_values(
                make, second, same_graph, dict(rtol=rtol, atol=atol), strides and not spread)
            if leaks and number == 0:
                _check_leaks(lambda make=make: make(candidate(), DEVICE), cotangents)
        except Exception as error:
            layout = "strided" if spread else "contiguous"
            error.add_note(f"in {_describe(fn)}\nwith inputs {inputs}, {dtype}, {layout}")
            raise


def _check_values(make, second, same_graph, tolerances, strides) -> tuple:
    """Compare all there is to compare; returns the cotangents of first and second order."""
    ours, theirs = make(candidate(), DEVICE), make(torch, "cpu")
    compare(ours.outputs, theirs.outputs, strides=strides, **tolerances)
    if same_graph:
        _compare_graphs(ours, theirs)
    like = lambda tensor: None if tensor is None else _random(
        tuple(tensor.shape), np.random.default_rng(tensor.numel()), tensor.dtype, None)
    first = [like(output) for output in theirs.differentiable()]
    second_order: list | None = None
    if first:
        compare(ours.gradients(first), theirs.gradients(first), "gradient", order=1, **tolerances)
        _check_untouched(ours, first)
        # A backward pass that works in place may write into what the user still holds.
        compare(ours.outputs, theirs.outputs, "result after backward", **tolerances)
    _check_untouched(ours, first)

    if first and second:
        ours, theirs = make(candidate(), DEVICE), make(torch, "cpu")
        got, want = (side.gradients(first, create_graph=True) for side in (ours, theirs))
        compare(got, want, "gradient with create_graph", order=1, flags=False, **tolerances)
        second_order = [like(gradient) for gradient in theirs.first]
        compare(ours.second_gradients(second_order), theirs.second_gradients(second_order),
                "second gradient", order=2, none_is_zero=True, **tolerances)
        _check_untouched(ours, first)
    return first, second_order


def _check_untouched(side: _Side, cotangents: list) -> None:
    assert side.untouched(), "the candidate mutated an input (mutates=True, if that is its job)"
    if cotangents:
        assert all(np.array_equal(to_numpy(tensor), to_numpy(master), equal_nan=True)
                   for tensor, master in zip(side.cotangents, cotangents, strict=True)), (
            "the candidate's backward pass mutated a grad_output")


def _compare_graphs(ours: _Side, theirs: _Side) -> None:
    show = lambda graph: "\n".join(f"    {i}: {name} {edges}"
                                   for i, (name, edges) in enumerate(graph))
    pairs = zip(_flat(ours.outputs), _flat(theirs.outputs), strict=True)
    for i, (got, want) in enumerate(pairs):
        mine, reference = graph_signature(got, ours.leaves), graph_signature(want, theirs.leaves)
        assert mine == reference, (f"the graph of result {i} differs\n  candidate\n{show(mine)}\n"
                                   f"  torch\n{show(reference)}")


def _check_leaks(make: Callable, cotangents: tuple) -> None:
    """Run once more and let go of everything: nothing may wait for the garbage collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        watched = _watch(make(), *cotangents)
        alive = sorted({name for name, reference in watched if reference() is not None})
    finally:
        if enabled:
            gc.enable()
    assert not alive, f"still referenced after the last user reference is gone: {', '.join(alive)}"


def _watch(side: _Side, first: list, second: list | None) -> list[tuple[str, weakref.ref]]:
    held = {"an input": side.leaves, "a result": _flat(side.outputs)}
    if first:
        held["a gradient"] = side.gradients(first, create_graph=second is not None)
        if second is not None:
            held["a second gradient"] = side.second_gradients(second)
    tensors = [(name, tensor) for name, group in held.items() for tensor in group
               if tensor is not None]
    arrays = [(f"the array of {name}", getattr(tensor, "_data", None)) for name, tensor in tensors]
    return [(name, weakref.ref(held)) for name, held in tensors + arrays
            if type(held).__weakrefoffset__]


def check_error(
    inputs: Sequence[Any], fn: Callable, match: str | None = None, *, grad: bool = False,
    dtype: str = "float32", domain: tuple | None = None,
) -> None:
    """Both engines must raise: the same class and the same words.

    With `match` a pattern that both messages contain will do: for messages whose tail tells of
    torch's internals. `grad` lets floating inputs require grad. Where torch raises a class of its
    own, the candidate's must derive from the same built-in class.
    """
    masters = _masters(inputs, dtype, domain)
    raised = []
    for lib, device in ((candidate(), DEVICE), (torch, "cpu")):
        try:
            _Side(lib, device, masters, fn, grad=grad, spread=False, mutates=False, random=False)
        except Exception as error:
            raised.append(error)
        else:
            raised.append(None)
    got, want = raised
    context = f"\nin {_describe(fn)}\nwith inputs {inputs}"
    assert want is not None, f"torch raises nothing, the candidate {got!r}{context}"
    assert got is not None, f"the candidate raises nothing, torch {want!r}{context}"
    try:
        builtin = next(base for base in type(want).__mro__ if base.__module__ == "builtins")
        fits = isinstance(got, builtin) if builtin is not type(want) else type(got) is builtin
        assert fits, f"candidate {got!r}, torch {want!r}{context}"
        mine, theirs = normalise(str(got)), normalise(str(want))
        both = f"\n  candidate: {mine}\n  torch:     {theirs}{context}"
        if match is None:
            assert mine == theirs, f"other words{both}"
        else:
            assert re.search(match, theirs) and re.search(match, mine), f"not {match!r}{both}"
    except AssertionError as mismatch:
        raise mismatch from got  # with the traceback of where the candidate raised


def program(
    fn: Callable, *, seed: int = 0, rtol: float | None = None, atol: float | None = None,
    strides: bool = False,
) -> None:
    """Run the same small program `fn(lib)` from the same seed and compare what it returns.

    `fn(lib, device)` also gets the device it should use. The result is any nest of tensors,
    numbers, strings, dtypes, arrays. Tensors and floats have the second gradient's tolerance,
    because a program is many ops long.
    """
    results = []
    for lib, device in ((candidate(), DEVICE), (torch, "cpu")):
        lib.manual_seed(seed)
        place = ("cpu" if device == "cpu" else "cuda",)
        results.append(fn(lib, *place[:len(inspect.signature(fn).parameters) - 1]))
    try:
        compare(*results, "program's result", order=2, rtol=rtol, atol=atol, strides=strides)
    except AssertionError as error:
        error.add_note(f"in {_describe(fn)}")
        raise
