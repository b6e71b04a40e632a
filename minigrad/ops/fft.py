"""Fourier transforms: three primitives, and the many names they have in torch.fft.

$X_k = \\sum_n x_n e^{-2\\pi i k n / N}$ over one or more dimensions. What differs between the
eighteen functions is only whether the input or the output is known to be real (and then half of the
complex numbers are left out, the other half being their conjugates), and who divides by N.
"""

from __future__ import annotations

import functools
from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import check_found, takes_out
from ..primitive import derivative, primitive
from .convert import cast
from .dims import wrap_dim
from .padding import constant_pad_nd
from .ranges import arange

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]

# Who divides by N: nobody, each direction by sqrt(N), this transform. (torch's numbers.)
AS_IS, BY_ROOT, BY_N = 0, 1, 2
_MODES = {  # of a forward transform; an inverse one has "forward" and "backward" exchanged
    "forward": BY_N, "ortho": BY_ROOT, "backward": AS_IS, None: AS_IS,
}
_INVERSE_MODES = {"forward": AS_IS, "ortho": BY_ROOT, "backward": BY_N, None: BY_N}

# The array library's word for a mode: it, too, thinks from the direction.
_FORWARD_WORD = {AS_IS: "backward", BY_ROOT: "ortho", BY_N: "forward"}
_INVERSE_WORD = {AS_IS: "forward", BY_ROOT: "ortho", BY_N: "backward"}


def _transform(kind: str, called: str | None = None, conjugates: bool = False) -> Any:
    """`@takes_out` with torch's demand that out is "complex" or "floating point".

    `conjugates`: the last step of a real input's transform is to conjugate it into out, which must
    then have the very dtype.
    """
    def decorate(function: Any) -> Any:
        name = called or function.__name__.replace("ifftn", "fftn")

        def check(_: Any, wanted: Any) -> None:
            if wanted.kind != kind[0]:
                raise RuntimeError(f"{name} expects a {kind} output tensor, but got "
                                   f"{dtypes.of(wanted).scalar_name}")

        def check_exactly(found: Any, wanted: Any) -> None:
            check(found, wanted)
            check_found(found, wanted)

        into = functools.partial(takes_out, function, name=f"fft_{function.__name__}")
        if not conjugates:
            return into(check=check)
        of_complex, of_real = into(check=check), into(check=check_exactly)

        def call(input: Any, *args: Any, **kwargs: Any) -> Any:
            is_real = isinstance(input, TensorBase) and not input.dtype.is_complex
            return (of_real if is_real else of_complex)(input, *args, **kwargs)

        call.takes_out = True  # type: ignore[attr-defined]
        return functools.update_wrapper(call, function)

    return decorate


# --- the primitives ------------------------------------------------------------------------------

@primitive(name="_fft_c2c", node_name="FftC2CBackward0")
def fft_c2c(xp, input, *, dim, normalization, forward):
    """Complex to complex. The transform is symmetric, so its transpose conjugated is the inverse
    with the same factor."""
    if forward:
        return xp.fft.fftn(input, axes=dim, norm=_FORWARD_WORD[normalization])
    return xp.fft.ifftn(input, axes=dim, norm=_INVERSE_WORD[normalization])


derivative(fft_c2c, input=lambda g, dim, normalization, forward: fft_c2c(
    g, dim=dim, normalization=normalization, forward=not forward))


@primitive(name="_fft_r2c", node_name="FftR2CBackward0")
def fft_r2c(xp, input, *, dim, normalization, onesided):
    """Real to complex; `onesided` leaves out the second half of the last dimension."""
    transform = xp.fft.rfftn if onesided else xp.fft.fftn
    return transform(input, axes=dim, norm=_FORWARD_WORD[normalization])


def _r2c_rule(g, input_shape, dim, normalization, onesided):
    """The real part of the inverse transform; what was left out had no gradient: zeros."""
    if onesided:
        missing = input_shape[dim[-1]] - g._data.shape[dim[-1]]
        widths = [0, 0] * (len(input_shape) - 1 - dim[-1]) + [0, missing]
        g = constant_pad_nd(g, widths) if missing else g
    return fft_c2c(g, dim=dim, normalization=normalization, forward=False).real


derivative(fft_r2c, input=_r2c_rule)


@primitive(name="_fft_c2r", node_name="FftC2RBackward0")
def fft_c2r(xp, input, *, dim, normalization, last_dim_size):
    """Complex to real, the inverse of the onesided `fft_r2c`: the missing half is understood."""
    sizes = [input.shape[d] for d in dim[:-1]] + [last_dim_size]
    return xp.fft.irfftn(input, s=sizes, axes=dim, norm=_INVERSE_WORD[normalization])


def _c2r_rule(g, dim, normalization):
    """Each number that stands for itself and its conjugate counts twice."""
    half = fft_r2c(g, dim=dim, normalization=normalization, onesided=True)
    last, twice = dim[-1], g._data.shape[dim[-1]] - half._data.shape[dim[-1]]
    if not twice:
        return half
    middle = half.narrow(last, 1, twice)
    return half.slice_scatter(middle * 2, last, 1, 1 + twice)


derivative(fft_c2r, input=_c2r_rule)


# --- arguments -----------------------------------------------------------------------------------

def _ready(input: Any, to_complex: bool = False) -> Any:
    """The input as floating point; integers become the default dtype."""
    own = input.dtype
    if own in (dtypes.float16, dtypes.bfloat16):
        raise RuntimeError(f"Unsupported dtype {own.scalar_name}")
    if own.category < dtypes.FLOATING:
        own = dtypes.get_default_dtype()
    return cast(input, (own.to_complex() if to_complex else own).numpy)


def _normalization(norm: str | None, forward: bool) -> int:
    modes = _MODES if forward else _INVERSE_MODES
    if norm not in modes:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return modes[norm]


def _one_dim(input: Any, dim: int) -> int:
    if not input._data.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, input._data.ndim)


def _points(count: int) -> int:
    if count < 1:
        raise RuntimeError(f"Invalid number of data points ({count}) specified")
    return count


def _resized(input: Any, dims: list[int], sizes: list[int]) -> Any:
    """Cut off or filled up with zeros to `sizes` along `dims`; -1 leaves a dimension."""
    widths = [0] * (2 * input._data.ndim)
    for dim, size in zip(dims, sizes, strict=True):
        own = input._data.shape[dim]
        if size == -1 or size == own:
            continue
        if size < own:
            input = input.narrow(dim, 0, size)
        else:
            widths[2 * (input._data.ndim - 1 - dim) + 1] = size - own
    return constant_pad_nd(input, widths) if any(widths) else input


def _dims_and_sizes(input: Any, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    """The dimensions to transform and how long each is to be (-1: as it is)."""
    ndim = input._data.ndim
    if isinstance(dim, int):
        dim = (dim,)
    if isinstance(s, int):
        s = (s,)
    if dim is not None:
        dims = [_one_dim(input, d) for d in dim]
        if len(set(dims)) < len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {ndim} "
                               "dimensions.")
        dims = list(range(ndim - len(s), ndim))
    else:
        dims = list(range(ndim))
    sizes = [-1] * len(dims) if s is None else list(s)
    for d, size in zip(dims, sizes, strict=True):
        _points(input._data.shape[d] if size == -1 else size)
    return dims, sizes


# --- one dimension -------------------------------------------------------------------------------

def _r2c_1d(name: str, input: Any, n: int | None, dim: int, norm: str | None, forward: bool,
            onesided: bool) -> Any:
    if input.dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got "
                           f"{input.dtype.scalar_name}")
    input = _ready(input)
    dim = _one_dim(input, dim)
    size = _points(input._data.shape[dim] if n is None else n)
    result = fft_r2c(_resized(input, [dim], [size]), dim=(dim,), onesided=onesided,
                     normalization=_normalization(norm, forward))
    return result if forward else result.conj()


def _c2r_1d(input: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    input = _ready(input, to_complex=True)
    dim = _one_dim(input, dim)
    size = _points(2 * (input._data.shape[dim] - 1) if n is None else n)
    if n is not None:
        input = _resized(input, [dim], [size // 2 + 1])
    return fft_c2r(input.conj() if forward else input, dim=(dim,), last_dim_size=size,
                   normalization=_normalization(norm, forward))


def _full_1d(name: str, input: Any, n: int | None, dim: int, norm: str | None,
             forward: bool) -> Any:
    if not input.dtype.is_complex:
        return _r2c_1d(name, input, n, dim, norm, forward, onesided=False)
    input = _ready(input)
    dim = _one_dim(input, dim)
    size = _points(input._data.shape[dim] if n is None else n)
    return fft_c2c(_resized(input, [dim], [size]), dim=(dim,), forward=forward,
                   normalization=_normalization(norm, forward))


@autocasts
@_transform("complex")
def fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    r"""$X_k = \sum_n x_n e^{-2\pi i k n / N}$ along `dim`, cut or padded to `n` first."""
    return _full_1d("fft", input, n, dim, norm, forward=True)


@autocasts
@_transform("complex", conjugates=True)
def ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    r"""$x_n = \frac1N \sum_k X_k e^{2\pi i k n / N}$."""
    return _full_1d("ifft", input, n, dim, norm, forward=False)


@autocasts
@_transform("complex")
def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """`fft` of real numbers: the first half, of which the rest are the conjugates."""
    return _r2c_1d("rfft", input, n, dim, norm, forward=True, onesided=True)


@autocasts
@_transform("floating point")
def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The inverse of `rfft`, of `n` real numbers (an even number unless told)."""
    return _c2r_1d(input, n, dim, norm, forward=False)


@autocasts
@_transform("floating point")
def hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """`fft` of numbers whose second half, left out, is the conjugate of the first."""
    return _c2r_1d(input, n, dim, norm, forward=True)


@autocasts
@_transform("complex", conjugates=True)
def ihfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The inverse of `hfft`."""
    return _r2c_1d("ihfft", input, n, dim, norm, forward=False, onesided=True)


# --- several dimensions --------------------------------------------------------------------------

def _full_nd(input: Any, s: Any, dim: Any, norm: str | None, forward: bool) -> Any:
    input = _ready(input, to_complex=True)
    dims, sizes = _dims_and_sizes(input, s, dim)
    mode = _normalization(norm, forward)
    input = _resized(input, dims, sizes)
    return fft_c2c(input, dim=tuple(dims), normalization=mode, forward=forward) if dims else (
        input.clone())


def _half_nd(name: str, input: Any, s: Any, dim: Any) -> tuple[Any, list[int]]:
    """The real input of the r2c transforms, resized, with its dimensions."""
    input = _ready(input)
    dims, sizes = _dims_and_sizes(input, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return _resized(input, dims, sizes), dims


def _from_half_nd(name: str, input: Any, s: Any, dim: Any) -> tuple[Any, list[int], int]:
    """The complex input of the c2r transforms, resized, its dimensions, the last one's size."""
    input = _ready(input, to_complex=True)
    dims, sizes = _dims_and_sizes(input, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    last = _points(2 * (input._data.shape[dims[-1]] - 1) if s is None or sizes[-1] == -1
                   else sizes[-1])
    sizes[-1] = last // 2 + 1
    return _resized(input, dims, sizes), dims, last


@autocasts
@_transform("complex")
def fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """`fft` along each of `dim` (all, unless told), cut or padded to sizes `s` first."""
    return _full_nd(input, s, dim, norm, forward=True)


@autocasts
@_transform("complex")
def ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """`ifft` along each of `dim`."""
    return _full_nd(input, s, dim, norm, forward=False)


@autocasts
@_transform("complex")
def rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """`rfft` along the last of `dim`, `fft` along the others."""
    if input.dtype.is_complex:
        raise RuntimeError("rfftn expects a real-valued input tensor, but got "
                           f"{input.dtype.scalar_name}")
    input, dims = _half_nd("rfftn", input, s, dim)
    return fft_r2c(input, dim=tuple(dims), normalization=_normalization(norm, True),
                   onesided=True)


@autocasts
@_transform("floating point")
def irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The inverse of `rfftn`."""
    input, dims, last = _from_half_nd("irfftn", input, s, dim)
    return fft_c2r(input, dim=tuple(dims), normalization=_normalization(norm, False),
                   last_dim_size=last)


@_transform("floating point")
def hfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """`hfft` along the last of `dim`, `fft` along the others."""
    input, dims, last = _from_half_nd("hfftn", input, s, dim)
    mode = _normalization(norm, True)
    if len(dims) > 1:
        input = fft_c2c(input, dim=tuple(dims[:-1]), normalization=mode, forward=True)
    return fft_c2r(input.conj(), dim=(dims[-1],), normalization=mode, last_dim_size=last)


@_transform("complex")
def ihfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The inverse of `hfftn`."""
    if input.dtype.is_complex:
        raise RuntimeError("Only supports floating-point dtypes, but found: "
                           f"{input.dtype.scalar_name}")
    input, dims = _half_nd("ihfftn", input, s, dim)
    mode = _normalization(norm, False)
    half = fft_r2c(input, dim=(dims[-1],), normalization=mode, onesided=True)
    if len(dims) == 1:
        return half.conj()
    return fft_c2c(half.conj_physical(), dim=tuple(dims[:-1]), normalization=mode, forward=False)


def _in_two(function: Any, name: str) -> Any:
    """The same along two dimensions."""
    def transform(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
        return function(input, s, dim, norm)

    transform.__name__ = name
    transform.__doc__ = f"`{function.__name__}` along the last two dimensions."
    kind = "floating point" if name in ("irfft2", "hfft2") else "complex"
    return autocasts(
        _transform(kind, called=name.replace("2", "n").replace("ifftn", "fftn"))(transform), name)


fft2, ifft2 = _in_two(fftn, "fft2"), _in_two(ifftn, "ifft2")
rfft2, irfft2 = _in_two(rfftn, "rfft2"), _in_two(irfftn, "irfft2")
hfft2, ihfft2 = _in_two(hfftn, "hfft2"), _in_two(ihfftn, "ihfft2")


# --- order and frequencies -----------------------------------------------------------------------

def _all_dims(input: Any, dim: Any) -> list[int]:
    if dim is None:
        return list(range(input._data.ndim))
    return [wrap_dim(d, input._data.ndim) for d in ((dim,) if isinstance(dim, int) else dim)]


def fftshift(input: Any, dim: Any = None) -> Any:
    """Frequency 0 moved from the first place to the middle."""
    dims = _all_dims(input, dim)
    return input.roll([input._data.shape[d] // 2 for d in dims], dims)


def ifftshift(input: Any, dim: Any = None) -> Any:
    """The inverse of `fftshift`."""
    dims = _all_dims(input, dim)
    return input.roll([(input._data.shape[d] + 1) // 2 for d in dims], dims)


def _frequency_options(name: str, options: dict) -> dict:
    dtype = options.get("dtype") or dtypes.get_default_dtype()
    if dtype.category < dtypes.FLOATING:
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    return {**options, "dtype": dtype}


@takes_out(casts=True, name="fft_fftfreq")
def fftfreq(n: int, d: float = 1.0, **options: Any) -> Any:
    """The frequencies that the places of `fft`'s result stand for: 0, 1, ..., -2, -1 over n d."""
    places = arange(n, **_frequency_options("fftfreq", options))
    places[(n + 1) // 2:] -= n
    return places * (1.0 / (n * d)) if n else places


@takes_out(casts=True, name="fft_rfftfreq")
def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Any:
    """The frequencies of `rfft`'s result: 0, 1, ..., n/2 over n d."""
    places = arange(n // 2 + 1, **_frequency_options("rfftfreq", options))
    return places * (1.0 / (n * d)) if n else places
