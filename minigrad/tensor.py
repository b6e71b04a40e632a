"""class Tensor: the flat table of methods. Each line names the op that a method is."""

from __future__ import annotations

import builtins
import math

from . import core, graph, printing
from .core import TensorBase
from .inplace import inplace
from .ops import arithmetic, convert, indexing, parts, scatter, strided, views
from .ops import shape as ops_shape
from .ops.dims import wrap_dim


class Size(tuple):
    """The sizes of a tensor: a tuple that prints as torch.Size([2, 3])."""

    __slots__ = ()

    def __repr__(self):
        return f"torch.Size({list(self)})"

    __str__ = __repr__

    def numel(self):
        return math.prod(self)

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, other))


class Tensor(TensorBase):
    """A multi-dimensional array that knows how it was computed."""

    # --- arithmetic
    add, add_ = arithmetic.add, inplace(arithmetic.add)
    sub, sub_ = arithmetic.sub, inplace(arithmetic.sub)
    mul, mul_ = arithmetic.mul, inplace(arithmetic.mul)
    div, div_ = arithmetic.div, inplace(arithmetic.div)
    pow, pow_ = arithmetic.pow, inplace(arithmetic.pow)
    neg, neg_ = arithmetic.neg, inplace(arithmetic.neg)
    __add__ = __radd__ = arithmetic.add
    __mul__ = __rmul__ = arithmetic.mul
    __sub__, __rsub__ = arithmetic.sub, arithmetic.rsub
    __neg__ = arithmetic.neg
    __truediv__ = arithmetic.true_divide
    __pow__ = arithmetic.pow
    __iadd__, __isub__, __imul__ = add_, sub_, mul_
    __itruediv__ = div_

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
    __array__, __bool__, __index__ = convert.array, convert.truth, convert.index

    __float__, __int__, __complex__ = (
        convert.to_float, convert.to_int, convert.to_complex_number)

    __array_priority__ = 1000  # `array * tensor` is the tensor's business

    # --- shape and memory, as facts
    def size(self, dim=None):
        return self.shape if dim is None else self.shape[wrap_dim(dim, self._data.ndim)]

    @property
    def shape(self):
        return Size(self._data.shape)

    @property
    def ndim(self):
        return self._data.ndim

    def dim(self):
        return self._data.ndim

    def numel(self):
        return self._data.size

    nelement = numel

    def stride(self, dim=None):
        item = self._data.dtype.itemsize
        strides = tuple([s // item for s in self._data.strides])
        return strides if dim is None else strides[wrap_dim(dim, len(strides))]

    def storage_offset(self):
        data = root = self._data
        while builtins.type(root.base) is builtins.type(data):
            root = root.base
        return (strided.address(data) - strided.address(root)) // data.dtype.itemsize

    def data_ptr(self):
        return strided.address(self._data)

    def is_contiguous(self, memory_format=None):
        return builtins.bool(self._data.flags.c_contiguous)

    def element_size(self):
        return self._data.dtype.itemsize

    @property
    def itemsize(self):
        return self._data.dtype.itemsize

    @property
    def nbytes(self):
        return self._data.nbytes

    def is_floating_point(self):
        return self.dtype.is_floating_point

    def is_complex(self):
        return self.dtype.is_complex

    @property
    def is_cuda(self):
        return self.device.type == "cuda"

    layout, is_sparse, is_quantized, is_meta = "torch.strided", False, False, False

    # --- place in the graph
    backward = graph.backward
    register_hook = graph.register_hook
    register_post_accumulate_grad_hook = graph.register_post_accumulate_grad_hook
    retain_grad = graph.retain_grad
    retains_grad = property(graph.retains_grad)
    requires_grad = property(TensorBase.requires_grad.fget, graph.set_requires_grad)
    requires_grad_ = graph.requires_grad_
    grad = property(graph.get_grad, graph.set_grad, graph.delete_grad)
    is_leaf = property(graph.is_leaf)
    data = property(graph.get_data, graph.set_data)
    _base = property(graph.get_base)
    _is_view = graph.is_view

    # --- as Python objects
    def __repr__(self, *, tensor_contents=None):
        return printing.tensor_str(self)

    def __format__(self, spec):
        return printing.format_scalar(self, spec)

    __hash__ = object.__hash__
    __deepcopy__ = graph.deepcopy
    __reduce_ex__ = graph.reduce

    # --- memory
    as_strided = strided.as_strided
    copy_ = inplace(strided.copy)
    _same_view = strided.same_view

    # --- pointwise, comparison, activation

    # --- reduction, sorting

    # --- shape, views, joining
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
    transpose_, t_ = views.transpose_, views.t_
    swapaxes_ = swapdims_ = transpose_
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    sum_to_size = views.sum_to_size
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

    # --- creation, random


core.Tensor = Tensor
