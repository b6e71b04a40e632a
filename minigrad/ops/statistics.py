"""The middle and the most frequent; covariance, correlation; all combinations of the elements."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase, wrap
from ..device import ARRAY_MODULES
from ..out import takes_out
from ..primitive import derivative, primitive
from .arithmetic import mul_number
from .complex import complex as complex_of
from .creation import scalar_tensor
from .cumulative_extremes import along, running
from .extremes import at_index, nonempty_dim, put_along, return_type, shared
from .joining import stack
from .scatter import masked_select
from .shape import meshgrid
from .sorting import order_along

__all__ = ["combinations", "corrcoef", "cov", "median", "mode", "nanmedian"]

MedianResult = return_type("median", "values", "indices")
NanmedianResult = return_type("nanmedian", "values", "indices")
ModeResult = return_type("mode", "values", "indices")


# --- the middle ----------------------------------------------------------------------------------

def _middle(xp, input, dim, keepdim, skip_nan):
    """The middle of the sorted elements, which end with the nans. These are skipped, or else the
    first of them is the result."""
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    order = order_along(xp, input, dim, False)
    size = input.shape[dim]
    count = size - (input != input).sum(axis=dim, keepdims=True)
    if skip_nan:
        place = xp.maximum(count - 1, 0) // 2
    else:
        place = xp.where(count < size, count, (size - 1) // 2)
    index = xp.take_along_axis(order, place, axis=dim).squeeze(dim)
    values, index = at_index(xp, input, index, dim, keepdim)
    return xp.ascontiguousarray(values).reshape(values.shape), index


def _middle_of_all(xp, input, skip_nan):
    if input.size:
        return _middle(xp, input.reshape(-1), 0, False, skip_nan)[0]
    if input.dtype.kind in "iu":  # what C makes of nan
        wide = input.dtype.itemsize >= 4
        return xp.full((), np.iinfo(input.dtype).min if wide else 0, input.dtype)
    return xp.full((), np.nan, input.dtype)


_NO_KERNEL_OF_ALL = {"bc": "median_cpu"}
_NO_KERNEL = {"bc": "median_out"}


@primitive(promote="exact", name="median", refuses=_NO_KERNEL_OF_ALL)
def _median_all(xp, input):
    return _middle_of_all(xp, input, skip_nan=False)


@primitive(promote="exact", name="nanmedian", refuses=_NO_KERNEL_OF_ALL)
def _nanmedian_all(xp, input):
    return _middle_of_all(xp, input, skip_nan=True)


@primitive(promote="exact", name="median", overload=1, outputs=("values", "indices"),
           refuses=_NO_KERNEL)
def _median(xp, input, *, dim, keepdim):
    return _middle(xp, input, dim, keepdim, skip_nan=False)


@primitive(promote="exact", name="nanmedian", overload=1, outputs=("values", "indices"),
           refuses=_NO_KERNEL)
def _nanmedian(xp, input, *, dim, keepdim):
    return _middle(xp, input, dim, keepdim, skip_nan=True)


for _op in (_median_all, _nanmedian_all):
    derivative(_op, input=lambda g, input, result: shared(g, input, result, None))
for _op in (_median, _nanmedian):
    derivative(_op, input=lambda g, input_shape, indices, dim, keepdim: put_along(
        g, input_shape, indices, dim, keepdim))


def _check_median_out(found: Any, wanted: Any) -> None:
    names = [f"torch.{dtypes.of(each).scalar_name}Tensor" for each in (found, wanted)]
    if found == wanted:
        return
    if found == np.int64:
        raise RuntimeError("Expected tensor for argument #1 'indices' to have scalar type Long; "
                           f"but got {names[1]} instead (while checking arguments for median)")
    raise RuntimeError("Expected tensor for 'values' to have the same type as tensor for argument "
                       f"#2 'self'; but type {names[1]} does not equal {names[0]} (while checking "
                       "arguments for median)")


@takes_out(check=_check_median_out)
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower of two; along `dim` with its index. nan if there is one."""
    if dim is None:
        return _median_all(input)
    return MedianResult(*_median(input, dim=nonempty_dim("median", input, dim), keepdim=keepdim))


@takes_out(check=_check_median_out)
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle of the elements that are not nan, the lower of two; along `dim` with its index."""
    if dim is None:
        return _nanmedian_all(input)
    dim = nonempty_dim("median", input, dim)
    return NanmedianResult(*_nanmedian(input, dim=dim, keepdim=keepdim))


# --- the most frequent ---------------------------------------------------------------------------

@primitive(promote="exact", name="mode", outputs=("values", "indices"), refuses={"c": "mode_cpu"})
def _mode(xp, input, *, dim, keepdim):
    """The end of the longest run of equal elements, once they are sorted."""
    if not input.ndim:
        return input.copy(), xp.zeros((), xp.int64)
    order = order_along(xp, input, dim, False)
    elements = xp.moveaxis(xp.take_along_axis(input, order, axis=dim), dim, 0)
    starts = xp.ones(elements.shape, bool)
    starts[1:] = elements[1:] != elements[:-1]
    places = along(xp, len(elements), 0, input.ndim)
    first = running(xp, xp.maximum, xp.where(starts, places, 0), 0)
    longest = xp.expand_dims(xp.argmax(places - first, axis=0), dim)
    index = xp.take_along_axis(order, longest, axis=dim).squeeze(dim)
    values, index = at_index(xp, input, index, dim, keepdim)
    return tuple([xp.ascontiguousarray(each).reshape(each.shape) for each in (values, index)])


derivative(_mode, input=lambda g, input_shape, indices, dim, keepdim: put_along(
    g, input_shape, indices, dim, keepdim))


def _check_mode_out(found: Any, wanted: Any) -> None:
    if found != wanted:
        which = "indices" if found == np.int64 else "values"
        raise RuntimeError(f"expected scalar type '{dtypes.of(found).scalar_name}' but got "
                           f"'{dtypes.of(wanted).scalar_name}' for {which} output")


def mode(input: Any, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The most frequent element along `dim`, the smallest of several; and the last of its places.

    No two nans are equal, and they come last.
    """
    dim = nonempty_dim("mode", input, dim)
    return (_mode_into if input._data.ndim else _same_into)(
        input, dim=dim, keepdim=keepdim, out=out)


def _mode_along(input: Any, *, dim: int, keepdim: bool) -> Any:
    return ModeResult(*_mode(input, dim=dim, keepdim=keepdim))


_mode_into = takes_out(_mode_along, name="mode", check=_check_mode_out)
_same_into = takes_out(_mode_along, name="mode", check=_check_mode_out, warns=False)


# --- covariance ----------------------------------------------------------------------------------

def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    r"""$C_{ij} = \frac1{n - c}\sum_k (a_{ik} - \mu_i)(a_{jk} - \mu_j)^*$: a row is a variable, a
    column an observation.

    `fweights` are how often an observation was made, `aweights` how much it counts: then the sums
    and the means are weighted, with $w = fa$, and $n - c$ is $\sum w - c \sum wa / \sum w$.
    """
    _check_matrix("cov", input)
    if type(correction) is not int:
        raise TypeError("cov(): argument 'correction' must be int, not "
                        f"{type(correction).__name__}")
    if input.dtype is dtypes.bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = input if input._data.ndim == 2 else input.view(1, -1)
    count = rows._data.shape[1]
    weights = None
    if fweights is not None:
        weights = _weights("fweights", fweights, count, "biu", "integral")
    if aweights is not None:
        weight = _weights("aweights", aweights, count, "f", "floating point")
        weights = weight if weights is None else weights * weight

    if weights is None:
        total = scalar_tensor(count, dtype=dtypes.int64, device=input.device)
    else:
        total = weights.sum()
        if not bool(total != 0):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    average = (rows if weights is None else rows * weights).sum(1) / total
    freedom = total
    if correction and aweights is not None:
        freedom = total - mul_number((weights * aweights).sum(), other=correction) / total
    elif correction:
        freedom = total - correction
    if bool(freedom <= 0):
        warnings.warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than "
                      "the number of observations.", UserWarning, stacklevel=2)
        freedom.zero_()
    if weights is not None and count == 1:
        off = rows.zero_()  # torch does so, to the caller's very tensor
    else:
        off = rows - average.unsqueeze(1)
    product = off.mm((off if weights is None else off * weights).t().conj())
    if product.is_complex() and len(product._data) == 1:  # a variance is real
        product = complex_of(product.real, product.real.detach().zeros_like())
    return (product / freedom).squeeze()


def _require_tensor(what: str, value: Any) -> None:
    if not isinstance(value, TensorBase):
        raise TypeError(f"{what} must be Tensor, not {type(value).__name__}")


def _check_matrix(name: str, input: Any) -> None:
    _require_tensor(f"{name}(): argument 'input' (position 1)", input)
    if input._data.ndim > 2:
        raise RuntimeError(f"{name}(): expected input to have two or fewer dimensions but got an "
                           f"input with {input._data.ndim} dimensions")


def _weights(name: str, weights: Any, count: int, kinds: str, words: str) -> Any:
    """The weights, if each observation has one, of the right type and not negative."""
    _require_tensor(f"cov(): argument '{name}'", weights)
    array = weights._data
    if array.ndim > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} "
                           f"with {array.ndim} dimensions")
    fits = weights.is_floating_point() if kinds == "f" else array.dtype.kind in kinds
    if not fits or weights.dtype is dtypes.bool_:
        raise RuntimeError(f"cov(): expected {name} to have {words} dtype but got {name} with "
                           f"{weights.dtype.scalar_name} dtype")
    if array.size != count:
        raise RuntimeError(f"cov(): expected {name} to have the same numel as there are "
                           f"observations in the input but got {array.size} != {count}")
    if bool((array < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")
    return weights


def corrcoef(input: Any) -> Any:
    r"""$R_{ij} = C_{ij} / \sqrt{C_{ii} C_{jj}}$ of the covariances $C$; a row is a variable."""
    _check_matrix("corrcoef", input)
    covariance = cov(input)
    if not covariance._data.ndim:
        return covariance / covariance
    variance = covariance.diagonal()
    deviation = (variance.real if variance.is_complex() else variance).sqrt()
    result = covariance / deviation.view(-1, 1) / deviation.view(1, -1)
    if not result.is_complex():  # rounding may have led out of [-1, 1]
        return result.clip(-1, 1)
    return complex_of(result.real.clip(-1, 1), result.imag.clip(-1, 1))


# --- combinations --------------------------------------------------------------------------------

def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of `r` elements of a vector as rows, in order as itertools makes them."""
    _require_tensor("combinations(): argument 'input' (position 1)", input)
    if not isinstance(r, int):
        raise TypeError(f"combinations(): argument 'r' (position 2) must be int, not "
                        f"{type(r).__name__}")
    if input._data.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._data.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    chosen = _increasing(input, r, with_replacement)
    grids = meshgrid(*[input] * r, indexing="ij")
    return stack([masked_select(grid, chosen) for grid in grids], 1)


def _increasing(input: Any, r: int, with_replacement: bool) -> Any:
    """Which of all `r`-tuples of places are in order, as a grid with an axis for each place."""
    xp = ARRAY_MODULES[type(input._data)]
    size = input._data.size
    chosen = xp.ones((size,) * r, bool)
    for axis in range(r - 1):
        left, right = along(xp, size, axis, r), along(xp, size, axis + 1, r)
        chosen &= left <= right if with_replacement else left < right
    return wrap(chosen)
