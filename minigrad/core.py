"""Tensors, nodes, and what is remembered between forward and backward.

A forward op computes an array and, when a gradient may be asked for later, leaves behind a `Node`:
which op ran, where its inputs came from (`edges`), and the few values its derivative will need
(`saved`). Backward (engine.py) visits these nodes from the newest to the oldest. Nothing here knows
any particular op: ops are declared with the decorators of primitive.py.

Note [What a tensor is]
~~~~~~~~~~~~~~~~~~~~~~~
A tensor is an array plus a place in the graph. `_node` is the node that produced it (`grad_fn`), or
None for a leaf. `_tracked` is the one flag that every op tests: False promises that no gradient can
ever flow into this tensor. For ordinary tensors it equals `requires_grad`. For views it is always
True, because a view may gain a history through its base at any time, and `requires_grad` has to
ask.

Note [Saved tensors]
~~~~~~~~~~~~~~~~~~~~
A node keeps an *input* and its version. It keeps its own *result* as the bare array: the result
points to the node, and pointing back would make a cycle, so that memory would wait for the garbage
collector instead of falling when the last reference goes. Both are checked when they are used: an
in-place write in between raises the version, and the derivative would silently be wrong.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import Any

import numpy as np

from . import dtypes
from .device import device, device_of
from .hooks import Hooks


class Mode(threading.local):
    """What holds for this thread right now; autograd/grad_mode.py and amp.py change it."""

    grad = True
    autocast: Any = None

    def __init__(self) -> None:  # runs once in each thread
        np.seterr(all="ignore")  # inf and nan are values, as in torch; setting it per op costs 1 µs


mode = Mode()


class Version:
    """How often a piece of memory was written in place; shared by all tensors that see it."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class View:
    """What makes a tensor a view: its base, and the version at which its `_node` was right.

    `origin` says how the view came about; some origins forbid writing through it (inplace.py).
    """

    __slots__ = ("base", "seen", "origin", "requires_grad")

    def __init__(self, base: TensorBase, seen: int, origin: str) -> None:
        self.base = base
        self.seen = seen
        self.origin = origin
        self.requires_grad = False  # True once the user asks for a gradient of the view itself


class TensorBase:
    """An array with a place in the graph (see Note [What a tensor is]); Tensor adds the methods."""

    __slots__ = ("_data", "_tracked", "_node", "_output", "_grad", "_counter", "_view", "_hooks",
                 "_accumulator", "__weakref__")

    _data: Any                      # numpy.ndarray or cupy.ndarray
    _tracked: bool                  # False: no gradient can flow here
    _node: Node | None              # what produced this tensor (may be stale for a view)
    _output: int                    # which of the node's outputs it is
    _grad: TensorBase | None
    _counter: Version | None        # made when first shared or written
    _view: View | None
    _hooks: LeafHooks | None        # a leaf's hooks, once it has any
    _accumulator: weakref.ref | None  # the leaf's AccumulateGrad node, while a graph holds it

    @property
    def requires_grad(self) -> bool:
        view = self._view
        if view is None:
            return self._tracked
        return view.requires_grad or self._node is not None or view.base.requires_grad

    @property
    def grad_fn(self) -> Node | None:
        """The node that produced this tensor; None for a leaf."""
        view = self._view
        if view is not None and view.seen != self._counter.count:  # type: ignore[union-attr]
            refresh(self, view)
        return self._node

    @property
    def _version(self) -> int:
        return 0 if self._counter is None else self._counter.count

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.of(self._data.dtype)

    @property
    def device(self) -> device:
        return device_of(self._data)


Tensor: type[TensorBase] = TensorBase  # tensor.py puts the full class here
_new = object.__new__
_ndarray = np.ndarray


def wrap(data: Any) -> Any:
    """A new tensor around an array, outside any graph."""
    tensor = _new(Tensor)
    tensor._data = data
    tensor._tracked = False
    tensor._node = tensor._grad = tensor._counter = tensor._view = None
    tensor._hooks = tensor._accumulator = None
    tensor._output = 0
    return tensor


def version_of(tensor: TensorBase) -> Version:
    """The tensor's version counter, made now if nobody needed it before."""
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    return counter


def versions_of(tensors: Any) -> tuple[int, ...]:
    """How often each tensor's memory has been written; an optional one that is missing, never."""
    return tuple([0 if tensor is None else tensor._version for tensor in tensors])


def refresh(view_tensor: TensorBase, view: View) -> None:
    """Recompute a stale view's history: the base was written since, so look at it again."""
    base = view.base
    if view_tensor._node is None and not base.requires_grad:
        return
    if view.origin != "view":
        raise RuntimeError(forbidden_write(
            view_tensor, view.origin, "its base or another view of its base has been"))
    enabled, mode.grad = mode.grad, True
    try:
        fresh = base._same_view(view_tensor)  # type: ignore[attr-defined]
    finally:
        mode.grad = enabled
    view_tensor._node, view_tensor._output = fresh._node, fresh._output
    view.seen = view_tensor._counter.count  # type: ignore[union-attr]


def forbidden_write(view_tensor: TensorBase, origin: str, done: str = "is being") -> str:
    """torch's words for a write through a view that came about in such a way; or, where the write
    went through the base and has been `done` already, for the view that can tell it no more."""
    node, no_grad = view_tensor._node, origin == "no_grad" or view_tensor._node is None
    what = "A view" if node is None else \
        f"Output {view_tensor._output} of {forward_name(node)} is a view"
    if no_grad:
        what += " was created" if node is None else " of a view which was created"
        what += f" in no_grad mode and {done} modified inplace with grad mode enabled."
    else:
        what += f" and {done} modified inplace."
    return f"{what} {_WHY_FORBIDDEN[origin]}"


_WHY_FORBIDDEN = {
    "no_grad": (
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify "
        "your code by moving both the view and the inplace either both inside the no_grad block "
        "(if you don't want the inplace to be tracked) or both outside (if you want the inplace to "
        "be tracked)."),
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

# --- nodes ---------------------------------------------------------------------------------------

next_number = itertools.count(1).__next__
Edge = tuple["Node", int, tuple[int, ...], np.dtype]  # node, output, and the input's shape, dtype


class Node:
    """One recorded op. Each primitive has its own subclass, named as torch names it."""

    __slots__ = ("rank", "edges", "plan", "saved", "versions", "results", "values", "outputs",
                 "extras", "__weakref__")
    op: Any = None  # the primitive (primitive.Op); set on the subclass

    rank: int                   # minus the creation number: the engine's heap pops the newest first
    edges: list[Edge | None]    # one per differentiable input; None: no gradient wanted there
    plan: Any                   # which rules to run, and what each of them reads (primitive.Plan)
    saved: Any                  # the inputs that rules read, or FREED
    versions: tuple[int, ...]   # of the saved inputs; () if none was ever written in place
    results: tuple              # ((array, Version, version, output), ...)
    values: tuple               # keyword values and shapes that rules read
    outputs: int
    extras: Extras | None

    def apply(self, gradients: Any) -> list:
        """The gradients of the inputs, one per edge, from those of the outputs (None: zero)."""
        return self.plan.derive(gradients, self.unpack())

    def __call__(self, *gradients: Any) -> Any:
        derived = tuple(self.apply(gradients))
        return derived[0] if len(derived) == 1 else derived

    def unpack(self) -> list:
        """The values that the rules read, each checked to be what forward saw."""
        saved = self.saved
        if saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        known = [*saved]
        for tensor in known:
            if tensor is not None and tensor._counter is not None:
                self.check_versions(known)
                break
        for array, counter, version, output in self.results:
            if counter.count != version:
                raise RuntimeError(modified(self, wrap(array), counter.count, version, len(known)))
            known.append(rebuild(self, array, counter, output))
        known += self.values
        return known

    def check_versions(self, saved: list) -> None:
        """Raise if a saved input was written in place since."""
        expected = self.versions or (0,) * len(saved)
        for slot, (now, then) in enumerate(zip(versions_of(saved), expected, strict=True)):
            if now != then:
                raise RuntimeError(modified(self, saved[slot], now, then, slot))
            if saved[slot] is not None and self.is_detached(saved[slot], slot):
                raise RuntimeError(
                    "Trying to use a saved tensor that has been detached in-place, i.e. with "
                    ".detach_().This is not supported, please use out-of-place `.detach()` instead")

    def is_detached(self, tensor: TensorBase, slot: int) -> bool:
        """Whether a saved input has lost, to detach_(), the history it came with."""
        op, position = self.op, self.plan.inputs[slot]
        if not op.every_input:
            if position not in op.differentiable:
                return False
            position = op.differentiable.index(position)
        edge = self.edges[position] if self.edges else None
        return edge is not None and tensor.grad_fn is None and type(edge[0]) is not AccumulateGrad

    def release(self) -> None:
        """Drop what only this node's backward needed."""
        if self.saved or self.results:
            self.saved, self.results = FREED, ()

    def name(self) -> str:
        kind = type(self).__name__
        by_hand = "Backward" not in kind or kind == "CopyBackwards"  # in torch's C++, not generated
        return f"torch::autograd::{kind}" if by_hand else kind

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        return tuple((None, 0) if edge is None else edge[:2] for edge in self.edges)

    @property
    def metadata(self) -> dict:
        return extras_of(self).metadata

    def _sequence_nr(self) -> int:
        return -self.rank

    def register_hook(self, hook: Any) -> Any:
        """`hook(grad_inputs, grad_outputs)` after this node has run; it may replace grad_inputs."""
        return extras_of(self).post_hooks.add(hook)

    def register_prehook(self, hook: Any) -> Any:
        """`hook(grad_outputs)` before this node runs; it may replace grad_outputs."""
        return extras_of(self).pre_hooks.add(hook)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {hex(id(self))}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(f"_saved_{name}" for name in self.plan.saved_names)]

    def __getattr__(self, attribute: str) -> Any:
        """`_saved_other`, `_saved_result`, `_saved_dim`: what the rules will read."""
        if attribute.startswith("_saved_"):
            name = attribute.removeprefix("_saved_")
            if name == "self" or name.startswith("self_"):  # torch's name for the first input
                name = self.op.inputs[0] + name.removeprefix("self")
            name = name.replace("_sym_sizes", "_shape")
            if name in self.plan.saved_names:
                return self.unpack()[self.plan.saved_names.index(name)]
        raise AttributeError(f"'{self.name()}' object has no attribute '{attribute}'")


FREED: Any = object()
SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward.")


def rebuild(node: Node, array: Any, counter: Version, output: int) -> TensorBase:
    """A node's own result as a tensor again, in its old place in the graph."""
    if node.extras is not None and node.extras.through_base is not None and mode.grad:
        return node.extras.through_base(counter)
    tensor = wrap(array)
    tensor._node, tensor._output, tensor._tracked, tensor._counter = node, output, True, counter
    return tensor


def forward_name(node: Node) -> str:
    """"Mul" for MulBackward0, "Sum1" for SumBackward1: how torch's messages call an op."""
    name = node.name()
    return name if "::" in name else name.replace("Backward", "").removesuffix("0")


def modified(node: Node, tensor: TensorBase, found: int, expected: int, slot: int) -> str:
    """torch's words for a saved tensor that was overwritten, then where it was saved and a cure."""
    op, name = node.op, node.plan.saved_names[slot]
    kind = f"{device_of(tensor._data).type}.".replace("cpu.", "")
    made_by = tensor.grad_fn
    producer = "" if made_by is None else \
        f", which is output {tensor._output} of {forward_name(made_by)},"
    if name in op.outputs:
        written = node.extras is not None and node.extras.through_base is not None
        producer = f", which is output 0 of {'AsStrided' if written else forward_name(node)},"
        what = f"its own result ('{name}')"
    else:
        what = f"its input '{name}'"
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [torch.{kind}{dtypes.of(tensor._data.dtype).scalar_name}Tensor "
        f"{list(tensor._data.shape)}]{producer} is at version {found}; expected version {expected} "
        f"instead. Hint: {node.name()} (the op `{op.name}`) saved {what} and a later in-place op "
        "overwrote it. Write the later op out of place (`x = x + y` instead of `x += y`, "
        "`x = x.relu()` instead of `x.relu_()`), or pass a copy: "
        f"`{op.name}(..., {name}.clone(), ...)`.")


class AccumulateGrad(Node):
    """The end of the line: adds what arrives to `variable.grad`."""

    __slots__ = ("variable",)
    variable: TensorBase

    def unpack(self) -> list:
        return []

    def __getattr__(self, attribute: str) -> Any:
        raise AttributeError(f"'AccumulateGrad' object has no attribute '{attribute}'")


def accumulator(leaf: TensorBase) -> AccumulateGrad:
    """The leaf's AccumulateGrad node. Graphs hold it; the leaf only remembers it weakly, since the
    node holds the leaf."""
    remembered = leaf._accumulator
    node: Any = None if remembered is None else remembered()
    if node is None:
        node = _new(AccumulateGrad)
        node.rank = next_number()  # older than every op: leaves come last
        node.edges, node.saved, node.versions, node.results, node.values = [], (), (), (), ()
        node.plan, node.outputs, node.extras, node.variable = None, 1, None, leaf
        leaf._accumulator = weakref.ref(node)
    return node


def is_cut_off(tensor: TensorBase) -> bool:
    """Whether this is a view made under no_grad. It says that it requires a gradient, because its
    base does, but none gets anywhere from it."""
    view = tensor._view
    return view is not None and not view.requires_grad and tensor.grad_fn is None


def edge_of(tensor: TensorBase) -> Edge | None:
    """Where this tensor's gradient goes."""
    node = tensor.grad_fn
    if node is None:
        if is_cut_off(tensor):
            return None
        node = accumulator(tensor)
    data = tensor._data
    return node, tensor._output, data.shape, data.dtype


def new_node(kind: type[Node], edges: list, plan: Any = None, saved: Any = (),
             results: tuple = (), values: tuple = (), outputs: int = 1) -> Any:
    """A node of class `kind`, newer than every node before it."""
    node = _new(kind)
    node.rank = -next_number()
    node.edges = edges
    node.plan = plan
    node.saved = saved
    node.versions = ()
    node.results = results
    node.values = values
    node.outputs = outputs
    node.extras = None
    return node


class Extras:
    """What few nodes have: hooks, and a dictionary of the user's own.

    `tensor_hooks[i]` are the hooks registered on output i as a tensor; `retained[i]` is a weak
    reference to the tensor that wants output i's gradient as its `.grad`; `through_base` gives the
    result of a write through a view the history that it has in the base (inplace.py).
    """

    __slots__ = ("pre_hooks", "post_hooks", "tensor_hooks", "retained", "metadata",
                 "through_base")

    def __init__(self) -> None:
        self.pre_hooks, self.post_hooks = Hooks(), Hooks()
        self.tensor_hooks: dict[int, Hooks] = {}
        self.retained: dict[int, weakref.ref] = {}
        self.metadata: dict = {}
        self.through_base: Any = None


class LeafHooks:
    """The hooks of a leaf: on its gradient before, and on the leaf after, `.grad` is added to."""

    __slots__ = ("tensor", "post_accumulate")

    def __init__(self) -> None:
        self.tensor, self.post_accumulate = Hooks(), Hooks()


def extras_of(node: Node) -> Extras:
    if node.extras is None:
        node.extras = Extras()
    return node.extras
