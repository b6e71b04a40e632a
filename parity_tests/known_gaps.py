"""What is not equal to torch: one line and one reason each. The list only shrinks.

A key names a test: its node id without the folder (`"test_pointwise.py::test_op[add]"`), its name
(`"test_op[add]"`) or its parameter's id (`"add"`). A key that ends in `" @fake-cuda"` or `" @cuda"`
holds on that device only. conftest.py marks the test `xfail(strict=True)`: a gap that has been
closed fails the run until its line is deleted; so does a line that names no test at all.
"""

from __future__ import annotations

_ALL = "float64 complex128 float32 bfloat16 int64 bool"


def _operators(names: str, dtypes: str, reason: str) -> dict[str, str]:
    """Entries of torch's operator database (test_operators.py) that differ in these dtypes."""
    return {f"test_operator[{name}-{dtype}]": reason
            for name in names.split() for dtype in dtypes.split()}


GAPS: dict[str, str] = {
    **_operators("acosh asinh atanh", "float64 complex128",
                 "the node of the in-place form: torch numbers it as an overload of its own"),
    **_operators("conj_physical", "float64 complex128 bool",
                 "the node of the in-place form is numbered 1 in torch; on bool torch's fails"),
    **_operators("abs", "complex128", "abs_ of a complex tensor is refused by torch only"),
    **_operators("div.trunc_rounding", "bfloat16",
                 "torch rounds the quotient to bfloat16 before it cuts it off"),
    **_operators("addmm addmm.decomposed addmv baddbmm addbmm",
                 "float64 complex128 float32 bfloat16 int64",
                 "the in-place form on a tensor that is too small: torch has words of its own"),
    **_operators("addr", "float64 complex128 int64 bool",
                 "addr_ on a tensor that is too small: torch has words of its own"),
    **_operators("kthvalue", "int64", "which of equal elements is reported: torch leaves it open"),
    **_operators("topk", "int64 bfloat16",
                 "which of equal elements is reported: torch leaves it open"),
    **_operators("sort argsort", "bfloat16 bool",
                 "the order of equal elements without stable=True: torch leaves it open"),
    **_operators("block_diag", "float64 complex128",
                 "composed of cat here, so the node is cat's, not BlockDiagBackward0"),
    **_operators("logaddexp", "complex128", "NumPy has no complex logaddexp"),
    **_operators("logsumexp", "complex128",
                 "the branch of the complex logarithm differs by 2 pi i"),
    **_operators("logcumsumexp", "float64 complex128",
                 "the second gradient is None in torch where it is a rounding error here"),
    **_operators("nn.functional.pad.reflect nn.functional.pad.replicate "
                 "nn.functional.pad.replicate_negative nn.functional.pad.circular",
                 "float64 complex128", "composed of index_select here: another node than torch's"),
    **_operators("nn.functional.scaled_dot_product_attention", "float64 float32 bfloat16",
                 "composed of its parts here; torch records one fused node"),
    **_operators("to double", "float64",
                 "torch copies for a memory_format even where nothing changes"),
    **_operators("cdouble", "complex128",
                 "torch copies for a memory_format even where nothing changes"),
    **_operators("as_strided.partial_views", "float64 complex128",
                 "the gradient of a view that starts before its own base"),
    **_operators("polygamma.polygamma_n_0 polygamma.polygamma_n_1 polygamma.polygamma_n_2 "
                 "polygamma.polygamma_n_3 polygamma.polygamma_n_4",
                 "float64 float32 bfloat16 int64 bool",
                 "torch's trigamma is good to 4e-10 only; SciPy's is used here"),
    **_operators("lgamma digamma", "float64",
                 "torch's trigamma is good to 4e-10 only; SciPy's is used here"),
    **_operators("index_add prod", "bool", "of bool tensors: torch keeps bool in out= forms only"),
    **_operators("prod", "float64", "of a 0-d tensor with dim: the node is ProdBackward0 here"),
    **_operators("new_empty_strided", _ALL, "NumPy keeps no strides for tensors without elements"),
    **_operators("scatter", "float32 bfloat16 int64 bool", "scatter(reduce=...) is not there yet"),
    **_operators("histc", "bfloat16", "torch computes the bins' edges in bfloat16"),
    **_operators("norm.nuc", "float64 complex128 float32",
                 "the nuclear norm needs singular values, which are not there yet"),
    **_operators("nn.functional.embedding", "float32 bfloat16",
                 "no sparse gradients: embedding(sparse=True) is refused"),
}
