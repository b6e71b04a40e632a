"""Histograms: how many points lie in each bin, or the sum of their weights."""

from __future__ import annotations

import builtins
import math
from typing import Any

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import ARRAY_MODULES, device_of
from ..out import takes_out
from ..primitive import derivative, no_kernel, primitive
from .extremes import return_type
from .no_derivative import no_derivative
from .ranges import linspace
from .sorting import _searchsorted

__all__ = ["histc", "histogram", "histogramdd"]

HistogramResult = return_type("histogram", "hist", "bin_edges")
HistogramddResult = return_type("histogramdd", "hist", "bin_edges")
_UNKNOWN = "torch::autograd::NotImplemented"  # the node of an op that has no derivative

# Note [In which bin?]
# ~~~~~~~~~~~~~~~~~~~~
# Between any edges the bin is found by bisection. Between even ones it can be computed,
# floor((x - low) * bins / (high - low)), but rounding may move a point that lies near an edge to
# the next bin. `histc` leaves it there; `histogram` then looks at the edges around: those of the
# bin found and one more on either side. All is computed in the dtype of the points, 16-bit floats
# too, as the bin depends on the rounding.


def _by_bisection(xp, values, edges):
    return _searchsorted.op.kernel(xp, edges, values, right=True, sorter=None) - 1


def _by_proportion(xp, values, edges):
    bins = values.dtype.type(len(edges) - 1)
    return ((values - edges[0]) * bins / (edges[-1] - edges[0])).astype(xp.int64)


def _by_neighbours(xp, values, edges):
    last = len(edges) - 1
    guess = xp.clip(_by_proportion(xp, values, edges), 0, last)
    first = xp.maximum(guess - 1, 0)
    place = first - 1
    for step in (0, 1, 2):
        edge = first + step
        place += (edge < xp.minimum(guess + 2, last + 1)) & (
            edges[xp.minimum(edge, last)] <= values)
    return place


def _count(xp, points, weight, edges, density, find):
    """The histogram of the rows of `points` in the boxes between the edges, one array of them for
    each column. nan and what lies outside is not counted; the last bin includes its end."""
    inside = xp.ones(len(points), bool)
    for values, edge in zip(points.T, edges, strict=True):
        inside &= (values >= edge[0]) & (values <= edge[-1])
    points = points[inside]
    shape = tuple([len(edge) - 1 for edge in edges])
    box = xp.zeros(len(points), xp.int64)
    for values, edge, bins in zip(points.T, edges, shape, strict=True):
        box = box * bins + xp.clip(find(xp, values, edge), 0, bins - 1)
    weight = None if weight is None else weight[inside].astype(xp.float64)
    counts = xp.bincount(box, weight, minlength=math.prod(shape)).reshape(shape)
    hist = counts.astype(points.dtype)
    if density:
        hist = hist / counts.sum().astype(points.dtype)
        for dim, edge in enumerate(edges):
            width = (edge[1:] - edge[:-1]).reshape([-1] + [1] * (len(shape) - dim - 1))
            hist = hist / width
    return hist


def _even_edges(input, bins, low, high):
    return linspace(low, high, bins + 1, dtype=dtypes.of(input.dtype),
                    device=device_of(input))._data


def _rows(input):
    """Points (*, D) as (N, D); none at all of no dimensions."""
    dims = input.shape[-1]
    return input.reshape(input.size // builtins.max(dims, 1), dims)


def _flat(weight):
    return None if weight is None else weight.reshape(-1)


# --- one dimension -------------------------------------------------------------------------------

@primitive(promote="exact", name="histogram", outputs=("hist", "bin_edges"), node_name=_UNKNOWN)
def _histogram_even(xp, input, weight=None, *, bins, low, high, density):
    edges = _even_edges(input, bins, low, high)
    return _count(xp, input.reshape(-1, 1), _flat(weight), [edges], density, _by_neighbours), edges


@primitive(promote="exact", name="histogram", outputs=("hist", "bin_edges"), node_name=_UNKNOWN)
def _histogram_between(xp, input, bins, weight=None, *, density):
    hist = _count(xp, input.reshape(-1, 1), _flat(weight), [bins], density, _by_bisection)
    return hist, bins.copy()


def _same_dtype(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise RuntimeError("torch.histogram: input tensor and hist tensor should have the same "
                           f"dtype, but got input {dtypes.of(found).c_name} and hist "
                           f"{dtypes.of(wanted).c_name}")


@takes_out(check=_same_dtype)
def histogram(input: Any, bins: Any = 100, *, range: Any = None, weight: Any = None,
              density: bool = False) -> Any:
    """How many elements lie in each bin (or the sum of their weights), and the bins' edges: `bins`
    even bins over `range` or over the elements' own, or between the edges `bins`. With `density`
    the integral over all bins is 1."""
    by_edges = isinstance(bins, TensorBase)
    if not (isinstance(input, TensorBase) and (by_edges or type(bins) is int)) \
            or by_edges and range is not None:
        raise TypeError("histogram() received an invalid combination of arguments - got "
                        f"({type(input).__name__}, {type(bins).__name__}, "
                        f"range={type(range).__name__})")
    shape = (input._data.size, 1)
    flat_weight = weight if weight is None else weight.detach().reshape(-1)
    if by_edges:
        _check_arguments(input, shape, [bins], flat_weight)
        _check_bins([len(bins._data) - 1])
        _check_dtype(input)
        return HistogramResult(*_histogram_between(input, bins, weight, density=density))
    _check_bins([bins])
    (low, high), = _ranges(input._data.reshape(shape), range)
    _check_arguments(input, shape, None, flat_weight)
    _check_dtype(input, even=True)
    return HistogramResult(*_histogram_even(input, weight, bins=bins, low=low, high=high,
                                            density=density))


@takes_out(check=_same_dtype, ignores_grad=True)
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements lie in each of `bins` bins of [min, max] (of their own range if min = max).

    nan and what lies outside is not counted.
    """
    array = _array("histc", input)
    if isinstance(bins, float):
        raise TypeError("histc(): argument 'bins' (position 2) must be int, not float")
    _check_bins([bins])
    low, high = float(min), float(max)
    if low == high and array.size:
        if array.dtype.kind == "c":
            raise no_kernel("aminmax_cpu", array.dtype)
        low, high = float(array.min()), float(array.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    _check_dtype(input, even=True)
    xp = ARRAY_MODULES[type(array)]
    edges = _even_edges(array, bins, low, high)
    return wrap(_count(xp, array.reshape(-1, 1), None, [edges], False, _by_proportion))


# --- several dimensions --------------------------------------------------------------------------

@primitive(promote="exact", node_name=_UNKNOWN)
def _histogramdd_bin_edges(xp, input, weight=None, *, bins, ranges):
    return tuple([_even_edges(input, count, low, high)
                  for count, (low, high) in zip(bins, ranges, strict=True)])


@primitive(promote="exact", node_name=_UNKNOWN)
def _histogramdd_from_bin_cts(xp, input, weight=None, *, bins, ranges, density):
    edges = _histogramdd_bin_edges.op.kernel(xp, input, bins=bins, ranges=ranges)
    return _count(xp, _rows(input), _flat(weight), edges, density, _by_neighbours)


@primitive(promote="exact", node_name=_UNKNOWN)
def _histogramdd_from_bin_tensors(xp, input, *bins_and_weight, weighted, density):
    dims = input.shape[-1]
    edges, weight = bins_and_weight[:dims], bins_and_weight[dims] if weighted else None
    return _count(xp, _rows(input), _flat(weight), edges, density, _by_bisection)


def histogramdd(input: Any, bins: Any, range: Any = None, weight: Any = None,
                density: bool = False) -> Any:
    """How many points, the rows of `input`, lie in each box of a grid, and the grid's edges along
    each dimension: `bins` says how many (one number, or one a dimension), or is those edges."""
    array = _array("histogramdd", input)
    if isinstance(bins, int):
        if not array.ndim:
            raise IndexError("Dimension specified as -1 but tensor has no dimensions")
        bins = (bins,) * array.shape[-1]
    if not isinstance(bins, list | tuple):
        raise TypeError("histogramdd() received an invalid combination of arguments - got "
                        f"({type(input).__name__}, {type(bins).__name__})")
    if bins and not isinstance(bins[0], int):
        return _histogramdd_between(input, tuple(bins), weight, density)
    for place, each in enumerate(bins, 1):
        if not isinstance(each, int):
            raise TypeError("histogramdd(): argument 'bins' failed to unpack the object at pos "
                            f"{place} with error \"type must be tuple of ints,but got "
                            f"{type(each).__name__}\"")
    _check_points(array.shape)
    if len(bins) != array.shape[-1]:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost "
                           "dimension of the input.")
    _check_bins(bins)
    ranges, bins = _ranges(_rows(array), range), tuple(bins)
    _check_arguments(input, array.shape, None, weight)
    _check_dtype(input, even=True)
    edges = _histogramdd_bin_edges(input, weight, bins=bins, ranges=ranges)
    return HistogramddResult(_histogramdd_from_bin_cts(
        input, weight, bins=bins, ranges=ranges, density=density), edges)


def _histogramdd_between(input: Any, bins: tuple, weight: Any, density: bool) -> Any:
    for place, each in enumerate(bins):
        if not isinstance(each, TensorBase):
            raise TypeError(f"expected Tensor as element {place} in argument 1, but got "
                            f"{type(each).__name__}")
    _check_arguments(input, input._data.shape, bins, weight)
    _check_bins([len(each._data) - 1 for each in bins])
    _check_dtype(input)
    rest = bins if weight is None else (*bins, weight)
    return HistogramddResult(_histogramdd_from_bin_tensors(
        input, *rest, weighted=weight is not None, density=density), bins)


for _name, _op in (("histogram", _histogram_even), ("histogram", _histogram_between),
                   *((each.op.name, each) for each in (
                       _histogramdd_bin_edges, _histogramdd_from_bin_cts,
                       _histogramdd_from_bin_tensors))):
    derivative(_op, **dict.fromkeys(_op.op.inputs, no_derivative(_name)))


# --- checks, in torch's words --------------------------------------------------------------------

def _array(name: str, input: Any) -> Any:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not "
                        f"{type(input).__name__}")
    return input._data


def _check_bins(counts: Any) -> None:
    for dim, count in enumerate(counts):
        if count <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {count} for "
                               f"dimension {dim}")


def _check_points(shape: tuple) -> None:
    if len(shape) < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")


def _check_arguments(input: Any, shape: tuple, bins: Any, weight: Any) -> None:
    """The edges of each dimension, if given, and the weights, beside points of this shape."""
    _check_points(shape)
    own, dims = input.dtype, shape[-1]
    if bins is not None and len(bins) != dims:
        raise RuntimeError(f"torch.histogramdd: expected {dims} sequences of bin edges for a "
                           f"{dims}-dimensional histogram but got {len(bins)}")
    for dim, edges in enumerate(bins or ()):
        if edges.dtype is not own:
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but "
                f"got input with dtype {own.c_name} and bins for dimension {dim} with dtype "
                f"{edges.dtype.c_name}")
        if edges._data.ndim != 1:
            raise RuntimeError(
                "torch.histogramdd: bins tensor should have one dimension, but got "
                f"{edges._data.ndim} dimensions in the bins tensor for dimension {dim}")
        if not edges._data.size:
            raise RuntimeError(
                "torch.histogramdd: bins tensor should have at least 1 element, but got 0 "
                f"elements in the bins tensor for dimension {dim}")
    if weight is None:
        return
    if weight.dtype is not own:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor "
            f"should have the same dtype, but got input({own.c_name}), and "
            f"weight({weight.dtype.c_name})")
    if weight._data.shape != shape[:-1]:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            f"input tensor excluding its innermost dimension, but got input with shape "
            f"{list(shape)} and weight with shape {list(weight._data.shape)}")


def _check_dtype(input: Any, even: bool = False) -> None:
    if even and input._data.dtype.kind == "b":
        raise no_kernel("linspace_cpu", input._data.dtype)
    if not input.dtype.is_floating_point:
        raise no_kernel("histogram_cpu", input._data.dtype)


def _ranges(points: Any, given: Any) -> tuple:
    """From where to where the bins reach, in each dimension: as given, or as far as the points do;
    [0, 1] for no points. A range without extent is widened."""
    dims = points.shape[-1]
    if given is not None:
        if len(given) != 2 * dims:
            raise RuntimeError(f"torch.histogramdd: for a {dims}-dimensional histogram range "
                               f"should have {2 * dims} elements, but got {len(given)}")
        bounds = [float(each) for each in given]
        pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    elif points.size:
        if points.dtype.kind != "f" or points.dtype.itemsize < 4:
            raise no_kernel("histogramdd", points.dtype)
        pairs = list(zip(points.min(axis=0).tolist(), points.max(axis=0).tolist(), strict=True))
    else:
        pairs = [(0.0, 1.0)] * dims
    for dim, (low, high) in enumerate(pairs):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd: dimension {dim}'s range [{low:g}, {high:g}] "
                               "is not finite")
        if low > high:
            raise RuntimeError(f"torch.histogramdd: min should not exceed max, but got min "
                               f"{low:g} max {high:g} for dimension {dim}")
    return tuple([(low - 0.5, high + 0.5) if low == high else (low, high) for low, high in pairs])
