"""Random tensors drawn from distributions whose parameters are tensors themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import random_rejection as rejection
from .. import random_streams as streams
from ..core import TensorBase, wrap
from ..device import ARRAY_MODULES, host
from ..out import fit, refuse_gradients, written
from ..primitive import derivative, primitive
from .creation import dtype_argument, empty_like, finished, library_on, size_of
from .random import (
    bernoulli_,
    check_probabilities,
    check_std,
    generator_or_default,
    no_gradient,
    normal_,
    require_float,
)

__all__ = ["bernoulli", "binomial", "multinomial", "normal", "poisson"]


def _parameter_node(overload: int) -> Callable:
    """The op of a `normal` some of whose parameters are tensors; no gradient flows into them."""

    @primitive(promote="exact", name="normal", overload=overload)
    def sampled(xp, input, *, numbers):
        return xp.asarray(numbers)

    derivative(sampled, input=no_gradient)
    return sampled


_normal_of_mean, _normal_of_std = _parameter_node(1), _parameter_node(2)


@primitive(promote="exact", name="normal", overload=3)
def _normal_of_both(xp, mean, std, *, numbers):
    return xp.asarray(numbers)


derivative(_normal_of_both, mean=no_gradient, std=no_gradient)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None,
           out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
           requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """Normal numbers; `mean` and `std` are numbers (then `size` says how many) or tensors."""
    source = generator_or_default("normal", generator)
    tensors = [isinstance(each, TensorBase) for each in (mean, std)]
    if not any(tensors):
        check_std(std)
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments - got "
                            f"({type(mean).__name__}, {type(std).__name__})")
        shape = size_of("normal", (size,))
        kind = dtype_argument("normal", dtype).numpy
        require_float("normal_kernel_cpu", kind)
        numbers = streams.normal(source, int(np.prod(shape, dtype=np.int64)), kind, float(mean),
                                 float(std)).reshape(shape)
        if out is not None:
            return written(out, numbers, dtype)
        return finished(library_on(device).asarray(numbers), requires_grad)
    if out is not None:
        return _normal_into(out, mean, std, generator)
    means, stds = (host(each._data) if is_tensor else each
                   for each, is_tensor in zip((mean, std), tensors, strict=True))
    if tensors[1]:
        if not (stds >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        check_std(std)
    if all(tensors):
        shape = (mean.detach() + std.detach())._data.shape  # raises where they do not broadcast
    else:
        shape = (mean if tensors[0] else std)._data.shape
    kind = means.dtype if tensors[0] else stds.dtype
    require_float("normal_kernel_cpu", kind)
    count = int(np.prod(shape, dtype=np.int64))
    if tensors[1]:
        numbers = streams.normal(source, count, kind).reshape(shape) * stds + kind.type(means) \
            if not tensors[0] else streams.normal(source, count, kind).reshape(shape) * stds + means
    else:
        numbers = streams.normal(source, count, kind, 0.0, float(std)).reshape(shape) + means
    numbers = numbers.astype(kind, copy=False)
    if all(tensors):
        return _normal_of_both(mean, std, numbers=numbers)
    if tensors[0]:
        return _normal_of_mean(mean, numbers=numbers)
    return _normal_of_std(std, numbers=numbers)


def _normal_into(out: Any, mean: Any, std: Any, generator: Any) -> Any:
    """Standard normal numbers drawn into `out`, in its dtype, then scaled and shifted; where `std`
    is a number, out's own shape has a say in what shape that is."""
    refuse_gradients("normal", [out, mean, std])
    shifted, scaled = isinstance(mean, TensorBase), isinstance(std, TensorBase)
    if scaled and bool((std < 0).any()):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not scaled:
        check_std(std)
    beside = std if scaled else out
    fit(out, (mean.detach() + beside.detach() if shifted else beside)._data.shape)  # or raises
    normal_(out, 0, 1 if scaled else std, generator=generator)
    return (out.mul_(std) if scaled else out).add_(mean)


@primitive(promote="exact", name="bernoulli")
def _bernoulli(xp, input, *, generator):
    return xp.asarray(streams.bernoulli_each(generator, host(input)).reshape(input.shape))


derivative(_bernoulli, input=no_gradient)


@primitive(promote="exact", node_name="NotImplemented")
def _bernoulli_of_number(xp, input, *, drawn):
    return drawn


def _no_derivative(g: Any) -> Any:
    raise RuntimeError("derivative for aten::bernoulli.p is not implemented")


derivative(_bernoulli_of_number, input=_no_derivative)


def bernoulli(input: Any, p: float | None = None, *, generator: Any = None,
              out: Any = None) -> Any:
    """1 with the probability that `input` says (or `p`, everywhere), else 0."""
    if out is not None:
        if p is not None:
            raise TypeError("bernoulli() received an invalid combination of arguments - got "
                            f"({type(input).__name__}, {type(p).__name__}, "
                            f"out={type(out).__name__})")
        refuse_gradients("bernoulli", [out, input])
        fit(out, input._data.shape, warn=False)
        return bernoulli_(out, input, generator=generator)
    if p is not None:
        drawn = bernoulli_(empty_like(input.detach()), p, generator=generator)
        return _bernoulli_of_number(input, drawn=drawn._data)
    check_probabilities(input)
    return _bernoulli(input, generator=generator_or_default("bernoulli", generator))


@primitive(promote="exact", name="poisson")
def _poisson(xp, input, *, generator):
    return xp.asarray(rejection.poisson(generator, host(input)).reshape(input.shape))


derivative(_poisson, input=no_gradient)


def poisson(input: Any, generator: Any = None) -> Any:
    """Poisson numbers of the rates `input`."""
    require_float("poisson_cpu", input._data.dtype)
    if (input._data < 0).any():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _poisson(input, generator=generator_or_default("poisson", generator))


def binomial(count: Any, prob: Any, generator: Any = None) -> Any:
    """Successes in `count` trials of probability `prob`, elementwise."""
    if not count.dtype.is_floating_point:
        raise ValueError("binomial only supports floating-point dtypes for count, got: "
                         f"{count.dtype.scalar_name}")
    if prob.dtype is not count.dtype:
        raise RuntimeError(f"Found dtype {prob.dtype.scalar_name} but expected "
                           f"{count.dtype.scalar_name}")
    counts, probabilities = np.broadcast_arrays(host(count._data), host(prob._data))
    numbers = rejection.binomial(generator_or_default("binomial", generator), counts, probabilities)
    return wrap(ARRAY_MODULES[type(count._data)].asarray(numbers.reshape(counts.shape)))


def multinomial(input: Any, num_samples: int, replacement: bool = False, *,
                generator: Any = None, out: Any = None) -> Any:
    """Indices drawn with probabilities proportional to `input`, a row of them for each row."""
    data = host(input._data)
    if data.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input.dtype.is_floating_point:
        raise RuntimeError("multinomial only supports floating-point dtypes for input, got: "
                           f"{input.dtype.scalar_name}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > data.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without "
                           "replacement")
    if data.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    wrong = data[~(np.isfinite(data) & (data >= 0))]
    if wrong.size:
        if not replacement or num_samples == 1:  # torch has two ways to draw, and to check
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        found = "entry = infinity or NaN" if wrong[0] > 0 else "entry < 0"
        raise RuntimeError(f"invalid multinomial distribution (encountering probability {found})")
    if not (data.sum(axis=-1) > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    rows = data if data.ndim == 2 else data[None]
    indices = streams.multinomial(generator_or_default("multinomial", generator), rows, num_samples,
                                  replacement)
    indices = np.ascontiguousarray(indices if data.ndim == 2 else indices[0])
    if out is not None:
        if out.dtype is not dtypes.int64:
            raise RuntimeError("multinomial expects Long tensor out, got: "
                               f"{out.dtype.scalar_name}")
        return written(out, indices)
    return wrap(ARRAY_MODULES[type(input._data)].asarray(indices))
