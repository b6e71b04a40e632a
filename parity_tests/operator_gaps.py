"""Where an operator of torch's database is not equal to torch at some level, and why.

Each entry: the level, the reason, the operators. known_gaps.py makes them keys of tests; an entry
whose test passes fails the run.
"""

from __future__ import annotations

EVERYWHERE = [
    ("exists",
     "not there yet, or an alias or a method of it is not",
        "_batch_norm_with_update _native_batch_norm_legit _softmax_backward_data "
         "_upsample_bilinear2d_aa cauchy cdist chalf combinations corrcoef cov cummax cummin "
         "cumulative_trapezoid diff exponential geometric gradient grid_sampler_2d grid_sampler_3d "
         "histogram histogramdd igamma igammac linalg.cond linalg.cross linalg.det linalg.diagonal "
         "linalg.inv linalg.inv_ex linalg.lstsq linalg.lstsq.grad_oriented linalg.matrix_norm "
         "linalg.matrix_power linalg.matrix_rank linalg.matrix_rank.hermitian linalg.multi_dot "
         "linalg.norm linalg.norm.subgradients_at_zero linalg.pinv linalg.pinv.hermitian "
         "linalg.pinv.singular linalg.slogdet linalg.solve linalg.solve_ex linalg.tensorinv "
         "linalg.tensorsolve linalg.vander linalg.vecdot linalg.vector_norm log_normal logdet "
         "matmul matrix_exp mode nanmedian nanquantile native_batch_norm native_dropout_backward "
         "native_group_norm native_layer_norm nn.functional.adaptive_avg_pool1d "
         "nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d "
         "nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d "
         "nn.functional.ctc_loss nn.functional.embedding_bag nn.functional.grid_sample "
         "nn.functional.interpolate.area nn.functional.interpolate.bicubic "
         "nn.functional.interpolate.bilinear nn.functional.interpolate.linear "
         "nn.functional.interpolate.nearest nn.functional.interpolate.nearest-exact "
         "nn.functional.interpolate.trilinear nn.functional.linear_cross_entropy "
         "nn.functional.linear_cross_entropy.chunked "
         "nn.functional.linear_cross_entropy.chunked_none nn.functional.local_response_norm "
         "nn.functional.multi_head_attention_forward nn.functional.multi_margin_loss "
         "nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss "
         "nn.functional.pdist nn.functional.triplet_margin_with_distance_loss nn.functional.unfold "
         "nn.functional.upsample_bilinear nn.functional.upsample_nearest pinverse quantile renorm "
         "slice trapezoid trapz triangular_solve uniform"),
    ("forward",
     "a form, an argument or a dtype of it is not there yet",
        "masked.median norm.nuc"),
    ("forward",
     "accepts or refuses other inputs than torch does for some sample",
        "logcumsumexp"),
    ("forward",
     "conjugates are computed at once, torch remembers them as a bit; elsewhere a copy where torch has a view",
        "H conj mH"),
    ("forward",
     "requires_grad or is_leaf differs for some sample",
        "linalg.lu lu_unpack"),
    ("forward",
     "values differ by more than the tolerance for some sample",
        "linalg.eig linalg.eigh linalg.svd nn.functional.scaled_dot_product_attention pca_lowrank "
         "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1 "
         "svd svd_lowrank"),
    ("gradient",
     "a form, an argument or a dtype of it is not there yet",
        "masked.median norm.nuc"),
    ("gradient",
     "accepts or refuses other inputs than torch does for some sample",
        "logcumsumexp"),
    ("gradient",
     "differs for some sample",
        "istft linalg.eig linalg.lu lu_unpack"),
    ("gradient",
     "values differ by more than the tolerance for some sample",
        "linalg.eigh linalg.householder_product linalg.svd pca_lowrank svd svd_lowrank"),
    ("second",
     "a form, an argument or a dtype of it is not there yet",
        "masked.median norm.nuc"),
    ("second",
     "a gradient of rounding errors where torch has none at all, or the other way round",
        "istft logcumsumexp masked.prod"),
    ("second",
     "differs for some sample",
        "linalg.eig linalg.lu lu_unpack nn.functional.scaled_dot_product_attention"),
    ("second",
     "values differ by more than the tolerance for some sample",
        "linalg.eigh linalg.eigvalsh linalg.householder_product linalg.svd pca_lowrank svd "
         "svd_lowrank"),
    ("graph",
     "composed of other ops than in torch: other nodes",
        "istft linalg.lu logcumsumexp lu_unpack masked.median "
         "nn.functional.scaled_dot_product_attention norm.nuc tensordot"),
    ("method",
     "a form, an argument or a dtype of it is not there yet",
        "norm.nuc"),
    ("method",
     "accepts or refuses other inputs than torch does for some sample",
        "logcumsumexp"),
    ("method",
     "the method differs from torch for some sample or dtype",
        "argsort div.trunc_rounding histc kthvalue sort topk"),
    ("inplace",
     "the in-place form refuses other inputs, or in other words",
        "addbmm"),
    ("out",
     "a form, an argument or a dtype of it is not there yet",
        "bernoulli nn.functional.gelu norm.nuc"),
    ("out",
     "an out of another dtype is accepted, torch refuses it",
        "all any conj_physical diag eye nn.functional.hardshrink nn.functional.softplus "
         "nn.functional.softshrink norm norm.fro norm.inf normal round round.decimals_0 "
         "round.decimals_3 round.decimals_neg_3 tril triu"),
    ("out",
     "an out of another dtype is refused, torch accepts it",
        "cholesky cholesky_inverse cholesky_solve cumprod cumsum kron lerp linalg.eigvals "
         "logical_not max.binary max.reduction_no_dim min.binary min.reduction_no_dim "
         "nn.functional.normalize outer split_with_sizes_copy"),
    ("out",
     "an out of the wrong kind is refused in other words",
        "amax amin bitwise_not bucketize cat column_stack dot dstack histc hstack index_select "
         "inner isneginf isposinf kthvalue logcumsumexp logsumexp masked_select matmul mean mv "
         "nanmean nansum nonzero searchsorted stack svd take tensordot vdot vstack where"),
    ("out",
     "out is laid out differently",
        "empty fft.ifft fft.ihfft fft.ihfftn geqrf linalg.cholesky linalg.cholesky_ex linalg.eig "
         "linalg.eigh linalg.householder_product linalg.ldl_factor linalg.ldl_factor_ex "
         "linalg.ldl_solve linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.qr "
         "linalg.solve_triangular lu lu_solve narrow_copy nn.functional.linear ormqr qr "
         "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1"),
    ("out",
     "the result in an out of another dtype or layout differs",
        "equal linspace linspace.tensor_overload logspace logspace.tensor_overload"),
    ("out",
     "the warning about a resized out differs",
        "addbmm arange full multinomial nn.functional.logsigmoid normal.number_mean ones randn "
         "zeros"),
    ("errors",
     "a form, an argument or a dtype of it is not there yet",
        "bernoulli"),
    ("errors",
     "accepts an input that torch refuses",
        "__radd__ __rand__ __rmul__ __ror__ __rxor__ cat gather index_select kthvalue linspace "
         "linspace.tensor_overload logspace logspace.tensor_overload masked_select multinomial "
         "take"),
    ("errors",
     "refused in other words, or with another class",
        "__rmod__ __rpow__ __rsub__ amax amin aminmax arange dsplit dstack hsplit hstack "
         "masked_fill mean movedim narrow nn.functional.embedding nn.functional.softshrink roll "
         "rot90 signal.windows.bartlett signal.windows.blackman signal.windows.cosine "
         "signal.windows.exponential signal.windows.gaussian signal.windows.general_cosine "
         "signal.windows.general_hamming signal.windows.hamming signal.windows.hann "
         "signal.windows.kaiser signal.windows.nuttall vsplit vstack"),
    ("layouts",
     "a form, an argument or a dtype of it is not there yet",
        "masked.median norm.nuc"),
    ("layouts",
     "accepts or refuses other inputs than torch does for some sample",
        "__rsub__"),
    ("layouts",
     "requires_grad or is_leaf differs for some sample",
        "as_strided_scatter linalg.lu lu_unpack"),
    ("layouts",
     "values differ by more than the tolerance for some sample",
        "linalg.eig linalg.eigh pca_lowrank special.airy_ai special.bessel_j0 special.bessel_j1 "
         "special.bessel_y0 special.bessel_y1 svd_lowrank"),
    ("dtypes",
     "a dtype that torch supports is refused, or the other way round",
        "logcumsumexp"),
    ("dtypes",
     "a form, an argument or a dtype of it is not there yet",
        "masked.median norm.nuc"),
    ("dtypes",
     "the last digits of 16-bit floats, or which of equal elements is reported",
        "argsort div.trunc_rounding histc kthvalue linalg.eigh nn.functional.conv_transpose3d "
         "nn.functional.scaled_dot_product_attention nn.functional.soft_margin_loss pca_lowrank "
         "sort svd_lowrank topk"),
    ("promotion",
     "a pair of dtypes that torch refuses is accepted, or the other way round",
        "ldexp"),
    ("extremal",
     "accepts or refuses other inputs than torch does for some sample",
        "__rsub__"),
    ("extremal",
     "at nan, infinities or the ends of the range",
        "log2 signal.windows.kaiser special.airy_ai special.bessel_j0 special.bessel_j1 "
         "special.bessel_y0 special.bessel_y1 special.shifted_chebyshev_polynomial_u "
         "special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w"),
]

# Only with the array library of the GPU, or only without it.
ON_DEVICE = {
    "fake-cuda": [

    ],
    "cpu": [

    ],
}
