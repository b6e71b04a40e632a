"""`assert_close`: whether two nests of tensors and numbers are equal, up to rounding.

Floats are close where $|a - e| \\le atol + rtol\\,|e|$; integers and bools have to be equal.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core import TensorBase
from ..device import host

# (rtol, atol) by dtype; what is not here must be equal.
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5), dtypes.bfloat16: (1.6e-2, 1e-5), dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7), dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7)}


class _Mismatch(Exception):
    """What differs, and where in the nest; if the nests themselves do, `msg` has no say in it."""

    def __init__(self, words: str, path: tuple, of_structure: bool = False) -> None:
        self.words, self.of_structure = words + _at(path), of_structure


def _at(path: tuple) -> str:
    place = "".join(f"[{item!r}]" for item in path)
    return f"\n\nThe failure occurred for item {place}" if path else ""


class _Options:
    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)

    rtol: float | None
    atol: float | None
    equal_nan: bool
    allow_subclasses: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool


def assert_close(actual: Any, expected: Any, *, allow_subclasses: bool = True,
                 rtol: float | None = None, atol: float | None = None, equal_nan: bool = False,
                 check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
                 check_stride: bool = False, msg: str | Callable[[str], str] | None = None) -> None:
    """Raise an AssertionError that says what differs, unless `actual` is close to `expected`.

    Both may be tensors, arrays, numbers, None, and sequences or mappings of these. Tolerances are
    the dtype's, or both given. TypeError for what cannot be compared with each other.
    """
    options = _Options(rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=check_device,
                       allow_subclasses=allow_subclasses, check_dtype=check_dtype,
                       check_layout=check_layout, check_stride=check_stride)
    try:
        _compare(actual, expected, (), options)
    except _Mismatch as found:
        words = found.words
        if msg and not found.of_structure:
            words = msg(words) if callable(msg) else msg
        raise AssertionError(words) from None


def assert_allclose(actual: Any, expected: Any, rtol: float | None = None,
                    atol: float | None = None, equal_nan: bool = True, msg: str = "") -> None:
    """torch's older name, for tensors and what becomes one: only values count."""
    from ..ops.from_data import tensor

    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead. You can find detailed "
        "upgrade instructions in https://github.com/pytorch/pytorch/issues/61844.", FutureWarning,
        stacklevel=2)

    both = [each if isinstance(each, TensorBase) else tensor(each) for each in (actual, expected)]
    assert_close(*both, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True,
                 check_dtype=False, check_stride=False, msg=msg or None)


def _compare(actual: Any, expected: Any, path: tuple, options: _Options) -> None:
    if _are(Sequence, actual, expected) and not _any_is(str, actual, expected):
        if len(actual) != len(expected):
            raise _Mismatch(f"The length of the sequences mismatch: {len(actual)} != "
                            f"{len(expected)}", path, of_structure=True)
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            _compare(a, e, (*path, i), options)
    elif _are(Mapping, actual, expected):
        _compare_mappings(actual, expected, path, options)
    elif actual is None or expected is None:
        if actual is not expected:
            raise _Mismatch(f"None mismatch: {actual} is not {expected}", path)
    elif _are(bool | np.bool_, actual, expected):
        if bool(actual) is not bool(expected):
            raise _Mismatch(f"Booleans mismatch: {bool(actual)} is not {bool(expected)}", path)
    elif _are(int | float | complex, actual, expected):
        _compare_numbers(actual, expected, path, options)
    elif _are(TensorBase, actual, expected) and _related(actual, expected, options):
        _compare_tensors(actual, expected, path, options)
    elif _are(np.ndarray, actual, expected):
        from ..ops.from_data import from_numpy

        _compare_tensors(from_numpy(actual), from_numpy(expected), path, options)
    else:
        raise TypeError("No comparison pair was able to handle inputs of type "
                        f"{type(actual)} and {type(expected)}.")


def _are(kind: Any, actual: Any, expected: Any) -> bool:
    return isinstance(actual, kind) and isinstance(expected, kind)


def _any_is(kind: Any, actual: Any, expected: Any) -> bool:
    return isinstance(actual, kind) or isinstance(expected, kind)


def _related(actual: Any, expected: Any, options: _Options) -> bool:
    """Whether the classes may be compared."""
    return type(actual) is type(expected) or options.allow_subclasses


def _compare_mappings(actual: Any, expected: Any, path: tuple, options: _Options) -> None:
    if set(actual) != set(expected):
        missing, additional = set(expected) - set(actual), set(actual) - set(expected)
        raise _Mismatch("The keys of the mappings do not match:\nMissing keys in the actual "
                        f"mapping: {sorted(missing)}\nAdditional keys in the actual mapping: "
                        f"{sorted(additional)}", path, of_structure=True)
    for key in actual:
        _compare(actual[key], expected[key], (*path, key), options)


def _compare_numbers(actual: Any, expected: Any, path: tuple, options: _Options) -> None:
    default = 0.0 if _are(int, actual, expected) else 1e-7
    rtol, atol = _tolerances(options, (default, default), path)
    if options.check_dtype and type(actual) is not type(expected):
        raise _Mismatch(f"The (d)types do not match: {type(actual)} != {type(expected)}.", path)
    difference = abs(actual - expected)
    both_nan = actual != actual and expected != expected
    if actual == expected or (both_nan and options.equal_nan) \
            or difference <= atol + rtol * abs(expected) and math.isfinite(difference):
        return
    raise _Mismatch(_scalar_words(actual, expected, rtol, atol), path)


def _scalar_words(actual: Any, expected: Any, rtol: float, atol: float) -> str:
    """torch's words for numbers that differ."""
    exact = rtol == atol == 0
    difference = abs(actual - expected)
    relative = difference / abs(expected) if expected else math.inf
    return (f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {expected} but got "
            f"{actual}.\nAbsolute difference: {difference}{_allowed(atol, exact)}\nRelative "
            f"difference: {relative}{_allowed(rtol, exact)}")


def _tolerances(options: _Options, default: tuple, path: tuple) -> tuple[float, float]:
    """Those that were given, else the default."""
    rtol, atol = options.rtol, options.atol
    if rtol is None and atol is None:
        return default
    if rtol is None or atol is None:
        raise ValueError("Both 'rtol' and 'atol' must be either specified or omitted, but got no "
                         f"{'rtol' if rtol is None else 'atol'}.{_at(path)}")
    return rtol, atol


def _allowed(tolerance: float, exact: bool) -> str:
    return "" if exact else f" (up to {tolerance} allowed)"


def _compare_tensors(actual: Any, expected: Any, path: tuple, options: _Options) -> None:
    # Tolerances are those of the less exact of the two, in each respect.
    known = [_TOLERANCES.get(each.dtype, (0.0, 0.0)) for each in (actual, expected)]
    rtol, atol = _tolerances(options, (max(pair[0] for pair in known),
                                       max(pair[1] for pair in known)), path)
    attributes = [("shape", actual.shape, expected.shape)]
    if options.check_device:
        attributes.append(("device", actual.device, expected.device))
    if options.check_dtype:
        attributes.append(("dtype", actual.dtype, expected.dtype))
    if options.check_stride:
        attributes.append(("stride()", actual.stride(), expected.stride()))
    for name, mine, other in attributes:
        if mine != other:
            raise _Mismatch(f"The values for attribute '{name}' do not match: {mine} != {other}.",
                            path)
    a, e = _as_arrays(actual, expected)
    with np.errstate(all="ignore"):
        difference = np.abs(a - e) if a.dtype.kind != "b" else (a != e).astype(np.int64)
        size = np.abs(e) if e.dtype.kind != "b" else e.astype(np.int64)
        close = (a == e) | (np.isfinite(difference) & (difference <= atol + rtol * size))
    if options.equal_nan:
        close |= np.isnan(a) & np.isnan(e)
    if close.all():
        return
    if not close.ndim:
        raise _Mismatch(_scalar_words(a.item(), e.item(), rtol, atol), path)
    raise _Mismatch(_tensor_words(close, difference, size, rtol, atol), path)


def _as_arrays(actual: Any, expected: Any) -> tuple[Any, Any]:
    """Both on the host and in one dtype that keeps what they say."""
    a, e = host(actual.detach()._data), host(expected.detach()._data)
    if a.dtype != e.dtype:
        common = dtypes.promote_types(actual.dtype, expected.dtype).numpy
        a, e = a.astype(common), e.astype(common)
    if a.dtype.kind == "u":
        a, e = a.astype(np.int64), e.astype(np.int64)
    return a, e


def _tensor_words(close: Any, difference: Any, size: Any, rtol: float, atol: float) -> str:
    """torch's words for tensors that differ."""
    exact = rtol == atol == 0
    count, wrong = close.size, int((~close).sum())
    with np.errstate(all="ignore"):
        if difference.dtype.kind in "iu":  # torch divides integers in its default dtype
            relative = difference.astype(np.float32) / size.astype(np.float32)
        else:
            relative = difference / size
    lines = []
    for name, values, allowed in (("absolute", difference, atol), ("relative", relative, rtol)):
        values = np.where(close, values.dtype.type(0), values)
        place = np.unravel_index(np.argmax(values), values.shape)
        lines.append(f"Greatest {name} difference: {values[place].item()} at index "
                     f"{tuple(int(i) for i in place)}{_allowed(allowed, exact)}")
    return (f"Tensor-likes are not {'equal' if exact else 'close'}!\n\nMismatched elements: "
            f"{wrong} / {count} ({100 * wrong / count:.1f}%)\n" + "\n".join(lines))
