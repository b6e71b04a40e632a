"""Matrix products: a few primitives for BLAS. `matmul` and `linear`, in linear.py, are made of
them."""

from __future__ import annotations

from typing import Any

from ..autocast_rules import autocasts
from ..core import TensorBase
from ..out import takes_out
from ..primitive import derivative, primitive
from .arithmetic import mul_number

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "dot", "ger", "mm",
    "mv", "outer", "vdot"]

# --- checks, in torch's words --------------------------------------------------------------------

def require_operands(name: str, **tensors: Any) -> None:
    for position, (argument, tensor) in enumerate(tensors.items()):
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"{name}(): argument '{argument}' (position {position + 1}) must be "
                            f"Tensor, not {type(tensor).__name__}")


def _require_same_dtype(a: Any, b: Any) -> None:
    if a._data.dtype is not b._data.dtype:
        raise RuntimeError("expected m1 and m2 to have the same dtype, but got: "
                           f"{a.dtype.c_name} != {b.dtype.c_name}")


def require_dtype_of(a: Any, b: Any) -> None:
    """Refuse `b` where it has not the dtype of `a`, as torch's kernels do."""
    if a._data.dtype is not b._data.dtype:
        raise RuntimeError(f"expected scalar type {a.dtype.scalar_name} but found "
                           f"{b.dtype.scalar_name}")


def _require_vector_dtypes(input: Any, mat: Any, vec: Any) -> None:
    if not input._data.dtype is mat._data.dtype is vec._data.dtype:
        raise RuntimeError("addmv input tensors must have the same dtype, but got "
                           f"{input.dtype.scalar_name}, {mat.dtype.scalar_name}, and "
                           f"{vec.dtype.scalar_name}")


def _size(tensor: Any) -> str:
    return "x".join(map(str, tensor._data.shape))


# --- products ------------------------------------------------------------------------------------

@primitive(name="mm")
def _mm(xp, input, mat2):
    r"""$Y = AB$, so $\bar A = \bar Y B^H$ and $\bar B = A^H \bar Y$."""
    return xp.matmul(input, mat2)


derivative(_mm,
    input=lambda g, mat2: g.mm(mat2.t().conj()),
    mat2=lambda g, input: input.t().conj().mm(g))


@autocasts
@takes_out
def mm(input: Any, mat2: Any) -> Any:
    r"""The product of an (n, k) and a (k, m) matrix."""
    require_operands("mm", input=input, mat2=mat2)
    if input._data.ndim != 2 or mat2._data.ndim != 2:
        which = "self" if input._data.ndim != 2 else "mat2"
        raise RuntimeError(f"{which} must be a matrix")
    if input._data.shape[1] != mat2._data.shape[0]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied "
                           f"({_size(input)} and {_size(mat2)})")
    _require_same_dtype(input, mat2)
    return _mm(input, mat2)


@primitive(name="bmm")
def _bmm(xp, input, mat2):
    r"""$Y_k = A_k B_k$ for each k of a batch, so $\bar A_k = \bar Y_k B_k^H$ and
    $\bar B_k = A_k^H \bar Y_k$."""
    return xp.matmul(input, mat2)


derivative(_bmm,
    input=lambda g, mat2: g.bmm(mat2.transpose(1, 2).conj()),
    mat2=lambda g, input: input.transpose(1, 2).conj().bmm(g))


@autocasts
@takes_out
def bmm(input: Any, mat2: Any) -> Any:
    """The products of (b, n, k) and (b, k, m) matrices, one by one."""
    require_operands("bmm", input=input, mat2=mat2)
    _check_batches(input, mat2)
    require_dtype_of(input, mat2)
    return _bmm(input, mat2)


def _check_batches(batch1: Any, batch2: Any) -> None:
    for name, tensor in (("batch1", batch1), ("batch2", batch2)):
        if tensor._data.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    (batch, _, inner), (*found, _) = batch1._data.shape, batch2._data.shape
    if [batch, inner] != found:
        raise RuntimeError("Expected size for first two dimensions of batch2 tensor to be: "
                           f"[{batch}, {inner}] but got: {found}.")


@primitive(name="mv")
def _mv(xp, input, vec):
    r"""$y = A x$, so $\bar A = \bar y x^H$ and $\bar x = A^H \bar y$."""
    return xp.matmul(input, vec)


derivative(_mv,
    input=lambda g, vec: g.outer(vec.conj()),
    vec=lambda g, input: input.t().conj().mv(g))


WORDS_OF_DOT = "result dtype {wanted} does not match input dtype {found}"
WORDS_OF_MV = ("addmv input tensors must have the same dtype, but got {wanted}, {found}, "
                      "and {found}")


@autocasts
@takes_out(words=WORDS_OF_MV)
def mv(input: Any, vec: Any) -> Any:
    """The product of an (n, k) matrix and a k-vector."""
    require_operands("mv", input=input, vec=vec)
    if input._data.ndim != 2 or vec._data.ndim != 1:
        raise RuntimeError("vector + matrix @ vector expected, got 1, "
                           f"{input._data.ndim}, {vec._data.ndim}")
    if input._data.shape[1] != vec._data.shape[0]:
        raise RuntimeError(f"size mismatch, got input ({input._data.shape[0]}), mat "
                           f"({_size(input)}), vec ({_size(vec)})")
    _require_vector_dtypes(vec, input, vec)  # the sum's place has the vector's dtype in torch
    return _mv(input, vec)


@primitive(name="dot")
def _dot(xp, input, tensor):
    r"""$y = \sum_i a_i b_i$, so $\bar a_i = \bar y\,b_i^*$ and $\bar b_i = \bar y\,a_i^*$."""
    return xp.dot(input, tensor)


derivative(_dot,
    input=lambda g, tensor: g * tensor.conj(),
    tensor=lambda g, input: g * input.conj())


@primitive(name="vdot")
def _vdot(xp, input, other):
    r"""$y = \sum_i a_i^* b_i$, so $\bar a_i = \bar y^*\,b_i$ and $\bar b_i = \bar y\,a_i$."""
    return xp.dot(input.conj(), other)


derivative(_vdot,
    input=lambda g, other: g.conj() * other,
    other=lambda g, input: g * input)


def _check_vectors(a: Any, b: Any) -> None:
    if a._data.ndim != 1 or b._data.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a._data.ndim}D and {b._data.ndim}D "
                           "tensors")
    if a._data.dtype is not b._data.dtype:
        raise RuntimeError("dot : expected both vectors to have same dtype, but found "
                           f"{a.dtype.scalar_name} and {b.dtype.scalar_name}")
    if a._data.size != b._data.size:
        raise RuntimeError("inconsistent tensor size, expected tensor "
                           f"[{a._data.size}] and src [{b._data.size}] to have the same number of "
                           f"elements, but got {a._data.size} and {b._data.size} elements "
                           "respectively")


@autocasts
@takes_out(words=WORDS_OF_DOT)
def dot(input: Any, tensor: Any) -> Any:
    r"""$\sum_i a_i b_i$ of two vectors."""
    require_operands("dot", input=input, tensor=tensor)
    _check_vectors(input, tensor)
    return _dot(input, tensor)


@autocasts
@takes_out(words=WORDS_OF_DOT)
def vdot(input: Any, other: Any) -> Any:
    r"""$\sum_i a_i^* b_i$ of two vectors."""
    require_operands("vdot", input=input, other=other)
    _check_vectors(input, other)
    return _vdot(input, other)


@takes_out(casts=True)
def outer(input: Any, vec2: Any) -> Any:
    """$y_{ij} = a_i b_j$."""
    for name, tensor in (("self", input), ("vec2", vec2)):
        if tensor._data.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got "
                               f"{tensor._data.ndim}-D")
    return input.reshape(-1, 1) * vec2


ger = outer


# --- products added to something -----------------------------------------------------------------

def _combined(xp, input, product, beta, alpha):
    r"""$\beta C + \alpha P$, written over the product; with $\beta = 0$ no nan of $C$ counts."""
    if alpha != 1:
        product = xp.multiply(product, product.dtype.type(alpha), out=product)
    if beta == 0:
        return product
    scaled = input if beta == 1 else input * input.dtype.type(beta)
    return xp.add(product, scaled, out=product)


def _times(g: Any, number: Any) -> Any:
    return g if number == 1 else mul_number(g, other=number.conjugate())


@primitive(name="addmm")
def _addmm(xp, input, mat1, mat2, *, beta, alpha):
    r"""$Y = \beta C + \alpha AB$, so $\bar C = \beta^* \bar Y$, $\bar A = \alpha^* \bar Y B^H$ and
    $\bar B = \alpha^* A^H \bar Y$."""
    return _combined(xp, input, xp.matmul(mat1, mat2), beta, alpha)


derivative(_addmm,
    input=lambda g, beta: _times(g, beta),
    mat1=lambda g, mat2, alpha: _times(g.mm(mat2.t().conj()), alpha),
    mat2=lambda g, mat1, alpha: _times(mat1.t().conj().mm(g), alpha))


def _check_added(input: Any, shape: tuple[int, ...]) -> None:
    own = input._data.shape
    fits = len(own) <= len(shape) and all(
        a in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False))
    if not fits:
        for back in range(1, min(len(own), len(shape)) + 1):
            if own[-back] not in (1, shape[-back]):
                raise RuntimeError(
                    f"The expanded size of the tensor ({shape[-back]}) must match the existing "
                    f"size ({own[-back]}) at non-singleton dimension {len(shape) - back}.  Target "
                    f"sizes: {list(shape)}.  Tensor sizes: {list(own)}")
        raise RuntimeError(
            f"expand(torch.{input.type()[6:]}{{{list(own)}}}, size={list(shape)}): the number of "
            f"sizes provided ({len(shape)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(own)})")


def _require_summed_dtypes(input: Any, mat1: Any, mat2: Any) -> None:
    for name, tensor in (("self", input), ("mat1", mat1)):
        if tensor._data.dtype is not mat2._data.dtype:
            raise RuntimeError(f"{name} and mat2 must have the same dtype, but got "
                               f"{tensor.dtype.scalar_name} and {mat2.dtype.scalar_name}")


@autocasts
@takes_out
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    r"""$\beta C + \alpha AB$ for matrices; `input` broadcasts."""
    require_operands("addmm", input=input, mat1=mat1, mat2=mat2)
    for name, tensor in (("mat1", mat1), ("mat2", mat2)):
        if tensor._data.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {tensor._data.ndim}-D tensor")
    if mat1._data.shape[1] != mat2._data.shape[0]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied "
                           f"({_size(mat1)} and {_size(mat2)})")
    _require_summed_dtypes(input, mat1, mat2)
    _check_added(input, (mat1._data.shape[0], mat2._data.shape[1]))
    return _addmm(input, mat1, mat2, beta=beta, alpha=alpha)


@primitive(name="addmv")
def _addmv(xp, input, mat, vec, *, beta, alpha):
    r"""$y = \beta c + \alpha A x$, so $\bar c = \beta^* \bar y$, $\bar A = \alpha^* \bar y x^H$ and
    $\bar x = \alpha^* A^H \bar y$."""
    return _combined(xp, input, xp.matmul(mat, vec), beta, alpha)


derivative(_addmv,
    input=lambda g, beta: _times(g, beta),
    mat=lambda g, vec, alpha: _times(g.outer(vec.conj()), alpha),
    vec=lambda g, mat, alpha: _times(mat.t().conj().mv(g), alpha))


@autocasts
@takes_out
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    r"""$\beta c + \alpha A x$ for a matrix and a vector; `input` broadcasts."""
    require_operands("addmv", input=input, mat=mat, vec=vec)
    if input._data.ndim > 1 or mat._data.ndim != 2 or vec._data.ndim != 1:
        raise RuntimeError("vector + matrix @ vector expected, got "
                           f"{input._data.ndim}, {mat._data.ndim}, {vec._data.ndim}")
    rows, columns = mat._data.shape
    if columns != vec._data.size or input._data.size not in (1, rows):
        raise RuntimeError(f"size mismatch, got input ({input._data.size}), mat ({_size(mat)}), "
                           f"vec ({_size(vec)})")
    _require_vector_dtypes(input, mat, vec)
    return _addmv(input, mat, vec, beta=beta, alpha=alpha)


@primitive(name="baddbmm")
def _baddbmm(xp, input, batch1, batch2, *, beta, alpha):
    r"""$Y_k = \beta C_k + \alpha A_k B_k$, so $\bar C_k = \beta^* \bar Y_k$,
    $\bar A_k = \alpha^* \bar Y_k B_k^H$ and $\bar B_k = \alpha^* A_k^H \bar Y_k$."""
    return _combined(xp, input, xp.matmul(batch1, batch2), beta, alpha)


derivative(_baddbmm,
    input=lambda g, beta: _times(g, beta),
    batch1=lambda g, batch2, alpha: _times(g.bmm(batch2.transpose(1, 2).conj()), alpha),
    batch2=lambda g, batch1, alpha: _times(batch1.transpose(1, 2).conj().bmm(g), alpha))


@autocasts
@takes_out
def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    r"""$\beta C_k + \alpha A_k B_k$ for each k of a batch; `input` broadcasts."""
    require_operands("baddbmm", input=input, batch1=batch1, batch2=batch2)
    _check_added(input, (batch1.size(0), batch1.size(1), batch2.size(2)))
    if input._data.dtype is not batch1._data.dtype:
        names = [each.dtype.c_name for each in (input, batch1, batch2)]
        raise RuntimeError("Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}"
                           .format(*names))
    _check_batches(batch1, batch2)
    require_dtype_of(batch1, batch2)
    return _baddbmm(input, batch1, batch2, beta=beta, alpha=alpha)


@primitive(name="addbmm")
def _addbmm(xp, input, batch1, batch2, *, beta, alpha):
    r"""$Y = \beta C + \alpha \sum_k A_k B_k$, so $\bar C = \beta^* \bar Y$,
    $\bar A_k = \alpha^* \bar Y B_k^H$ and $\bar B_k = \alpha^* A_k^H \bar Y$."""
    product = xp.matmul(batch1, batch2)
    return _combined(xp, input, product.sum(axis=0, dtype=product.dtype), beta, alpha)


derivative(_addbmm,
    input=lambda g, beta: _times(g, beta),
    batch1=lambda g, batch1_shape, batch2, alpha: _times(
        g.expand(batch1_shape[0], *g.shape).bmm(batch2.transpose(1, 2).conj()), alpha),
    batch2=lambda g, batch1, alpha: _times(
        batch1.transpose(1, 2).conj().bmm(g.expand(batch1.shape[0], *g.shape)), alpha))


@autocasts
@takes_out(words="self and mat2 must have the same dtype, but got {wanted} and {found}",
           warns=False)
def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    r"""$\beta C + \alpha \sum_k A_k B_k$; `input` broadcasts."""
    require_operands("addbmm", input=input, batch1=batch1, batch2=batch2)
    _check_added(input, (batch1.size(1), batch2.size(2)))
    _check_batches(batch1, batch2)
    _require_summed_dtypes(input, batch1, batch2)
    return _addbmm(input, batch1, batch2, beta=beta, alpha=alpha)


@primitive(promote="default", name="addr", lies="kernel")
def _addr(xp, input, vec1, vec2, *, beta, alpha):
    r"""$Y = \beta C + \alpha\, a b^T$."""
    product = vec1[:, None] * vec2
    if alpha != 1:
        product = product * product.dtype.type(alpha)
    return product if beta == 0 else product + input * input.dtype.type(beta)


derivative(_addr,
    input=lambda g, beta: _times(g, beta),
    vec1=lambda g, vec2, alpha: _times(g.mv(vec2.conj()), alpha),
    vec2=lambda g, vec1, alpha: _times(g.t().mv(vec1.conj()), alpha))


@autocasts
@takes_out(casts=True)
def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    r"""$\beta C + \alpha\, a b^T$ for two vectors; `input` broadcasts."""
    for name, tensor in (("vec1", vec1), ("vec2", vec2)):
        if tensor._data.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got "
                               f"{tensor._data.ndim}-D")
    _check_added(input, (vec1._data.size, vec2._data.size))
    return _addr(input, vec1, vec2, beta=beta, alpha=alpha)
