"""class Tensor: the flat table of methods. Each line names the op that a method is.

It is one table, however long, because it is looked up in, not read: one line for each name.
"""

from __future__ import annotations

import builtins
import math

from . import core, dtypes, graph, legacy_types, printing, storage
from .core import TensorBase, mode
from .device import address
from .inplace import inplace
from .operators import operator
from .ops import (
    activation,
    arithmetic,
    bessel,
    by_callable,
    choosing,
    comparison,
    convert,
    copies,
    creation,
    cumulative,
    cumulative_extremes,
    determinant,
    differences,
    distances,
    distributions,
    dlpack,
    extremes,
    floating,
    from_data,
    gamma,
    indexing,
    integers,
    linalg_norm,
    linalg_products,
    linear,
    matmul_inplace,
    native_signatures,
    parts,
    piecewise_linear,
    pointwise,
    products,
    pseudo_inverse,
    queries,
    reduction,
    scatter,
    solve,
    sorting,
    statistics,
    strided,
    views,
)
from .ops import cholesky as ops_cholesky
from .ops import complex as ops_complex
from .ops import histogram as ops_histogram
from .ops import lu as ops_lu
from .ops import matmul as ops_matmul
from .ops import matrix_exp as ops_matrix_exp
from .ops import put as ops_put
from .ops import qr as ops_qr
from .ops import quantile as ops_quantile
from .ops import random as ops_random
from .ops import scatter_reduce as ops_scatter_reduce
from .ops import shape as ops_shape
from .ops import stft as ops_stft
from .ops import svd as ops_svd
from .ops import vector_norm as ops_vector_norm
from .ops.dims import wrap_dim


class Size(tuple):
    """The sizes of a tensor: a tuple that prints as torch.Size([2, 3])."""

    __slots__ = ()

    def __repr__(self):
        return f"torch.Size({list(self)})"

    __str__ = __repr__

    def numel(self):
        """The product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, other))


class Tensor(TensorBase):
    """A multi-dimensional array that knows how it was computed."""

    def __new__(cls, *args):
        return legacy_types.construct(args, dtypes.get_default_dtype())

    # --- arithmetic
    add, add_ = arithmetic.add, inplace(arithmetic.add)
    sub, sub_ = arithmetic.sub, inplace(arithmetic.sub)
    mul, mul_ = arithmetic.mul, inplace(arithmetic.mul)
    div, div_ = arithmetic.div, inplace(arithmetic.div)
    true_divide, true_divide_ = arithmetic.true_divide, inplace(arithmetic.true_divide)
    pow, pow_ = arithmetic.pow, inplace(arithmetic.pow)
    neg, neg_ = arithmetic.neg, inplace(arithmetic.neg)
    subtract, multiply, divide, negative = sub, mul, div, neg
    subtract_, multiply_, divide_, negative_ = sub_, mul_, div_, neg_
    __add__, __radd__ = operator(arithmetic.add), operator(arithmetic.add, "__radd__")
    __mul__, __rmul__ = operator(arithmetic.mul), operator(arithmetic.mul, "__rmul__")
    __sub__, __rsub__ = operator(arithmetic.sub), operator(arithmetic.rsub)
    __neg__ = arithmetic.neg
    __truediv__, __rtruediv__ = operator(arithmetic.true_divide), operator(arithmetic.rdiv)
    __div__, __rdiv__ = __truediv__, __rtruediv__
    __floordiv__ = operator(choosing.floor_divide)
    __rfloordiv__ = operator(choosing.rfloordiv)
    __mod__, __rmod__ = operator(choosing.remainder), operator(choosing.rmod)
    __pow__, __rpow__ = operator(arithmetic.pow), operator(arithmetic.rpow)
    __iadd__, __isub__, __imul__ = operator(add_), operator(sub_), operator(mul_)
    __itruediv__, __ipow__ = operator(div_), operator(pow_)
    __idiv__ = __itruediv__

    # --- dtype, device, Python numbers, NumPy
    to, type_as, type, cpu, cuda = (
        convert.to, convert.type_as, convert.type_, convert.cpu, convert.cuda)
    float, double, half, bfloat16 = (
        convert.float_, convert.double, convert.half, convert.bfloat16)
    int, long, short, char, byte = (
        convert.int_, convert.long, convert.short, convert.char, convert.byte)
    bool, cfloat, cdouble = convert.bool_, convert.cfloat, convert.cdouble
    _cast = convert.cast
    detach, detach_ = convert.detach, convert.detach_
    item, tolist, numpy = convert.item, convert.tolist, convert.numpy
    __array__, __array_wrap__ = convert.array, convert.array_wrap
    __dlpack__, __dlpack_device__ = dlpack.dlpack, dlpack.dlpack_device
    __bool__, __index__ = convert.truth, convert.index

    __float__, __int__, __complex__ = (
        convert.to_float, convert.to_int, convert.to_complex_number)
    __nonzero__, __long__ = convert.truth, convert.to_int  # of Python 2

    __array_priority__ = 1000  # `array * tensor` is the tensor's business

    # --- shape and memory, as facts
    def size(self, dim=None):
        """The shape, or one size of it."""
        return self.shape if dim is None else self.shape[wrap_dim(dim, self._data.ndim)]

    @property
    def shape(self):
        """The sizes of the dimensions."""
        return Size(self._data.shape)

    @property
    def ndim(self):
        """The number of dimensions."""
        return self._data.ndim

    def dim(self):
        """The number of dimensions."""
        return self._data.ndim

    ndimension = dim

    def numel(self):
        """The number of elements."""
        return self._data.size

    nelement = numel

    def stride(self, dim=None):
        """How many elements apart neighbours along each dimension lie, or along one."""
        item = self._data.dtype.itemsize
        if self._data.size or builtins.any(self._data.strides):
            strides = tuple([s // item for s in self._data.strides])
        else:  # NumPy gives tensors without elements strides of 0, unless told others
            sizes = [max(size, 1) for size in self._data.shape]
            strides = tuple([math.prod(sizes[i + 1:]) for i in range(len(sizes))])
        return strides if dim is None else strides[wrap_dim(dim, len(strides))]

    def storage_offset(self):
        """How many elements of its memory lie before the first of the tensor."""
        data = self._data
        start = address(strided.memory_of(data))
        return (address(data) - start) // data.dtype.itemsize

    def data_ptr(self):
        """The address of the first element."""
        return address(self._data)

    def element_size(self):
        """The bytes of an element."""
        return self._data.dtype.itemsize

    @property
    def itemsize(self):
        """The bytes of an element."""
        return self._data.dtype.itemsize

    @property
    def nbytes(self):
        """The bytes of all elements."""
        return self._data.nbytes

    def is_floating_point(self):
        """Whether the elements are floating-point numbers."""
        return self.dtype.is_floating_point

    def is_complex(self):
        """Whether the elements are complex numbers."""
        return self.dtype.is_complex

    @property
    def is_cuda(self):
        """Whether the tensor is on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_cpu(self):
        """Whether the tensor is in the memory of the host."""
        return self.device.type == "cpu"

    is_contiguous, dim_order = queries.is_contiguous, queries.dim_order
    is_signed, is_nonzero, get_device = queries.is_signed, queries.is_nonzero, queries.get_device
    is_same_size, is_set_to = queries.is_same_size, queries.is_set_to
    layout, is_sparse, is_quantized, is_meta = "torch.strided", False, False, False

    # --- place in the graph
    backward = graph.backward
    register_hook = graph.register_hook
    register_post_accumulate_grad_hook = graph.register_post_accumulate_grad_hook
    retain_grad = graph.retain_grad
    retains_grad = property(graph.retains_grad)
    requires_grad = vars(TensorBase)["requires_grad"].setter(graph.set_requires_grad)
    requires_grad_ = graph.requires_grad_
    grad = property(graph.get_grad, graph.set_grad, graph.delete_grad)
    is_leaf = property(graph.is_leaf)
    data = property(graph.get_data, graph.set_data)
    _base = property(graph.get_base)
    _is_view = graph.is_view
    output_nr = property(graph.get_output_nr)
    is_inference = queries.is_inference

    # --- as Python objects
    def __repr__(self, *, tensor_contents=None):
        return printing.tensor_str(self, None if mode.level is None else mode.level.of(self))

    def __format__(self, spec):
        return printing.format_scalar(self, spec)

    __hash__ = object.__hash__
    __deepcopy__ = graph.deepcopy
    __reduce_ex__ = graph.reduce

    # --- memory
    as_strided = strided.as_strided
    copy_ = convert.copy_
    _same_view = strided.same_view
    untyped_storage, set_ = storage.untyped_storage, storage.set_
    storage = storage.storage

    # --- pointwise, comparison, activation
    sqrt, sqrt_ = pointwise.sqrt, inplace(pointwise.sqrt)
    rsqrt, rsqrt_ = pointwise.rsqrt, inplace(pointwise.rsqrt)
    reciprocal, reciprocal_ = pointwise.reciprocal, inplace(pointwise.reciprocal)
    square, square_ = pointwise.square, inplace(pointwise.square)
    exp, exp_ = pointwise.exp, inplace(pointwise.exp)
    exp2, exp2_ = pointwise.exp2, inplace(pointwise.exp2)
    expm1, expm1_ = pointwise.expm1, inplace(pointwise.expm1)
    log, log_ = pointwise.log, inplace(pointwise.log)
    log2, log2_ = pointwise.log2, inplace(pointwise.log2)
    log10, log10_ = pointwise.log10, inplace(pointwise.log10)
    log1p, log1p_ = pointwise.log1p, inplace(pointwise.log1p)
    sin, sin_ = pointwise.sin, inplace(pointwise.sin)
    cos, cos_ = pointwise.cos, inplace(pointwise.cos)
    tan, tan_ = pointwise.tan, inplace(pointwise.tan)
    asin, asin_ = pointwise.asin, inplace(pointwise.asin)
    acos, acos_ = pointwise.acos, inplace(pointwise.acos)
    atan, atan_ = pointwise.atan, inplace(pointwise.atan)
    atan2, atan2_ = pointwise.atan2, inplace(pointwise.atan2)
    sinh, sinh_ = pointwise.sinh, inplace(pointwise.sinh)
    cosh, cosh_ = pointwise.cosh, inplace(pointwise.cosh)
    tanh, tanh_ = pointwise.tanh, inplace(pointwise.tanh)
    asinh, asinh_ = pointwise.asinh, pointwise.asinh_
    acosh, acosh_ = pointwise.acosh, pointwise.acosh_
    atanh, atanh_ = pointwise.atanh, pointwise.atanh_
    erf, erf_ = pointwise.erf, inplace(pointwise.erf)
    erfc, erfc_ = pointwise.erfc, inplace(pointwise.erfc)
    erfinv, erfinv_ = pointwise.erfinv, inplace(pointwise.erfinv)
    lgamma, lgamma_ = gamma.lgamma, inplace(gamma.lgamma)
    digamma, digamma_ = gamma.digamma, inplace(gamma.digamma)
    polygamma, polygamma_ = gamma.polygamma_of, inplace(gamma.polygamma_over)
    mvlgamma, mvlgamma_ = gamma.mvlgamma, gamma.mvlgamma_
    igamma, igamma_ = gamma.igamma, inplace(gamma.igamma)
    igammac, igammac_ = gamma.igammac, inplace(gamma.igammac)
    i0, i0_ = bessel.i0, inplace(bessel.i0)
    gcd, gcd_ = integers.gcd, inplace(integers.gcd)
    lcm, lcm_ = integers.lcm, inplace(integers.lcm)
    positive, resolve_neg = floating.positive, floating.resolve_neg
    is_neg, is_conj, isreal = floating.is_neg, floating.is_conj, floating.isreal
    signbit, fmax, fmin = floating.signbit, floating.fmax, floating.fmin
    frexp, logaddexp2 = floating.frexp, floating.logaddexp2
    copysign, copysign_ = floating.copysign, inplace(floating.copysign)
    deg2rad, deg2rad_ = floating.deg2rad, inplace(floating.deg2rad)
    rad2deg, rad2deg_ = floating.rad2deg, inplace(floating.rad2deg)
    float_power, float_power_ = floating.float_power, floating.float_power_
    heaviside, heaviside_ = floating.heaviside, inplace(floating.heaviside)
    hypot, hypot_ = floating.hypot, inplace(floating.hypot)
    ldexp, ldexp_ = floating.ldexp, floating.ldexp_
    nan_to_num, nan_to_num_ = floating.nan_to_num, inplace(floating.nan_to_num)
    nextafter, nextafter_ = floating.nextafter, inplace(floating.nextafter)
    sinc, sinc_ = floating.sinc, inplace(floating.sinc)
    sigmoid, sigmoid_ = pointwise.sigmoid, inplace(pointwise.sigmoid)
    xlogy, xlogy_ = pointwise.xlogy, inplace(pointwise.xlogy)
    logit, logit_ = pointwise.logit, inplace(pointwise.logit)
    floor, floor_ = choosing.floor, inplace(choosing.floor)
    ceil, ceil_ = choosing.ceil, inplace(choosing.ceil)
    trunc, trunc_ = choosing.trunc, inplace(choosing.trunc)
    fix, fix_ = choosing.fix, inplace(choosing.fix)
    round, round_ = choosing.round, inplace(choosing.round)
    frac, frac_ = choosing.frac, inplace(choosing.frac)
    sign, sign_ = choosing.sign, inplace(choosing.sign)
    sgn, sgn_ = pointwise.sgn, inplace(pointwise.sgn)
    abs, abs_ = pointwise.abs, pointwise.abs_
    remainder, remainder_ = choosing.remainder, inplace(choosing.remainder)
    fmod, fmod_ = choosing.fmod, inplace(choosing.fmod)
    floor_divide, floor_divide_ = choosing.floor_divide, inplace(choosing.floor_divide)
    clamp, clamp_ = choosing.clamp, inplace(choosing.clamp)
    clamp_min, clamp_min_ = choosing.clamp_min, inplace(choosing.clamp_min)
    clamp_max, clamp_max_ = choosing.clamp_max, inplace(choosing.clamp_max)
    clip, clip_ = choosing.clip, inplace(choosing.clip)
    lerp, lerp_ = choosing.lerp, inplace(choosing.lerp)
    addcmul, addcmul_ = choosing.addcmul, inplace(choosing.addcmul)
    addcdiv, addcdiv_ = choosing.addcdiv, inplace(choosing.addcdiv)
    masked_fill = choosing.masked_fill
    masked_fill_ = inplace(choosing.masked_fill, overlap=None)
    absolute, absolute_ = abs, abs_
    __abs__ = abs
    arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    arcsin_, arccos_, arctan_, arctan2_ = asin_, acos_, atan_, atan2_
    arcsinh_, arccosh_, arctanh_ = asinh_, acosh_, atanh_
    maximum, minimum, logaddexp = choosing.maximum, choosing.minimum, pointwise.logaddexp
    def where(self, condition, other):
        """The tensor where `condition` holds, else `other`."""
        return choosing.where(condition, self, other)

    eq, eq_ = comparison.eq, inplace(comparison.eq)
    ne, ne_ = comparison.ne, inplace(comparison.ne)
    lt, lt_ = comparison.lt, inplace(comparison.lt)
    le, le_ = comparison.le, inplace(comparison.le)
    gt, gt_ = comparison.gt, inplace(comparison.gt)
    ge, ge_ = comparison.ge, inplace(comparison.ge)
    logical_and, logical_and_ = comparison.logical_and, inplace(comparison.logical_and)
    logical_or, logical_or_ = comparison.logical_or, inplace(comparison.logical_or)
    logical_xor, logical_xor_ = comparison.logical_xor, inplace(comparison.logical_xor)
    logical_not, logical_not_ = comparison.logical_not, inplace(comparison.logical_not)
    bitwise_and, bitwise_and_ = comparison.bitwise_and, inplace(comparison.bitwise_and)
    bitwise_or, bitwise_or_ = comparison.bitwise_or, inplace(comparison.bitwise_or)
    bitwise_xor, bitwise_xor_ = comparison.bitwise_xor, inplace(comparison.bitwise_xor)
    bitwise_not, bitwise_not_ = comparison.bitwise_not, inplace(comparison.bitwise_not)
    bitwise_left_shift, bitwise_right_shift = (
        comparison.bitwise_left_shift, comparison.bitwise_right_shift)
    bitwise_left_shift_, bitwise_right_shift_ = (
        inplace(bitwise_left_shift), inplace(bitwise_right_shift))
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
    greater_, greater_equal_, less_, less_equal_, not_equal_ = gt_, ge_, lt_, le_, ne_
    equal, allclose, isclose = comparison.equal, comparison.allclose, comparison.isclose
    isnan, isinf, isfinite = comparison.isnan, comparison.isinf, comparison.isfinite
    isposinf, isneginf = comparison.isposinf, comparison.isneginf
    __eq__, __ne__ = operator(comparison.eq), operator(comparison.ne)
    __lt__, __le__ = operator(comparison.lt), operator(comparison.le)
    __gt__, __ge__ = operator(comparison.gt), operator(comparison.ge)
    __and__ = operator(comparison.bitwise_and)
    __or__ = operator(comparison.bitwise_or)
    __xor__ = operator(comparison.bitwise_xor)
    __rand__ = operator(comparison.bitwise_and, "__rand__")
    __ror__ = operator(comparison.bitwise_or, "__ror__")
    __rxor__ = operator(comparison.bitwise_xor, "__rxor__")
    __invert__ = comparison.bitwise_not
    __lshift__ = operator(comparison.bitwise_left_shift)
    __rshift__ = operator(comparison.bitwise_right_shift)
    __rlshift__ = operator(comparison.shifted_left)
    __rrshift__ = operator(comparison.shifted_right)
    __iand__, __ior__, __ixor__ = (
        operator(bitwise_and_), operator(bitwise_or_), operator(bitwise_xor_))
    __ilshift__, __irshift__ = operator(bitwise_left_shift_), operator(bitwise_right_shift_)
    __imod__, __ifloordiv__ = operator(remainder_), operator(floor_divide_)
    __pos__ = floating.positive

    relu, relu_ = activation.relu, inplace(activation.relu)
    prelu, hardshrink = activation.prelu, piecewise_linear.hardshrink
    softmax, log_softmax = native_signatures.softmax, native_signatures.log_softmax

    # --- complex numbers
    conj, conj_physical, resolve_conj = (
        ops_complex.conj, ops_complex.conj_physical, ops_complex.resolve_conj)
    conj_physical_ = inplace(ops_complex.conj_physical_in_place, "conj_physical_")
    real, imag = property(ops_complex.real), property(ops_complex.imag)
    angle = ops_complex.angle
    view_as_real, view_as_complex = ops_complex.view_as_real, ops_complex.view_as_complex

    # --- reduction, sorting
    all, any, sum = reduction.all, reduction.any, reduction.sum
    mean, prod, var = reduction.mean, reduction.prod, reduction.var
    std, norm, dist = reduction.std, linalg_norm.norm_method, ops_vector_norm.dist
    count_nonzero, nansum, nanmean = reduction.count_nonzero, reduction.nansum, reduction.nanmean
    logsumexp, max, min = reduction.logsumexp, extremes.max, extremes.min
    amax, amin, aminmax = extremes.amax, extremes.amin, extremes.aminmax
    argmax, argmin = extremes.argmax, extremes.argmin
    cumsum, cumprod = cumulative.cumsum, cumulative.cumprod
    logcumsumexp = cumulative.logcumsumexp
    cumsum_, cumprod_ = inplace(cumulative.cumsum), inplace(cumulative.cumprod)
    cummax, cummin = cumulative_extremes.cummax, cumulative_extremes.cummin
    diff = differences.diff
    median, nanmedian, mode = statistics.median, statistics.nanmedian, statistics.mode
    cov, corrcoef = statistics.cov, statistics.corrcoef

    sort, argsort, msort = sorting.sort, sorting.argsort, sorting.msort
    topk, kthvalue, unique = sorting.topk, sorting.kthvalue, sorting.unique
    unique_consecutive, isin = sorting.unique_consecutive, sorting.isin
    bincount = sorting.bincount
    histc, histogram = ops_histogram.histc, ops_histogram.histogram
    quantile, nanquantile = ops_quantile.quantile, ops_quantile.nanquantile
    renorm, renorm_ = distances.renorm, inplace(distances.renorm)

    # --- shape, views, joining
    as_subclass = views.as_subclass
    view, view_as, reshape, reshape_as = (
        views.view_, views.view_as, views.reshape, views.reshape_as)
    flatten, unflatten, ravel = views.flatten, views.unflatten, views.ravel
    transpose, swapaxes, swapdims = views.transpose, views.swapaxes, views.swapdims
    t, adjoint, permute = views.t, views.adjoint, views.permute
    movedim, moveaxis = views.movedim, views.moveaxis
    T, mT = property(views.numpy_T), property(views.mT)
    H, mH = property(views.H), property(views.adjoint)
    squeeze, unsqueeze = views.squeeze, views.unsqueeze
    squeeze_, unsqueeze_ = views.squeeze_, views.unsqueeze_
    transpose_, t_, as_strided_ = views.transpose_, views.t_, views.as_strided_
    swapaxes_ = swapdims_ = transpose_
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    sum_to_size = reduction.sum_to_size
    narrow, select, diagonal, unfold = parts.narrow, parts.select, parts.diagonal, parts.unfold
    unbind, split, split_with_sizes = ops_shape.unbind, ops_shape.split, ops_shape.split_with_sizes
    chunk, tensor_split = ops_shape.chunk, ops_shape.tensor_split
    hsplit, vsplit, dsplit = ops_shape.hsplit, ops_shape.vsplit, ops_shape.dsplit
    clone, contiguous = ops_shape.clone, ops_shape.contiguous
    flip, fliplr, flipud = ops_shape.flip, ops_shape.fliplr, ops_shape.flipud
    roll, rot90 = ops_shape.roll, ops_shape.rot90
    tril, tril_ = ops_shape.tril, inplace(ops_shape.tril)
    triu, triu_ = ops_shape.triu, inplace(ops_shape.triu)
    diag, diag_embed, diagflat = ops_shape.diag, ops_shape.diag_embed, ops_shape.diagflat
    repeat, tile, repeat_interleave = (
        ops_shape.repeat, ops_shape.tile, ops_shape.repeat_interleave)

    # --- indexing
    __getitem__, __setitem__ = indexing.getitem, indexing.setitem

    def __len__(self):
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self):
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __reversed__(self):
        return self.flip(0) if self._data.ndim else self

    def __contains__(self, element):
        return builtins.bool((self == element).any())

    index_put, index_put_ = indexing.index_put, indexing.index_put_
    index_select, gather = scatter.index_select, scatter.gather
    index_add, index_add_ = scatter.index_add, scatter.index_add_
    index_copy, index_copy_ = scatter.index_copy, scatter.index_copy_
    index_fill, index_fill_ = scatter.index_fill, scatter.index_fill_
    scatter_add, scatter_add_ = scatter.scatter_add, scatter.scatter_add_
    take, take_along_dim, masked_select = (
        scatter.take, scatter.take_along_dim, scatter.masked_select)
    nonzero, argwhere, narrow_copy = scatter.nonzero, scatter.argwhere, scatter.narrow_copy
    select_scatter, slice_scatter = scatter.select_scatter, scatter.slice_scatter
    diagonal_scatter = scatter.diagonal_scatter
    scatter, scatter_ = scatter.scatter, scatter.scatter_

    # --- matrix products
    matmul, mm, bmm, mv = linear.matmul, ops_matmul.mm, ops_matmul.bmm, ops_matmul.mv
    dot, vdot, outer, ger = ops_matmul.dot, ops_matmul.vdot, ops_matmul.outer, ops_matmul.ger
    inner, trace, kron = products.inner, products.trace, products.kron
    addmm, addmm_ = ops_matmul.addmm, matmul_inplace.addmm_
    addmv, addmv_ = ops_matmul.addmv, matmul_inplace.addmv_
    addr, addr_ = ops_matmul.addr, matmul_inplace.addr_
    addbmm, addbmm_ = ops_matmul.addbmm, matmul_inplace.addbmm_
    baddbmm, baddbmm_ = ops_matmul.baddbmm, matmul_inplace.baddbmm_
    matrix_power, cross = linalg_products.matrix_power, linalg_products.cross
    matrix_exp, pinverse = ops_matrix_exp.matrix_exp, pseudo_inverse.pinverse
    __matmul__ = operator(linear.matmul)

    def __rmatmul__(self, other):
        return linear.matmul(other, self)


    # --- matrix factorisations
    cholesky, cholesky_inverse, cholesky_solve = (
        ops_cholesky.cholesky, ops_cholesky.cholesky_inverse, ops_cholesky.cholesky_solve)
    qr, geqrf, orgqr, ormqr = ops_qr.qr, ops_qr.geqrf, ops_qr.orgqr, ops_qr.ormqr
    svd, lu, lu_solve = ops_svd.svd, ops_lu.lu, ops_lu.lu_solve

    # --- equations, determinants
    inverse, triangular_solve = solve.inverse, solve.triangular_solve
    det, slogdet, logdet = determinant.det, determinant.slogdet, determinant.logdet

    # --- scatter with a reduction
    scatter_reduce, scatter_reduce_ = (
        ops_scatter_reduce.scatter_reduce, ops_scatter_reduce.scatter_reduce_)
    index_reduce, index_reduce_ = (
        ops_scatter_reduce.index_reduce, ops_scatter_reduce.index_reduce_)
    unsafe_split, unsafe_chunk = copies.unsafe_split, copies.unsafe_chunk
    unsafe_split_with_sizes = copies.unsafe_split_with_sizes

    # --- put, masks, resize
    put, put_, fill_diagonal_ = ops_put.put, ops_put.put_, ops_put.fill_diagonal_
    apply_, map_, map2_ = by_callable.apply_, by_callable.map_, by_callable.map2_
    masked_scatter, masked_scatter_ = ops_put.masked_scatter, ops_put.masked_scatter_
    as_strided_scatter, nonzero_static = ops_put.as_strided_scatter, ops_put.nonzero_static
    resize_, resize_as_ = ops_put.resize_, ops_put.resize_as_

    # --- spectra
    stft, istft = ops_stft.stft, ops_stft.istft

    # --- creation, random
    new_zeros, new_ones, new_empty = creation.new_zeros, creation.new_ones, creation.new_empty
    new_full, new_empty_strided = creation.new_full, creation.new_empty_strided
    new_tensor = from_data.new_tensor
    zeros_like, ones_like, empty_like = (
        creation.zeros_like, creation.ones_like, creation.empty_like)
    zero_, fill_ = creation.zero_, creation.fill_
    uniform_, normal_, log_normal_ = (
        ops_random.uniform_, ops_random.normal_, ops_random.log_normal_)
    exponential_, geometric_, cauchy_ = (
        ops_random.exponential_, ops_random.geometric_, ops_random.cauchy_)
    random_, bernoulli_ = ops_random.random_, ops_random.bernoulli_
    bernoulli, multinomial = distributions.bernoulli, distributions.multinomial


core.Tensor = Tensor
