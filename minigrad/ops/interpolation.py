"""Interpolation: an image, a signal or a volume at another resolution (see resampling.py)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autocast_rules import autocasts
from ..primitive import derivative, no_kernel, primitive
from ..strides import as_images_lie
from .adaptive_avg_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .resampling import resample, spread, tables

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_bilinear2d_aa",
           "upsample_nearest"]


# --- one op and its gradient for each kind -------------------------------------------------------

def _interpolation(name: str, camel: str, kind: str, refuses: dict[str, str]) -> Any:
    """Interpolation is linear, and so is its gradient: each is the other's derivative."""

    def forward_kernel(xp, input, *, output_size, align_corners, scales):
        real = np.float64 if input.dtype.kind == "u" else input.dtype.type
        result = resample(xp, input, tables(kind, input.shape[2:], output_size, align_corners,
                                            scales, real))
        return as_images_lie(xp, result, input)

    def backward_kernel(xp, grad_output, *, sizes, align_corners, scales):
        return spread(xp, grad_output, tables(kind, sizes, grad_output.shape[2:], align_corners,
                                              scales, grad_output.dtype.type), sizes)

    forward = primitive(forward_kernel, name=name, node_name=f"{camel}Backward0", refuses=refuses)
    backward = primitive(backward_kernel, name=f"{name}_backward",
                         node_name=f"{camel}BackwardBackward0")
    derivative(forward, input=lambda g, input_shape, align_corners, scales: backward(
        g, sizes=input_shape[2:], align_corners=align_corners, scales=scales))
    derivative(backward, grad_output=lambda g, grad_output_shape, align_corners, scales: forward(
        g, output_size=grad_output_shape[2:], align_corners=align_corners, scales=scales))
    return forward


def _each_kind() -> dict[tuple[str, int], Any]:
    """The op for each mode and number of dimensions. torch's kernel for bytes is there where "u"
    is not among the kinds that are refused."""
    rows = [
        ("nearest", 1, "nearest", "UpsampleNearest1D", "bic", "compute_indices_weights_nearest"),
        ("nearest", 2, "nearest", "UpsampleNearest2D", "bic", "upsample_nearest2d_channels_last"),
        ("nearest", 3, "nearest", "UpsampleNearest3D", "bic", "compute_indices_weights_nearest"),
        ("nearest-exact", 1, "nearest_exact", "UpsampleNearestExact1D", "bic",
         "compute_indices_weights_nearest"),
        ("nearest-exact", 2, "nearest_exact", "UpsampleNearestExact2D", "bic",
         "upsample_nearest2d_channels_last"),
        ("nearest-exact", 3, "nearest_exact", "UpsampleNearestExact3D", "bic",
         "compute_indices_weights_nearest"),
        ("linear", 1, "linear", "UpsampleLinear1D", "bicu", "compute_indices_weights_linear"),
        ("bilinear", 2, "linear", "UpsampleBilinear2D", "bic", "upsample_bilinear2d_channels_last"),
        ("trilinear", 3, "linear", "UpsampleTrilinear3D", "bicu",
         "compute_indices_weights_linear"),
        ("bicubic", 2, "cubic", "UpsampleBicubic2D", "bic", "compute_indices_weights_cubic"),
        *((f"{mode} antialiased", 2, kind, f"Upsample{mode.capitalize()}2DAa", "bic",
           _ANTIALIASED) for mode, kind in (("bilinear", "linear_aa"), ("bicubic", "cubic_aa"),
                                            ("lanczos", "lanczos_aa"))),
    ]
    return {(mode, spatial): _interpolation(
        f"upsample_{mode.replace('-', '_')}{spatial}d", camel, kind,
        dict.fromkeys(refused, label)) for mode, spatial, kind, camel, refused, label in rows}


_ANTIALIASED = "compute_index_ranges_weights"
_OPS = _each_kind()


def _run(mode: str, input: Any, sizes: Sequence[int] | None, factors: Sequence[float] | None,
         align_corners: bool = False, scales: Sequence[float | None] | None = None) -> Any:
    """The op of this mode. The output's size follows from the factors, if there are any; `scales`
    are factors beside a size, which change the places only."""
    spatial, shape = input._data.ndim - 2, input._data.shape
    if (sizes is None) == (factors is None):
        raise RuntimeError("Must specify exactly one of output_size and scale_factors")
    if factors is not None:
        sizes = [math.trunc(size * factor) for size, factor in zip(shape[2:], factors,
                                                                   strict=True)]
        scales = factors
    sizes = [int(size) for size in sizes or ()]
    if min((*shape[2:], *sizes)) <= 0:
        raise RuntimeError("Input and output sizes should be greater than 0, but got input "
                           f"({_named(shape[2:])}) {'and ' if spatial == 1 else ''}output "
                           f"({_named(sizes)})")
    if 0 in shape[1:]:
        raise RuntimeError(f"Non-empty {input._data.ndim}D data tensor expected but got a tensor "
                           f"with sizes {list(shape)}")
    if "antialiased" in mode and input._data.dtype in dtypes.HALF_TYPES:
        raise no_kernel(_ANTIALIASED, input._data.dtype)
    return _OPS[mode, spatial](input, output_size=tuple(sizes), align_corners=align_corners,
                               scales=tuple(scales or [None] * spatial))


def _named(sizes: Sequence[int]) -> str:
    return ", ".join(f"{name}: {size}"
                     for name, size in zip("DHW"[-len(sizes):], sizes, strict=True))


# --- public --------------------------------------------------------------------------------------

_NEAREST = ("nearest", "area", "nearest-exact")
_AREA = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
_DIMS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}


@autocasts
def interpolate(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Any:
    """`input` (N, C, ...) with its last dimensions at `size`, or `scale_factor` times as large.

    Modes: "nearest" (one element early at times, as older programs have it), "nearest-exact",
    "linear", "bilinear", "bicubic", "trilinear", "area" (the mean of what a pixel covers).
    """
    if mode in _NEAREST and align_corners is not None:
        raise ValueError("align_corners option can only be set with the interpolating modes: "
                         "linear | bilinear | bicubic | trilinear")
    sizes, factors = _size_or_factors(input, size, scale_factor)
    if recompute_scale_factor and factors is None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if factors is not None and (recompute_scale_factor or mode == "area"):
        sizes = [int(n * f) for n, f in zip(input._data.shape[2:], factors, strict=True)]
        factors = None
    ndim = input._data.ndim
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and ndim == 4):
        raise ValueError("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes "
                         "and requires a 4-D tensor as input")
    if mode == "lanczos" and ndim == 4 and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    if mode == "area" and 3 <= ndim <= 5:
        return _AREA[ndim - 3](input, sizes)
    if antialias:
        mode = f"{mode} antialiased"
    if (mode, ndim - 2) not in _OPS:
        if mode in _DIMS and 3 <= ndim <= 5:
            raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {_DIMS[mode]}D "
                                      "input")
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: "
            "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact "
            f"(got {mode})")
    return _run(mode, input, sizes, factors, bool(align_corners))


def _size_or_factors(input: Any, size: Any, scale_factor: Any) -> tuple:
    """One of them for each dimension, the other None."""
    dims = list(input._data.shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is None:
        if not isinstance(scale_factor, list | tuple):
            return None, [scale_factor] * len(dims)
        if len(scale_factor) != len(dims):
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got "
                f"input with spatial dimensions of {dims} and scale_factor of shape "
                f"{scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in (s1, s2, ...,sK) format.")
        return None, list(scale_factor)
    if not isinstance(size, list | tuple):
        _integers([size])
        return [size] * len(dims), None
    if len(size) != len(dims):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {dims} and output size of {size}. Please provide input tensor "
            "in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.")
    _integers(size)
    return list(size), None


def _integers(sizes: Sequence[Any]) -> None:
    if not all(hasattr(size, "__index__") for size in sizes):
        raise TypeError("expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                        "Tuple[int, int, int], but got size with types "
                        f"{[type(size) for size in sizes]}")


def upsample_bilinear2d_aa(input: Any, output_size: Any, align_corners: bool,
                           scale_factors: Any = None, *, scales_h: float | None = None,
                           scales_w: float | None = None) -> Any:
    """`interpolate` with mode "bilinear" and antialias=True, under the name of torch's op."""
    return _run("bilinear antialiased", input, output_size, scale_factors, align_corners,
                (scales_h, scales_w))


def _deprecated(name: str) -> None:
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` "
                  "instead.", stacklevel=3)


def upsample(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Any:
    """The old name of `interpolate`."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode "nearest"."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode "bilinear" and align_corners=True."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)
