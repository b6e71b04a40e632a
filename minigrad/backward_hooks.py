"""Running the hooks of a node or a leaf during backward, and checking what they return.

In this order: the hooks of its outputs as tensors, `retain_grad`, the node's prehooks, the node
itself, the node's hooks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .core import Extras, TensorBase


def _name(hook: Any) -> str:
    return getattr(hook, "__name__", type(hook).__name__)


def run_tensor_hooks(hooks: Iterable, gradient: Any) -> Any:
    """Give the gradient to each hook in turn; what a hook returns takes its place."""
    for hook in hooks:
        replaced = hook(gradient)
        if replaced is not None:
            if not isinstance(replaced, TensorBase):
                raise TypeError("expected Variable, but hook returned "
                                f"'{type(replaced).__name__}'")
            _check_like(hook, replaced, gradient)
            gradient = replaced
    return gradient


def expect_nothing(returned: Any) -> None:
    """What a hook after the accumulation may return."""
    if isinstance(returned, TensorBase):
        raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    if returned is not None:
        raise TypeError(f"expected Variable, but hook returned '{type(returned).__name__}'")


def output_hooks(extras: Extras, arrived: list) -> None:
    """Hooks on the outputs as tensors; then `retain_grad` keeps what they left."""
    for output, hooks in extras.tensor_hooks.items():
        if arrived[output] is not None:
            arrived[output] = run_tensor_hooks(hooks, arrived[output])
    for output, reference in extras.retained.items():
        tensor = reference()
        if tensor is not None and arrived[output] is not None:
            kept = tensor._grad
            tensor._grad = (arrived[output].clone() if kept is None else kept + arrived[output])


def prehooks(extras: Extras, arrived: list) -> list:
    """`hook(grad_outputs)`: a tuple that it returns takes their place."""
    for hook in extras.pre_hooks:
        arrived = _replaced(hook, hook(tuple(arrived)), arrived)
    return arrived


def posthooks(extras: Extras, derived: list, arrived: list) -> list:
    """`hook(grad_inputs, grad_outputs)`: a tuple that it returns takes the place of the first."""
    for hook in extras.post_hooks:
        derived = _replaced(hook, hook(tuple(derived), tuple(arrived)), derived)
    return derived


def _replaced(hook: Any, returned: Any, gradients: list) -> list:
    if returned is None:
        return gradients
    if isinstance(returned, TensorBase):
        returned = (returned,)
    if not isinstance(returned, tuple | list):
        raise TypeError(f"expected tuple, but hook returned '{type(returned).__name__}'")
    if len(returned) != len(gradients):
        raise RuntimeError(f"hook '{_name(hook)}' has returned an incorrect number of values (got "
                           f"{len(returned)}, but expected {len(gradients)})")
    for new, old in zip(returned, gradients, strict=True):
        if new is not None and old is not None:
            _check_like(hook, new, old)
    return list(returned)


def _check_like(hook: Any, new: Any, old: Any) -> None:
    """A hook may change a gradient's values, nothing else."""
    if new._data.dtype != old._data.dtype:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the type of value (was "
                           f"{old.type()} got {new.type()})")
    if type(new._data) is not type(old._data):
        raise RuntimeError(f"hook '{_name(hook)}' has changed the type of value")
    if new._data.shape != old._data.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
