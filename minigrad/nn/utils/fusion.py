"""A layer and the batch norm after it as one layer, for evaluation: both are linear maps there.

$\\gamma (W x + b - \\mu) / \\sqrt{\\sigma^2 + \\epsilon} + \\beta$ is $W' x + b'$ with $W' = s W$,
$b' = s (b - \\mu) + \\beta$ and $s = \\gamma / \\sqrt{\\sigma^2 + \\epsilon}$.
"""

from __future__ import annotations

import copy
from typing import Any

from ..parameter import Parameter


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of the convolution that does what it and the batch norm do in evaluation."""
    fused, statistics = _copy_and_statistics(conv, bn)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, *statistics, bn.eps, bn.weight, bn.bias, transpose)
    return fused


def fuse_conv_bn_weights(conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float,
                         bn_w: Any, bn_b: Any, transpose: bool = False) -> tuple[Any, Any]:
    """Weight and bias of the fused convolution; `transpose`: its weight has the outputs second."""
    bias_dtype = conv_w.dtype if conv_b is None else conv_b.dtype
    conv_b = bn_rm.zeros_like() if conv_b is None else conv_b
    bn_w = bn_rm.ones_like() if bn_w is None else bn_w
    bn_b = bn_rm.zeros_like() if bn_b is None else bn_b
    rsqrt = (bn_rv + bn_eps).rsqrt()
    outputs = [1, -1] if transpose else [-1, 1]
    scale = (bn_w * rsqrt).reshape(*outputs, *[1] * (conv_w.dim() - 2))
    weight = (conv_w * scale).to(dtype=conv_w.dtype)
    bias = ((conv_b - bn_rm) * rsqrt * bn_w + bn_b).to(dtype=bias_dtype)
    return Parameter(weight, conv_w.requires_grad), Parameter(bias, conv_b.requires_grad)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of the linear layer that does what it and the batch norm do in evaluation."""
    fused, statistics = _copy_and_statistics(linear, bn, _check_features)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, *statistics, bn.eps, bn.weight, bn.bias)
    return fused


def fuse_linear_bn_weights(linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float,
                           bn_w: Any, bn_b: Any) -> tuple[Any, Any]:
    """Weight and bias of the fused linear layer."""
    bias_dtype = linear_w.dtype if linear_b is None else linear_b.dtype
    linear_b = bn_rm.zeros_like() if linear_b is None else linear_b
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    weight = linear_w * scale.unsqueeze(-1).to(dtype=linear_w.dtype)
    bias = ((linear_b - bn_rm) * scale + bn_b).to(dtype=bias_dtype)
    return Parameter(weight, linear_w.requires_grad), Parameter(bias, linear_b.requires_grad)


def _copy_and_statistics(layer: Any, bn: Any, check: Any = None) -> tuple[Any, tuple[Any, Any]]:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if check is not None:
        check(layer, bn)
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    return copy.deepcopy(layer), (bn.running_mean, bn.running_var)


def _check_features(linear: Any, bn: Any) -> None:
    """A batch norm of one feature is one over the channels, which serves all outputs alike."""
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}")
