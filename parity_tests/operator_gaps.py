"""Where an operator of torch's database is not equal to torch at some level, and why.

Each entry: the level, the reason, the operators. known_gaps.py makes them keys of tests; an entry
whose test passes fails the run.
"""

from __future__ import annotations

EVERYWHERE = [
    ("forward",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh linalg.svd pca_lowrank svd svd_lowrank"),
    ("forward",
     "torch is good to six digits of float64 only here: its Cephes ports lost a coefficient",
        "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 "
         "special.bessel_y1"),
    ("gradient",
     "differs for some sample",
        "istft"),
    ("gradient",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh linalg.svd pca_lowrank svd svd_lowrank"),
    ("gradient",
     "values differ by more than the tolerance for some sample",
        "linalg.householder_product"),
    ("second",
     "a gradient of rounding errors where torch has none at all, or the other way round",
        "istft logcumsumexp masked.prod native_layer_norm "
         "nn.functional.linear_cross_entropy.chunked_none"),
    ("second",
     "differs for some sample",
        "nn.functional.ctc_loss nn.functional.scaled_dot_product_attention"),
    ("second",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh linalg.svd pca_lowrank svd svd_lowrank"),
    ("second",
     "values differ by more than the tolerance for some sample",
        "linalg.householder_product"),
    ("forward_ad",
     "as_strided of a dual view sees memory around the view, where minigrad has no tangent",
        "as_strided.partial_views"),
    ("forward_ad",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh pca_lowrank svd_lowrank"),
    ("forward_ad",
     "torch's tangent is wrong: minigrad's equals the quotient of differences (test_forward_ad.py)",
        "triangular_solve"),
    ("forward_ad",
     "torch's tangent is off by 1e-6, minigrad's is exact to the last digits (test_forward_ad.py)",
        "logcumsumexp"),
    ("forward_ad",
     "torch is off by 2e-5, minigrad exact to the last digits (compared with 40 digits)",
        "cholesky_inverse"),
    ("graph",
     "composed of other ops than in torch: other nodes",
        "corrcoef cov istft tensordot"),
    ("method",
     "the method differs from torch for some sample or dtype",
        "matrix_exp"),
    ("method",
     "which of equal elements comes first: torch leaves it open",
        "argsort kthvalue sort topk"),
    ("out",
     "a form, an argument or a dtype of it is not there yet",
        "_batch_norm_with_update bernoulli histogramdd"),
    ("out",
     "an out of another dtype is accepted, torch refuses it",
        "diff fft.ifft fft.ihfft lerp lu normal normal.number_mean"),
    ("out",
     "an out of another dtype is refused, torch accepts it",
        "linalg.tensorinv linalg.tensorsolve split_with_sizes_copy"),
    ("out",
     "an out of the wrong kind is refused in other words",
        "bucketize diag histc inner kthvalue linalg.pinv linalg.solve_triangular logsumexp "
         "masked_select matmul max.reduction_no_dim max.reduction_with_dim mean "
         "min.reduction_no_dim min.reduction_with_dim nanmean nansum randn searchsorted "
         "tensordot"),
    ("out",
     "out is laid out differently",
        "empty fft.ihfftn narrow_copy nn.functional.avg_pool3d nn.functional.gelu "
         "nn.functional.linear"),
    ("out",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh svd"),
    ("out",
     "the result in an out of another dtype or layout differs",
        "cumsum equal linspace linspace.tensor_overload logspace logspace.tensor_overload"),
    ("out",
     "the warning about a resized out differs",
        "addbmm mode nn.functional.logsigmoid"),
    ("out",
     "torch is good to six digits of float64 only here: its Cephes ports lost a coefficient",
        "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 "
         "special.bessel_y1"),
    ("errors",
     "a form, an argument or a dtype of it is not there yet",
        "bernoulli"),
    ("layouts",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eig linalg.eigh pca_lowrank svd_lowrank"),
    ("layouts",
     "torch is good to six digits of float64 only here: its Cephes ports lost a coefficient",
        "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 "
         "special.bessel_y1"),
    ("dtypes",
     "signs and phases of singular vectors and eigenvectors: LAPACK leaves them open",
        "linalg.eigh pca_lowrank svd_lowrank"),
    ("dtypes",
     "the last digits of 16-bit floats, or which of equal elements is reported",
        "grid_sampler_2d matrix_exp nn.functional.conv_transpose3d nn.functional.grid_sample "
         "nn.functional.soft_margin_loss"),
    ("dtypes",
     "which of equal elements comes first: torch leaves it open",
        "argsort kthvalue sort topk"),
    ("extremal",
     "at nan, infinities or the ends of the range",
        "nn.functional.grid_sample special.shifted_chebyshev_polynomial_u "
         "special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w"),
    ("extremal",
     "torch is good to six digits of float64 only here: its Cephes ports lost a coefficient",
        "special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 "
         "special.bessel_y1"),
]

# Only with the array library of the GPU, or only without it.
ON_DEVICE: dict[str, list[tuple[str, str, str]]] = {
    "fake-cuda": [],
    "cpu": [
        ("forward",
         "conjugates are computed at once: a copy, where torch has a view that remembers a bit",
            "H conj mH"),
    ],
}
