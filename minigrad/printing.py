"""Tensors as text: what `print(tensor)` and `f"{tensor:.3f}"` show: torch's text, to the character.

A tensor's text is made in four steps: cut away what a summary leaves out (`corners`), choose one
format from the numbers that are left and write them (`written_reals`), nest the pieces in brackets
(`nested`), and add what the numbers do not tell, such as `dtype=torch.int32` or
`grad_fn=<MulBackward0>` (`with_suffixes`). The numbers cut away are never looked at, so a large
tensor costs no more than a small one.
"""
from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

# -------------------------------------------------------------------------------------------------
# Options
# -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class PrintOptions:
    """What `set_printoptions` sets."""

    precision: int = 4  # digits after the point
    threshold: float = 1000  # a tensor of more elements is summarised
    edgeitems: int = 3  # elements that a summary keeps at each end of an axis
    linewidth: int = 80
    sci_mode: bool | None = None  # None: the numbers decide


PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print: the profile first, if one is named, then each given option.

    An option left out stays as it was, but `sci_mode` goes back to None: torch does the same.
    """
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in (PROFILES.get(profile or "", {}) | chosen).items():
        setattr(options, name, value)
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keywords for `set_printoptions`."""
    return dataclasses.asdict(options)


@contextlib.contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """Change the options inside a `with` block."""
    before = get_printoptions()
    set_printoptions(**changes)
    try:
        yield
    finally:
        set_printoptions(**before)


# -------------------------------------------------------------------------------------------------
# Numbers
# -------------------------------------------------------------------------------------------------


def host_array(tensor: Any) -> np.ndarray:
    """The tensor's numbers as a NumPy array, copied from the GPU if they are there."""
    array = tensor._data
    return array if isinstance(array, np.ndarray) else array.get()


def corners(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows: along each axis the first and the last `edgeitems`."""
    edge = options.edgeitems
    kept = [
        [*range(edge), *range(length - edge, length)] if length > 2 * edge else range(length)
        for length in array.shape
    ]
    return array[(..., *np.ix_(*kept))]


def written_integers(array: np.ndarray) -> tuple[list[str], int]:
    """Every integer or bool as text, padded to the width of the longest, and that width."""
    texts = [str(value) for value in array.ravel().tolist()]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts], width


def written_reals(array: np.ndarray) -> tuple[list[str], int]:
    """Every real number as text in one common format, and the width they are padded to.

    The format is chosen from the finite numbers other than zero: "2." if all are whole, "2.5000"
    otherwise, "2.5000e+09" if they are very large, very small or far apart. The width, too, is
    theirs alone, so `nan` and `-inf` may stand out: torch prints `[1., -inf]`.
    """
    values = array.astype(np.float64).ravel().tolist()
    typical = [value for value in values if value != 0 and math.isfinite(value)]
    sizes = [abs(value) for value in typical]
    smallest, largest = min(sizes, default=1.0), max(sizes, default=1.0)
    scientific = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
    if typical and options.sci_mode is not None:
        scientific = options.sci_mode
    whole = not scientific and all(value.is_integer() for value in typical)
    spec = f".{options.precision}e" if scientific else ".0f" if whole else f".{options.precision}f"

    def written(value: float) -> str:
        return format(value, spec) + ("." if whole and math.isfinite(value) else "")

    width = max((len(written(value)) for value in typical), default=1)
    return [written(value).rjust(width) for value in values], width


def written_complex(array: np.ndarray) -> tuple[list[str], int]:
    """Every complex number as text: real and imaginary parts each choose their own format."""
    reals, real_width = written_reals(array.real)
    imags, imag_width = written_reals(array.imag)
    imags = [imag.lstrip() for imag in imags]
    signs = ["" if imag[0] == "-" else "+" for imag in imags]
    parts = zip(reals, signs, imags, strict=True)
    texts = [f"{real}{sign}{imag}j" for real, sign, imag in parts]
    return texts, real_width + imag_width + 1  # torch counts the "j", but not the sign


def written_numbers(array: np.ndarray, dtype: Any) -> tuple[list[str], int]:
    """Every number as text, and the width that line wrapping reckons with."""
    if dtype.is_complex:
        return written_complex(array)
    if dtype.is_floating_point:
        return written_reals(array)
    return written_integers(array)


# -------------------------------------------------------------------------------------------------
# Brackets
# -------------------------------------------------------------------------------------------------


def contents(tensor: Any, indent: int) -> str:
    """The bracketed numbers of a tensor that has some, starting at column `indent`."""
    array = host_array(tensor)
    summarize = array.size > options.threshold
    if array.ndim and summarize and not options.edgeitems:
        return "[...]"
    shown = corners(array) if summarize else array
    texts, width = written_numbers(shown, tensor.dtype)
    if not array.ndim:
        return texts[0]
    cut = [full != kept for full, kept in zip(array.shape, shown.shape, strict=True)]
    return nested(texts, shown.shape, cut, indent, width)


def nested(
    texts: list[str], shape: tuple[int, ...], cut: list[bool], indent: int, width: int
) -> str:
    """`texts`, in row-major order, in the nested brackets of `shape`, "..." where an axis is cut.

    Rows of numbers wrap at `linewidth`; in n dimensions the blocks start n - 1 lines apart.
    """
    if len(shape) == 1:
        pieces, ellipsis = texts, " ..."
        per_line = max(1, (options.linewidth - indent) // (width + 2))
    else:
        size = len(texts) // shape[0]
        blocks = [texts[start : start + size] for start in range(0, len(texts), size)]
        pieces = [nested(block, shape[1:], cut[1:], indent + 1, width) for block in blocks]
        ellipsis, per_line = "...", 1
    if cut[0]:
        pieces = [*pieces[: options.edgeitems], ellipsis, *pieces[options.edgeitems :]]
    starts = range(0, len(pieces), per_line)
    lines = [", ".join(pieces[start : start + per_line]) for start in starts]
    newlines = "\n" * max(1, len(shape) - 1)
    return "[" + f",{newlines}{' ' * (indent + 1)}".join(lines) + "]"


# -------------------------------------------------------------------------------------------------
# The whole text
# -------------------------------------------------------------------------------------------------


def with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """`text` and the suffixes after commas; one that would overrun the line starts a new line."""
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def dtype_goes_without_saying(dtype: Any, is_empty: bool) -> bool:
    """Whether the numbers, if there are any, tell the dtype: the default ones, int64 and bool."""
    from .dtypes import get_default_dtype

    default = str(get_default_dtype())
    default_complex = "torch.complex128" if default == "torch.float64" else "torch.complex64"
    evident = {default} if is_empty else {default, default_complex, "torch.int64", "torch.bool"}
    return str(dtype) in evident


def grad_fn_name(tensor: Any) -> str | None:
    """The name of the node that made the tensor; "Invalid" where asking for it is an error.

    It is one for a view that was written through in a way that cannot be recorded. Even that tensor
    must print, or nobody could find the mistake.
    """
    try:
        grad_fn = tensor.grad_fn
    except RuntimeError:
        return "Invalid"
    return None if grad_fn is None else grad_fn.name().rsplit("::", 1)[-1]


def tensor_str(tensor: Any, tangent: Any = None) -> str:
    """What `repr(tensor)` shows: `tensor([1., 2.], dtype=torch.float64, grad_fn=<MulBackward0>)`.

    Subclasses print under their own name. `tangent` is that of a dual tensor in forward mode.
    """
    kind = type(tensor).__name__
    prefix = "tensor(" if kind in {"Tensor", "Parameter"} else f"{kind}("
    shape = tuple(tensor.shape)
    is_empty = 0 in shape
    suffixes = []
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    if (is_empty and len(shape) != 1) or (not is_empty and not options.edgeitems):
        suffixes.append(f"size={shape}")
    if not dtype_goes_without_saying(tensor.dtype, is_empty):
        suffixes.append(f"dtype={tensor.dtype}")
    if (name := grad_fn_name(tensor)) is not None:
        suffixes.append(f"grad_fn=<{name}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    text = prefix + ("[]" if is_empty else contents(tensor, len(prefix)))
    return with_suffixes(text, suffixes, len(prefix))


def parameter_str(parameter: Any) -> str:
    """What `repr(parameter)` shows: a heading and the tensor, a subclass's wrapped once more."""
    text = tensor_str(parameter)
    is_plain = type(parameter).__name__ == "Parameter"
    return "Parameter containing:\n" + (text if is_plain else f"Parameter({text})")


def format_scalar(tensor: Any, format_spec: str) -> str:
    """What `f"{tensor:{format_spec}}"` shows: of a 0-d tensor the Python number, else its `str`.

    Subclasses, Parameter among them, are never taken for numbers. For them, and for a tensor with
    dimensions, any `format_spec` is a TypeError, as it is for every object without formats.
    """
    if type(tensor).__name__ == "Tensor" and not tensor.shape:
        return format(host_array(tensor).item(), format_spec)
    return object.__format__(tensor, format_spec)
