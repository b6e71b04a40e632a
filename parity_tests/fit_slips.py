"""`python -m parity_tests.fit_slips`: by how much torch's Bessel and Airy functions are off.

It prints the numbers of minigrad/ops/bessel_slips.py; the Note there says what they are. Nothing
goes in but the values of the torch that is installed, and SciPy's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import optimize, special

EPSILON = np.finfo(float).eps


def wrong(name: str, x: np.ndarray) -> np.ndarray:
    return getattr(torch.special, name)(torch.tensor(x)).numpy()


def exact(name: str, x: np.ndarray) -> np.ndarray:
    return getattr(special, name)(x)


def quotient(z: np.ndarray, slip: np.ndarray, known_to: np.ndarray, power: int,
             degree: int) -> np.ndarray:
    """The coefficients of q, the highest power first, in slip = z**power / q(z).

    q = z**power / slip is fitted by least squares; its error is q**2 / z**power times that of the
    slip, and each point counts by the inverse of that.
    """
    use = np.abs(slip) > 3 * known_to
    z, slip, known_to = z[use], slip[use], known_to[use]
    target, value = z**power / slip, z**power / slip
    columns = np.vander(z / z.max(), degree + 1)
    for _ in range(5):
        weight = z**power / (value * value * known_to)
        found, *_ = np.linalg.lstsq(columns * weight[:, None], target * weight, rcond=None)
        value = columns @ found
    return found / z.max() ** np.arange(degree, -1, -1)


def near(order: int, power_j: int, power_y: int) -> tuple[np.ndarray, np.ndarray]:
    """J and the regular part of Y up to x = 5, in z = x**2."""
    x = np.linspace(0.3, 5, 30_001)
    j, y = exact(f"j{order}", x), exact(f"y{order}", x)
    slip_j, slip_y = wrong(f"bessel_j{order}", x) - j, wrong(f"bessel_y{order}", x) - y
    log = np.log(x) * (2 / math.pi)
    part = y - j * log + (0 if order == 0 else 2 / math.pi / x)
    return (quotient(x * x, slip_j / j, 2 * EPSILON / np.abs(j), power_j, 4),
            quotient(x * x, (slip_y - slip_j * log) / part,
                     4 * EPSILON * (1 + np.abs(y)) / np.abs(part), power_y, 4))


def far(order: int) -> np.ndarray:
    """The part Q of J = P cos t - Q sin t and Y = P sin t + Q cos t beyond 5, in z = 25 / x**2."""
    x = np.linspace(5.001, 14, 80_001)
    j, y = exact(f"j{order}", x), exact(f"y{order}", x)
    slip_j, slip_y = wrong(f"bessel_j{order}", x) - j, wrong(f"bessel_y{order}", x) - y
    t = x - (order * math.pi / 2 + math.pi / 4)
    q = y * np.cos(t) - j * np.sin(t)
    slip = (slip_y * np.cos(t) - slip_j * np.sin(t)) / q
    return quotient(25 / (x * x), slip, 2 * EPSILON / np.abs(q), 7, 6)


def airy() -> np.ndarray:
    """Both parts of Ai below -2.09 at once, as exponentials of polynomials in log(z / z_max)."""
    x = -np.linspace(2.0901, 7.5, 3001)
    ai, _, bi, _ = special.airy(x)
    slip = wrong("airy_ai", x) - ai
    root = np.sqrt(-x)
    zeta = -2 * x * root / 3
    t = zeta + math.pi / 4
    f = ai * np.sin(t) + bi * np.cos(t) - 1 / np.sqrt(math.pi * root)
    g = bi * np.sin(t) - ai * np.cos(t)
    u = np.log(zeta[0] ** 2 / zeta**2)

    def misses(p: np.ndarray) -> np.ndarray:
        e_f, e_g = (np.exp(np.clip(np.polyval(each, u), -80, 10)) for each in np.split(p, 2))
        return (f * np.sin(t) * e_f - g * np.cos(t) * e_g - slip) / EPSILON

    # Where to begin matters: there are valleys. This one is as deep as the values are exact.
    start = [0.043802, 0.300577, 0.937703, 0.346425, 2.842213, -10.712143,
             -0.00729904, -0.026467978, -0.018097299, -0.78864925, 3.8942708, -8.4351904]
    found = optimize.least_squares(misses, start, x_scale="jac", max_nfev=2000)
    assert np.abs(found.fun).max() < 30, "the fit has not come to its end"
    return np.split(found.x, 2)


def main() -> None:
    (j0, y0), (j1, y1) = near(0, 8, 7), near(1, 8, 8)
    rows = {"_NEAR_J": (j0, j1), "_NEAR_Y": (y0, y1), "_FAR": (far(0), far(1)), "_AIRY": airy()}
    for name, pair in rows.items():
        for row in pair:
            print(name, ", ".join(f"{number:.10g}" for number in row))


if __name__ == "__main__":
    main()
