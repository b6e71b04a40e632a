"""The short-time Fourier transform: the spectra of a signal's overlapping frames, and back."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from .creation import ones
from .fft import AS_IS, BY_N, BY_ROOT, fft_c2c, fft_c2r, fft_r2c
from .padding import constant_pad_nd, pad
from .parts import slice_, unfold_backward
from .strided import as_strided

__all__ = ["istft", "stft"]


def _shown(input: Any, kind: str, **arguments: Any) -> str:
    """A call as torch's errors print it: bools as 0 and 1, a window by its sizes."""
    window = arguments["window"]
    if window is not None:
        name = f"torch.{window.dtype.scalar_name}Tensor"
        arguments["window"] = f"{name}{{{list(window._data.shape)}}}"
    words = [f"{name}={int(value) if isinstance(value, bool) else value}"
             for name, value in arguments.items()]
    sizes = ", ".join(map(str, input._data.shape))
    return f"({kind}[{sizes}], {', '.join(words)})"


def _warn_of_no_window(words: str) -> None:
    warnings.warn(
        f"A window was not provided. A rectangular window will be applied{words}To suppress this "
        "warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, "
        "device=<device>)`.", UserWarning, stacklevel=3)


def _filled_up(window: Any, signal: Any, win_length: int, n_fft: int) -> Any:
    """The window in the middle of n_fft places, the others 0."""
    whole = (signal if window is None else window).new_zeros(n_fft)
    middle = whole.narrow(0, (n_fft - win_length) // 2, win_length)
    if window is None:
        middle.fill_(1)
    else:
        middle.copy_(window)
    return whole


@autocasts
def stft(input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
         window: Any = None, center: bool = True, pad_mode: str = "reflect",
         normalized: bool = False, onesided: bool | None = None,
         return_complex: bool | None = None, align_to_window: bool | None = None) -> Any:
    r"""$X_{k,t} = \sum_n w_n\,x_{n + th}\,e^{-2\pi i k n / N}$: the spectrum of each frame.

    Frames have N = `n_fft` samples and start h = `hop_length` apart; with `center` frame t is the
    one around sample t h. The `window` may be shorter than a frame: it is in its middle then.
    """
    if window is None:
        _warn_of_no_window(
            ",which is known to cause spectral leakage. Other windows such as torch.hann_window or "
            "torch.hamming_window are recommended to reduce spectral leakage.")
    if align_to_window is not None and center:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    signal = _centred(input, n_fft, pad_mode) if center else input
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    if return_complex is None:
        return_complex = input.is_complex() or window is not None and window.is_complex()
        if not return_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release.")
    elif not return_complex:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
            "return complex tensors for all inputs, and return_complex=False will raise an error.\n"
            "Note: you can still call torch.view_as_real on the complex output to recover the old "
            "return format.", UserWarning, stacklevel=2)
    call = dict(n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
                normalized=normalized, onesided=onesided, return_complex=return_complex,
                align_to_window=align_to_window)
    _check_stft(signal, call)
    if win_length < n_fft:
        window = _filled_up(window, signal, win_length, n_fft)
    alone = signal._data.ndim == 1
    if alone:
        signal = signal.unsqueeze(0)
    if align_to_window:
        missing = (n_fft - win_length) // 2
        signal = constant_pad_nd(signal, [missing, missing])
    spectrum = _spectra(signal, window, call).transpose_(1, 2)
    if alone:
        spectrum = spectrum.squeeze_(0)
    return spectrum if return_complex else spectrum.view_as_real()


def _centred(input: Any, n_fft: int, pad_mode: str) -> Any:
    """Half a frame more at both ends."""
    shape = input._data.shape
    along = input.view((1,) * (3 - len(shape)) + tuple(shape))
    padded = pad(along, [n_fft // 2, n_fft // 2], pad_mode)
    return padded.view(padded._data.shape[3 - len(shape):])


def _check_stft(signal: Any, call: dict) -> None:
    n_fft, win_length, window = call["n_fft"], call["win_length"], call["window"]
    shape = signal._data.shape

    def refuse(words: str) -> None:
        kind = f"torch.{signal.dtype.scalar_name}Tensor"
        raise RuntimeError(f"stft{_shown(signal, kind, **call)} : expected {words}")

    if signal.dtype.category < dtypes.FLOATING:
        refuse("a tensor of floating point or complex values")
    if not 1 <= len(shape) <= 2:
        refuse("a 1D or 2D tensor")
    if not 0 < n_fft <= shape[-1]:
        refuse(f"0 < n_fft < {shape[-1]}, but got n_fft={win_length}")  # so torch prints it
    if call["hop_length"] <= 0:
        refuse(f"hop_length > 0, but got hop_length={call['hop_length']}")
    if not 0 < win_length <= n_fft:
        refuse(f"0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and window._data.shape != (win_length,):
        refuse(f"a 1D window tensor of size equal to win_length={win_length}, but got window with "
               f"size {list(window._data.shape)}")


def _spectra(signal: Any, window: Any, call: dict) -> Any:
    """(batch, frames, frequencies): frames are a strided view, windowed, then transformed."""
    n_fft, hop = call["n_fft"], call["hop_length"]
    batch, length = signal._data.shape
    step, each = signal.stride()
    frames = as_strided(signal, (batch, 1 + (length - n_fft) // hop, n_fft),
                        (step, hop * each, each))
    if window is not None:
        frames = frames * window
    is_complex = frames.is_complex()
    onesided = not is_complex if call["onesided"] is None else call["onesided"]
    mode = BY_ROOT if call["normalized"] else AS_IS
    _refuse_half(frames)
    if is_complex:
        if onesided:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
        return fft_c2c(frames, dim=(2,), normalization=mode, forward=True)
    return fft_r2c(frames, dim=(2,), normalization=mode, onesided=onesided)


def _refuse_half(input: Any) -> None:
    if input.dtype in (dtypes.float16, dtypes.bfloat16):
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {input.dtype.scalar_name}")


def istft(input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Any = None, center: bool = True, normalized: bool = False,
          onesided: bool | None = None, length: int | None = None,
          return_complex: bool = False) -> Any:
    """The inverse of `stft`, the signal nearest to the given spectra: frames are transformed back,
    windowed again, added where they lay, and divided by the sum of the squared windows there."""
    if window is None:
        _warn_of_no_window(".Please provide the same window used by stft to make the inversion "
                           "lossless.")
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    call = dict(n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
                center=center, normalized=normalized, onesided=onesided, length=length,
                return_complex=return_complex)
    if not input.is_complex():
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from "
                           "stft with return_complex=True.")
    pairs = input.view_as_real()
    words = f"istft{_shown(input, f'CPU{input.dtype.scalar_name}Type', **call)}"
    onesided = _check_istft(pairs, call, words)
    if window is None:
        window = ones(win_length, dtype=input.dtype.to_real(), device=input.device)
    if win_length < n_fft:
        before = (n_fft - win_length) // 2
        window = constant_pad_nd(window, (before, n_fft - win_length - before))
    alone = pairs._data.ndim == 3
    if alone:
        pairs = pairs.unsqueeze(0)
    spectra = pairs.transpose(1, 2).view_as_complex()
    mode = BY_ROOT if normalized else BY_N
    if return_complex:
        if onesided:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
        frames = fft_c2c(spectra, dim=(2,), normalization=mode, forward=False)
    else:
        if window.is_complex():
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
        if not onesided:
            spectra = spectra.narrow(-1, 0, n_fft // 2 + 1)
        frames = fft_c2r(spectra, dim=(2,), normalization=mode, last_dim_size=n_fft)
    signal = _overlapped(frames, window, call, words)
    if alone:
        signal = signal.squeeze(0)
    if length is not None and length > signal._data.shape[-1]:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            UserWarning, stacklevel=2)
        signal = constant_pad_nd(signal, (0, length - signal._data.shape[-1]))
    return signal


def _check_istft(pairs: Any, call: dict, words: str) -> bool:
    """What istft demands of its arguments; whether the spectra are onesided."""
    n_fft, hop, width = call["n_fft"], call["hop_length"], call["win_length"]
    shape, window = pairs._data.shape, call["window"]
    if not pairs._data.size:
        raise RuntimeError(f"{words} : input tensor cannot be empty.")
    if len(shape) not in (3, 4):
        if len(shape) < 3:
            raise IndexError("Dimension out of range (expected to be in range of "
                             f"[{-len(shape)}, {len(shape) - 1}], but got -3)")
        raise RuntimeError(f"{words} : expected a tensor with 3 or 4 dimensions, but got "
                           f"{len(shape)}")
    found, onesided = shape[-3], call["onesided"]
    if onesided is None:
        onesided = found != n_fft
    wanted, what = (n_fft // 2 + 1, "n_fft / 2 + 1") if onesided else (n_fft, "n_fft")
    if found != wanted:
        raise RuntimeError(
            f"{words} : expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match {what} when onesided={onesided}, but got {found}")
    if not 0 < hop <= width:
        raise RuntimeError(f"{words} : expected 0 < hop_length <= win_length")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"{words} : expected 0 < win_length <= n_fft")
    if window is not None and window._data.shape != (width,):
        raise RuntimeError(f"{words} : Invalid window shape. window has to be 1D and length of "
                           "`win_length`")
    return onesided


def _overlapped(frames: Any, window: Any, call: dict, words: str) -> Any:
    """(batch, samples): frames and squared windows added where they lay; their quotient."""
    n_fft, hop, length = call["n_fft"], call["hop_length"], call["length"]
    batch, count, _ = frames._data.shape
    total = n_fft + hop * (count - 1)
    start = n_fft // 2 if call["center"] else 0
    if length is not None:
        end = start + length
    else:
        end = total - n_fft // 2 if call["center"] else total
    place = dict(dimension=1, size=n_fft, step=hop)
    frames = frames * window.view(1, 1, n_fft)
    weights = window.pow(2).expand((1, count, n_fft))
    summed = slice_(unfold_backward(frames, shape=(batch, total), **place), 1, start, end)
    weight = slice_(unfold_backward(weights, shape=(1, total), **place), 1, start, end)
    least = weight.abs().min()
    if bool(least < 1e-11):
        raise RuntimeError(f"{words} window overlap add min: 1\n[ CPUBoolType{{}} ]")
    return summed / weight
