"""Bessel functions and Airy's: torch differentiates the modified ones of the first kind only."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import derivative, primitive
from .bessel_slips import airy_ai as airy_on
from .bessel_slips import bessel
from .scipy_functions import scipy_function, special_function

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "i0", "i0e", "i1", "i1e",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0"]

_LARGEST_EXPONENT = np.float32(88.72284)  # the logarithm of the largest float32

# --- modified, of the first kind -----------------------------------------------------------------

@primitive(promote="int_to_float", refuses={"c": "i0_vml_cpu"})
def i0(xp, input):
    r"""$y = I_0(a) = \frac1\pi\int_0^\pi e^{a\cos t}dt$, so $\bar a = \bar y\,I_1(a)$."""
    result = scipy_function(xp, "i0", input)
    if input.dtype == np.float32:  # torch multiplies by e^|a|, which overflows before I_0 does
        large = (xp.abs(input) > _LARGEST_EXPONENT) & xp.isfinite(input)
        result = xp.where(large, np.float32(np.inf), result)
    return result


derivative(i0, input=lambda g, input: g * i1(input))

i0e = special_function("i0e", r"$y = e^{-|a|} I_0(a)$.", "i0e", halves=True,
                       node_name="SpecialI0EBackward0")
i1: Any = special_function("i1", r"$y = I_1(a) = I_0'(a)$.", "i1", halves=True,
                      node_name="SpecialI1Backward0")
i1e = special_function("i1e", r"$y = e^{-|a|} I_1(a)$.", "i1e", halves=True,
                       node_name="SpecialI1EBackward0")


def _away_from_zero(input: Any) -> tuple[Any, Any]:
    """Where $1/a$ may be taken, and `input` with the other elements moved to where it may be."""
    smallest = np.finfo(input._data.dtype).eps
    regular = input.abs() > smallest
    return regular, input.masked_fill(~regular, float(smallest))


def _i1_rule(g, input, result):
    """$I_1' = I_0 - I_1/a$, which is 1/2 at 0."""
    regular, safe = _away_from_zero(input)
    return g * (i0(safe) - result * safe.reciprocal()).masked_fill(~regular, 0.5)


def _i1e_rule(g, input, result):
    """The same for the scaled function."""
    regular, safe = _away_from_zero(input)
    slope = i0e(safe) - result * (safe.sgn() + safe.reciprocal())
    return g * slope.masked_fill(~regular, 0.5)


derivative(i0e, input=lambda g, input, result: g * (i1e(input) - input.sgn() * result))
derivative(i1, input=_i1_rule)
derivative(i1e, input=_i1e_rule)

# --- without derivatives -------------------------------------------------------------------------

modified_bessel_i0 = special_function("modified_bessel_i0", "$I_0(a)$, as `i0`.", "i0")
modified_bessel_i1 = special_function("modified_bessel_i1", "$I_1(a)$, as `i1`.", "i1")
modified_bessel_k0 = special_function(
    "modified_bessel_k0", r"$K_0(a) = \int_0^\infty e^{-a\cosh t}dt$.", "k0")
modified_bessel_k1 = special_function("modified_bessel_k1", r"$K_1(a) = -K_0'(a)$.", "k1")
scaled_modified_bessel_k0 = special_function(
    "scaled_modified_bessel_k0", "$e^a K_0(a)$.", "k0e")
scaled_modified_bessel_k1 = special_function(
    "scaled_modified_bessel_k1", "$e^a K_1(a)$.", "k1e")

# Whose last digits are torch's: see Note [Where torch slips] in bessel_slips.py.
bessel_j0 = special_function(
    "bessel_j0", r"$J_0(a) = \frac1\pi\int_0^\pi\cos(a\sin t)dt$.",
    lambda xp, x: bessel(xp, "j", 0, x))
bessel_j1 = special_function(
    "bessel_j1", "$J_1(a) = -J_0'(a)$.", lambda xp, x: bessel(xp, "j", 1, x))
bessel_y0 = special_function(
    "bessel_y0", "$Y_0(a)$, of the second kind.", lambda xp, x: bessel(xp, "y", 0, x))
bessel_y1 = special_function(
    "bessel_y1", "$Y_1(a) = -Y_0'(a)$.", lambda xp, x: bessel(xp, "y", 1, x))
airy_ai = special_function(
    "airy_ai", r"$\mathrm{Ai}(a)$, the bounded solution of $y'' = a\,y$.", airy_on)


def _spherical_j0(xp, x):
    """By its Taylor series near 0."""
    square = x * x
    series = 1 + square / -6 * (1 + square / -20 * (1 + square / -42 * (1 + square / -72 * (
        1 + square / -110 * (1 + square / -156)))))
    safe = xp.where(xp.abs(x) < 0.5, x.dtype.type(1), x)
    return xp.where(xp.abs(x) < 0.5, series, xp.where(xp.isinf(x), 0, xp.sin(safe) / safe))


spherical_bessel_j0 = special_function("spherical_bessel_j0", r"$\sin(a)/a$.", _spherical_j0)
