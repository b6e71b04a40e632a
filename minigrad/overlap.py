"""Which tensors lie on which memory, and what must not be written through.

Note [Overlapping memory]
~~~~~~~~~~~~~~~~~~~~~~~~~
A kernel may read an element after it has written another. So torch refuses to write where several
elements are one place in memory, or where the written tensor and one that is read lie over each
other askew: `x[1:] += x[:-1]`. Lying over each other exactly is fine for pointwise ops (`x *= x`)
but not for those that look elements up (`index_add_`). Tensors with a gap between their elements
are not looked at: that would take too long.
"""

from __future__ import annotations

from typing import Any

from .core import TensorBase
from .device import address


def check_no_overlap(data: Any) -> None:
    """Refuse to write where several elements are one place in memory (an expanded tensor)."""
    if data.size and 0 in data.strides and any(stride == 0 and size > 1 for stride, size
                                 in zip(data.strides, data.shape, strict=True)):
        raise RuntimeError(_REFUSAL.format("more than one element of the written-to tensor refers"))


_REFUSAL = ("unsupported operation: {} to a single memory location. Please clone() the tensor "
            "before performing the operation.")


def check_apart(target: TensorBase, read: Any, exact: bool = False) -> None:
    """Refuse to write into `target` what is computed from tensors that share its memory askew, or
    (unless an `exact` match is allowed) at all."""
    for tensor in read:
        if isinstance(tensor, list | tuple):
            check_apart(target, tensor, exact)
        # Tensors of one memory count its versions together: few get past this line.
        if isinstance(tensor, TensorBase) and tensor._counter is target._counter:
            found = _overlap(target._data, tensor._data)
            if found == "partial" or found == "full" and not exact:
                raise RuntimeError(_REFUSAL.format(
                    "some elements of the input tensor and the written-to tensor refer"))


def is_same_memory(target: TensorBase, read: Any) -> bool:
    """Whether two tensors see the same elements in the same places."""
    if target._counter is None or getattr(read, "_counter", None) is not target._counter:
        return target is read
    a, b = target._data, read._data
    return (address(a) == address(b) and a.shape == b.shape and a.strides == b.strides
            and a.dtype == b.dtype)


def check_out_apart(out: Any, read: Any) -> None:
    """Refuse an `out` (a tensor or a tuple of them) that lies over itself, or over a tensor that is
    read: before anything is computed, even if out would then be resized."""
    for target in out if isinstance(out, list | tuple) else (out,):
        if isinstance(target, TensorBase):
            check_no_overlap(target._data)
            check_apart(target, read)


def _overlap(a: Any, b: Any) -> str:
    if a is b:
        return "full"
    if not (a.size and b.size and is_dense(a) and is_dense(b)):
        return "none or unknown"
    start, other = address(a), address(b)
    if start == other and a.nbytes == b.nbytes:
        return "full" if a.strides == b.strides else "partial"
    return "partial" if start < other + b.nbytes and other < start + a.nbytes else "none"


def is_dense(array: Any) -> bool:
    """Whether the elements fill their memory, in whatever order."""
    expected = array.dtype.itemsize
    for stride, size in sorted((stride, size) for stride, size
                               in zip(array.strides, array.shape, strict=True) if size > 1):
        if stride != expected:
            return False
        expected *= size
    return True
