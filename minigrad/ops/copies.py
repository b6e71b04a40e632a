"""The view ops as copies: `expand_copy` is `expand`, but its result has memory of its own.

A copy is made as its view is, with the same rule; only the node's name says which of the two it
was. The unsafe_ ops are views too, but such that no later write is to be noticed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core import Node, mode, wrap
from ..out import takes_out
from . import complex as ops_complex
from . import convert, parts, shape, views
from .strided import as_strided


@functools.cache
def _renamed(kind: type[Node], name: str) -> type[Node]:
    """The same node under another name."""
    return type(name, (kind,), {"__slots__": ()})


def _detached(seen: Any, name_of: Callable, data_of: Callable) -> Any:
    """The view `seen` (or the views) as tensors in their own right, `name_of` their node."""
    several = type(seen) is tuple
    results = []
    for each in seen if several else (seen,):
        result = wrap(data_of(each._data))
        if each._node is not None:
            kind = type(each._node)
            if kind is kind.op.node:  # the node of several outputs is renamed once
                each._node.__class__ = _renamed(kind, name_of(kind))
            result._node, result._output, result._tracked = each._node, each._output, True
        if mode.level is not None:
            mode.level.copy(each, result)
        results.append(result)
    return tuple(results) if several else results[0]


def _copying(function: Callable, **options: Any) -> Callable:
    def copied(input: Any, *args: Any, **kwargs: Any) -> Any:
        return _detached(function(input, *args, **kwargs), lambda kind: f"{kind.__name__}_copy",
                         lambda data: data.copy(order="C"))

    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = copied_into(*args, out=out, **kwargs)
        return None if isinstance(out, tuple | list) else result

    call.__name__ = call.__qualname__ = f"{function.__name__.strip('_')}_copy"
    call.__doc__ = f"`{function.__name__.strip('_')}`, copied: the result has memory of its own."
    copied_into = takes_out(copied, name=call.__name__, **options)
    call.takes_out = True  # type: ignore[attr-defined]
    return call


def _unsafe(function: Callable) -> Callable:
    def call(input: Any, *args: Any, **kwargs: Any) -> Any:
        return _detached(function(input, *args, **kwargs), lambda kind: f"Unsafe{kind.__name__}",
                         lambda data: data)

    call.__name__ = call.__qualname__ = f"unsafe_{function.__name__}"
    call.__doc__ = f"`{function.__name__}`; that a part is written later will not be noticed."
    return call


def _expand(input: Any, size: Any, *, implicit: bool = False) -> Any:
    return views.expand(input, size)


def _permute(input: Any, dims: Any) -> Any:
    return views.permute(input, dims)


def _view(input: Any, size: Any = None, *, dtype: Any = None) -> Any:
    return views.view_(input, *(() if size is None else (size,)), dtype=dtype)


alias_copy = _copying(views.alias)
as_strided_copy = _copying(as_strided)
detach_copy = _copying(convert.detach)
diagonal_copy = _copying(parts.diagonal)
expand_copy = _copying(_expand)
permute_copy = _copying(_permute)
select_copy = _copying(parts.select)
slice_copy = _copying(parts.slice_)
split_copy = _copying(shape.split)
split_with_sizes_copy = _copying(shape.split_with_sizes, ignores_grad=True)
squeeze_copy = _copying(views.squeeze)
t_copy = _copying(views.t)
transpose_copy = _copying(views.transpose)
unbind_copy = _copying(shape.unbind)
unfold_copy = _copying(parts.unfold)
unsqueeze_copy = _copying(views.unsqueeze)
view_as_complex_copy = _copying(ops_complex.view_as_complex)
view_as_real_copy = _copying(ops_complex.view_as_real)
view_copy = _copying(_view)

unsafe_chunk = _unsafe(shape.chunk)
unsafe_split = _unsafe(shape.split)
unsafe_split_with_sizes = _unsafe(shape.split_with_sizes)

__all__ = [name for name in globals() if name.endswith("_copy") or name.startswith("unsafe_")]
