"""Torch's own operator database, made to run in minigrad: inputs translated, functions found.

Torch tests its operators with `op_db`: for each operator sample inputs of every kind (broadcast,
strided, empty, 0-d, keyword arguments) and inputs that must fail.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import BinaryUfuncInfo, UnaryUfuncInfo

from parity_tests import harness
from parity_tests.compare import dtype_name, to_numpy
from parity_tests.gauge import Run, determined
from parity_tests.harness import candidate
from parity_tests.out_of_scope import is_out_of_scope

# -------------------------------------------------------------------------------------------------
# Functions
# -------------------------------------------------------------------------------------------------

def _attribute(owner: Any, path: str) -> Any:
    for part in path.split("."):
        owner = getattr(owner, part, None)
    return owner


def _public(op: Any, lib: Any) -> Any:
    """What `lib` has under the operator's name: a function, or else a method of Tensor."""
    if op.name == "slice" and lib is not torch:  # torch.ops.aten.slice: what `x[a:b:c]` calls
        from minigrad.ops.parts import slice_

        return slice_
    if not op.name.startswith("__") and callable(function := _attribute(lib, op.name)):
        return function
    return getattr(lib.Tensor, op.name, None) or getattr(lib.Tensor, f"{op.name}_", None)


def _is_adapter(function: Any) -> bool:
    return (isinstance(function, types.FunctionType)
            and function.__module__.startswith("torch.testing."))


def function_of(op: Any, lib: Any) -> Callable:
    """The operator in `lib`, with the signature that the samples are made for.

    Where the database wraps torch's function in a lambda that reorders arguments or sets a seed,
    that lambda's code runs with `lib` in the place of its global `torch`.
    """
    if not _is_adapter(op.op):
        return op.op if lib is torch else _public(op, lib)

    def seeded(function, *args, **kwargs):
        lib.manual_seed(42)
        return function(*args, **kwargs)

    names = op.op.__globals__ | {"torch": lib, "wrapper_set_seed": seeded}
    return types.FunctionType(op.op.__code__, names, op.name, op.op.__defaults__)


def method_name(op: Any) -> str | None:
    """The method that does what the operator does, where torch has one."""
    return _name_in_tensor(op.get_method())


def in_place_name(op: Any) -> str | None:
    """The in-place method that does what the operator does, where torch has one."""
    return _name_in_tensor(op.get_inplace())


def _name_in_tensor(function: Any) -> str | None:
    name = getattr(function, "__name__", "")
    return name if getattr(torch.Tensor, name, None) is not None else None


def aliases_of(op: Any) -> list[str]:
    """Other names of the same operator: torch.absolute for torch.abs."""
    return [alias.name.removeprefix("torch.") for alias in op.aliases]


def method(name: str) -> Callable:
    def call(tensor, *args, **kwargs):
        return getattr(tensor.clone() if name.endswith("_") else tensor, name)(*args, **kwargs)

    return call


def title(op: Any) -> str:
    return op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")


BY_TITLE = {title(op): op for op in op_db}


def in_scope() -> list:
    """The entries of the database that minigrad means to have."""
    return [op for op in op_db if not is_out_of_scope(title(op))]


def present() -> list:
    """Those of them that the candidate has."""
    return [op for op in in_scope() if _public(op, candidate()) is not None]


def has_name(name: str, lib: Any) -> bool:
    """Whether `lib` has this function, by its dotted name in torch, or this method."""
    return (_attribute(lib, name) is not None
            or getattr(lib.Tensor, name, None) is not None)


def is_pointwise(op: Any) -> bool:
    return isinstance(op, (UnaryUfuncInfo, BinaryUfuncInfo))


def is_pointwise_binary(op: Any) -> bool:
    return isinstance(op, BinaryUfuncInfo)


# -------------------------------------------------------------------------------------------------
# Samples
# -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.lru_cache(maxsize=16)
def _all_samples(name: str, dtype: torch.dtype, grad: bool, reference: bool) -> list:
    op = BY_TITLE[name]
    torch.manual_seed(0)
    make = op.reference_inputs if reference else op.sample_inputs
    with quiet():
        return list(make("cpu", dtype, requires_grad=grad))


def samples_of(op: Any, dtype: torch.dtype, grad: bool, limit: int) -> list:
    """At most `limit` of the operator's samples, spread evenly over all of them."""
    return spread_evenly(_all_samples(title(op), dtype, grad, False), limit)


def reference_samples_of(op: Any, dtype: torch.dtype, limit: int) -> list:
    """The same of the inputs by which torch compares its operators with NumPy's."""
    return spread_evenly(_all_samples(title(op), dtype, False, True), limit)


def spread_evenly(samples: list, limit: int) -> list:
    """At most `limit` of them, from all over the list."""
    count = min(limit, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


@contextlib.contextmanager
def noting(sample: Any, function: Callable) -> Iterator[None]:
    """Failures inside the block tell which sample it was."""
    try:
        yield
    except Exception as error:
        arguments = [described(each) for each in (sample.input, *sample.args)]
        named = [f"{name}={described(each)}" for name, each in sample.kwargs.items()]
        error.add_note(f"{function.__name__}({', '.join(arguments + named)})")
        raise


def described(value: Any) -> str:
    """A tensor by its shape and dtype: its numbers may be many."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(described, value))}]"
    return repr(value)


def error_samples_of(op: Any) -> list:
    """Inputs that torch refuses, each with the class and a pattern of the words."""
    torch.manual_seed(0)
    with quiet():
        return [case for case in op.error_inputs("cpu") if _exists_in_numpy(case.sample_input)]


def _exists_in_numpy(sample: Any) -> bool:
    """Whether minigrad can have such tensors at all: an array of NumPy has at most 64 dimensions
    and its numbers, which those on torch's "meta" device lack."""
    tensors = flat([sample.input, list(sample.args), sample.kwargs])
    return all(tensor.ndim <= 64 and tensor.device.type != "meta" for tensor in tensors)


def flat(nest: Any) -> list:
    """The tensors of a nest, in order."""
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (tuple, list)):
        return [tensor for item in nest for tensor in flat(item)]
    return [nest] if hasattr(nest, "requires_grad") else []


def translated(value: Any, known: dict | None = None) -> Any:
    """The nest of torch's tensors, dtypes and devices in the candidate's own.

    Tensors keep their strides and `requires_grad`; a tensor that occurs twice, in one nest or in
    all that share `known`, becomes one tensor, and tensors that share memory share it again.
    """
    known = {} if known is None else known
    lib = candidate()
    match value:
        case torch.Tensor():
            if id(value) not in known:
                known[id(value)] = value, _tensor(lib, value, known)
            return known[id(value)][1]
        case torch.dtype() | torch.layout() | torch.memory_format():
            return getattr(lib, str(value).removeprefix("torch."))
        case torch.device() | "cpu":
            return _place()
        case torch.Size() | tuple() | list():
            items = [translated(item, known) for item in value]
            return items if isinstance(value, list) else tuple(items)
        case dict():
            return {key: _place() if key == "device" else translated(item, known)
                    for key, item in value.items()}
        case torch.nn.PairwiseDistance():
            return lib.nn.PairwiseDistance(value.norm, value.eps, value.keepdim)
        case _ if type(value).__name__ == "LinearCrossEntropyOptions":  # new in torch 2.13
            return lib.nn.LinearCrossEntropyOptions(**{
                field.name: translated(getattr(value, field.name), known)
                for field in dataclasses.fields(value)})
        case slice():
            return slice(*(translated(end, known)
                           for end in (value.start, value.stop, value.step)))
    return value


def _place() -> str:
    return "cpu" if harness.DEVICE == "cpu" else "cuda"


def _tensor(lib: Any, value: torch.Tensor, known: dict) -> Any:
    """The candidate's copy: the numbers of the whole storage, seen through the same strides.

    Samples are made without recording: where torch's own is a view of a leaf, it says that it
    requires a gradient but leads to no leaf. So does the copy, made in the same way.
    """
    plain = value.detach()
    if plain.is_conj() or plain.is_neg() or plain._is_zerotensor():
        plain = plain.clone()
        known[id(plain)] = plain, None  # it stays alive, so no other gets its memory
    memory = plain.untyped_storage().data_ptr(), plain.dtype
    size = plain.untyped_storage().nbytes() // plain.itemsize
    whole = plain.is_contiguous() and size == plain.numel()
    if plain.numel() and memory in known:
        tensor, whole = known[memory].detach(), False
    else:
        # A copy of its own: torch never resizes memory again that NumPy has seen.
        numbers = (plain if whole else plain.as_strided((size,), (1,), 0)).clone()
        tensor = lib.tensor(to_numpy(numbers))
        if dtype_name(plain) == "bfloat16":
            tensor = tensor.to(lib.bfloat16)
        tensor = tensor.to(_place())
    if _leads_nowhere(value):
        tensor.requires_grad_()
        with lib.no_grad():
            return tensor.as_strided(plain.shape, plain.stride(), plain.storage_offset())
    if not whole:
        tensor = tensor.as_strided(plain.shape, plain.stride(), plain.storage_offset())
    known[memory] = tensor
    return tensor.requires_grad_(value.requires_grad)


def _leads_nowhere(value: torch.Tensor) -> bool:
    if not (value.requires_grad and value.is_leaf and value._is_view()):
        return False
    return value.view_as(value).grad_fn.next_functions[0][0] is None


# -------------------------------------------------------------------------------------------------
# Directions
# -------------------------------------------------------------------------------------------------

def random_like(tensors, requires_grad=False):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal(tuple(tensor.shape))).to(tensor.dtype)
            .requires_grad_(requires_grad) for tensor in tensors]


def tangents(op: Any, lib: Any, function: Callable, sample: Any, known: dict) -> Any:
    """The tangents of the outputs in `lib`, as far as they are determined, or what it raised."""
    arguments = [(sample.input, *sample.args), sample.kwargs]
    moving = [tensor for tensor in flat(arguments) if tensor.requires_grad]
    given = [tensor.detach() for tensor in moving], random_like(moving)
    if lib is not torch:
        moving, given, arguments = [translated(each, known)
                                    for each in (moving, given, arguments)]
    lib.manual_seed(0)
    with lib.autograd.forward_ad.dual_level():
        duals = [lib.autograd.forward_ad.make_dual(*each) for each in zip(*given, strict=True)]
        args, kwargs = replaced(arguments, moving, duals)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if lib is torch:
                return error
            raise
        found = determined(op, Run(lib, result, [args, kwargs]))
        return [lib.autograd.forward_ad.unpack_dual(each).tangent for each in flat(found)]


def replaced(nest: Any, old: list, new: list) -> Any:
    """The nest with each tensor of `old` replaced by that of `new`."""
    if isinstance(nest, dict):
        return {key: replaced(item, old, new) for key, item in nest.items()}
    if isinstance(nest, (list, tuple)) and type(nest) in (list, tuple):
        return type(nest)(replaced(item, old, new) for item in nest)
    return next((b for a, b in zip(old, new, strict=True) if a is nest), nest)
