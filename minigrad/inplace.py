"""In-place ops: `mul_ = inplace(mul)`, writes through views, and what they do to the graph.

Note [In-place ops and the graph]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
`x.mul_(y)` computes x * y, writes it over x, and lets x *become* the product: x takes over the
product's node, and its version goes up, so that whoever saved the old x will notice.

If x is a view, its base has changed too, and with it every other view of that base. The base's new
history is a `CopySlices` node: "the old base, with this slice replaced by fn(slice)". Its backward
cuts the slice out of the incoming gradient, sends that through fn, and sends the rest on. Views
need no list of their siblings: each compares versions when its `grad_fn` is asked for, and a stale
one looks at the base again (core.refresh), as an AsStridedBackward0 of it.
"""

from __future__ import annotations

import functools
import re
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .core import (
    INFERENCE,
    Node,
    TensorBase,
    edge_of,
    extras_of,
    keep_retaining,
    look_at_histories,
    mode,
    new_node,
    next_number,
    rebuild,
    switches,
    version_of,
    wrap,
)
from .graph_errors import forbidden_write
from .ops.strided import Geometry, copy, geometry, strided_view
from .overlap import check_apart, check_no_overlap
from .saved import unwatched, watch_since


def inplace(function: Callable, name: str | None = None, words: str | None = None,
            overlap: str | None = "exact") -> Callable:
    """The in-place form of an op: compute, write over the first argument, return it.

    `words` is what torch says where the result does not fit, if it has other words for this op.
    `overlap` is how an argument may lie over what is written (Note [Overlapping memory]): "exact",
    "never", "any", or None where what is written may even lie over itself.
    """
    function = getattr(function, "without_autocast", function)
    op = getattr(function, "op", None)
    direct = op is not None and op.takes_out

    def call(self, *args, **kwargs):
        recording = mode.grad is True and needs_gradient(self, args, kwargs)
        if recording:
            check_may_record(self)
            look_at_histories(args)  # the nodes that makes are not part of the op
        shared = self._counter is not None
        if shared:
            check_may_write(self)
        if overlap is not None:
            check_no_overlap(self._data)
            if shared and overlap != "any":
                check_apart(self, args, overlap == "exact")
        if (direct and not recording and not kwargs and not switches.levels
                and _write_directly(op, self, args)):
            return self
        before = self
        if switches.levels and mode.level is not None:
            before = self.clone()  # what the histories of tangents will keep
        start = -next_number()
        watched = recording and switches.watching
        try:
            result = (unwatched(function, (before, *args), kwargs) if watched
                      else function(before, *args, **kwargs))
        except TypeError as error:
            raise _as_method(error, function.__name__) from None
        if words is not None and result._data.shape != self._data.shape:
            raise RuntimeError(words.format(own=list(self._data.shape),
                                            new=list(result._data.shape)))
        newest = write(self, result, start)
        if watched:
            watch_since(start, newest, self)
        return self

    functools.update_wrapper(call, function)
    call.__name__ = call.__qualname__ = name or function.__name__ + "_"
    call.__doc__ = f"In-place version of `{function.__name__}`."
    call.__dict__.pop("op", None)
    return call


BAD_CALL = "Bad in-place call: input tensor size {own} and output tensor size {new} should match"


def needs_gradient(self: TensorBase, args: tuple, kwargs: dict) -> bool:
    """Whether the op will be recorded: anything that goes in requires a gradient."""
    if self.requires_grad:
        return True
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, TensorBase) and argument.requires_grad:
            return True
    return False


def _as_method(error: TypeError, name: str) -> TypeError:
    """What a function says about an argument, as the in-place method says it: without self."""
    found = re.match(rf"{name}\(\): argument '(\w+)' \(position (\d+)\)(.*)", str(error))
    if not found:
        return error
    return TypeError(f"{name}_(): argument '{found[1]}' (position {int(found[2]) - 1}){found[3]}")


def check_may_write(self: TensorBase) -> None:
    """Raise torch's error where memory of inference mode is written to outside of it."""
    if self._counter is INFERENCE and not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make "
            "a clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details.")
    if switches.watching and mode.mutations is not None:
        mode.mutations.about_to_write(self)


def check_may_record(self: TensorBase) -> None:
    """Raise torch's error where a recorded write would lose or falsify a history."""
    view = self._view
    if view is not None:
        if view.origin != "view":
            raise RuntimeError(forbidden_write(self, view.origin))
        if view.base.grad_fn is None and self.requires_grad:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an "
                               "in-place operation.")
    if self.requires_grad and self.grad_fn is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place "
                           "operation.")


# --- writing -------------------------------------------------------------------------------------

def _write_directly(op: Any, self: TensorBase, args: tuple) -> bool:
    """Let the kernel write into self's memory, where nothing has to be converted or remembered."""
    data = self._data
    if type(data) is not np.ndarray or data.dtype not in op.ready:
        return False
    if len(op.inputs) != len(args) + 1:
        return False
    operands = []
    for argument in args:
        if type(argument) is float and data.dtype.kind == "f":
            operands.append(data.dtype.type(argument))
        elif (isinstance(argument, TensorBase) and argument._data.dtype is data.dtype
                and _broadcasts_to(argument._data.shape, data.shape)):
            operands.append(argument._data)
        else:
            return False
    op.kernel(np, data, *operands, out=data)
    if self._counter is not None:
        self._counter.count += 1
    else:
        version_of(self).count = 1
    return True


def _broadcasts_to(shape: tuple, target: tuple) -> bool:
    return shape == target or len(shape) <= len(target) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(target), strict=False))


def write(self: Any, result: Any, start: int) -> Node | None:
    """Write `result` over `self`, which takes over its history: the node that is returned.

    `start` is the rank below which nodes belong to this op.
    """
    data, new = self._data, result._data
    if new.shape != data.shape:
        raise RuntimeError(f"output with shape {list(data.shape)} doesn't match the broadcast "
                           f"shape {list(new.shape)}")
    if new.dtype is not data.dtype:
        dtypes.check_castable(new.dtype, data.dtype)
    if result._node is not None and self._view is not None and not _is_one_node(result, start):
        result = copy(self, result)  # what the base will remember has to be a single node
    node = result._node
    if node is not None:
        _keep_old_value(node, self)
    if switches.levels and mode.level is not None:
        mode.level.write(self, result)
    data[...] = new
    version_of(self).count += 1
    if node is None:
        return None
    node.results = tuple([(data, self._counter, self._counter.count, output)
                          for _, _, _, output in node.results])
    if self._view is None:
        keep_retaining(self, node, result._output)
        self._node, self._output, self._tracked = node, result._output, True
    else:
        _rebase(self, node)
    return node


def _is_one_node(result: Any, start: int) -> bool:
    """Whether everything that happened since `start` is one node."""
    return all(edge is None or edge[0].rank > start for edge in result._node.edges)


def _keep_old_value(node: Node, self: Any) -> None:
    """If the node saved self as its first input, let it keep a copy: the value is overwritten."""
    if node.saved and node.plan.inputs[0] == 0 and node.saved[0] is self:
        old = wrap(self._data.copy())
        old._node, old._output, old._tracked = self.grad_fn, self._output, self.requires_grad
        node.saved = (old, *node.saved[1:])
        if node.versions:
            node.versions = (0, *node.versions[1:])


# --- writing through a view ----------------------------------------------------------------------

class CopySlices(Node):
    """base' = base with one slice replaced by fn(slice, ...).

    With G the gradient of base': the base gets G with its slice replaced by fn's gradient for its
    first input; fn's other inputs get their gradients from fn.
    """

    __slots__ = ("fn", "base", "slice")
    fn: Node
    base: Geometry
    slice: Geometry

    def apply(self, gradients: Any) -> list:
        whole = self.base.laid_out(gradients[0])
        part = strided_view(whole, self.slice)
        derived = self.fn.apply([part.clone()])
        if self.edges[0] is not None:
            if derived[0] is None:
                part.zero_()
            else:
                part.copy_(derived[0])
        return [whole, *derived[1:]]

    def release(self) -> None:
        self.fn.release()

    @property
    def metadata(self) -> dict:
        """That of the op which wrote the slice: where it was made, say."""
        return self.fn.metadata

    def __getattr__(self, attribute: str) -> Any:
        raise AttributeError(f"'CopySlices' object has no attribute '{attribute}'")


def _rebase(view_tensor: Any, fn: Node) -> None:
    """Give the view's base the history "the old base with this slice replaced by fn(slice)"."""
    base = view_tensor._view.base
    old_edge = edge_of(base) if base.requires_grad else None
    node = new_node(CopySlices, [old_edge, *fn.edges[1:]])
    node.fn = fn
    node.base, node.slice = geometry(base, base), geometry(view_tensor, base)
    keep_retaining(base, node)
    base._node, base._output, base._tracked = node, 0, True
    if fn.results:  # what fn saved of its own is now a slice of what `node` made
        extras_of(fn).through_base = SliceOfResult(node, view_tensor)


class SliceOfResult:
    """Makes the result of a write through a view again, with the history it has in the base."""

    __slots__ = ("node", "data", "seen")

    def __init__(self, node: CopySlices, view_tensor: Any) -> None:
        self.node = weakref.ref(node)
        self.data = view_tensor._view.base._data
        self.seen = weakref.ref(view_tensor.grad_fn)  # an AsStrided of the base

    def __call__(self, counter: Any) -> Any:
        node: Any = self.node()
        return strided_view(rebuild(node, self.data, counter, 0), node.slice)

    def is_seen(self) -> bool:
        """Whether the view's node is still there: then torch names it as who made the result."""
        return self.seen() is not None
