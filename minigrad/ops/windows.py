"""Windows: how a stretch of a signal fades in and out before its spectrum is taken.

torch has two families of them: `torch.hann_window(length, periodic)` and the newer
`torch.signal.windows.hann(M, sym=)`. A periodic window is a symmetric one of one more point, the
last of which is left off: repeated, it continues itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from math import pi, sqrt
from typing import Any

from .. import dtypes
from ..autograd.grad_mode import no_grad
from ..device import device as device_type
from ..layout import strided
from ..primitive import no_kernel
from .bessel import i0
from .choosing import minimum
from .creation import ones
from .from_data import tensor
from .ranges import arange, linspace

__all__ = ["bartlett", "bartlett_window", "blackman", "blackman_window", "cosine", "exponential",
           "gaussian", "general_cosine", "general_hamming", "hamming", "hamming_window", "hann",
           "hann_window", "kaiser", "kaiser_window", "nuttall"]


# --- torch.hann_window(length, periodic) ---------------------------------------------------------

def _by_length(points: Callable) -> Callable:
    """Make `NAME_window(window_length, periodic, ...)` of a function of the places 0 ... N - 1."""
    name = points.__name__

    @no_grad()
    def call(window_length: int, periodic: bool = True, *shape: float, dtype: Any = None,
             layout: Any = None, device: Any = None, pin_memory: bool = False,
             requires_grad: bool = False, **named: float) -> Any:
        if type(window_length) is not int:
            raise TypeError(f"{name}(): argument 'window_length' (position 1) must be int, not "
                            f"{type(window_length).__name__}")
        dtype = dtype or dtypes.get_default_dtype()
        if dtype.category < dtypes.FLOATING or layout not in (None, strided):
            wrong = ("expects floating point dtypes" if layout in (None, strided)
                     else "is not implemented for sparse types")
            raise RuntimeError(f"{name} {wrong}, got: {_options(dtype, layout, device)}")
        if window_length < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got "
                               f"window_length={window_length}")
        if dtype.is_complex:
            raise no_kernel("arange_cpu", dtype.numpy)
        options = {"dtype": dtype, "device": device}
        if window_length < 2:
            window = ones(window_length, **options)
        else:
            places = arange(window_length + bool(periodic), **options)
            window = points(places, *shape, **named)[:window_length]
        return window.requires_grad_(requires_grad)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = points.__doc__
    return call


def _options(dtype: Any, layout: Any, device: Any) -> str:
    """What torch's errors print of the options."""
    kind = "Strided (default)" if layout in (None, strided) else "Sparse"
    return (f"TensorOptions(dtype={dtype.c_name}, device={device_type(device or 'cpu')}, "
            f"layout={kind}, requires_grad=false (default), pinned_memory=false, "
            "memory_format=(nullopt))")


def _times(tensor: Any, number: float) -> Any:
    """The product with a number rounded to the tensor's dtype: torch's C++ rounds each, so that a
    16-bit window is not the rounded window."""
    return tensor * tensor.new_tensor(number)


@_by_length
def bartlett_window(places: Any) -> Any:
    r"""A triangle: $1 - |\frac{2n}{N-1} - 1|$."""
    last = len(places) - 1
    rising = _times(places, 2 / last)
    rising[last // 2 + 1:].mul_(-1).add_(2)
    return rising


@_by_length
def blackman_window(places: Any) -> Any:
    r"""$0.42 - 0.5\cos\frac{2\pi n}{N-1} + 0.08\cos\frac{4\pi n}{N-1}$."""
    angle = _times(places, pi / (len(places) - 1))
    waves = _times((angle * 4).cos_(), 0.08) - _times((angle * 2).cos_(), 0.5)
    return waves + waves.new_tensor(0.42)


@_by_length
def hamming_window(places: Any, alpha: float = 0.54, beta: float = 0.46) -> Any:
    r"""$\alpha - \beta\cos\frac{2\pi n}{N-1}$."""
    wave = _times(places, 2 * pi / (len(places) - 1)).cos_()
    return _times(wave, -beta) + wave.new_tensor(alpha)


@_by_length
def hann_window(places: Any) -> Any:
    r"""$\frac12(1 - \cos\frac{2\pi n}{N-1})$."""
    return _times(_times(places, 2 * pi / (len(places) - 1)).cos_(), -0.5) + 0.5


@_by_length
def kaiser_window(places: Any, beta: float = 12.0) -> Any:
    r"""$I_0(\beta\sqrt{1 - (\frac{n - m}{m})^2}) / I_0(\beta)$ with the middle $m$."""
    middle = (len(places) - 1) / 2
    wide = places.float() if places.itemsize == 2 else places
    inside = 1 - ((wide - middle) / middle).pow(2)  # below 0 if rounding moved a place too far
    return (i0(inside.abs().sqrt() * beta) / i0(wide.new_tensor(beta))).to(places.dtype)


# --- torch.signal.windows.hann(M, sym=) ----------------------------------------------------------

def _by_points(points: Callable) -> Callable:
    """Make `NAME(M, *, ..., sym, dtype, ...)` of `points(M, span, line, ...)`: `span` is the
    distance after which the window repeats, `line` is `linspace` of M numbers with the options."""
    name, own = points.__name__, points.__kwdefaults__ or {}
    needs_sym = "sym" in inspect.signature(points).parameters

    def call(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = strided,
             device: Any = None, requires_grad: bool = False, **shape: Any) -> Any:
        dtype = dtype or dtypes.get_default_dtype()
        if M < 0:
            raise ValueError(f"{name} requires non-negative window length, got M={M}")
        if layout is not strided:
            raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
        if dtype not in (dtypes.float32, dtypes.float64):
            raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
        if needs_sym:
            shape["sym"] = sym
        line = functools.partial(linspace, steps=M, dtype=dtype, device=device,
                                 requires_grad=requires_grad)
        return points(M, M if not sym and M > 1 else M - 1, line, **{**own, **shape})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = points.__doc__
    return call


def _of_ones(line: functools.partial) -> Any:
    """A window of no or one point."""
    return ones(line.keywords["steps"], **{name: line.keywords[name] for name in (
        "dtype", "device", "requires_grad")})


@_by_points
def bartlett(M: int, span: int, line: functools.partial) -> Any:
    r"""A triangle: $1 - |\frac{2n}{N} - 1|$."""
    if M < 2:
        return _of_ones(line)
    return 1 - line(-1, -1 + (M - 1) * (2 / span)).abs()


@_by_points
def blackman(M: int, span: int, line: functools.partial) -> Any:
    r"""$0.42 - 0.5\cos\frac{2\pi n}{N} + 0.08\cos\frac{4\pi n}{N}$."""
    return _cosines(M, span, line, [0.42, 0.5, 0.08])


@_by_points
def cosine(M: int, span: int, line: functools.partial) -> Any:
    r"""Half a wave: $\sin\frac{\pi(n + 1/2)}{N}$."""
    step = pi / (span + 1) if M else pi
    return line(0.5 * step, (0.5 + (M - 1)) * step).sin()


@_by_points
def exponential(M: int, span: int, line: functools.partial, *, center: float | None = None,
                tau: float = 1.0, sym: bool = True) -> Any:
    r"""$e^{-|n - c| / \tau}$."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    center = span / 2 if center is None else center
    step = 1 / tau
    return (-line(-center * step, (-center + (M - 1)) * step).abs()).exp()


@_by_points
def gaussian(M: int, span: int, line: functools.partial, *, std: float = 1.0) -> Any:
    r"""$e^{-\frac12 ((n - N/2) / \sigma)^2}$."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    start, step = -span / 2.0, 1 / (std * sqrt(2))
    return (-line(start * step, (start + (M - 1)) * step) ** 2).exp()


@_by_points
def general_cosine(M: int, span: int, line: functools.partial, *, a: Iterable) -> Any:
    r"""$\sum_i (-1)^i a_i \cos\frac{2\pi i n}{N}$."""
    return _cosines(M, span, line, a)


def _cosines(M: int, span: int, line: functools.partial, a: Iterable) -> Any:
    if M < 2:
        return _of_ones(line)
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    angle = line(0, (M - 1) * (2 * pi / span))
    options = {name: line.keywords[name] for name in ("dtype", "device", "requires_grad")}
    weights = tensor([(-1) ** i * weight for i, weight in enumerate(a)], **options)
    orders = arange(len(weights), **options)
    return (weights.unsqueeze(-1) * (orders.unsqueeze(-1) * angle).cos()).sum(0)


@_by_points
def kaiser(M: int, span: int, line: functools.partial, *, beta: float = 12.0) -> Any:
    r"""$I_0(\beta\sqrt{1 - (\frac{2n}{N} - 1)^2}) / I_0(\beta)$."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M < 2:
        return _of_ones(line)
    top = tensor(beta, dtype=line.keywords["dtype"], device=line.keywords["device"])
    end = minimum(top, -top + (M - 1) * (2.0 * top / span))
    return i0((top * top - line(-top, end).pow(2)).sqrt()) / i0(top)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Any:
    r"""$\alpha - (1 - \alpha)\cos\frac{2\pi n}{N}$."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Any:
    r"""$0.54 - 0.46\cos\frac{2\pi n}{N}$."""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Any:
    r"""$\frac12(1 - \cos\frac{2\pi n}{N})$."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Any:
    """Four cosines, chosen so that next to nothing leaks into far frequencies."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)
