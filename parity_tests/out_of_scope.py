"""Entries of torch's operator database that minigrad leaves out, each with its reason.

Names are the database's, or all that begins with a prefix ending in `*`. What is listed here is not
counted in docs/parity.md; everything else is.
"""

from __future__ import annotations

OUT_OF_SCOPE = {
    "jiterator_*": "compiles CUDA source given as a string",
    "max_pool2d_with_indices_backward": "calls torch.ops.aten: tested as max_pool2d's rule",
    "torch.ops.aten.*": "kernels of the backend, under names that no program uses",
    "torch._scaled_mm": "float8 kernels of particular GPUs",
    "torch._scaled_mm_v2": "float8 kernels of particular GPUs",
    "hash_tensor": "a checksum of torch's own memory",
    "_segment_reduce.*": "private and unfinished in torch: no name in torch's namespace",
    "_chunk_cat": "private: a kernel of distributed training (FSDP)",
    "empty_permuted": "the allocator's: no values to compare, and strides are NumPy's business",
    "nn.functional.batch_norm.without_cudnn": "has samples on CUDA devices only",
    "chalf": "complex32, a pair of 16-bit floats, is a type that NumPy and CuPy do not have",
    "to_sparse": "sparse tensors",
    "sparse.*": "sparse tensors",
}


def is_out_of_scope(title: str) -> bool:
    return any(title == name or name.endswith("*") and title.startswith(name[:-1])
               for name in OUT_OF_SCOPE)
