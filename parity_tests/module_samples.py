"""Torch's own module database, made to run in minigrad: modules built, inputs translated.

Torch tests its modules with `module_db`: for each class sample arguments of the constructor and of
`forward`, and arguments that must fail. The database has one entry a class of torch.nn; those that
the candidate does not have yet are missing in the matrix, not here.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
from torch.testing._internal.common_utils import noncontiguous_like

from parity_tests.harness import candidate
from parity_tests.operator_samples import quiet, spread_evenly, translated


def title(info: Any) -> str:
    """"nn.Conv2d"."""
    return info.name


BY_TITLE = {title(info): info for info in module_db}


def class_of(info: Any, lib: Any) -> Any:
    """The entry's class in `lib`; None if it is missing."""
    return info.module_cls if lib is torch else getattr(lib.nn, info.module_cls.__name__, None)


def present() -> list:
    """The entries whose class the candidate has."""
    return [info for info in module_db if class_of(info, candidate()) is not None]


class Sample(NamedTuple):
    """Arguments of the constructor and of forward, as torch's: (args, kwargs) each."""

    constructor: tuple[tuple, dict]
    forward: tuple[tuple, dict]


class ErrorSample(NamedTuple):
    """A sample that torch refuses, when and in words that fit a pattern."""

    sample: Sample
    while_constructing: bool
    pattern: str


def _sample(given: Any) -> Sample:
    forward = given.forward_input
    return Sample((given.constructor_input.args, given.constructor_input.kwargs),
                  ((), {}) if forward is None else (forward.args, forward.kwargs))


def samples_of(info: Any, dtype: torch.dtype, grad: bool, training: bool, limit: int
               ) -> list[Sample]:
    """At most `limit` of the entry's samples, spread evenly over all of them."""
    torch.manual_seed(0)
    with quiet():
        given = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=grad,
                                        training=training)
    return [_sample(each) for each in spread_evenly(list(given), limit)]


def error_samples_of(info: Any) -> list[ErrorSample]:
    """Arguments that torch refuses."""
    torch.manual_seed(0)
    with quiet():
        given = info.module_error_inputs_func(info, device="cpu", dtype=torch.float64,
                                              requires_grad=False, training=True)
    return [ErrorSample(_sample(each.module_error_input),
                        each.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR, each.error_regex)
            for each in given]


# --- values --------------------------------------------------------------------------------------

def each_tensor(change: Callable, value: Any) -> Any:
    """The nest of arguments with every tensor changed by `change`."""
    match value:
        case torch.nn.Parameter() | torch.nn.Module():
            return value
        case torch.Tensor():
            return change(value)
        case PackedSequence():
            return PackedSequence(change(value.data), *value[1:])
        case tuple() | list():
            return type(value)(each_tensor(change, item) for item in value)
        case dict():
            return {key: each_tensor(change, item) for key, item in value.items()}
    return value


def fresh(value: Any) -> Any:
    """Leaves of their own: a run may write into its arguments. One tensor given twice stays one."""
    known: dict = {}

    def copied(tensor):
        if id(tensor) not in known:
            known[id(tensor)] = _leaf(tensor)
        return known[id(tensor)]

    return each_tensor(copied, value)


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides, as `translated` makes it; an expanded one is only read."""
    if 0 in tensor.stride():
        return tensor.detach()
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor.detach()).requires_grad_(tensor.requires_grad)


def strided(value: Any, integers: bool = True) -> Any:
    """The same numbers, the tensors (those of `integers` too) not contiguous."""
    def spread(tensor):
        wanted = tensor.ndim and (integers or tensor.dtype.is_floating_point)
        return noncontiguous_like(tensor) if wanted else tensor

    return each_tensor(spread, value)


def cast(value: Any, dtype: torch.dtype) -> Any:
    """The floating tensors among the arguments, in another dtype."""
    def converted(tensor):
        if not tensor.dtype.is_floating_point or dtype.is_complex:
            return tensor
        return tensor.detach().to(dtype).requires_grad_(tensor.requires_grad)

    return each_tensor(converted, value)


def arguments(lib: Any, given: tuple[tuple, dict]) -> tuple[tuple, dict]:
    """The arguments as `lib` wants them: torch's own copies, or all of them translated."""
    if lib is torch:
        return fresh(given)
    return translated(_without_torch(given))


def _without_torch(value: Any) -> Any:
    """Functions and modules of torch by those of the candidate; tensors remain."""
    match value:
        case torch.nn.TransformerEncoderLayer():
            return _encoder_layer(value)
        case types.FunctionType() | types.BuiltinFunctionType():
            lib = candidate()
            name = value.__name__
            return getattr(lib.nn.functional, name, None) or getattr(lib, name)
        case PackedSequence():
            return candidate().nn.utils.rnn.PackedSequence(*map(translated, value))
        case tuple() | list():
            return type(value)(_without_torch(item) for item in value)
        case dict():
            return {key: _without_torch(item) for key, item in value.items()}
    return value


def _encoder_layer(layer: Any) -> Any:
    """The layer that a TransformerEncoder copies: the same options, the same weights."""
    mine = candidate().nn.TransformerEncoderLayer(
        layer.linear1.in_features, layer.self_attn.num_heads, layer.linear1.out_features,
        layer.dropout.p, _without_torch(layer.activation), layer.norm1.eps,
        layer.self_attn.batch_first, layer.norm_first, layer.linear1.bias is not None,
        dtype=translated(layer.linear1.weight.dtype))
    mine.load_state_dict(translated(dict(layer.state_dict())))
    return mine
