r"""The pseudo-inverse $A^+$ (of any matrix, also of one without an inverse), and the rank.

With $A = U S V^H$, $A^+ = V S^+ U^H$: $S^+$ has $1/s$ for each singular value $s$ that counts as
more than nothing, and 0 for the others. The rank is how many count. A value counts if it is larger
than `atol`, and larger than `rtol` times the largest value.
"""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autocast_rules import autocasts
from ..core import TensorBase, wrap
from ..out import takes_out
from ..primitive import derivative, primitive
from ..type_info import finfo
from .choosing import maximum, where
from .creation import full
from .eigen import eigh, eigvalsh
from .lapack import castable
from .linalg_errors import LAPACK_DTYPES, require_matrix, require_tensors
from .loss import refuse_gradient
from .svd import linalg_svd, svdvals

__all__ = ["pinverse"]


# --- what counts as zero -------------------------------------------------------------------------

def default_tolerance(A: Any) -> float:
    """By how much, relative to the largest, rounding may have lifted singular values from 0."""
    if A._data.dtype.name not in LAPACK_DTYPES:
        raise RuntimeError("This function doesn't handle types other than float and double")
    return finfo(A.dtype).eps * max(A._data.shape[-2:])


def _tolerances(A: Any, atol: Any, rtol: Any, name: str) -> list[Any]:
    """Both as Tensors: one number, or one for each matrix. If only `atol` is given, it alone says
    what is zero, wherever it is not 0 itself."""
    def as_tensor(number: float) -> Any:
        return full((), number, dtype=dtypes.float64, device=A.device)

    for which, tolerance in (("atol", atol), ("rtol", rtol)):
        _require_real(tolerance, name, which)
    if rtol is None:
        rtol = as_tensor(default_tolerance(A))
        if atol is not None:
            absolute: Any = atol if isinstance(atol, TensorBase) else as_tensor(atol)
            rtol = where(absolute > 0, as_tensor(0), rtol)
    return [each if isinstance(each, TensorBase) else as_tensor(each or 0)
            for each in (atol, rtol)]


def _require_real(tolerance: Any, name: str, which: str) -> None:
    if isinstance(tolerance, TensorBase) and tolerance.dtype.is_complex:
        raise RuntimeError(f"{name}: {which} tensor of complex type is not supported. Got "
                           f"{tolerance.dtype.scalar_name}")


def _counting(sizes: Any, atol: Any, rtol: Any) -> Any:
    """Which of the singular values are not taken for zero."""
    largest = sizes.amax(-1, keepdim=True)
    return sizes > maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * largest)


def _require_arguments(name: str, input: Any, only: Any, hermitian: Any, atol: Any,
                       rtol: Any) -> None:
    """Refuse what fits none of torch's overloads: `only` (rcond, or tol) stands without the other
    two, and those are both Tensors or both numbers (a Tensor of one number is either)."""
    given = [each for each in (only, atol, rtol) if each is not None]
    tensors = [isinstance(each, TensorBase) for each in given]
    numbers = [each._data.ndim == 0 and not each.requires_grad if isinstance(each, TensorBase)
               else isinstance(each, int | float) for each in given]
    alone = only is None or len(given) == 1
    if not (isinstance(input, TensorBase) and type(hermitian) is bool and alone
            and (all(tensors) or all(numbers))):
        named = {"atol": atol, "rtol": rtol, "hermitian": hermitian or None}
        words = [type(input).__name__] + ([] if only is None else [type(only).__name__])
        words += [f"{key}={type(value).__name__}" for key, value in named.items()
                  if value is not None]
        raise TypeError(f"{name}() received an invalid combination of arguments - got "
                        f"({', '.join(words)})")


# --- the pseudo-inverse --------------------------------------------------------------------------

@primitive(name="linalg_pinv")
def _pinv(xp, input, atol, rtol, *, hermitian):
    """A Hermitian matrix has its eigenvectors for U and V, and eigenvalues of either sign."""
    if not input.size:
        return xp.empty(input.swapaxes(-1, -2).shape, input.dtype)
    A = wrap(input)
    if hermitian:
        values, u = eigh(A)
        sizes, v = values.abs(), u
    else:
        u, values, vh = linalg_svd(A, full_matrices=False)
        sizes, v = values, vh.mH
    inverses = where(_counting(sizes, wrap(atol), wrap(rtol)), values.reciprocal(), 0.0)
    return (v * inverses.to(A.dtype).unsqueeze(-2)).matmul(u.mH)._data


def pinv_gradient(g: Any, input: Any, result: Any) -> Any:
    r"""$\bar A$ for $P = A^+$ (Golub and Pereyra, 1973): with $G = \bar P^H$,
    $(I - AP)\,G P P^H + P^H P\,G\,(I - PA) - (P G P)^H$.

    The first factors are chosen so that the products are small: $GP$ if A is wide, else $PG$.
    """
    A, p, ph, gh = input, result, result.mH, g.mH
    if A._data.shape[-2] <= A._data.shape[-1]:
        k = gh.matmul(p)
        k_ph = k.matmul(ph)
        return (k_ph - p.matmul(k).mH - A.matmul(p).matmul(k_ph)
                + ph.matmul(p).matmul(gh - k.matmul(A)))
    k = p.matmul(gh)
    ph_k = ph.matmul(k)
    return (ph_k - k.matmul(p).mH - ph_k.matmul(p).matmul(A)
            + (gh - A.matmul(k)).matmul(p).matmul(ph))


derivative(_pinv, input=pinv_gradient)


_castable, = castable("linalg.pinv", "result")
_written_pinv = takes_out(_pinv, name="linalg_pinv", check=_castable)
_copied_pinv = takes_out(_pinv, name="linalg_pinv", check=_castable, recorded=True)


def pinv(input: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None,
         rtol: Any = None, out: Any = None) -> Any:
    """$A^+$. `rcond` is the older name of `rtol`; of a `hermitian` matrix only the lower triangle
    is read.

    With numbers for tolerances, or with `rcond`, the way into `out` is part of the graph.
    """
    _require_arguments("linalg_pinv", input, rcond, hermitian, atol, rtol)
    name, shape = "torch.linalg.pinv", list(input._data.shape)
    copied = any(each is not None and not isinstance(each, TensorBase)
                 for each in (rcond, atol, rtol))
    if rcond is not None:
        _require_real(rcond, name, "rcond")
        copied, atol, rtol = True, 0.0, rcond
    for which, tolerance in (("atol", atol), ("rtol", rtol)):
        if isinstance(tolerance, TensorBase):
            refuse_gradient("linalg_pinv", which, tolerance)
    if input._data.dtype.name not in LAPACK_DTYPES or len(shape) < 2:
        raise RuntimeError(f"linalg.pinv({input.dtype.scalar_name}{{{shape}}}): expected a tensor "
                           "with 2 or more dimensions of float, double, cfloat or cdouble types")
    tolerances = _tolerances(input, atol, rtol, name)
    return (_copied_pinv if copied else _written_pinv)(
        input, *tolerances, hermitian=hermitian, out=out)


@autocasts
def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """$A^+$, singular values of up to `rcond` times the largest taken for 0."""
    require_tensors("pinverse", input=input)
    if not isinstance(rcond, int | float) and not (
            isinstance(rcond, TensorBase) and not rcond._data.ndim):
        raise TypeError("pinverse(): argument 'rcond' (position 2) must be float, not "
                        f"{type(rcond).__name__}")
    return pinv(input, rcond)


# --- the rank ------------------------------------------------------------------------------------

@takes_out(name="sum", check=castable("torch.linalg.matrix_rank", "result")[0])
def _rank(A: Any, hermitian: bool, tolerances: list) -> Any:
    if not A._data.size:
        return A.new_zeros(A._data.shape[:-2], dtype=dtypes.int64)
    sizes = eigvalsh(A).abs() if hermitian else svdvals(A)
    return _counting(sizes, *tolerances).sum(-1)


@autocasts
def matrix_rank(input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None,
                rtol: Any = None, out: Any = None) -> Any:
    """How many singular values are not taken for 0. `tol` is `atol` with an `rtol` of 0."""
    _require_arguments("linalg_matrix_rank", input, tol, hermitian, atol, rtol)
    name = "torch.linalg.matrix_rank"
    require_matrix(input, name, "input")
    if tol is not None:
        atol, rtol = tol, 0.0
    tolerances = _tolerances(input, atol, rtol, name)
    return _rank(input.detach(), hermitian, [each.detach() for each in tolerances], out=out)
