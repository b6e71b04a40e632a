"""A module as a function of its parameters: `functional_call` puts others in their place."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from ...core import TensorBase
from ..modules.module import Module

_MISSING: Any = object()


def functional_call(module: Module, parameters_and_buffers: dict[str, Any], args: Any = None,
                    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:
    """`torch.func.functional_call` under its old name. Deprecated."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.", FutureWarning, stacklevel=2)
    return call(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def call(module: Module, parameters_and_buffers: dict[str, Any], args: Any = None,
         kwargs: dict[str, Any] | None = None, tie_weights: bool = True,
         strict: bool = False) -> Any:
    """`module(*args, **kwargs)` with the tensors of the dictionary in the place of the module's
    own; afterwards these are back, and what forward wrote over is in the dictionary.

    A name given for a tensor that has several stands for all of them if `tie_weights`; `strict`
    demands every name and no other.
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **kwargs or {})


@contextlib.contextmanager
def replaced(module: Module, tensors: dict[str, Any], tie_weights: bool = False,
             strict: bool = False) -> Iterator[None]:
    """Inside, the module has the tensors of the dictionary in the place of its own."""
    given = _with_tied_names(module, tensors) if tie_weights else dict(tensors)
    if strict:
        _check_names(module, given)
    own: dict[str, Any] = {}
    try:
        for name, tensor in given.items():
            own[name] = _swap(module, name, tensor)
        yield
    finally:
        left = {name: _swap(module, name, tensor) for name, tensor in own.items()}
        tensors.update({name: left[name] for name in tensors if name in left})


def _named_tensors(module: Module) -> dict[str, Any]:
    return {**dict(module.named_parameters(remove_duplicate=False)),
            **dict(module.named_buffers(remove_duplicate=False))}


def _with_tied_names(module: Module, tensors: dict[str, Any]) -> dict[str, Any]:
    """The dictionary with the other names of each tensor that has several."""
    names: dict[int, set[str]] = {}
    for name, tensor in _named_tensors(module).items():
        names.setdefault(id(tensor), set()).add(name)
    given = dict(tensors)
    for tied in names.values():
        found = [name for name in tensors if name in tied]
        if len(tied) < 2 or not found:
            continue
        if len(found) > 1 and len({id(tensors[name]) for name in found}) > 1:
            raise ValueError(f"functional_call got multiple values for keys {sorted(tied)}, which "
                             "are tied. Consider using tie_weights=False")
        given.update(dict.fromkeys(tied, tensors[found[0]]))
    return given


def _check_names(module: Module, given: dict[str, Any]) -> None:
    known = set(_named_tensors(module))
    problems = [f"{kind} key(s): {', '.join(map(repr, sorted(names)))}."
                for kind, names in (("Unexpected", given.keys() - known),
                                    ("Missing", known - given.keys())) if names]
    if problems:
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t"
                           + "\n\t".join(problems))


def _owner(module: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        module = getattr(module, name)
        if not isinstance(module, Module):
            raise TypeError(f"submodule `{path}`: {module} is not an instance of torch.nn.Module")
    return module


def _swap(module: Module, name: str, tensor: Any) -> Any:
    """Put a tensor (or nothing) under a dotted name; what was there (or that nothing was)."""
    if tensor is not _MISSING and tensor is not None and not isinstance(tensor, TensorBase):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    path, _, name = name.rpartition(".")
    owner = _owner(module, path)
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            before = registry[name]
            if tensor is _MISSING:
                del registry[name]
            else:
                registry[name] = tensor  # past __setattr__: any tensor may stand for a parameter
            return before
    before = getattr(owner, name, _MISSING)
    if before is not _MISSING and before is not None and not isinstance(before, TensorBase):
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    if tensor is not _MISSING:
        setattr(owner, name, tensor)
    elif before is not _MISSING:
        delattr(owner, name)
    return before
