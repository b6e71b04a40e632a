r"""Bessel's and Airy's functions with the digits that torch gives them.

Note [Where torch slips]
~~~~~~~~~~~~~~~~~~~~~~~~
torch's float64 values of these functions are good to some six or seven digits only, SciPy's to all.
Who compares with torch sees the difference, so it is added here: the true value comes from SciPy,
and what torch adds to it was measured.

The relative error of some part of each value is explained by $z^n / q(z)$ with a polynomial $q$, as
if a quotient of polynomials lacked the highest power of its denominator: $z$ is $x^2$ near 0,
$25 / x^2$ beyond 5, $1 / \zeta^2$ for Airy's function. `python -m parity_tests.fit_slips` fits $q$
to the values of the torch that is installed and prints the numbers below. The parts are found from
the function and its sister (J and Y, or Ai and Bi), which share them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..device import host, special
from .scipy_functions import scipy_function

# By order: q for J up to 5, for the regular part of Y up to 5, and for the part Q of both beyond.
_NEAR_J = (
    (1.711592985e+10, 1.865703428e+12, 3.154348798e+14, 3.176453756e+16, 1.711043938e+18),
    (3.222242199e+10, 4.328688214e+12, 7.927482901e+14, 8.944135933e+16, 5.323088966e+18))
_NEAR_Y = (
    (398496868, 7.861530658e+10, 2.050413326e+13, 3.169051904e+15, 2.506079274e+17),
    (2.770286744e+10, 3.505888256e+12, 6.281598236e+14, 6.863912031e+16, 3.972996567e+18))
_FAR = (
    (64.31779497, 856.4304439, 3882.400658, 7240.469156, 5930.726181, 2062.093548, 242.0057165),
    (74.23773202, 1056.447038, 4986.413857, 9562.315945, 7997.043041, 2826.192441, 336.0936395))
# Both parts of Airy's function: the logarithm of z^n / q by that of z, in units of its largest.
_AIRY = (
    (0.03584086005, 0.2530498639, 0.8278346316, 0.2467420821, 2.916647679, -10.57931851),
    (-0.007177480549, -0.0247121064, -0.0156480664, -0.7882437423, 3.89802151, -8.433995998))
_POWER_J, _POWER_Y, _POWER_FAR = (8, 8), (7, 8), 7
_LARGEST_ZETA = 2 * 2.0901 * math.sqrt(2.0901) / 3


def _slip(z: Any, power: int, coefficients: tuple[float, ...]) -> Any:
    """$z^n / q(z)$."""
    return z ** power / _polynomial(z, coefficients)


def _near(xp: Any, order: int, x: Any) -> tuple[Any, Any]:
    """J and Y for |x| <= 5. Y holds J times a logarithm, which is not part of its quotient."""
    j = scipy_function(xp, f"j{order}", x)
    y = scipy_function(xp, f"y{order}", x)
    z = x * x
    slip_j = j * _slip(z, _POWER_J[order], _NEAR_J[order])
    log = xp.log(xp.where(x > 0, x, 1)) * (2 / math.pi)
    pole = 0 if order == 0 else 2 / math.pi / xp.where(x > 0, x, 1)
    slip_y = (y - j * log + pole) * _slip(z, _POWER_Y[order], _NEAR_Y[order]) + slip_j * log
    return j + slip_j, xp.where(x > 0, y + slip_y, y)


def _far(xp: Any, order: int, x: Any) -> tuple[Any, Any]:
    """J = P cos t - Q sin t and Y = P sin t + Q cos t for |x| > 5: the quotient is in Q."""
    j = scipy_function(xp, f"j{order}", x)
    y = scipy_function(xp, f"y{order}", xp.abs(x))
    t = xp.abs(x) - (order * math.pi / 2 + math.pi / 4)
    sin, cos = xp.sin(t), xp.cos(t)
    sign = xp.sign(x) if order else 1  # J1 is odd
    slip = (y * cos - j * sign * sin) * _slip(25 / (x * x), _POWER_FAR, _FAR[order])
    return j - slip * sin * sign, xp.where(x > 0, y + slip * cos, np.nan)


def bessel(xp: Any, kind: str, order: int, x: Any) -> Any:
    """J ("j") or Y ("y") of order 0 or 1."""
    exact = scipy_function(xp, f"{kind}{order}", x)
    x = x.astype(np.float64)
    near = xp.abs(x) <= 5
    place = "jy".index(kind)
    result = xp.where(near, _near(xp, order, xp.where(near, x, 1.0))[place],
                      _far(xp, order, xp.where(near, 6.0, x))[place])
    return xp.where(xp.isfinite(exact), result, exact).astype(exact.dtype)


def airy_ai(xp: Any, x: Any) -> Any:
    """Ai = k (f sin t - g cos t) below -2.09, where f - 1 and g are quotients. Through the host on
    CuPy; 0 beyond 103.9, where the value underflows, nan at infinity."""
    values = special(np).airy(host(x).astype(np.float64))
    ai, bi = xp.asarray(values[0]), xp.asarray(values[2])
    oscillates = (x < -2.09) & xp.isfinite(x)
    size = xp.where(oscillates, -x, 4.0).astype(np.float64)
    root = xp.sqrt(size)
    zeta = 2 * size * root / 3
    t, u = zeta + math.pi / 4, 2 * xp.log(_LARGEST_ZETA / zeta)
    sin, cos = xp.sin(t), xp.cos(t)
    f, g = ai * sin + bi * cos - 1 / xp.sqrt(math.pi * root), bi * sin - ai * cos
    slip_f, slip_g = (xp.where(u > -6, xp.exp(_polynomial(u, each)), 0) for each in _AIRY)
    value = xp.where(oscillates, ai + f * slip_f * sin - g * slip_g * cos, ai).astype(x.dtype)
    return xp.where(x > 103.892, xp.where(xp.isinf(x), np.nan, 0), value)


def _polynomial(u: Any, coefficients: tuple[float, ...]) -> Any:
    value = u * 0
    for coefficient in coefficients:
        value = value * u + coefficient
    return value
