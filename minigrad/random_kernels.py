"""The arithmetic under random.py: pure functions of arrays, no generator in sight.

torch's streams are defined by more than formulas: by where a kernel rounds. The functions here
round where torch's AVX2 and AVX-512 kernels do, so that the last bit agrees as well.
"""

from __future__ import annotations

import math

import numpy as np

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`values` as `dtype`, as torch converts: 16-bit floats through float32, rounding twice."""
    if values.dtype == dtype:
        return values
    if dtype.itemsize == 2 and dtype.kind in "fV":  # float16, and ml_dtypes' bfloat16 of kind "V"
        values = values.astype(np.float32, copy=False)
    return values.astype(dtype, copy=False)


# Note [Fused multiply-add]
# A compiler that may contract `a * b + c` emits one instruction that rounds once, at the end. NumPy
# has no such operation, but it can be rebuilt. The product of two float32 is exact in float64 (24 +
# 24 digits fit in 53), so there the float32 version only has to be rounded at the end. For float64
# the product's rounding error is itself a float64, and Dekker's splitting of each factor into two
# 26-digit halves finds it; the sum's error is found by Knuth's TwoSum.


def fma(a: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """a * scale + offset, rounded once, for float32 or float64 `a` (Note [Fused multiply-add])."""
    if scale == 1 or offset == 0:  # one of the two is exact (and + 0 still turns -0 into 0)
        return a * a.dtype.type(scale) + a.dtype.type(offset)
    if a.dtype == FLOAT32:
        return _fma32(a, float(np.float32(scale)), float(np.float32(offset)))
    a_high, a_low = _split(a)
    scale_high, scale_low = _split(np.float64(scale))
    product = a * scale
    product_error = a_low * scale_low - (
        ((product - a_high * scale_high) - a_low * scale_high) - a_high * scale_low)
    total = product + offset
    addend = total - product
    total_error = (product - (total - addend)) + (offset - addend)
    result = total + (total_error + product_error)
    return np.where(np.isfinite(result), result, total)  # near overflow the splitting makes nan


def _split(x):
    """x = high + low, with at most 26 significant binary digits in each (Veltkamp, Dekker)."""
    shifted = x * 134217729.0  # 2**27 + 1
    high = shifted - (shifted - x)
    return high, x - high


def _fma32(a, b, c):
    """a * b + c in float32, rounded once. Python floats must hold float32 values."""
    product = np.multiply(a, b, dtype=np.float64)
    product += c
    return product.astype(np.float32)


# Note [The vectorised normal]
# Blocks of 16 normals come from 16 uniforms: eight radii sqrt(-2 log(1 - u)), eight angles 2 pi v,
# then all the cosines before all the sines. torch evaluates float32 log, sin and cos with the
# polynomials of the Cephes library (Stephen Moshier's, freely usable) in SIMD registers, contracted
# to fma. They are within an ulp or two of the true functions, as NumPy's are, but not the *same*
# ulp; so the polynomials are evaluated here, step by step.
# float64 uses the C library's functions, as NumPy does unless it finds AVX-512: there its own
# versions differ in the last bit of some results.

def _float32s(*values: float) -> list[float]:
    return [float(np.float32(value)) for value in values]


_SQRT_HALF = np.float32(0.5) ** np.float32(0.5)
_LOG_POLYNOMIAL = _float32s(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
_LN2_HIGH, _LN2_LOW = _float32s(0.693359375, -2.12194440e-4)
_MINUS_QUARTER_PI = _float32s(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_SIN_POLYNOMIAL = _float32s(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS_POLYNOMIAL = _float32s(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_BLOCKS_AT_A_TIME = 512  # 4096 pairs: the temporaries stay in the CPU's cache


def _polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Horner's rule, highest power first, each step one fma."""
    result = _fma32(x, coefficients[0], coefficients[1])
    for coefficient in coefficients[2:]:
        result = _fma32(x, result, coefficient)
    return result


def _log_float32(x: np.ndarray) -> np.ndarray:
    """log(x) for normal x = 2**e (1 + m) > 0, sqrt(1/2) <= 1 + m < sqrt(2): a polynomial in m."""
    bits = x.view(np.int32)
    exponent = (bits >> 23) - 126
    mantissa = (bits & 0x007FFFFF | 0x3F000000).view(np.float32)  # in [1/2, 1)
    small = mantissa < _SQRT_HALF
    exponent = (exponent - small).astype(np.float32)
    m = mantissa - np.float32(1) + mantissa * small
    square = m * m
    y = _polynomial(m, _LOG_POLYNOMIAL) * m
    y = _fma32(y, square, exponent * np.float32(_LN2_LOW))
    return _fma32(exponent, _LN2_HIGH, m + _fma32(square, -0.5, y))


def _sin_cos_float32(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sin(x), cos(x)) for x >= 0: reduced to |x| <= pi/4, two polynomials, and swapped back."""
    octant = ((x * np.float32(4 / math.pi)).astype(np.int32) + 1) & ~1
    multiple = octant.astype(np.float64)
    for part in _MINUS_QUARTER_PI:
        x = _fma32(multiple, part, x)
    square = x * x
    cosine = _polynomial(square, _COS_POLYNOMIAL) * square
    cosine = _fma32(cosine, square, square * np.float32(-0.5)) + np.float32(1)
    sine = _fma32(_polynomial(square, _SIN_POLYNOMIAL) * square, x, x)
    swapped = (octant & 2) != 0
    return (_flip_sign(np.where(swapped, cosine, sine), octant),
            _flip_sign(np.where(swapped, sine, cosine), octant + 2))


def _flip_sign(x: np.ndarray, octant: np.ndarray) -> np.ndarray:
    """-x where bit 4 of `octant` is set: that bit, moved to the sign's place."""
    return (x.view(np.int32) ^ (octant & 4) << 29).view(np.float32)


def _log_float64(x: np.ndarray) -> np.ndarray:
    return np.log(x)


def _sin_cos_float64(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(x), np.cos(x)


def box_muller_blocks(uniforms: np.ndarray, mean: float, std: float) -> np.ndarray:
    """sqrt(-2 log(1 - u)) (cos, sin)(2 pi v) * std + mean; of 16 uniforms 8 are u, then 8 v."""
    log, sin_cos = ((_log_float32, _sin_cos_float32) if uniforms.dtype == FLOAT32
                    else (_log_float64, _sin_cos_float64))
    number = uniforms.dtype.type
    blocks = uniforms.reshape(-1, 2, 8)
    normals = np.empty_like(blocks)
    for start in range(0, len(blocks), _BLOCKS_AT_A_TIME):
        some = slice(start, start + _BLOCKS_AT_A_TIME)
        radius = np.sqrt(number(-2) * log(number(1) - blocks[some, 0]))
        sine, cosine = sin_cos(number(2 * math.pi) * blocks[some, 1])
        normals[some, 0] = fma(radius * cosine, std, mean)
        normals[some, 1] = fma(radius * sine, std, mean)
    return normals.reshape(-1)


# Note [A shuffle without a loop]
# Fisher-Yates swaps p[i] with p[t_i], t_i >= i, for i = 0, 1, ..., starting from p = identity. Swap
# i is the last to touch p[i] and puts there what stood at t_i; all the others need to know is what
# stood at i by then. So let
#     value[i] = what stands at i just before swap i.
# A place is only written when it is somebody's target. Let k be the last swap before i with t_k =
# i: it wrote value[k] there, so value[i] = value[k]; without such a k, value[i] = i. Each place
# thus points to an earlier place or to itself, and following pointers (all at once: pointer =
# pointer[pointer], a few times) gives every value.
# Likewise what stood at t_i is value[k] for the last k < i with t_k = t_i, or t_i itself. Both k's
# are neighbours when the swaps are sorted by target, in order of time among equal targets. Swaps of
# i with itself change nothing: dropped.

_LOOP_BELOW = 400  # elements; there the plain loop over a list is faster


def shuffle(targets: np.ndarray) -> np.ndarray:
    """p after `for i in range(n): p[i], p[t[i]] = p[t[i]], p[i]`, from p = arange(n).

    The targets t are int64, with t[i] >= i.
    """
    n = len(targets)
    if n < _LOOP_BELOW:
        order = list(range(n))
        for i, target in enumerate(targets.tolist()):
            order[i], order[target] = order[target], order[i]
        return np.array(order, np.int64)

    pointer = np.arange(n)
    swaps = np.flatnonzero(targets != pointer)
    swaps = swaps[_stable_argsort(targets[swaps])]
    places = targets[swaps]
    same_place = places[1:] == places[:-1]
    last_at_place = np.append(~same_place, np.ones(min(len(swaps), 1), bool))
    pointer[places[last_at_place]] = swaps[last_at_place]
    while ((further := pointer[pointer]) != pointer).any():
        pointer = further
    value = pointer

    p = value.copy()
    p[swaps[:1]] = places[:1]
    p[swaps[1:]] = np.where(same_place, value[swaps[:-1]], places[1:])
    return p


def _stable_argsort(values: np.ndarray) -> np.ndarray:
    """argsort of integers 0 <= v < 2**32, equals in order.

    16 bits at a time, since NumPy sorts those in linear time.
    """
    order = np.argsort(values.astype(np.uint16), kind="stable")
    if values.size and values.max() >= 2**16:
        order = order[np.argsort((values[order] >> 16).astype(np.uint16), kind="stable")]
    return order
