"""The tensors that are given as `out=`: each maker makes one for a result."""

from __future__ import annotations

from collections.abc import Callable

import torch


def keeps_layout(make: Callable, outs: list) -> bool:
    return make in (strided, narrower) and all(tensor.numel() for tensor in outs)


def strided(tensor):
    wide = torch.zeros(*tensor.shape, 2, dtype=tensor.dtype)
    return wide[..., 0]


def empty(tensor):
    return torch.empty(0, dtype=tensor.dtype)


def other_shape(tensor):
    return torch.zeros(*tensor.shape, 3, dtype=tensor.dtype)


def narrower(tensor):
    dtype = {torch.float64: torch.float32, torch.complex128: torch.complex64,
             torch.int64: torch.int32}.get(tensor.dtype, tensor.dtype)
    return torch.zeros(tensor.shape, dtype=dtype)


def integer(tensor):
    return torch.zeros(tensor.shape, dtype=torch.int64)


def with_gradient(tensor):
    out = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return out.requires_grad_() if tensor.dtype.is_floating_point else out


OUTS = (strided, empty, other_shape, narrower, integer, with_gradient)
