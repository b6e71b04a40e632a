"""Where an operator of torch's database is not equal to torch at some level, and why.

Each entry: the level, the reason, the operators. known_gaps.py makes them keys of tests; an entry
whose test passes fails the run.
"""

from __future__ import annotations

EVERYWHERE = [
    ("gradient",
     "ill-conditioned: in both engines the last digit of a complex input moves the sixth of this",
        "pca_lowrank svd_lowrank"),
    ("second",
     "torch fails where there is a bias but no weight: it multiplies by a gradient that is missing",
        "native_layer_norm"),
    ("second",
     "a gradient of rounding errors where torch has none at all, or the other way round",
        "logcumsumexp"),
    ("second",
     "ill-conditioned: in both engines the last digit of a complex input moves the sixth of this",
        "pca_lowrank svd_lowrank"),
    ("second",
     "torch loses six digits, undoing the reflections by their inverses; here none is lost",
        "linalg.householder_product"),
    ("forward_ad",
     "as_strided of a dual view sees memory around the view, where minigrad has no tangent",
        "as_strided.partial_views"),
    ("forward_ad",
     "equal in Hermitian directions; in others torch's is not the tangent of Hermitian projectors",
        "linalg.eigh"),
    ("forward_ad",
     "ill-conditioned: in both engines the last digit of a complex input moves the sixth of this",
        "pca_lowrank svd_lowrank"),
    ("forward_ad",
     "torch's tangent is wrong: minigrad's equals the quotient of differences (test_forward_ad.py)",
        "triangular_solve"),
    ("forward_ad",
     "torch's tangent is off by 1e-6, minigrad's is exact to the last digits (test_forward_ad.py)",
        "logcumsumexp"),
    ("forward_ad",
     "torch is off by 2e-5, minigrad exact to the last digits (compared with 40 digits)",
        "cholesky_inverse"),
    ("method",
     "the method differs from torch for some sample or dtype",
        "matrix_exp"),
    ("out",
     "torch leaves out as it was: unwritten (ihfftn), or unwritten if it is strided (gelu)",
        "fft.ihfftn nn.functional.gelu"),
    ("dtypes",
     "torch's result in 16-bit floats is garbage: -20896 for the exponential of 1",
        "matrix_exp"),
    ("dtypes",
     "the last digits of 16-bit floats",
        "grid_sampler_2d nn.functional.conv_transpose3d nn.functional.grid_sample"),
    ("extremal",
     "at nan, infinities or the ends of the range",
        "nn.functional.grid_sample special.shifted_chebyshev_polynomial_u "
         "special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w"),
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
