"""Clipping: keep a step from being ruined by one huge gradient."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...autograd.grad_mode import no_grad
from ...core import TensorBase, wrap
from ...device import array_module


def _gradients(parameters: Any) -> list:
    if isinstance(parameters, TensorBase):
        parameters = [parameters]
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _norm(array: Any, p: float) -> Any:
    """The p-norm of all elements, in the array's dtype (16-bit floats are summed in float32)."""
    xp = array_module(array)
    wide = array if array.dtype.itemsize > 2 else array.astype(np.float32)
    flat = xp.abs(wide.ravel())
    if math.isinf(p):
        norm = flat.max() if p > 0 else flat.min()
    elif p == 0:
        norm = (flat != 0).sum()
    elif p == 2:
        norm = xp.sqrt(xp.dot(flat, flat))
    else:
        norm = (flat**p).sum() ** (1.0 / p)
    return xp.asarray(norm, dtype=flat.dtype).astype(array.real.dtype)


def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Any:
    """The norm of the tensors' norms: that of all their elements together."""
    tensors = [tensors] if isinstance(tensors, TensorBase) else list(tensors)
    p = float(norm_type)
    if not tensors:
        return wrap(np.zeros((), np.float32))
    xp = array_module(tensors[0]._data)
    total = _norm(xp.stack([_norm(tensor._data, p) for tensor in tensors]), p)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite "
            "norm anyway, set `error_if_nonfinite=False`")
    return wrap(total)


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any,
                          foreach: bool | None = None) -> None:
    """Scale all gradients by max_norm / total_norm, if that is less than 1."""
    max_norm = float(max_norm)
    with no_grad():
        for gradient in _gradients(parameters):
            data, total = gradient._data, total_norm._data
            factor = array_module(total).minimum(max_norm / (total + 1e-6), 1.0)
            gradient.mul_(wrap(array_module(data).asarray(factor, dtype=data.real.dtype)))


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Any:
    """Scale the gradients so that their total norm is at most `max_norm`; returns what it was."""
    given = parameters
    parameters = [given] if isinstance(given, TensorBase) else list(given)
    if not parameters and isinstance(given, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.",
                      stacklevel=2)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(parameters: Any, max_norm: float, norm_type: float = 2.0,
                   error_if_nonfinite: bool = False, foreach: bool | None = None) -> Any:
    """`clip_grad_norm_` under its old name. Deprecated."""
    warnings.warn("`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
                  "`torch.nn.utils.clip_grad_norm_`.", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: TensorBase | Iterable[TensorBase], clip_value: float,
                     foreach: bool | None = None) -> None:
    """Limit each element of each gradient to [-clip_value, clip_value]."""
    bound = float(clip_value)
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(min=-bound, max=bound)
