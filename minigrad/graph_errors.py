"""What torch says about misuse of the graph: its words, and a hint of ours where one helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import dtypes
from .device import device_of

if TYPE_CHECKING:
    from .core import Node, TensorBase

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward.")

INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
    "inference mode in computation tracked by autograd. To work around this, you can make a clone "
    "to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
    "`torch.inference_mode()`.")


def forward_name(node: Node) -> str:
    """"Mul" for MulBackward0, "Sum1" for SumBackward1: how torch's messages call an op."""
    name = node.name()
    before, _, after = name.rpartition("Backward")
    return name if "::" in name else (before + after).removesuffix("0")


def modified(node: Node, tensor: TensorBase, found: int, expected: int, slot: int) -> str:
    """torch's words for a saved tensor that was overwritten, then where it was saved and a cure."""
    op, name = node.op, node.plan.saved_names[slot]
    maker = ""
    if name in op.outputs:
        slices = None if node.extras is None else node.extras.through_base
        strided = slices is not None and slices.is_seen()
        maker = f"output 0 of {'AsStrided' if strided else forward_name(node)}"
        what = f"its own result ('{name}')"
    else:
        what = f"its input '{name}'"
    return overwritten(
        tensor, found, expected,
        f"{node.name()} (the op `{op.name}`) saved {what} and a later in-place op overwrote it. "
        "Write the later op out of place (`x = x + y` instead of `x += y`, `x = x.relu()` instead "
        f"of `x.relu_()`), or pass a copy: `{op.name}(..., {name}.clone(), ...)`.", maker)


def overwritten(tensor: TensorBase, found: int, expected: int, hint: str, maker: str = "") -> str:
    """torch's words for a tensor that was written after it had been saved, and a hint of ours."""
    place, dtype = device_of(tensor._data).type, dtypes.of(tensor._data.dtype)
    kind = f"torch.{'' if place == 'cpu' else f'{place}.'}{dtype.scalar_name}Tensor"
    if dtype is dtypes.bool_:
        kind = f"{place.upper()}BoolType"
    made_by = tensor.grad_fn
    if not maker and made_by is not None:
        maker = f"output {tensor._output} of {forward_name(made_by)}"
    producer = f", which is {maker}," if maker else ""
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{kind} {list(tensor._data.shape)}]{producer} is at version {found}; expected "
        f"version {expected} instead. Hint: {hint}")


# --- writes through views -----------------------------------------------------------------------

def forbidden_write(view_tensor: TensorBase, origin: str, done: str = "is being") -> str:
    """torch's words for a write through a view that came about in such a way; or, where the write
    went through the base and has been `done` already, for the view that can tell it no more."""
    node, no_grad = view_tensor._node, origin == "no_grad" or view_tensor._node is None
    what = "A view" if node is None else \
        f"Output {view_tensor._output} of {forward_name(node)} is a view"
    if origin == "inference":
        what = f"A view was created in inference mode and {done} modified inplace in normal mode."
    elif no_grad:
        what += " was created" if node is None else " of a view which was created"
        what += f" in no_grad mode and {done} modified inplace with grad mode enabled."
    else:
        what += f" and {done} modified inplace."
    return f"{what} {_WHY_FORBIDDEN[origin]}"


_AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your "
    "code by moving both the view and the inplace either both inside the {} block (if you don't "
    "want the inplace to be tracked) or both outside (if you want the inplace to be tracked).")
_WHY_FORBIDDEN = {
    "no_grad": _AMBIGUOUS.format("no_grad"),
    "inference": _AMBIGUOUS.format("inference_mode"),
    "multiple": (
        "This view is the output of a function that returns multiple views. Such functions do not "
        "allow the output views to be modified inplace. You should replace the inplace operation "
        "by an out-of-place one."),
    "function": (
        "This view was created inside a custom Function (or because an input was returned as-is) "
        "and the autograd logic to handle view+inplace would override the custom backward "
        "associated with the custom Function, leading to incorrect gradients. This behavior is "
        "forbidden. You can fix this by cloning the output of the custom Function."),
}
