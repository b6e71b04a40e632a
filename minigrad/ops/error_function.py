"""The error function of float32 arrays, by NumPy's vector loops: SciPy's are scalar, in float64.

Note [erf in float32]
~~~~~~~~~~~~~~~~~~~~~
erf(x) = tanh(x P(x^2)). P is fitted to atanh(erf(x))/x on [0, 4.05] by reweighted least squares. At
most 3.7 ulp off, ten times faster than SciPy. It needs no clipping: the leading coefficient is
positive, so it saturates at 1 and keeps 0, inf and nan.

Note [erfc in float32]
~~~~~~~~~~~~~~~~~~~~~~
erfc(x) = t exp(P(t - 3/4) - x^2) for x >= 0, where t = 5/2 / (5/2 + x); 2 - erfc(-x) below. P, of
degree 10, is log(erfcx(x) / t) fitted at 4000 Chebyshev nodes of t for x in [0, 10.3], beyond which
erfc is 0 in float32; the shift by 3/4 keeps its terms small. A rounding error of x^2 would be one
of the result, x^2 times as large: so x, t and the exponential are taken in float64, only P in
float32. At most 3 ulp off, three to five times faster than SciPy, in blocks that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..device import special
from ..threads import in_halves

_ERF = [1.12837925, 0.102769898, -0.000195435005, -0.0006146237, 8.44612396e-05, -4.75450842e-06,
        2.21449255e-08, 5.68991975e-09]
_ERFC = [-0.450870303, 1.75520961, 0.315320744, -0.465321705, -0.176587661, 0.327519352,
         0.0750121602, -0.310248902, 0.000399989508, 0.364612452, 0.197621242]
_BLOCK = 16384


def erf_array(xp: Any, x: Any) -> Any:
    """erf of an array; see Note [erf in float32]."""
    if x.dtype.char != "f" or not x.ndim:
        return special(xp).erf(x)
    square = x * x
    y = square * np.float32(_ERF[-1])
    for coefficient in _ERF[-2:0:-1]:
        y += np.float32(coefficient)
        y *= square
    y += np.float32(_ERF[0])
    y *= x
    return xp.tanh(y, out=y)


# --- gelu ----------------------------------------------------------------------------------------
# Seventeen passes over an array cost most where it does not fit the cache: so they are made over
# one block after the other, by two threads (Note [Two halves]). The factor sqrt(1/2) of erf's
# argument is in the coefficients.

_GELU_BLOCK = 1 << 17
_CDF = [np.float32(c * math.sqrt(0.5) * 0.5 ** k) for k, c in enumerate(_ERF)]
_DENSITY = np.float32(math.sqrt(2 / math.pi))


def fits_gelu(xp: Any, *arrays: Any) -> bool:
    """Whether the two functions below take these arrays."""
    return xp is np and all(array.dtype.char == "f" and array.ndim > 0
                            and array.flags.c_contiguous for array in arrays)


def gelu_in_blocks(x: np.ndarray) -> np.ndarray:
    r"""$x\,\Phi(x)$ in float32."""
    result = np.empty_like(x)

    def compute(part: slice) -> None:
        for a, y, square in _blocks(part, result, x):
            _twice_cdf(a, y, square)
            y *= a
            y *= np.float32(0.5)

    in_halves(compute, x.size, x.size)
    return result


def gelu_slope_in_blocks(x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    r"""$\bar y\,(\Phi(x) + x\,\Phi'(x))$ in float32."""
    result = np.empty_like(x)

    def compute(part: slice) -> None:
        for a, g, y, square in _blocks(part, result, x, gradient):
            _twice_cdf(a, y, square)
            square *= np.float32(-0.5)
            np.exp(square, out=square)
            square *= a
            square *= _DENSITY
            y += square
            y *= g
            y *= np.float32(0.5)

    in_halves(compute, x.size, x.size)
    return result


def _twice_cdf(x: np.ndarray, y: np.ndarray, square: np.ndarray) -> None:
    r"""$2\,\Phi(x)$ into y, $x^2$ into `square`."""
    np.multiply(x, x, out=square)
    np.multiply(square, _CDF[-1], out=y)
    for coefficient in _CDF[-2:0:-1]:
        y += coefficient
        y *= square
    y += _CDF[0]
    y *= x
    np.tanh(y, out=y)
    y += np.float32(1)


def _blocks(part: slice, result: np.ndarray, *inputs: np.ndarray) -> Iterator[tuple]:
    """The blocks of a part of the inputs and of the result, and one of scratch memory."""
    flat = [each.reshape(-1)[part] for each in (*inputs, result)]
    scratch = np.empty(min(flat[0].size, _GELU_BLOCK), np.float32)
    for start in range(0, flat[0].size, _GELU_BLOCK):
        parts = [each[start:start + _GELU_BLOCK] for each in flat]
        yield *parts, scratch[:len(parts[0])]


# --- erfc ----------------------------------------------------------------------------------------

def erfc_array(xp: Any, x: Any) -> Any:
    """erfc of an array; see Note [erfc in float32]."""
    if xp is not np or x.dtype.char != "f" or not x.flags.c_contiguous or x.size < 16:
        return special(xp).erfc(x)
    result = np.empty_like(x)
    source, target = x.reshape(-1), result.reshape(-1)
    for start in range(0, x.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        target[block] = _erfc_block(source[block])
    return result


def _erfc_block(x: np.ndarray) -> np.ndarray:
    wide = np.abs(x).astype(np.float64)
    t = 2.5 / (wide + 2.5)
    shifted = (t - 0.75).astype(np.float32)
    y = shifted * np.float32(_ERFC[-1])
    for coefficient in _ERFC[-2:0:-1]:
        y += np.float32(coefficient)
        y *= shifted
    y += np.float32(_ERFC[0])
    wide *= wide
    np.subtract(y, wide, out=wide)
    np.exp(wide, out=wide)
    wide *= t
    y = wide.astype(np.float32)
    sign = np.copysign(np.float32(1), x)  # y * sign + (1 - sign) is y or 2 - y
    y *= sign
    y += np.subtract(1, sign, out=sign)
    return y
