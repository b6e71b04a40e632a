"""`backward` and `grad`: checks in torch's words, then the engine (../engine.py)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from .. import dtypes, engine
from ..core import TensorBase, edge_of, wrap
from ..device import array_module
from ..graph import is_leaf, retain_grad
from ..names import missing_in
from . import forward_ad, functional, graph
from .anomaly import detect_anomaly, set_detect_anomaly
from .function import Function, FunctionCtx
from .grad_mode import (
    _unsafe_preserve_version_counter,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .gradcheck import gradcheck, gradgradcheck
from .graph import GradientEdge

__all__ = ["Function", "FunctionCtx", "backward", "detect_anomaly", "enable_grad", "forward_ad",
           "functional", "grad", "gradcheck", "gradgradcheck", "inference_mode", "is_grad_enabled",
           "is_inference_mode_enabled", "no_grad", "set_detect_anomaly", "set_grad_enabled",
           "set_multithreading_enabled"]

Tensors = TensorBase | Sequence[TensorBase]


def backward(tensors: Tensors, grad_tensors: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False, grad_variables: Any = None,
             inputs: Tensors | None = None) -> None:
    """Add d(sum of `tensors` · `grad_tensors`)/d(leaf) to the `.grad` of every leaf.

    `grad_tensors` may be left out for scalars. With `inputs`, only their `.grad` is added to.
    """
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning,
                      stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError("`grad_tensors` and `grad_variables` (deprecated) arguments both "
                               "passed to `backward()`. Please only use `grad_tensors`.")
        grad_tensors = grad_variables
    if inputs is not None:
        inputs = _as_tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _as_tuple(tensors)
    gradients = _initial_gradients(roots, _as_gradients(grad_tensors, len(roots)))
    starts = _starts(roots)
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the "
            "parameter and its gradient which can cause a memory leak. We recommend using "
            "autograd.grad when creating the graph to avoid this. If you have to use this "
            "function, make sure to reset the .grad fields of your parameters to None after use "
            "to break the cycle and avoid the leak.", UserWarning, stacklevel=2)
    for tensor in inputs or ():
        if isinstance(tensor, TensorBase) and not (is_leaf(tensor) and tensor.requires_grad):
            retain_grad(tensor)
    targets = None if inputs is None else _targets(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    engine.run_backward(starts, gradients, keep, create_graph, targets)


def grad(outputs: Tensors, inputs: Tensors, grad_outputs: Any = None,
         retain_graph: bool | None = None, create_graph: bool = False,
         allow_unused: bool | None = None, is_grads_batched: bool = False,
         materialize_grads: bool = False) -> tuple:
    """The gradients of `outputs` · `grad_outputs` with respect to `inputs`, as a tuple."""
    if is_grads_batched:
        raise NotImplementedError("autograd.grad(is_grads_batched=True) needs vmap, which minigrad "
                                  "does not have: call grad once per row of grad_outputs")
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when "
                         "materialize_grads=True, but got: allow_unused=False.")
    roots, targets = _as_tuple(outputs), _as_tuple(inputs)
    if not targets:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    gradients = _initial_gradients(roots, _as_gradients(grad_outputs, len(roots)))
    starts, places = _starts(roots), _targets(targets)
    keep = create_graph if retain_graph is None else retain_graph
    found = engine.run_backward(starts, gradients, keep, create_graph, places, accumulate=False)
    if materialize_grads:
        return tuple(_zeros_like(target) if each is None else each
                     for each, target in zip(found, targets, strict=True))
    unused = [i for i, each in enumerate(found) if each is None]
    if unused and not allow_unused:
        raise RuntimeError(
            f"The differentiated Tensor at index {unused[0]} appears to not have been used in the "
            "graph. Set allow_unused=True if this is the desired behavior.")
    return tuple(found)


def _as_tuple(tensors: Any) -> tuple:
    return (tensors,) if isinstance(tensors, TensorBase | GradientEdge) else tuple(tensors)


def _as_gradients(gradients: Any, count: int) -> tuple:
    if gradients is None:
        return (None,) * count
    gradients = _as_tuple(gradients)
    for gradient in gradients:
        if not (gradient is None or isinstance(gradient, TensorBase)):
            raise TypeError("gradients can be either Tensors or None, but got "
                            f"{type(gradient).__name__}")
    if len(gradients) != count:
        raise RuntimeError(f"got {count} tensors and {len(gradients)} gradients")
    return gradients


def _zeros_like(target: Any) -> Any:
    xp, shape, dtype = _info(target)
    return wrap(xp.zeros(shape, dtype))


def _info(root: Any) -> tuple:
    """Array module, shape and dtype of a tensor, or of the tensor that an edge belongs to."""
    if isinstance(root, TensorBase):
        return array_module(root._data), root._data.shape, root._data.dtype
    if root.tensor_info is None:
        raise RuntimeError("a GradientEdge made by hand does not know its tensor's shape: give "
                           "its gradient, or take the edge from get_gradient_edge()")
    return root.tensor_info


def _initial_gradients(roots: tuple, gradients: tuple) -> list:
    """The gradients to start from: ones for scalars where none is given."""
    started: list[Any] = []
    for position, (root, gradient) in enumerate(zip(roots, gradients, strict=True)):
        if gradient is None:
            xp, shape, dtype = _info(root)
            if isinstance(root, GradientEdge) or root.requires_grad:
                if math.prod(shape) != 1:
                    raise RuntimeError("grad can be implicitly created only for scalar outputs")
                if not dtypes.of(dtype).is_floating_point:
                    raise RuntimeError("grad can be implicitly created only for real scalar "
                                       f"outputs but got {dtypes.of(dtype)}")
            started.append(wrap(xp.ones(shape, dtype)))
        elif isinstance(root, GradientEdge) and root.tensor_info is None:
            started.append(gradient)
        else:
            started.append(_fitting(position, _info(root), gradient))
    return started


def _fitting(position: int, info: tuple, gradient: Any) -> Any:
    """A gradient that was given, after torch's checks."""
    _, shape, dtype = info
    if gradient._data.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{position}] has a shape of "
            f"torch.Size({list(gradient._data.shape)}) and output[{position}] has a shape "
            f"of torch.Size({list(shape)}).")
    if (dtype.kind == "c") != gradient.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the "
            f"same dtype. Mismatch in dtype: grad_output[{position}] has a dtype of "
            f"{gradient.dtype} and output[{position}] has a dtype of {dtypes.of(dtype)}.")
    return engine.fit(gradient, shape, dtype)


def _starts(roots: tuple) -> list[engine.Place]:
    """Where backward begins."""
    places: list[engine.Place] = []
    for position, root in enumerate(roots):
        if isinstance(root, GradientEdge):
            places.append((root.node, root.output_nr))
            continue
        edge = edge_of(root) if root.requires_grad else None
        if edge is None:
            raise RuntimeError(f"element {position} of tensors does not require grad and does not "
                               "have a grad_fn")
        places.append(edge[:2])
    return places


def _targets(inputs: tuple) -> list[engine.Place | None]:
    """The places whose gradients are asked for; None for a view that nothing flows to."""
    places: list[engine.Place | None] = []
    for tensor in inputs:
        if isinstance(tensor, GradientEdge):
            places.append((tensor.node, tensor.output_nr))
            continue
        if not tensor.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        edge = edge_of(tensor)
        places.append(None if edge is None else edge[:2])
    return places


__getattr__ = missing_in(__name__)
