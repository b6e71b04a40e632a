"""Normalisation, dropout and softmax's gradient under the names that torch's own layers call.

These return what backward wants beside the result: means and deviations, masks. The kernels are
those of norm.py and softmax.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from ..core import TensorBase
from ..dtypes import HALF_TYPES
from ..out import takes_out
from ..primitive import derivative, joint_derivative, no_kernel, primitive
from . import batch_norm, norm
from . import softmax as softmax_ops
from .dims import wrap_dim

__all__ = ["batch_norm_with_update", "log_softmax_backward_data", "native_batch_norm",
           "native_batch_norm_legit", "native_dropout", "native_dropout_backward",
           "native_group_norm", "native_layer_norm", "softmax_backward_data"]


def _in_float32(kernel: Callable, xp: Any, arrays: tuple, **values: Any) -> tuple:
    """Call a kernel of norm.py; 16-bit floats are computed in float32, and rounded at the end: the
    result to the input's dtype, the statistics to that of the parameters."""
    own = arrays[0].dtype
    if own not in HALF_TYPES:
        return kernel(xp, *arrays, **values)
    kept = next((each.dtype for each in arrays[1:] if each is not None), own)
    wide = [None if each is None else each.astype("f4") for each in arrays]
    result, *statistics = kernel(xp, *wide, **values)
    return result.astype(own), *(each.astype(kept) for each in statistics)


# --- layer_norm and group_norm -------------------------------------------------------------------

@primitive(promote="exact", name="native_layer_norm", outputs=("result", "mean", "rstd"))
def _layer_norm(xp, input, weight=None, bias=None, *, axes, eps):
    """`norm.layer_norm` with the mean and 1 / deviation of each row."""
    return _in_float32(norm._layer_norm.op.kernel, xp, (input, weight, bias), axes=axes, eps=eps)


joint_derivative(_layer_norm, ("input", "weight", "bias"), norm._layer_norm_rule)


def native_layer_norm(input: Any, normalized_shape: Sequence[int], weight: Any, bias: Any,
                      eps: float) -> Any:
    """`layer_norm`, the mean of each row, and 1 / its standard deviation."""
    shape = norm._checked_shape("native_layer_norm", input, normalized_shape, "[*, {}]")
    norm._check_parameters(shape, weight=weight, bias=bias)
    norm.check_dtypes("LayerNormKernelImpl", input, weight, bias)
    result, mean, rstd = _layer_norm(input, weight, bias, axes=len(shape), eps=eps)
    return result, mean.detach(), rstd.detach()


@primitive(promote="exact", name="native_group_norm", outputs=("result", "mean", "rstd"))
def _group_norm(xp, input, weight=None, bias=None, *, sizes, groups, eps):
    """`norm.group_norm` with the mean and 1 / deviation of each group."""
    result, mean, rstd = _in_float32(norm._group_norm.op.kernel, xp, (
        input.reshape(sizes), weight, bias), groups=groups, eps=eps)
    return result.reshape(input.shape), mean, rstd


def _group_norm_rule(grads, input, weight, mean, rstd, sizes, groups, eps, needs):
    r"""`norm.group_norm`'s, and what comes in through the statistics $\mu$ and $r = 1 / \sigma$:
    $(\bar\mu - \bar r\,r^3 (x - \mu)) / n$."""
    g, of_mean, of_rstd = grads
    found = [None, None, None]
    if g is not None:
        found = norm._group_norm_rule([g.reshape(sizes)], input.reshape(sizes), weight, mean, rstd,
                                      groups, eps, needs)
    if needs[0] and (of_mean is not None or of_rstd is not None):
        rows = input.reshape(sizes[0], groups, math.prod(sizes[1:]) // groups)
        centred = rows - rows.mean(-1, True)
        count = rows._data.shape[-1]
        total = rows.zeros_like() if found[0] is None else found[0].reshape(rows.shape)
        if of_mean is not None:
            total = total + of_mean.unsqueeze(-1) / count
        if of_rstd is not None:
            scale = (centred * centred).mean(-1, True).add(eps).rsqrt()
            total = total - of_rstd.unsqueeze(-1) * scale.pow(3) * centred / count
        found[0] = total
    return [None if found[0] is None else found[0].reshape(input.shape), *found[1:]]


joint_derivative(_group_norm, ("input", "weight", "bias"), _group_norm_rule)


def native_group_norm(input: Any, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int,
                      eps: float) -> Any:
    """`group_norm` of N samples of C channels of HxW numbers, with each group's mean and
    1 / deviation."""
    if group <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {group}")
    shape = list(input._data.shape)
    if C % group:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {shape} and num_groups={group}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor._data.shape != (C,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(tensor._data.shape)} and input of shape {shape}")
    data = input._data
    if not (data.flags.c_contiguous or data.ndim in (4, 5) and
            data.transpose(0, *range(2, data.ndim), 1).flags.c_contiguous):
        raise RuntimeError("Expected X.is_contiguous(memory_format) to be true, but got false.  "
                           "(Could this error message be improved?  If so, please report an "
                           "enhancement request to PyTorch.)")
    if data.size != N * C * HxW:
        raise RuntimeError("Expected X.numel() == N * C * HxW to be true, but got false.  (Could "
                           "this error message be improved?  If so, please report an enhancement "
                           "request to PyTorch.)")
    norm.check_dtypes("GroupNormKernelImpl", input, weight, bias)
    return _group_norm(input, weight, bias, sizes=(N, C, HxW), groups=group, eps=eps)


# --- batch_norm ----------------------------------------------------------------------------------

def _batch_norms(name: str, overload: int = 0) -> Callable:
    """The primitive of one of the names of batch_norm: result, mean, 1 / deviation, variance."""

    @primitive(promote="exact", name=name, overload=overload,
               outputs=("result", "mean", "rstd", "variance"))
    def normalised(xp, input, weight=None, bias=None, running_mean=None, running_var=None, *,
                   training, eps):
        return _in_float32(batch_norm._batch_norm.op.kernel, xp, (
            input, weight, bias, running_mean, running_var), training=training, eps=eps)

    joint_derivative(normalised, ("input", "weight", "bias"), batch_norm._batch_norm_rule)
    return normalised


_batch_norm, _legit, _legit_without_statistics, _with_update = (
    _batch_norms("native_batch_norm"), _batch_norms("native_batch_norm_legit"),
    _batch_norms("native_batch_norm_legit", 1), _batch_norms("batch_norm_with_update"))


def _normalise(primitive: Callable, input: Any, weight: Any, bias: Any, running_mean: Any,
               running_var: Any, training: bool, momentum: float, eps: float) -> Any:
    """Normalise and, in training, move the running statistics; the batch's own are returned."""
    shape = input._data.shape
    if len(shape) < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    if not input._data.size:
        raise RuntimeError("input tensor must have at least one element, but got input_sizes = "
                           f"{list(shape)}")
    for name, tensor in (("running_mean", running_mean), ("running_var", running_var),
                         ("weight", weight), ("bias", bias)):
        if tensor is None and name.startswith("running") and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        if tensor is not None and tensor._data.size != shape[1]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not "
                               f"{tensor._data.size}")
    norm.check_dtypes("batch_norm", input)
    norm.check_dtypes("batch_norm", input, weight, bias, running_mean, running_var)
    running = (None, None) if training else (running_mean, running_var)
    result, mean, rstd, variance = primitive(input, weight, bias, *running, training=training,
                                             eps=eps)
    if not training:
        return result, mean.new_empty(0), mean.new_empty(0)
    count = math.prod(shape) // shape[1]
    if running_mean is not None:
        batch_norm._move_towards(running_mean, mean._data, momentum)
    if running_var is not None:
        unbiased = count / (count - 1) if count > 1 else math.nan
        batch_norm._move_towards(running_var, variance._data * unbiased, momentum)
    return result, mean.detach(), rstd.detach()


def _check_out(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise RuntimeError(f"expected scalar type {dtypes.of(found).scalar_name} but found "
                           f"{dtypes.of(wanted).scalar_name}")


@takes_out(check=_check_out)
def native_batch_norm(input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
                      training: bool, momentum: float, eps: float) -> Any:
    """`batch_norm`, the batch's means and 1 / deviations (nothing where the running ones serve)."""
    return _normalise(_batch_norm, input, weight, bias, running_mean, running_var, training,
                      momentum, eps)


@takes_out(name="_native_batch_norm_legit", check=_check_out)
def native_batch_norm_legit(input: Any, weight: Any, bias: Any, *rest: Any) -> Any:
    """`native_batch_norm` with running statistics (running_mean, running_var, training, momentum,
    eps) or without (training, momentum, eps)."""
    if len(rest) == 3:
        return _normalise(_legit_without_statistics, input, weight, bias, None, None, *rest)
    for position, name in enumerate(("running_mean", "running_var")):
        if not isinstance(rest[position], TensorBase):
            raise TypeError(f"_native_batch_norm_legit(): argument '{name}' (position "
                            f"{position + 4}) must be Tensor, not {type(rest[position]).__name__}")
    return _normalise(_legit, input, weight, bias, *rest)


def batch_norm_with_update(input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
                           momentum: float, eps: float) -> Any:
    """`native_batch_norm` in training, and the reserve that only other devices' kernels fill."""
    result, mean, rstd = _normalise(_with_update, input, weight, bias, running_mean, running_var,
                                    True, momentum, eps)
    return result, mean, rstd, input.new_empty(0, dtype=dtypes.uint8)


# --- dropout -------------------------------------------------------------------------------------

@primitive(name="native_dropout", outputs=("result", "mask"))
def _dropout(xp, input, kept, *, scale):
    """$y = a\\,m\\,s$ for a mask m, which is returned."""
    return input * kept * input.dtype.type(scale), kept


derivative(_dropout, input=lambda g, kept, scale: g * (kept.type_as(g) * scale))


def native_dropout(input: Any, p: float, train: bool | None) -> Any:
    """`dropout` and the mask of what was kept. `train` None is True."""
    kept = input.detach().new_empty(input._data.shape, dtype=dtypes.bool_)
    if not input._data.size:
        return _dropout(input, kept, scale=1.0)[0], input.detach().empty_like()
    if train is False:
        return _dropout(input, kept.fill_(True), scale=1.0)
    if input.dtype.category < dtypes.FLOATING:
        raise RuntimeError("result type Float can't be cast to the desired output type "
                           f"{input.dtype.scalar_name}")
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={1 - p:g}")
    if p == 1:
        return _dropout(input, kept.fill_(False), scale=0.0)
    return _dropout(input, kept.bernoulli_(1 - p), scale=1 / (1 - p))


@primitive(promote="int_to_float", name="native_dropout_backward")
def native_dropout_backward(xp, grad_output, mask, *, scale):
    r"""$\bar a = \bar y\,m\,s$."""
    return grad_output * (mask * mask.dtype.type(scale))


def _no_mask_derivative(g):
    raise NotImplementedError("the derivative for 'native_dropout_backward: mask' is not "
                              "implemented.")


derivative(native_dropout_backward,
    grad_output=lambda g, mask, scale: g * (mask.type_as(g) * scale),
    mask=_no_mask_derivative)


# --- softmax's gradient --------------------------------------------------------------------------

def _backward_of(name: str, primitive: Callable, checks_sizes: bool) -> Callable:
    """The function `_{name}_backward_data(grad_output, output, dim, input_dtype)`."""

    def call(grad_output: Any, output: Any, dim: int, input_dtype: Any) -> Any:
        ndim = output._data.ndim
        dim = wrap_dim(dim, grad_output._data.ndim)
        sizes = grad_output._data.shape, output._data.shape
        if checks_sizes and sizes[0] != sizes[1]:
            raise RuntimeError(
                "Expected tensor for argument #1 'grad' to have same size as tensor for argument "
                f"#2 'output'; but {list(sizes[0])} does not equal {list(sizes[1])} (while "
                f"checking arguments for {name}_backward)")
        own = grad_output.dtype
        if own.category != dtypes.FLOATING:
            place = "_lastdim" if dim == max(ndim - 1, 0) else ""
            raise no_kernel(f"{name}_backward{place}_kernel_impl", own.numpy)
        narrow = input_dtype.numpy in HALF_TYPES and input_dtype is not own
        for other in (output.dtype, input_dtype if narrow else own):
            if other is not own:
                raise RuntimeError(f"expected scalar type {own.scalar_name} but found "
                                   f"{other.scalar_name}")
        return primitive(grad_output, output, dim=dim)

    call.__name__ = call.__qualname__ = f"_{name}_backward_data"
    call.__doc__ = f"The gradient of {name}'s input, from that of its output and the output."
    return call


softmax_backward_data = _backward_of("softmax", softmax_ops._softmax_backward_data, True)
log_softmax_backward_data = takes_out(
    _backward_of("log_softmax", softmax_ops._log_softmax_backward_data, False))
