r"""The exponential of a matrix: $e^A = \sum_k A^k / k!$.

Note [Scaling and squaring]
~~~~~~~~~~~~~~~~~~~~~~~~~~~
The series converges everywhere, but for a large matrix only after terms so large that they cancel
to nothing but rounding errors. So it is summed for $A / 2^s$, with $s$ such that the norm is small
enough for 19 terms to be exact to the last digit, and the sum is squared $s$ times:
$e^A = (e^{A / 2^s})^{2^s}$.

Note [A derivative from a larger exponential]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Matrices do not commute, so the derivative of $e^A$ in the direction $E$ is not $E e^A$. Nor is a
new algorithm needed: the powers of $\begin{pmatrix} A & E \\ 0 & A \end{pmatrix}$ have $A^k$ on
their diagonal and the derivative of $A^k$ beside it, and so has every power series of it. The
gradient is the derivative at $A^H$ in the direction of the incoming gradient; and being made of
`matrix_exp`, it has a gradient in turn.
"""

from __future__ import annotations

import math
from typing import Any

from ..primitive import derivative, primitive
from .joining import cat
from .linalg_errors import require_inexact, require_square, require_tensors

__all__ = ["matrix_exp"]

# Up to this 1-norm, the first 19 terms are exact to the last digit: Bader, Blanes and Casas (2019),
# "Computing the matrix exponential with an optimized Taylor polynomial approximation".
_LARGEST_NORM = {"f": 3.010066362817634, "d": 1.090863719290036}
_DEGREE = 18


@primitive(name="linalg_matrix_exp")
def _matrix_exp(xp, input):
    """Each matrix scaled as its own norm asks (see Note [Scaling and squaring]); all nan where it
    has an element that is not finite."""
    if not input.size:
        return xp.empty(input.shape, input.dtype)
    matrices = input.reshape(-1, *input.shape[-2:])
    norms = abs(matrices).sum(axis=-2).max(axis=-1)
    finite = xp.isfinite(norms)
    excess = xp.where(finite, norms, 1) / _LARGEST_NORM[norms.dtype.char]
    squarings = xp.ceil(xp.log2(xp.maximum(excess, 1)))
    scale = xp.where(finite, xp.exp2(-squarings), xp.nan)
    result = _series(xp, matrices * scale[:, None, None])
    for done in range(int(squarings.max())):
        rest = squarings > done
        part = result[rest]
        result[rest] = xp.matmul(part, part)
    return result.reshape(input.shape)


def _series(xp, a):
    r"""$\sum_{k \le 18} A^k / k!$ by Horner's rule in $A^3$, whose coefficients are sums of
    $I$, $A$ and $A^2$: seven products (Paterson and Stockmeyer, 1973)."""
    square = xp.matmul(a, a)
    cube = xp.matmul(square, a)
    one = xp.eye(a.shape[-1], dtype=a.dtype)
    result = cube / math.factorial(_DEGREE)
    for k in range(_DEGREE - 3, -1, -3):
        result += square / math.factorial(k + 2)
        result += a / math.factorial(k + 1)
        result += one / math.factorial(k)
        if k:
            result = xp.matmul(result, cube)
    return result


def _rule(g, input):
    """See Note [A derivative from a larger exponential]."""
    a, n = input.mH, input.shape[-1]
    upper, lower = cat([a, g], -1), cat([a.zeros_like(), a], -1)
    return _matrix_exp(cat([upper, lower], -2)).narrow(-2, 0, n).narrow(-1, n, n)


derivative(_matrix_exp, input=_rule)


def linalg_matrix_exp(input: Any) -> Any:
    """$e^A$ of square matrices."""
    require_tensors("linalg_matrix_exp", input=input)
    require_square(input, "linalg.matrix_exp")
    require_inexact(input, "linalg.matrix_exp")
    return _matrix_exp(input)


def matrix_exp(input: Any) -> Any:
    """$e^A$ of square matrices."""
    require_tensors("matrix_exp", input=input)
    return linalg_matrix_exp(input)
