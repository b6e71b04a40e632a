"""The argument `out=`: a result is written into a tensor that the caller provides.

Every primitive takes it (primitive.run); a function that prepares arguments for a primitive, or
composes several, says so with `@takes_out`. The op is computed as always and then copied: `out` may
be one of the operands.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from . import dtypes
from .core import TensorBase, give_array, look_at_histories, mode, version_of
from .device import ARRAY_MODULES
from .overlap import check_no_overlap, check_out_apart


def takes_out(function: Callable | None = None, *, casts: bool = False,
              name: str | None = None, words: str | None = None,
              check: Any = None, recorded: bool = False, apart: bool = False, warns: bool = True,
              ignores_grad: bool = False, in_rows: bool = False) -> Any:
    """Give `function` the keyword `out`: a tensor, or a tuple of them for several results.

    `casts`: out may have any dtype that the result can be cast to; else it must have the result's
    own, as torch has it for all that is not pointwise or a reduction. `words` are those in which
    torch refuses another, with {found} for the result's and {wanted} for out's; `check` raises
    by its own rule, given the two (a tuple has one for each result). `name` is what torch's errors
    call the function, if not its own name. `recorded`: out may be part of a graph, the result
    reaches it by a recorded `copy_`. `apart`: out may not lie over what is read, as where elements
    are looked up. `warns`: of an out that had another shape. `ignores_grad`: what is written may be
    a leaf that requires a gradient. `in_rows`: torch's kernel takes out for contiguous, and so it
    writes row after row from out's first element on, whatever the strides.
    """
    if function is None:
        return functools.partial(takes_out, casts=casts, name=name, words=words, check=check,
                                 recorded=recorded, apart=apart, warns=warns,
                                 ignores_grad=ignores_grad, in_rows=in_rows)
    check_dtype = check or (refusal(words) if words else
                            dtypes.check_castable if casts else check_same)
    errors_name = name or function.__name__

    def call(*args, out=None, **kwargs):
        if out is None:
            try:
                return function(*args, **kwargs)
            except (RuntimeError, IndexError, ValueError):
                look_at_histories(args)
                raise
        if apart:
            check_out_apart(out, args)
        if recorded:
            return copy_into(out, errors_name, check_dtype, function(*args, **kwargs))
        return write_into(out, errors_name, check_dtype, function, args, kwargs, apart=apart,
                          differentiable=not ignores_grad, warns=warns, in_rows=in_rows)

    functools.update_wrapper(call, function)
    call.takes_out = True  # type: ignore[attr-defined]
    return call


def write_into(out: Any, name: str, check_dtype: Any, function: Callable, args: tuple,
               kwargs: dict, differentiable: bool = True, apart: bool = False, warns: bool = True,
               in_rows: bool = False) -> Any:
    """Call `function` and put its results into `out`, which is returned."""
    several = isinstance(out, tuple | list)
    targets = tuple(out) if several else (out,)
    for target in targets:
        _require_tensor(name, target)
    if differentiable:
        refuse_gradients(name, [*targets, *args, *kwargs.values()])
    if mode.level is not None and _any_has_tangent([*targets, *args, *kwargs.values()]):
        raise NotImplementedError(f"Trying to use forward AD with {name}_out that does not support "
                                  "it because it is an out= function")
    result = function(*args, **kwargs)
    results = result if several else (result,)
    _check_dtypes(check_dtype, results, targets)
    for target, each in zip(targets, results, strict=True):
        if apart:
            fit(target, each._data.shape)
            check_out_apart(target, args)  # again: it may have grown
        fill(target, each._data, warns, in_rows)
    if not several:
        return out
    return type(result)(targets) if type(result) is tuple else type(result)(*targets)


def copy_into(out: Any, name: str, check_dtype: Any, result: Any) -> Any:
    """Put the result, or each of several, into `out` as one more op of the graph, as torch has it
    for what it composes of other ops and copies."""
    several = isinstance(out, tuple | list)
    targets, results = (out, result) if several else ((out,), (result,))
    for target in targets:
        _require_tensor(name, target)
    _check_dtypes(check_dtype, results, targets)
    for target, each in zip(targets, results, strict=True):
        fit(target, each._data.shape)
        target.copy_(each)
    return type(result)(*out) if several else out


def _check_dtypes(check: Any, results: Any, targets: Any) -> None:
    checks = check if isinstance(check, tuple) else (check,) * len(results)
    for judge, each, target in zip(checks, results, targets, strict=True):
        judge(each._data.dtype, target._data.dtype)


def _require_tensor(name: str, target: Any) -> None:
    if not isinstance(target, TensorBase):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(target).__name__}")


NO_GRADIENT = ("functions with out=... arguments don't support automatic differentiation, but one "
               "of the arguments requires grad.")


def refuse_gradients(name: str, arguments: list) -> None:
    """torch's error where something that goes into `name` is part of a graph."""
    if mode.grad is True and _any_requires_grad(arguments):
        raise RuntimeError(f"{name}(): {NO_GRADIENT}")


def _any_requires_grad(arguments: list) -> bool:
    return any(argument.requires_grad if isinstance(argument, TensorBase)
               else isinstance(argument, list | tuple) and _any_requires_grad(list(argument))
               for argument in arguments)


def _any_has_tangent(arguments: list) -> bool:
    return any(mode.level.of(argument) is not None if isinstance(argument, TensorBase)
               else isinstance(argument, list | tuple) and _any_has_tangent(list(argument))
               for argument in arguments)


def check_same(found: Any, wanted: Any) -> None:
    """The rule of most ops: out has the very dtype of the result."""
    if found != wanted:
        raise RuntimeError(f"Expected out tensor to have dtype {dtypes.of(found).c_name}, but "
                           f"got {dtypes.of(wanted).c_name} instead")


def refusal(words: str) -> Callable:
    """A rule that refuses any other dtype than the result's, in these words."""
    def check(found: Any, wanted: Any) -> None:
        if found != wanted:
            raise RuntimeError(words.format(found=dtypes.of(found).scalar_name,
                                            wanted=dtypes.of(wanted).scalar_name))

    return check


def castable(words: str) -> Callable:
    """A rule that refuses only a dtype of a lower category, in these words."""
    refuse = refusal(words)

    def check(found: Any, wanted: Any) -> None:
        if dtypes.of(found).category > dtypes.of(wanted).category:
            refuse(found, wanted)

    return check


# The same rule in the words of other families of torch's ops.
check_object = refusal("Expected object of scalar type {found} but got scalar type {wanted} for "
                       "argument 'out'")
check_found = refusal("Found dtype {wanted} but expected {found}")
check_scalar = refusal("expected scalar type {found} but found {wanted}")


def check_cat(found: Any, wanted: Any) -> None:
    """`cat` and its relatives cast as pointwise ops do, but say it in their own way."""
    if dtypes.of(found).category > dtypes.of(wanted).category:
        raise TypeError("torch.cat(): input types can't be cast to the desired output type "
                        f"{dtypes.of(wanted).scalar_name}")


def any_dtype(found: Any, wanted: Any) -> None:
    """No rule: the result is converted, whatever is lost."""


# --- into which new tensors are written ----------------------------------------------------------

def require_place(out: Any, dtype: Any, words: str = NO_GRADIENT) -> None:
    """Refuse an out of another dtype than the one that was asked for, or part of a graph."""
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(f"dtype {dtype.scalar_name} does not match dtype of out parameter "
                           f"({out.dtype.scalar_name})")
    if out.requires_grad and mode.grad is True:
        raise RuntimeError(words)


def written(out: Any, array: Any, dtype: Any = None, *, keeps_shape: bool = False) -> Any:
    """`out` with the array's values, resized where it has to be: with `keeps_shape` only where it
    has another number of elements."""
    require_place(out, dtype)
    if keeps_shape and out._data.size == array.size:
        array = array.reshape(out._data.shape)
    fill(out, ARRAY_MODULES[type(out._data)].asarray(array), warn=False)
    return out


# --- the way into memory -------------------------------------------------------------------------

def fill(target: Any, data: Any, warn: bool = True, in_rows: bool = False) -> None:
    """Write `data` into the tensor, which takes on its shape; see `takes_out` for `in_rows`."""
    from .ops.strided import flat_memory

    fit(target, data.shape, warn)
    check_no_overlap(target._data)
    if in_rows and not target._data.flags.c_contiguous:
        flat_memory(ARRAY_MODULES[type(data)], target._data, 0)[:data.size] = data.reshape(-1)
    else:
        target._data[...] = data
    version_of(target).count += 1


def fit(target: Any, shape: tuple[int, ...], warn: bool = True) -> None:
    """Give `out` the shape of its result; where it had elements, with torch's warning."""
    if target._data.shape != shape:
        if target._data.size and warn:
            warnings.warn(
                "An output with one or more elements was resized since it had shape "
                f"{list(target._data.shape)}, which does not match the required output shape "
                f"{list(shape)}. This behavior is deprecated, and in a future PyTorch release "
                "outputs will not be resized unless they have zero elements. You can explicitly "
                "reuse an out tensor t by resizing it, inplace, to zero elements with "
                "t.resize_(0).", UserWarning, stacklevel=5)
        resize(target, shape)


def resize(tensor: Any, shape: tuple[int, ...]) -> None:
    """Give the tensor this shape: over its own memory, from its first element on, if that is large
    enough; else over new memory that begins with the old elements."""
    from .ops.strided import flat_memory

    xp = ARRAY_MODULES[type(tensor._data)]
    count = math.prod(shape)
    memory = flat_memory(xp, tensor._data, 0)
    if memory.size < count:
        larger = xp.empty(count, memory.dtype)
        larger[:memory.size] = memory
        memory = larger
    give_array(tensor, memory[:count].reshape(shape))
