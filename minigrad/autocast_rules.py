"""Which ops autocast runs in lower precision, which in float32, and how (see amp.py).

Note [Autocast]
~~~~~~~~~~~~~~~
A function in one of the lists below is decorated with `@autocasts`. While autocast is on for the
device of its first tensor, its floating-point tensors are cast first: to autocast's dtype where
products of 16-bit numbers are summed in hardware, to float32 where 16 bits lose too much, or to the
widest among them. float64 is left alone, and so are in-place forms and calls with `out=`. The casts
are recorded, so gradients come back in the tensors' own dtypes. Ops inside see operands that are
cast already, and autocast off. A function in no list runs as it is, and so do the listed ones among
the functions that it is made of.

The lists are torch's: ATen/autocast_mode.h for CUDA, autocast_mode.cpp for the CPU.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import dtypes
from .core import TensorBase, mode
from .dtypes import HALF_TYPES


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOWER = {
    "cpu": _names(
        "addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d "
        "conv_transpose3d linear matmul mm prelu scaled_dot_product_attention vecdot"),
    "cuda": _names(
        "addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d conv_tbc "
        "conv_transpose1d conv_transpose2d conv_transpose3d einsum gru_cell linear lstm_cell "
        "matmul mm multi_dot mv prelu rnn_relu_cell rnn_tanh_cell "
        "scaled_dot_product_attention vecdot"),
}
FULL = {
    "cpu": _names(
        "adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy "
        "binary_cross_entropy_with_logits cdist cholesky cholesky_ex cholesky_inverse "
        "cholesky_solve cond cosine_embedding_loss cross_entropy ctc_loss ctc_loss_by_number eig "
        "eigh eigvals eigvalsh fft fft2 fftn fractional_max_pool2d fractional_max_pool3d geqrf "
        "grid_sampler grid_sampler_2d grid_sampler_3d hfft hinge_embedding_loss "
        "householder_product huber_loss ifft ifft2 ifftn ihfft inv inv_ex inverse irfft irfft2 "
        "irfftn kl_div l1_loss linalg_cholesky lstsq lu_solve margin_ranking_loss matrix_rank "
        "max_pool3d max_unpool2d max_unpool3d mse_loss multi_margin_loss multilabel_margin_loss "
        "nanquantile nll_loss orgqr ormqr pinverse poisson_nll_loss polar prod qr quantile "
        "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d replication_pad3d "
        "rfft rfft2 rfftn smooth_l1_loss soft_margin_loss solve stft svd svdvals tensorinv "
        "tensorsolve trace triangular_solve triplet_margin_loss view_as_complex"),
    "cuda": _names(
        "acos asin binary_cross_entropy_with_logits cdist cosh cosine_embedding_loss "
        "cosine_similarity cumprod cumsum dist erfinv exp expm1 group_norm hinge_embedding_loss "
        "huber_loss interpolate kl_div l1_loss layer_norm log log10 log1p log2 log_softmax "
        "logsumexp margin_ranking_loss matrix_norm mse_loss multi_margin_loss "
        "multilabel_margin_loss nll_loss norm pdist poisson_nll_loss pow prod reciprocal renorm "
        "rms_norm rsqrt sinh smooth_l1_loss soft_margin_loss softmax softplus sum tan "
        "triplet_margin_loss vector_norm"),
}
WIDEST = {
    "cpu": _names("cat index_copy stack"),
    "cuda": _names("addcdiv addcmul atan2 bilinear cross dot grid_sampler index_put scatter_add "
                   "tensordot vdot"),
}
REFUSED = {"cpu": frozenset[str](), "cuda": _names("binary_cross_entropy")}
UNSAFE = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using "
    "torch.nn.functional.binary_cross_entropy_with_logits\n"
    "or torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
    "safe to autocast.")


class Settings(threading.local):
    """What autocast remembers beside `mode.autocast`, {device: dtype} where it is on, or None."""

    def __init__(self) -> None:
        self.dtypes = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.cache_enabled = True
        self.nesting = 0
        self.cache: dict[int, tuple[weakref.ref, Any]] = {}  # by id: a leaf, and its cast


settings = Settings()


def autocasts(function: Any, name: str | None = None) -> Any:
    """Cast the tensors that `function` is given, while autocast is on (see Note [Autocast]).

    `@autocasts("name")` takes the rule of another function.
    """
    if isinstance(function, str):
        return functools.partial(autocasts, name=function)
    name = name or function.__name__
    rules = {place: next((rule for rule, names in (
        (_lowered, LOWER), (_full, FULL), (_widened, WIDEST), (_refuse, REFUSED))
        if name in names[place]), None) for place in LOWER}
    if not any(rules.values()):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        active = mode.autocast
        if active is None or kwargs.get("out") is not None:
            return function(*args, **kwargs)
        first = next(_tensors((args, kwargs)), None)
        place = "cpu" if first is None else first.device.type
        rule = rules.get(place)
        if rule is None or place not in active:
            return function(*args, **kwargs)
        cast = rule(active[place], place, (args, kwargs))
        rest = {each: dtype for each, dtype in active.items() if each != place}
        mode.autocast = rest or None
        try:
            return function(*_converted(args, cast), **_converted(kwargs, cast))
        finally:
            mode.autocast = active

    call.without_autocast = function  # type: ignore[attr-defined]
    return call


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, TensorBase):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _converted(value: Any, cast: Callable) -> Any:
    if isinstance(value, TensorBase):
        return cast(value)
    if type(value) in (list, tuple):
        return type(value)([_converted(each, cast) for each in value])
    if type(value) is dict:
        return {name: _converted(each, cast) for name, each in value.items()}
    return value


def eligible(tensor: Any, place: str) -> bool:
    """A floating-point tensor of the device, float64 apart."""
    dtype = tensor._data.dtype
    return (dtype == np.float32 or dtype in HALF_TYPES) and tensor.device.type == place


def _lowered(dtype: np.dtype, place: str, arguments: Any) -> Callable:
    return lambda tensor: _cached(tensor, dtype) if eligible(tensor, place) else tensor


def _full(dtype: np.dtype, place: str, arguments: Any) -> Callable:
    return lambda tensor: _cast(tensor, _SINGLE) if eligible(tensor, place) else tensor


def _widened(dtype: np.dtype, place: str, arguments: Any) -> Callable:
    given = [each for each in _tensors(arguments) if eligible(each, place)]
    if any(each._data.dtype == _SINGLE for each in given):
        return _full(dtype, place, arguments)
    return _lowered(dtype, place, arguments)


def _refuse(dtype: np.dtype, place: str, arguments: Any) -> Callable:
    raise RuntimeError(UNSAFE)


_SINGLE = np.dtype(np.float32)


def _cast(tensor: Any, dtype: np.dtype) -> Any:
    return tensor if tensor._data.dtype == dtype else tensor._cast(dtype)


def _cached(tensor: Any, dtype: np.dtype) -> Any:
    """The cast of a parameter is made once and kept until autocast ends: it is used again by the
    next layer or the next time step, and its gradients then meet before they are cast back."""
    if not (settings.cache_enabled and tensor._data.dtype == _SINGLE and tensor._view is None
            and tensor.requires_grad and tensor._node is None):
        return _cast(tensor, dtype)
    kept = settings.cache.get(id(tensor))
    if kept is not None and kept[0]() is tensor and kept[1]._data.dtype == dtype:
        return kept[1]
    fresh = _cast(tensor, dtype)
    settings.cache[id(tensor)] = (weakref.ref(tensor), fresh)
    return fresh
