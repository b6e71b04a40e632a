"""minigrad: PyTorch's autograd, rebuilt in readable Python on NumPy and CuPy.

    import minigrad as torch

This file is the `torch` namespace: every public name, imported from where it is defined.
"""

from __future__ import annotations

from math import e, inf, nan, pi
from . import (
    amp, autograd, cuda, fft, func, linalg, masked, nn, optim, random, signal, special, utils,
)
from .amp import (
    GradScaler, autocast, autocast_decrement_nesting, autocast_increment_nesting,
    clear_autocast_cache, get_autocast_cpu_dtype, get_autocast_dtype, get_autocast_gpu_dtype,
    is_autocast_cache_enabled, is_autocast_cpu_enabled, is_autocast_enabled,
    set_autocast_cache_enabled, set_autocast_cpu_dtype, set_autocast_cpu_enabled,
    set_autocast_dtype, set_autocast_enabled, set_autocast_gpu_dtype,
)
from .autograd.anomaly import is_anomaly_check_nan_enabled, is_anomaly_enabled
from .autograd.grad_mode import (
    enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad,
    set_grad_enabled,
)
from .compiler import compile
from .device import device, get_default_device, set_default_device
from .explain import explain, remember_lines
from .dtypes import (
    bfloat16, cdouble, cfloat, complex64, complex128, double, dtype, float16, float32, float64,
    get_default_dtype, half, int8, int16, int32, int64, long, set_default_dtype, short, uint8,
    uint16, uint32, uint64,
)
from .dtypes import bool_ as bool
from .dtypes import float_ as float
from .dtypes import int_ as int
from .layout import (
    channels_last, channels_last_3d, contiguous_format, layout, memory_format, preserve_format,
    sparse_coo, strided,
)
from .legacy_types import (
    BFloat16Tensor, BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor,
    IntTensor, LongTensor, ShortTensor,
)
from .memory import collect_less_often, keep_freed_memory
from .names import missing_in
from .inplace_functions import (
    abs_, acos_, acosh_, addmv_, arccos_, arccosh_, arcsin_, arcsinh_, arctan_, arctanh_,
    as_strided_, asin_, asinh_, atan_, atanh_, ceil_, clamp_, clamp_max_, clamp_min_, clip_,
    conj_physical_, cos_, cosh_, deg2rad_, detach_, erf_, erfc_, exp2_, exp_, expm1_, fill_, fix_,
    floor_, frac_, gcd_, i0_, lcm_, ldexp_, log10_, log1p_, log2_, log_, logit_, nan_to_num_, neg_,
    negative_, rad2deg_, reciprocal_, relu_, round_, rsqrt_, sigmoid_, sin_, sinc_, sinh_, sqrt_,
    square_, tan_, tanh_, trunc_, xlogy_,
)
from .ops.activation import (
    prelu, relu, rrelu, threshold,
)
from .ops.activation_inplace import (
    celu_, rrelu_, selu_, threshold_,
)
from .ops.adaptive_avg_pooling import (
    adaptive_avg_pool1d,
)
from .ops.adaptive_max_pooling import (
    adaptive_max_pool1d,
)
from .ops.arithmetic import (
    add, div, divide, mul, multiply, neg, negative, pow, rsub, sub, subtract, true_divide,
)
from .ops.avg_pooling import (
    avg_pool1d,
)
from .ops.bessel import (
    i0,
)
from .ops.cholesky import (
    cholesky, cholesky_inverse, cholesky_solve,
)
from .ops.choosing import (
    addcdiv, addcmul, ceil, clamp, clamp_max, clamp_min, clip, fix, floor, floor_divide, fmod,
    frac, lerp, masked_fill, maximum, minimum, remainder, round, sign, trunc, where,
)
from .ops.comparison import (
    allclose, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift,
    bitwise_xor, eq, equal, ge, greater, greater_equal, gt, isclose, isfinite, isinf, isnan,
    isneginf, isposinf, le, less, less_equal, logical_and, logical_not, logical_or, logical_xor,
    lt, ne, not_equal,
)
from .ops.complex import (
    angle, complex, conj, conj_physical, imag, is_complex, polar, real, resolve_conj,
    view_as_complex, view_as_real,
)
from .ops.conv_tbc import conv_tbc
from .ops.convert import detach
from .ops.convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, convolution,
)
from .ops.copies import (
    alias_copy, as_strided_copy, detach_copy, diagonal_copy, expand_copy, permute_copy,
    select_copy, slice_copy, split_copy, split_with_sizes_copy, squeeze_copy, t_copy,
    transpose_copy, unbind_copy, unfold_copy, unsafe_chunk, unsafe_split, unsafe_split_with_sizes,
    unsqueeze_copy, view_as_complex_copy, view_as_real_copy, view_copy,
)
from .ops.creation import (
    empty, empty_like, empty_strided, eye, fill, full, full_like, ones, ones_like,
    scalar_tensor, tril_indices, triu_indices, zero_, zeros, zeros_like,
)
from .ops.ctc_loss import ctc_loss_by_number as ctc_loss
from .ops.cumulative import (
    cumprod, cumsum, logcumsumexp,
)
from .ops.cumulative_extremes import (
    cummax, cummin,
)
from .ops.determinant import (
    det, logdet, slogdet,
)
from .ops.differences import (
    cumulative_trapezoid, diff, gradient, trapezoid, trapz,
)
from .ops.distances import (
    cdist, pdist, renorm,
)
from .ops.distributions import (
    bernoulli, binomial, multinomial, normal, poisson,
)
from .ops.dlpack import from_dlpack, to_dlpack
from .ops.einsum import (
    einsum,
)
from .ops.embedding_bag import (
    embedding_bag,
)
from .ops.exponential_units import (
    celu, selu,
)
from .ops.extremes import (
    amax, amin, aminmax, argmax, argmin, max, min,
)
from .ops.floating import (
    copysign, deg2rad, float_power, fmax, fmin, frexp, heaviside, hypot, is_conj, is_neg, isreal,
    ldexp, logaddexp2, nan_to_num, nextafter, positive, rad2deg, resolve_neg, signbit, sinc,
)
from .ops.from_data import (
    as_tensor, asarray, from_numpy, frombuffer, tensor,
)
from .ops.gamma import (
    digamma, igamma, igammac, lgamma, mvlgamma, polygamma,
)
from .ops.grid_sampling import (
    affine_grid_generator, grid_sampler, grid_sampler_2d, grid_sampler_3d,
)
from .ops.histogram import (
    histc, histogram, histogramdd,
)
from .ops.indexing import (
    index_put, index_put_,
)
from .ops.integers import (
    gcd, lcm,
)
from .ops.interpolation import upsample_bilinear2d_aa as _upsample_bilinear2d_aa
from .ops.joining import (
    atleast_1d, atleast_2d, atleast_3d, block_diag, cartesian_prod, cat, column_stack, concat,
    concatenate, dstack, hstack, row_stack, stack, vstack,
)
from .ops.linalg_norm import frobenius_norm, norm, norm_except_dim, nuclear_norm
from .ops.linalg_products import chain_matmul, cross, matrix_power, vander
from .ops.linear import matmul
from .ops.lobpcg import lobpcg
from .ops.lu import (
    lu, lu_solve, lu_unpack,
)
from .ops.margin_loss import (
    cosine_similarity, pairwise_distance,
)
from .ops.matmul import (
    addbmm, addmm, addmv, addr, baddbmm, bmm, dot, ger, mm, mv, outer, vdot,
)
from .ops.matrix_exp import matrix_exp
from .ops.max_pooling import (
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool3d,
)
from .ops.native_norm import (
    native_batch_norm, native_dropout, native_dropout_backward, native_group_norm,
    native_layer_norm,
)
from .ops.native_norm import batch_norm_with_update as _batch_norm_with_update
from .ops.native_norm import log_softmax_backward_data as _log_softmax_backward_data
from .ops.native_norm import native_batch_norm_legit as _native_batch_norm_legit
from .ops.native_norm import softmax_backward_data as _softmax_backward_data
from .ops.native_signatures import (
    alpha_dropout, alpha_dropout_, batch_norm, binary_cross_entropy_with_logits,
    cosine_embedding_loss, dropout, dropout_, embedding, embedding_renorm_, feature_alpha_dropout,
    feature_alpha_dropout_, feature_dropout, feature_dropout_, group_norm, hinge_embedding_loss,
    instance_norm, kl_div, log_softmax, margin_ranking_loss, poisson_nll_loss, softmax,
    triplet_margin_loss,
)
from .ops.norm import (
    layer_norm, rms_norm,
)
from .ops.packing import pack_padded_sequence as _pack_padded_sequence
from .ops.packing import pad_packed_sequence as _pad_packed_sequence
from .ops.padding import (
    constant_pad_nd,
)
from .ops.parts import (
    diagonal, narrow, select,
)
from .ops.piecewise_linear import hardshrink
from .ops.pointwise import (
    abs, absolute, acos, acosh, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, asin,
    asinh, atan, atan2, atanh, cos, cosh, erf, erfc, erfinv, exp, exp2, expm1, log, log10, log1p,
    log2, logaddexp, logit, reciprocal, rsqrt, sgn, sigmoid, sin, sinh, sqrt, square, tan, tanh,
    xlogy,
)
from .ops.products import bilinear, inner, kron, tensordot, trace
from .ops.pseudo_inverse import pinverse
from .ops.put import (
    as_strided_scatter, masked_scatter, nonzero_static, put, resize_as_, unravel_index,
)
from .ops.put import unsafe_masked_index as _unsafe_masked_index
from .ops.put import unsafe_masked_index_put_accumulate as _unsafe_masked_index_put_accumulate
from .ops.qr import (
    geqrf, orgqr, ormqr, qr,
)
from .ops.quantile import (
    nanquantile, quantile,
)
from .ops.queries import (
    can_cast, get_device, is_floating_point, is_inference, is_nonzero, is_same_size, is_signed,
    is_tensor, numel, promote_types, result_type, typename,
)
from .ops.random import (
    rand, rand_like, randint, randint_like, randn, randn_like, randperm,
)
from .ops.ranges import (
    arange, linspace, logspace, range,
)
from .ops.recurrent import (
    gru, lstm, rnn_relu, rnn_tanh,
)
from .ops.recurrent_cells import (
    gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell,
)
from .ops.reduction import (
    all,
    any,
    count_nonzero,
    logsumexp,
    mean,
    nanmean,
    nansum,
    prod,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from .ops.vector_norm import (
    dist,
)
from .ops.scatter import (
    argwhere, diagonal_scatter, gather, index_add, index_copy, index_fill, index_select,
    masked_select, narrow_copy, nonzero, scatter, scatter_add, select_scatter, slice_scatter,
    take, take_along_dim,
)
from .ops.scatter_reduce import (
    index_reduce, scatter_reduce,
)
from .ops.shape import (
    chunk, clone, diag, diag_embed, diagflat, dsplit, flip, fliplr, flipud, hsplit, meshgrid,
    repeat_interleave, roll, rot90, split, split_with_sizes, tensor_split, tile, tril, triu,
    unbind, vsplit,
)
from .ops.shuffle import (
    channel_shuffle, native_channel_shuffle, pixel_shuffle, pixel_unshuffle,
)
from .ops.solve import (
    inverse, triangular_solve,
)
from .ops.sorting import (
    argsort, bincount, bucketize, isin, kthvalue, msort, searchsorted, sort, topk, unique,
    unique_consecutive,
)
from .ops.statistics import (
    combinations, corrcoef, cov, median, mode, nanmedian,
)
from .ops.stft import (
    istft, stft,
)
from .ops.strided import as_strided
from .ops.views import (
    adjoint, broadcast_shapes, broadcast_tensors, broadcast_to, flatten, moveaxis, movedim,
    permute, ravel, reshape, squeeze, swapaxes, swapdims, t, transpose, unflatten, unsqueeze,
)
from .ops.weight_norm import weight_norm as _weight_norm
from .ops.weight_norm import weight_norm_interface as _weight_norm_interface
from .ops.windows import (
    bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window,
)
from .ops.svd import (
    pca_lowrank, svd, svd_lowrank,
)
from .printing import set_printoptions
from .random import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)
from .serialization import load, save
from .storage import TypedStorage, UntypedStorage, is_storage
from .tensor import Size, Tensor
from .settings import (
    are_deterministic_algorithms_enabled, get_deterministic_debug_mode,
    get_float32_matmul_precision, get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled, is_warn_always_enabled,
    set_deterministic_debug_mode, set_float32_matmul_precision, set_flush_denormal,
    set_num_interop_threads, set_warn_always, use_deterministic_algorithms,
)
from .threads import get_num_threads, set_num_threads
from .type_info import finfo, iinfo

__version__ = "0.1.0"
newaxis = None

keep_freed_memory()
collect_less_often()
__getattr__ = missing_in(
    __name__, later=["backends", "compiler", "distributions", "hub", "jit", "testing", "viz"])
