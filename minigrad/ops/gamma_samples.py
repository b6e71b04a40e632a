r"""Samples of the gamma and the Dirichlet distribution that carry gradients to their shapes.

Note [The gradient of a sample]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
A sample $x$ of shape $\alpha$ is where the distribution function reaches a level that does not
depend on $\alpha$: $F(x; \alpha) = u$. So $F_x\,dx + F_\alpha\,d\alpha = 0$, and
$dx/d\alpha = -F_\alpha / F_x$ (implicit reparametrisation). $F_x$ is the density; $F_\alpha$ has no
closed form, and is taken here by central differences of SciPy's $F$, or of $1 - F$ where that is
the smaller one, good to some nine digits. torch approximates the quotient by fitted functions, good
to three or four: so these gradients are equal to torch's only so far.

An element of a Dirichlet sample has a beta distribution; while it moves, the others shrink in
proportion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random_rejection as rejection
from ..device import host, special
from ..primitive import derivative, primitive
from .random import generator_or_default, require_float

__all__ = ["sample_dirichlet", "standard_gamma"]


def _slope(function: Callable, shape: Any) -> Any:
    """The derivative of `function` at `shape`, by central differences of fourth order."""
    step = 1e-3 * shape
    near = function(shape + step) - function(shape - step)
    far = function(shape + 2 * step) - function(shape - 2 * step)
    return (8 * near - far) / (12 * step)


def _once(message: str, kind: type[Exception]) -> Callable:
    """A rule that refuses: the quotient's own derivative is not known."""
    def rule(g: Any) -> Any:
        raise kind(message)

    return rule


# --- gamma ---------------------------------------------------------------------------------------

@primitive(promote="exact")
def standard_gamma_grad(xp, input, output):
    r"""$dx/d\alpha$ of samples `output` of the shapes `input`: see Note [The gradient of a
    sample]."""
    library = special(np)
    alpha, x = np.broadcast_arrays(host(input).astype(np.float64), host(output).astype(np.float64))
    log_density = (alpha - 1) * np.log(x) - x - library.gammaln(alpha)
    low = library.gammainc(alpha, x) < 0.5
    by_shape = np.where(low, _slope(lambda a: library.gammainc(a, x), alpha),
                        -_slope(lambda a: library.gammaincc(a, x), alpha))
    return xp.asarray((-by_shape * np.exp(-log_density)).astype(input.dtype))


_no_second = _once("the derivative for '_standard_gamma_grad' is not implemented.",
                   NotImplementedError)
derivative(standard_gamma_grad, input=_no_second, output=_no_second)


@primitive(promote="exact", name="standard_gamma")
def _standard_gamma(xp, input, *, generator):
    return xp.asarray(rejection.standard_gamma(generator, host(input)).reshape(input.shape))


derivative(_standard_gamma, input=lambda g, input, result: g * standard_gamma_grad(input, result))


def standard_gamma(input: Any, generator: Any = None) -> Any:
    """Gamma numbers of scale 1 and of the shapes `input`."""
    require_float("gamma", input._data.dtype)
    return _standard_gamma(input, generator=generator_or_default("_standard_gamma", generator))


# --- Dirichlet -----------------------------------------------------------------------------------

@primitive(promote="exact")
def dirichlet_grad(xp, x, alpha, total):
    r"""$\frac{dx}{d\alpha} / (1 - x)$ of elements `x` of samples whose concentrations are `alpha`,
    and `total` together: see Note [The gradient of a sample]."""
    library, kind = special(np), x.dtype
    x, alpha, total = (host(each).astype(np.float64) for each in (x, alpha, total))
    beta = total - alpha
    log_density = ((alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x)
                   - library.betaln(alpha, beta))
    low = library.betainc(alpha, beta, x) < 0.5
    by_shape = np.where(low, _slope(lambda a: library.betainc(a, beta, x), alpha),
                        -_slope(lambda a: library.betaincc(a, beta, x), alpha))
    return xp.asarray((-by_shape * np.exp(-log_density) / (1 - x)).astype(kind))


_no_second_dirichlet = _once(
    "trying to differentiate twice a function that was marked with @once_differentiable",
    RuntimeError)
derivative(dirichlet_grad, x=_no_second_dirichlet, alpha=_no_second_dirichlet,
           total=_no_second_dirichlet)


@primitive(promote="exact", node_name="_DirichletBackward")
def _sample_dirichlet(xp, input, *, generator):
    gammas = rejection.standard_gamma(generator, host(input).astype(np.float64))
    gammas = gammas.reshape(input.shape)
    result = gammas / gammas.sum(-1, keepdims=True)
    return xp.asarray(np.maximum(result, np.finfo(input.dtype).tiny).astype(input.dtype))


def _dirichlet_rule(g: Any, input: Any, result: Any) -> Any:
    total = input.sum(-1, True).expand_as(input)
    return dirichlet_grad(result, input, total) * (g - (result * g).sum(-1, True))


derivative(_sample_dirichlet, input=_dirichlet_rule)


def sample_dirichlet(input: Any, generator: Any = None) -> Any:
    """Points of the simplex: gamma numbers divided by their sum along the last dimension."""
    require_float("dirichlet", input._data.dtype)
    return _sample_dirichlet(input, generator=generator_or_default("_sample_dirichlet", generator))
