"""What is not equal to torch: one line and one reason each. The list only shrinks.

A key names a test: its node id without the folder (`"test_pointwise.py::test_op[add]"`), its name
(`"test_op[add]"`) or its parameter's id (`"add"`). A key that ends in `" @fake-cuda"` or `" @cuda"`
holds on that device only. conftest.py marks the test `xfail(strict=True)`: a gap that has been
closed fails the run until its line is deleted; so does a line that names no test at all.
"""

from __future__ import annotations

from parity_tests.harness import levels_left_out
from parity_tests.operator_gaps import EVERYWHERE, ON_DEVICE


def _operators(entries: list[tuple[str, str, str]], device: str = "") -> dict[str, str]:
    """Entries of torch's operator database (test_operators.py) that differ at a level."""
    return {(f"test_exists[{name}]" if level == "exists" else f"test_operator[{name}-{level}]")
            + device: reason for level, reason, names in entries for name in names.split()
            if level not in levels_left_out()}


def _signatures(names: str, reason: str) -> dict[str, str]:
    """Functions and methods whose arguments are not quite torch's (test_signatures.py)."""
    return {f"test_signature[{name}]": reason for name in names.split()}


def _autocast(names: str, reason: str) -> dict[str, str]:
    """Operators whose results have another dtype under autocast (test_amp.py)."""
    return {f"test_operator_under_autocast[{name}-{dtype}] @cpu": reason
            for name in names.split() for dtype in ("bfloat16", "float16")}


def _slopes(names: str, reason: str) -> dict[str, str]:
    """Functions whose first gradient is recorded otherwise than by torch (test_slopes.py)."""
    return {f"test_slope[nn.functional.{name}]": reason for name in names.split()}


_FITTED = ("torch's derivatives of gamma and beta samples by their shapes are fitted functions, "
           "good to three or four digits; these are exact (test_the_gamma_gradient_everywhere)")

GAPS: dict[str, str] = {
    **_operators(EVERYWHERE),
    **_operators(ON_DEVICE["fake-cuda"], " @fake-cuda"),
    **_operators(ON_DEVICE["cpu"], " @cpu"),
    **_signatures(
        "function-std method-std function-std_mean function-var method-var function-var_mean "
        "function-max method-max function-min method-min function-scatter method-scatter "
        "function-result_type "
        "method-where",
        "one signature for overloads that differ by a type: all calls work, by name and position"),
    **_signatures(
        "function-tensor_split method-tensor_split method-split function-hsplit method-hsplit "
        "function-vsplit method-vsplit function-dsplit method-dsplit",
        "overloads with names of their own (sections, indices, split_size): only by position"),
    **_signatures("function-conv1d function-conv2d function-conv3d",
                  "the overload for a padding by name has another default, which is never used"),
    **_autocast(
        "linalg.pinv linalg.pinv.singular linalg.pinv.hermitian",
        "torch leaves the last product of linalg.pinv to autocast, here it is one op in float32"),
    "test_operator_under_autocast[complex-float16] @cpu":
        "torch makes complex32 of float16 numbers, which NumPy does not have",
    **_autocast("nn.functional.embedding_bag",
                "sparse gradients are out of scope"),
    **_signatures("function-mm function-bmm function-addmm function-baddbmm",
                  "out_dtype, for GPUs, is not there"),
    **{f"test_gradients_of_samples[{name}]": _FITTED for name in (
        "gamma", "gamma_small", "gamma_large", "chi2", "beta", "dirichlet", "student_t")},
    **_signatures("function-tensordot", "out= is added by a decorator"),
    **_signatures("function-isin", "the overload for a number calls its arguments differently"),
    **_signatures("function-orgqr method-orgqr", "householder_product, with its argument names"),
    "test_weight_norm_second_derivative_is_torchs[0]":
        "torch's takes the norms for constants, which they are not; this one's is the formula's",
    **_signatures("method-polygamma", "the method of torch takes n first: so does this one"),
    **_slopes("linear linear_cross_entropy linear_cross_entropy.chunked "
              "linear_cross_entropy.chunked_none multi_head_attention_forward",
              "the gradient of a product's second factor is one product; torch transposes twice"),
    **_slopes("bilinear", "made of three products, which torch has one node for"),
    **_slopes("group_norm", "made of other steps than torch's: the same numbers"),
    **_slopes("max_unpool2d max_unpool2d.grad", "torch copies a gradient that is strided first"),
    **_slopes("pad.circular", "torch forgets that the gradient of an empty image depends on one"),
    **{f"test_third[nn.functional.conv_transpose{n}d]":
       "torch fails where there is an output_padding: its third derivative passes it to the "
       "convolution" for n in (1, 2, 3)},
    **{f"test_third[nn.functional.{name}]":
       "torch takes mean and deviation for constants from the third derivative on, minigrad does "
       "not (test_third_of_norms)" for name in ("layer_norm", "batch_norm", "instance_norm")},
    **{f"test_module[nn.{name}-graph]":
       "one node for a layer and direction, where torch records every step (docs/architecture.md)"
       for name in ("GRU", "LSTM", "RNN") if "graph" not in levels_left_out()},
    **{f"test_module[{dtype}-embedding_bag_frequency]":
       "torch divides by how often another row was looked up: the i-th of the sorted indices, not "
       "the i-th distinct one" for dtype in ("float32", "float64")},
}
