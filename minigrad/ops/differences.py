"""Differences of neighbours, derivatives of sampled functions, and integrals of them."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core import TensorBase
from ..out import takes_out
from .arithmetic import div_number, mul_number
from .dims import wrap_dim, wrap_dims
from .joining import cat
from .parts import select, slice_

__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]


# --- differences ---------------------------------------------------------------------------------

def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *,
         out: Any = None) -> Any:
    r"""$y_i = a_{i+1} - a_i$ along `dim`, `n` times over; of bools, whether they differ."""
    _check_diff(input, n)
    dim = wrap_dim(dim, input._data.ndim)
    for name, more in (("prepend", prepend), ("append", append)):
        if more is not None:
            _check_joined(input, name, more, dim)
    return (_differences if n else _no_difference)(input, n, dim, prepend, append, out=out)


@takes_out(name="diff", words="expected scalar_type {found} but found {wanted}", recorded=True)
def _no_difference(input: Any, n: int, dim: int, prepend: Any, append: Any) -> Any:
    return input.zeros_like().copy_(input)


@takes_out(name="diff", casts=True)
def _differences(input: Any, n: int, dim: int, prepend: Any, append: Any) -> Any:
    if prepend is not None or append is not None:
        input = cat([each for each in (prepend, input, append) if each is not None], dim)
    for _ in range(min(n, input._data.shape[dim])):
        later = slice_(input, dim, 1)
        earlier = slice_(input, dim, 0, -1)
        input = later ^ earlier if input.dtype is dtypes.bool_ else later - earlier
    return input


def _check_diff(input: Any, n: Any) -> None:
    if not isinstance(input, TensorBase):
        raise TypeError("diff(): argument 'input' (position 1) must be Tensor, not "
                        f"{type(input).__name__}")
    if not isinstance(n, int):
        raise TypeError(f"diff(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    if not input._data.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")


def _check_joined(input: Any, name: str, more: Any, dim: int) -> None:
    if not isinstance(more, TensorBase):
        raise TypeError(f"diff(): argument '{name}' must be Tensor, not {type(more).__name__}")
    shape, other = input._data.shape, more._data.shape
    if len(shape) != len(other):
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for i, (size, found) in enumerate(zip(shape, other, strict=True)):
        if i != dim and size != found:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input "
                f"except along the differencing dimension; input.size({i}) = {size}, but got "
                f"tensor.size({i}) = {found}")


# --- derivatives ---------------------------------------------------------------------------------
# Note [Derivatives from three points]
# The parabola through (0, f0), (h, f1) and (h + k, f2) has at these points the derivatives
#
#     w0 f0 + w1 f1 + w2 f2    with    at 0:      -(2h + k) / (h (h + k)),  (h + k) / (h k),
#                                                 -h / (k (h + k))
#                                      at h:      -k / (h (h + k)),  (k - h) / (h k),
#                                                 h / (k (h + k))
#                                      at h + k:  k / (h (h + k)),  -(h + k) / (h k),
#                                                 (2k + h) / (k (h + k))
#
# They are exact for polynomials of degree 2, so their error is of the second order in the spacing.
# Inside, the point in the middle is taken; at an edge one of the others (edge_order 2), or the
# difference to the only neighbour (edge_order 1). With h = k the weights are the well known
# (-3, 4, -1) / 2h, (-1, 0, 1) / 2h and (1, -4, 3) / 2h.


def gradient(input: Any, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple:
    """The derivatives along each of `dim` (all by default) of the function whose samples these are.

    `spacing` is the distance of the samples, one number for all dims or one for each; or a list of
    vectors, the samples' coordinates in each dim. See Note [Derivatives from three points].
    """
    dims, steps = _gradient_arguments(input, spacing, dim, edge_order)
    ndim, shape = input._data.ndim, input._data.shape
    count = None if dim is None else len(dims)
    _check_gradient(input, None if steps is None else len(steps), count, edge_order)
    for each in dims:
        if not ndim:
            raise IndexError(f"Dimension specified as {each} but tensor has no dimensions")
    dims = wrap_dims(dims, ndim)
    if any(shape[each] <= edge_order for each in dims):
        raise RuntimeError("torch.gradient expected each dimension size to be at least "
                           "edge_order+1")
    steps = [1 if spacing is None else spacing] * len(dims) if steps is None else steps
    along = _along_coordinates if isinstance(next(iter(steps), 1), TensorBase) else _along_even
    return tuple([along(input, step, each, edge_order)
                  for step, each in zip(steps, dims, strict=True)])


def _gradient_arguments(input: Any, spacing: Any, dim: Any, edge_order: Any) -> tuple:
    """The dims, and the list of spacings if `spacing` is one."""
    if not isinstance(input, TensorBase):
        raise TypeError("gradient(): argument 'input' (position 1) must be Tensor, not "
                        f"{type(input).__name__}")
    several = isinstance(spacing, list | tuple)
    number = isinstance(spacing, int | float | complex) or (
        isinstance(spacing, TensorBase) and not spacing._data.ndim)
    fits = type(dim) is int or dim is None or isinstance(dim, list | tuple)
    if not (fits and isinstance(edge_order, int) and (several or number or spacing is None)):
        raise TypeError("gradient() received an invalid combination of arguments - got "
                        f"({type(input).__name__}, dim={type(dim).__name__}, "
                        f"spacing={type(spacing).__name__})")
    if several and any(isinstance(each, TensorBase) for each in spacing):
        for i, each in enumerate(spacing):
            if not isinstance(each, TensorBase):
                raise TypeError(f"expected Tensor as element {i} in argument 1, but got "
                                f"{type(each).__name__}")
    dims = range(input._data.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return tuple(dims), list(spacing) if several else None


def _check_gradient(input: Any, spacings: int | None, dims: int | None, edge_order: int) -> None:
    if input.dtype is dtypes.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if spacings is not None and dims is None and spacings != input._data.ndim:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"equal to 'self.dim() = {input._data.ndim}', since dim argument was not given, but "
            f"got a list of length {spacings}")
    if spacings is not None and dims is not None and spacings != dims:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim "
            f"arguments to have the same length, but got a spacing argument of length {spacings} "
            f"and a dim argument of length {dims}.")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")


def _along_even(input: Any, step: Any, dim: int, edge_order: int) -> Any:
    """The derivative along `dim`, with samples at equal distances `step`."""
    step = _number(step)

    def part(start: int | None, end: int | None = None) -> Any:
        return slice_(input, dim, start, end)

    inside = div_number(div_number(part(2) - part(0, -2), other=step), other=2)
    if edge_order == 1:
        first, last = part(1, 2) - part(0, 1), part(-1) - part(-2, -1)
    else:
        first = (mul_number(part(0, 1), other=-1.5) + mul_number(part(1, 2), other=2)
                 - mul_number(part(2, 3), other=0.5))
        last = (mul_number(part(-3, -2), other=0.5) - mul_number(part(-2, -1), other=2)
                + mul_number(part(-1), other=1.5))
    return cat([div_number(first, other=step), inside, div_number(last, other=step)], dim)


def _number(value: Any) -> Any:
    """A Python number, also of a 0-d tensor."""
    return value if isinstance(value, int | float | complex) else value.item()


def _along_coordinates(input: Any, places: Any, dim: int, edge_order: int) -> Any:
    """The derivative along `dim`, with samples at `places`."""
    if places._data.ndim != 1:
        raise RuntimeError("torch.gradient expected each element of spacing to have one dimension, "
                           f"but got an element with {places._data.ndim} dimensions!")
    distances = diff(places)
    h, k = slice_(distances, 0, 0, -1), slice_(distances, 0, 1)
    shape = [-1 if d == dim else 1 for d in range(input._data.ndim)]

    def part(start: int | None, end: int | None = None) -> Any:
        return slice_(input, dim, start, end)

    def distance(i: int) -> Any:
        return select(distances, 0, i)

    w0, w1, w2 = -k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))
    inside = (w0.reshape(shape) * part(0, -2) + w1.reshape(shape) * part(1, -1)
              + w2.reshape(shape) * part(2))
    if edge_order == 1:
        first = (part(1, 2) - part(0, 1)) / distance(0)
        last = (part(-1) - part(-2, -1)) / distance(-1)
        return cat([first, inside, last], dim)

    # Every use of a distance selects it anew: so torch's graph has it.
    near, far = lambda: distance(0), lambda: distance(1)
    w0 = -(mul_number(near(), other=2.0) + far()) / (near() * (near() + far()))
    w1 = (near() + far()) / (near() * far())
    w2 = -near() / (far() * (near() + far()))
    first = w0 * part(0, 1) + w1 * part(1, 2) + w2 * part(2, 3)

    near, far = lambda: distance(-1), lambda: distance(-2)
    w0 = near() / (far() * (near() + far()))
    w1 = -(near() + far()) / (near() * far())
    w2 = (mul_number(near(), other=2.0) + far()) / (near() * (near() + far()))
    last = w0 * part(-3, -2) + w1 * part(-2, -1) + w2 * part(-1)
    return cat([first, inside, last], dim)


# --- integrals -----------------------------------------------------------------------------------

def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    r"""$\sum_i (y_i + y_{i+1})\,(x_{i+1} - x_i) / 2$ along `dim`: the integral of the polygon.

    Without `x` the samples are `dx` apart (1 by default).
    """
    _check_integral("trapezoid", y, x, dx, int | float | complex)
    return _integral(y, x, dx, dim)


def trapz(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """`trapezoid`, by its old name."""
    _check_integral("trapz", y, x, dx, int | float)
    return _integral(y, x, None if dx is None else float(dx), dim)


def _integral(y: Any, x: Any, dx: Any, dim: int) -> Any:
    ndim, shape = y._data.ndim, y._data.shape
    dim = wrap_dim(dim, ndim)
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if not shape[dim]:
        return y.new_zeros(shape[:dim] + shape[dim + 1:])
    widths = _widths("trapezoid", y, x, dx, dim)
    if x is not None:
        return div_number((_pairs(y, dim) * widths).sum(dim), other=2.0)
    ends = select(y, dim, 0) + select(y, dim, -1)
    return mul_number(y.sum(dim) - mul_number(ends, other=0.5), other=widths)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """The integral by `trapezoid` up to each place but the first, where it is 0."""
    _check_integral("cumulative_trapezoid", y, x, dx, int | float | complex)
    dim = wrap_dim(dim, y._data.ndim)
    widths = _widths("cumulative_trapezoid", y, x, dx, dim)
    if not y._data.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if x is not None:
        return div_number((_pairs(y, dim) * widths).cumsum(dim), other=2.0)
    return mul_number(_pairs(y, dim), other=widths / 2).cumsum(dim)


def _pairs(y: Any, dim: int) -> Any:
    """The sums of neighbours."""
    return slice_(y, dim, 0, -1) + slice_(y, dim, 1)


def _check_integral(name: str, y: Any, x: Any, dx: Any, numbers: Any) -> None:
    if not isinstance(y, TensorBase):
        raise TypeError(f"{name}(): argument 'y' (position 1) must be Tensor, not "
                        f"{type(y).__name__}")
    number = isinstance(dx, numbers) or isinstance(dx, TensorBase) and not dx._data.ndim
    if dx is not None and (x is not None or not number) or (
            x is not None and not isinstance(x, TensorBase)):
        given = [type(y).__name__] + ([] if x is None else [type(x).__name__])
        given += [] if dx is None else [f"dx={type(dx).__name__}"]
        raise TypeError(f"{name}() received an invalid combination of arguments - got "
                        f"({', '.join(given)})")


def _widths(name: str, y: Any, x: Any, dx: Any, dim: int) -> Any:
    """The distances of the samples: those of `x`, in the shape of `y`, or the number `dx`."""
    if y.dtype is dtypes.bool_ or x is not None and x.dtype is dtypes.bool_:
        which = "`y`" if x is None else "`x` or `y`"
        raise RuntimeError(f"{name}: received a bool input for {which}, but bool is not supported")
    if x is None:
        dx = 1 if dx is None else _number(dx)
        if isinstance(dx, bool | complex):
            raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
        return float(dx)
    ndim, shape = y._data.ndim, x._data.shape
    if len(shape) == 1:
        if ndim and shape[0] != y._data.shape[dim]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.view([-1 if d == dim else 1 for d in range(ndim)])
    elif len(shape) < ndim:
        x = x.view([1] * (ndim - len(shape)) + list(shape))
    return slice_(x, dim, 1) - slice_(x, dim, 0, -1)
