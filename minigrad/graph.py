"""A tensor's place in the graph, as its user sees it: `.grad`, hooks, leaves, `.data`, copies."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable
from typing import Any, SupportsIndex

from . import core, dtypes
from .core import (
    DUAL,
    INFERENCE,
    LeafHooks,
    TensorBase,
    Version,
    extras_of,
    give_array,
    mode,
    switches,
    wrap,
)
from .hooks import Hooks, RemovableHandle


def backward(self: Any, gradient: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False, inputs: Any = None) -> None:
    """Add d self / d leaf to every leaf's `.grad`; `gradient` weighs the elements of self.

    Without `gradient`, self must have one element. The graph's saved values are freed unless
    `retain_graph` (by default `create_graph`) says otherwise. With `inputs`, only these get
    `.grad`.
    """
    from . import autograd

    autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


# --- grad ----------------------------------------------------------------------------------------

def get_grad(self: Any) -> Any:
    """What backward has added up for this leaf; None before the first backward."""
    if self._grad is None and not is_leaf(self) and not retains_grad(self):
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be populated during autograd.backward(). If you indeed want the "
            ".grad field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf "
            "Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf "
            "Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more informations.",
            stacklevel=2)
    return self._grad


def set_grad(self: Any, gradient: Any) -> None:
    if gradient is not None:
        if not isinstance(gradient, TensorBase):
            raise TypeError("assigned grad expected to be a Tensor or None but got grad of type "
                            f"{type(gradient).__name__}")
        if gradient is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if gradient.dtype is not self.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{gradient.dtype.scalar_name.lower()}'"
                f" to a tensor with grad_dtype '{self.dtype.scalar_name}'. The gradient must match "
                "the tensor's grad_dtype (defaults to the tensor's dtype). You can set the tensor's"
                " grad_dtype attribute with a specific dtype, or None to allow any dtype. Set "
                "grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may "
                "break downstream systems that assume they match.")
        if gradient._data.shape != self._data.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(gradient._data.shape)}' to a "
                f"tensor of size '{list(self._data.shape)}'. Please ensure that the gradient and "
                "the tensor are the same size")
    self._grad = gradient


def delete_grad(self: Any) -> None:
    self._grad = None


# --- leaves --------------------------------------------------------------------------------------

def is_leaf(self: Any) -> bool:
    """Whether no recorded op produced this tensor."""
    return self.grad_fn is None


def get_output_nr(self: Any) -> int:
    """Which of its node's outputs this tensor is."""
    return max(self._output, 0)


def set_requires_grad(self: Any, value: bool) -> None:
    if value and self._counter is INFERENCE and not mode.inference:
        raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode "
                           "is not allowed.")
    if self.grad_fn is not None:
        if value:
            return
        raise RuntimeError("you can only change requires_grad flags of leaf variables. If you want "
                           "to use a computed variable in a subgraph that doesn't require "
                           "differentiation use var_no_grad = var.detach().")
    if value and self._data.dtype not in dtypes.DIFFERENTIABLE:
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    if self._view is None:
        self._tracked = bool(value) or (hasattr(self, "_tangents") and DUAL)
    else:
        self._view.requires_grad = bool(value)


def requires_grad_(self: Any, requires_grad: bool = True) -> Any:
    """Say whether gradients are wanted for this leaf; returns self."""
    if requires_grad and self._data.dtype not in dtypes.DIFFERENTIABLE:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    set_requires_grad(self, requires_grad)
    return self


# --- hooks ---------------------------------------------------------------------------------------

def register_hook(self: Any, hook: Callable) -> RemovableHandle:
    """`hook(grad)` runs whenever this tensor's gradient is complete; it may return another one."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node = self.grad_fn
    if node is None:
        return _leaf_hooks(self).tensor.add(hook)
    return extras_of(node).tensor_hooks.setdefault(self._output, Hooks()).add(hook)


def register_post_accumulate_grad_hook(self: Any, hook: Callable) -> RemovableHandle:
    """`hook(self)` runs after this leaf's `.grad` has been added to."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return _leaf_hooks(self).post_accumulate.add(hook)


def _leaf_hooks(leaf: Any) -> LeafHooks:
    if leaf._hooks is None:
        leaf._hooks = LeafHooks()
        switches.leaf_hooks = 1
    return leaf._hooks


def retain_grad(self: Any) -> None:
    """Keep this non-leaf's gradient in its `.grad`, as a leaf does."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    node = self.grad_fn
    if node is not None:
        extras_of(node).retained[self._output] = weakref.ref(self)


def retains_grad(self: Any) -> bool:
    """Whether `retain_grad` was called on this non-leaf."""
    node = self.grad_fn
    if node is None or node.extras is None:
        return False
    reference = node.extras.retained.get(self._output)
    return reference is not None and reference() is self


# --- memory --------------------------------------------------------------------------------------

def get_data(self: Any) -> Any:
    """The same memory outside the graph, with a version counter of its own: writes go unnoticed."""
    result = wrap(self._data)
    result._counter = Version()
    return result


def set_data(self: Any, other: Any) -> None:
    """Give this tensor other memory; its place in the graph stays."""
    if not isinstance(other, TensorBase):
        raise TypeError(f"Variable data has to be a tensor, but got {type(other).__name__}")
    if self._tracked and self._view is None and other._data.dtype not in dtypes.DIFFERENTIABLE:
        raise RuntimeError("data set to a tensor that requires gradients must be floating point or "
                           "complex dtype")
    give_array(self, other._data)


def get_base(self: Any) -> Any:
    """The tensor whose memory this view shows; None for a tensor with memory of its own."""
    return None if self._view is None else self._view.base


def is_view(self: Any) -> bool:
    return self._view is not None


# --- copies --------------------------------------------------------------------------------------

def adopt(kind: type, tensor: Any, requires_grad: bool = False) -> Any:
    """A leaf of class `kind` (Tensor or a subclass) on the memory of `tensor`."""
    result = wrap(tensor._data)
    if kind is not core.Tensor:
        plain, result = result, object.__new__(kind)
        for slot in _SLOTS:
            setattr(result, slot, getattr(plain, slot))
    result._tracked = requires_grad
    return result


_SLOTS = [slot for slot in TensorBase.__slots__ if slot not in ("_tangents", "__weakref__")]


def deepcopy(self: Any, memo: dict) -> Any:
    """A leaf with memory of its own, equal `.grad`, and the same attributes."""
    if id(self) in memo:
        return memo[id(self)]
    if not is_leaf(self):
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001")
    result = adopt(type(self), wrap(self._data.copy()), self.requires_grad)
    memo[id(self)] = result
    if self._grad is not None:
        result._grad = copy.deepcopy(self._grad, memo)
    for name, value in getattr(self, "__dict__", {}).items():
        setattr(result, name, copy.deepcopy(value, memo))
    return result


def reduce(self: Any, protocol: SupportsIndex) -> tuple:
    """Pickled as the host's array and the flag; a non-leaf loses its history, as in torch."""
    return _restore, (type(self), self._data, self.requires_grad, dict(
        getattr(self, "__dict__", {})))


def _restore(kind: type, data: Any, requires_grad: bool, attributes: dict) -> Any:
    dtype = dtypes.of(data.dtype).numpy
    if data.dtype is not dtype:  # pickle makes new dtypes, and kernels compare by identity
        data = data.view(dtype)
    result = adopt(kind, wrap(data), requires_grad)
    for name, value in attributes.items():
        setattr(result, name, value)
    return result
