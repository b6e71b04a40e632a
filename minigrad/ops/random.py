"""Random tensors: torch's signatures and checks. The numbers come from random_streams.py, and those
with a tensor for a parameter are drawn in distributions.py.

Note [Memory order]
~~~~~~~~~~~~~~~~~~~
A fill walks its output in the order in which it lies in memory, so a transposed tensor gets the
same numbers at the same addresses: `empty(4, 3).t().uniform_()` equals `rand(4, 3).t()`. The draws
here come as flat arrays; `_laid_out` puts them where they belong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import random_streams as streams
from ..core import TensorBase
from ..device import host
from ..inplace import inplace
from ..out import NO_GRADIENT, fit, require_place, written
from ..primitive import derivative, primitive
from ..strides import memory_like
from .creation import dtype_argument, empty_like, finished, library_on, size_of

__all__ = [
    "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm"]

# --- filling -------------------------------------------------------------------------------------


def _laid_out(xp: Any, model: Any, draw: Callable) -> Any:
    """A new array like `model`, filled in memory order with what `draw(count, dtype)` returns."""
    result = memory_like(xp, model, model.dtype)
    order = _memory_order(result)
    numbers = draw(result.size, result.dtype).reshape([result.shape[dim] for dim in order])
    result.transpose(order)[...] = xp.asarray(numbers)
    return result


def _memory_order(array: Any) -> list[int]:
    """The dims from the slowest in memory to the fastest."""
    return sorted(range(array.ndim), key=lambda dim: -array.strides[dim])


def generator_or_default(name: str, generator: Any) -> streams.Generator:
    if generator is None:
        return streams.default_generator
    if not isinstance(generator, streams.Generator):
        raise TypeError(f"{name}() received an invalid combination of arguments - got "
                        f"(generator={type(generator).__name__})")
    return generator


def require_float(kernel: str, dtype: np.dtype) -> None:
    if dtype not in dtypes.DIFFERENTIABLE:
        raise _no_kernel(kernel, dtype)


def _no_kernel(kernel: str, dtype: np.dtype) -> NotImplementedError:
    return NotImplementedError(
        f"\"{kernel}\" not implemented for '{dtypes.of(dtype).scalar_name}'")


def no_gradient(g: Any) -> Any:
    return g.zeros_like()


def _filler(name: str, overload: int = 0) -> Callable:
    """The op behind an in-place fill; `draw(generator, count, dtype, ...)` makes the numbers.

    They do not depend on what was there, so the gradient is 0.
    """

    def declare(draw: Callable) -> Callable:
        @primitive(promote="exact", name=name, overload=overload)
        def fill(xp, input, *, generator, values):
            contiguous = bool(input.flags.c_contiguous)
            return _laid_out(xp, input, lambda count, dtype: draw(
                generator, count, dtype, *values, **(
                    {"contiguous": contiguous} if name == "normal" else {})))

        derivative(fill, input=no_gradient)
        return inplace(fill)

    return declare


_fill_uniform = _filler("uniform")(streams.uniform)
_fill_normal = _filler("normal")(streams.normal)
_fill_log_normal = _filler("log_normal")(streams.log_normal)
_fill_exponential = _filler("exponential")(streams.exponential)
_fill_geometric = _filler("geometric")(streams.geometric)
_fill_cauchy = _filler("cauchy")(streams.cauchy)
_fill_bernoulli = _filler("bernoulli", 2)(streams.bernoulli)
_fill_integers = {count: _filler("random", 2 - count)(streams.random_integers)
                  for count in (0, 1, 2)}


def uniform_(self: Any, from_: float = 0, to: float = 1, *, generator: Any = None,
             **more: Any) -> Any:
    """Overwrite with numbers uniform in [from, to)."""
    low = more.pop("from", from_)
    require_float("check_uniform_bounds", self._data.dtype)
    kind = self.dtype.to_real()
    largest = _largest_float(kind)
    for what, bound in (("from", low), ("to", to)):
        if not -largest <= bound <= largest:
            raise RuntimeError(f"{what} is out of bounds for {_C_NAMES[kind.name]}")
    if low > to:
        raise RuntimeError("uniform_ expects to return a [from, to) range, but found "
                           f"from={low:g} > to={to:g}")
    if to - low > largest:
        raise RuntimeError(f"uniform_ expects to-from <= std::numeric_limits<{kind.scalar_name}>"
                           f"::max(), but found to={to:g} and from={low:g} which result in "
                           "to-from to exceed the limit")
    return _fill_uniform(self, generator=generator_or_default("uniform_", generator),
                         values=(float(low), float(to)))


def _largest_float(kind: dtypes.dtype) -> float:
    """The largest finite number of a floating-point type (NumPy does not know bfloat16's)."""
    bfloat16 = kind is dtypes.bfloat16
    return float.fromhex("0x1.fep127") if bfloat16 else float(np.finfo(kind.numpy).max)


def normal_(self: Any, mean: float = 0, std: float = 1, *, generator: Any = None) -> Any:
    """Overwrite with normal numbers."""
    check_std(std)
    require_float("normal_kernel_cpu", self._data.dtype)
    return _fill_normal(self, generator=generator_or_default("normal_", generator),
                        values=(float(mean), float(std)))


def check_std(std: float) -> None:
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def log_normal_(self: Any, mean: float = 1, std: float = 2, *, generator: Any = None) -> Any:
    """Overwrite with exponentials of normal numbers."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    require_float("log_normal_cpu", self._data.dtype)
    return _fill_log_normal(self, generator=generator_or_default("log_normal_", generator),
                            values=(float(mean), float(std)))


def exponential_(self: Any, lambd: float = 1, *, generator: Any = None) -> Any:
    """Overwrite with exponential numbers of rate `lambd`."""
    if not self.dtype.is_floating_point:
        raise RuntimeError("Exponential distribution is a continuous probability distribution. "
                           "dtype must be a floating point but you specified "
                           f"{self.dtype.scalar_name}")
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    return _fill_exponential(self, generator=generator_or_default("exponential_", generator),
                             values=(float(lambd),))


def geometric_(self: Any, p: float, *, generator: Any = None) -> Any:
    """Overwrite with the number of trials until the first success of probability `p`."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if self._data.dtype.kind in "bc":
        raise _no_kernel("geometric_cpu", self._data.dtype)
    return _fill_geometric(self, generator=generator_or_default("geometric_", generator),
                           values=(float(p),))


def cauchy_(self: Any, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Any:
    """Overwrite with Cauchy numbers."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    if not self.dtype.is_floating_point:
        raise RuntimeError("Cauchy distribution is a continuous probability distribution. dtype "
                           "must be a floating point but you specified "
                           f"{_C_NAMES[self.dtype.name]}")
    return _fill_cauchy(self, generator=generator_or_default("cauchy_", generator),
                        values=(float(median), float(sigma)))


def random_(self: Any, *bounds: int | None, generator: Any = None, **more: int) -> Any:
    """Overwrite with integers: `random_()`, `random_(to)` or `random_(from, to)`."""
    low, high = more.get("from"), more.get("to")
    if len(bounds) == 2:
        low, high = bounds
    elif bounds:
        high = bounds[0]
    given = (low is not None) + (high is not None)
    if high is not None:
        _check_integers(low or 0, high, self.dtype)
    source = generator_or_default("random_", generator)
    if not given:
        if self._data.dtype.kind == "c" or self.dtype in (dtypes.uint16, dtypes.uint32,
                                                          dtypes.uint64):
            raise _no_kernel("random_kernel_cpu", self._data.dtype)
        return _fill_integers[0](self, generator=source, values=())
    return _fill_integers[2 if len(bounds) == 2 or low is not None else 1](
        self, generator=source, values=(low or 0, high))


_C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short int",
    "uint16": "short unsigned int", "int32": "int", "uint32": "unsigned int", "int64": "long int",
    "uint64": "long unsigned int", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>"}


def _check_integers(low: int, high: int, dtype: dtypes.dtype) -> None:
    """Whether the dtype holds low ... high - 1; a warning where a float dtype has gaps there."""
    if low >= high:
        raise RuntimeError("random_ expects 'from' to be less than 'to', but got "
                           f"from={low} >= to={high}")
    if dtype.is_complex:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean "
                           "types")
    exact = streams.largest_integer(dtype.numpy)
    largest = _largest_float(dtype) if dtype.is_floating_point else exact
    smallest = -largest - (not dtype.is_floating_point) if dtype.is_signed else 0
    for what, value in (("from", low), ("to - 1", high - 1)):
        if not smallest <= value <= largest:
            raise RuntimeError(f"{what} is out of bounds for {_C_NAMES[dtype.name]}")
        if dtype.is_floating_point and abs(value) > exact:
            digits = exact.bit_length() - 1
            warnings.warn(
                f"{what} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision "
                f"limitations {_C_NAMES[dtype.name]} can support discrete uniform distribution "
                "only within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance", stacklevel=4)


@primitive(promote="exact", name="bernoulli", overload=1)
def _bernoulli_by_tensor(xp, input, p, *, generator):
    each = np.broadcast_to(host(p), input.shape)
    return _laid_out(xp, input, lambda count, dtype: streams.bernoulli_each(
        generator, each.transpose(_memory_order(input)), dtype))


derivative(_bernoulli_by_tensor, input=no_gradient, p=no_gradient)
_fill_bernoulli_by_tensor = inplace(_bernoulli_by_tensor)


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Overwrite with 1 (probability `p`, a number or a tensor) or 0."""
    source = generator_or_default("bernoulli_", generator)
    if self._data.dtype.kind == "c":
        raise _no_kernel("bernoulli_tensor_cpu_self_" if isinstance(p, TensorBase)
                         else "bernoulli_scalar_cpu_", self._data.dtype)
    if isinstance(p, TensorBase):
        check_probabilities(p)
        return _fill_bernoulli_by_tensor(self, p, generator=source)
    _check_probability(p)
    return _fill_bernoulli(self, generator=source, values=(float(p),))


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")


def check_probabilities(p: Any) -> None:
    require_float("bernoulli_tensor_cpu_p_", p._data.dtype)
    if not ((p._data >= 0) & (p._data <= 1)).all():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message "
            "be improved?  If so, please report an enhancement request to PyTorch.)")


# --- new tensors ---------------------------------------------------------------------------------

def _random(name: str, kernel: str, draw: Callable, fill: Callable, no_gradient: str) -> Callable:
    """rand and randn: new numbers drawn, or an out filled in place."""

    def create(*size: Any, generator: Any = None, out: Any = None, dtype: Any = None,
               layout: Any = None, device: Any = None, requires_grad: bool = False,
               pin_memory: bool = False, **more: Any) -> Any:
        if "size" in more:
            size = (more.pop("size"),)
        if more or not size:
            raise TypeError(f"{name}() received an invalid combination of arguments")
        shape = size_of(name, size)
        if out is not None:
            require_place(out, dtype, no_gradient)
            fit(out, shape, warn=False)
            return fill(out, generator=generator)
        kind = dtype_argument(name, dtype).numpy
        require_float(kernel, kind)
        count = int(np.prod(shape, dtype=np.int64))
        numbers = draw(generator_or_default(name, generator), count, kind)
        return finished(library_on(device).asarray(numbers.reshape(shape)), requires_grad)

    create.__name__ = create.__qualname__ = name
    return create


rand = _random("rand", "check_uniform_bounds", streams.uniform, uniform_, NO_GRADIENT)
rand.__doc__ = "Numbers uniform in [0, 1)."
randn = _random("randn", "normal_kernel_cpu", streams.normal, normal_,
                "cannot resize variables that require grad")
randn.__doc__ = "Standard normal numbers."


def _random_like(fill: Callable) -> Callable:
    def create(input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
               generator: Any = None, requires_grad: bool = False, pin_memory: bool = False,
               memory_format: Any = None) -> Any:
        result = fill(empty_like(input, dtype=dtype, device=device), generator=generator)
        return finished(result._data, requires_grad)

    return create


rand_like, randn_like = _random_like(uniform_), _random_like(normal_)
rand_like.__doc__ = "`rand` in the shape, dtype and place of `input`."
randn_like.__doc__ = "`randn` in the shape, dtype and place of `input`."


def randint(*args: Any, low: int | None = None, high: int | None = None, size: Any = None,
            generator: Any = None, out: Any = None, dtype: Any = None, layout: Any = None,
            device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """Integers from `low` (0) up to, not including, `high`: `randint([low,] high, size)`."""
    given = list(args)
    if size is None:
        size = given.pop() if len(given) > 1 else None
    if len(given) == 2:
        low, high = given
    elif given and high is None:
        high = given[0]
    elif given:
        low = given[0]
    if isinstance(high, float | str):
        raise TypeError("randint(): argument 'high' (position 1) must be int, not "
                        f"{type(high).__name__}")
    if not (isinstance(high, int | np.integer) and isinstance(low or 0, int | np.integer)):
        raise TypeError("randint() received an invalid combination of arguments - got "
                        f"({', '.join(type(each).__name__ for each in args)})")
    if size is None or isinstance(size, int):
        raise TypeError("randint(): argument 'size' (position 2) must be tuple of ints, not "
                        f"{type(size).__name__}")
    shape = size_of("randint", (tuple(size),))
    kind = out.dtype if out is not None else dtype_argument("randint", dtype, dtypes.int64)
    _check_integers(int(low or 0), int(high), kind)
    numbers = streams.random_integers(generator_or_default("randint", generator),
                                      int(np.prod(shape, dtype=np.int64)), kind.numpy,
                                      int(low or 0), int(high)).reshape(shape)
    if out is not None:
        return written(out, numbers, dtype)
    return finished(library_on(device).asarray(numbers), requires_grad)


def randint_like(input: Any, *bounds: int, low: int | None = None, high: int | None = None,
                 dtype: Any = None, device: Any = None, requires_grad: bool = False,
                 **more: Any) -> Any:
    """`randint` in the shape, dtype and place of `input`: `randint_like(x, [low,] high)`."""
    if len(bounds) == 2:
        low, high = bounds
    elif bounds:
        high = bounds[0] if high is None else high
    result = random_(empty_like(input, dtype=dtype, device=device), low or 0, high)
    return finished(result._data, requires_grad)


def randperm(n: int, *, generator: Any = None, out: Any = None, dtype: Any = None,
             layout: Any = None, device: Any = None, requires_grad: bool = False,
             pin_memory: bool = False) -> Any:
    """The integers 0 ... n - 1 in a random order."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError("randperm(): argument 'n' (position 1) must be int, not "
                        f"{type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    kind = (out.dtype if out is not None
            else dtype_argument("randperm", dtype, dtypes.int64)).numpy
    _check_permutation(n, kind)
    order = streams.randperm(generator_or_default("randperm", generator), int(n), kind)
    if out is not None:
        return written(out, order, dtype)
    return finished(library_on(device).asarray(order), requires_grad)


def _check_permutation(n: int, kind: np.dtype) -> None:
    """Whether the dtype holds 0 ... n - 1 (torch does not ask that of bfloat16)."""
    dtype = dtypes.of(kind)
    if kind.kind in "bc":
        raise _no_kernel("randperm", kind)
    if dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
        most = streams.largest_integer(kind) + 1
        if n > most:
            raise RuntimeError(f"n cannot be greater than {most} for {dtype.scalar_name} type.")
    elif dtype is not dtypes.bfloat16 and n - 1 > streams.largest_integer(kind):
        raise RuntimeError(f"value cannot be converted to type {dtype.name}_t without overflow")
