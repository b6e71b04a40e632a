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
from .graph_errors import INFERENCE_SAVED, SECOND_BACKWARD, forbidden_write, modified
from .hooks import Hooks


class Mode(threading.local):
    """What holds for this thread right now; autograd/grad_mode.py and amp.py change it."""

    grad: Any = True        # False: nothing is recorded; TANGENTS: only forward AD goes on
    off: Any = False        # what no_grad makes of it: TANGENTS where a dual level is open
    level: Any = None       # the innermost open dual level (tangents.py)
    autocast: Any = None
    inference = False
    saved_hooks: tuple = ()     # the (pack, unpack) pairs in force, the innermost last (saved.py)
    mutations: Any = None       # who copies saved tensors before they are written (autograd/graph)
    check_nan = True            # whether anomaly detection looks for nan
    observer: Any = None        # is shown each new node and runs it (anomaly.py, explain.py)
    backward: Any = None        # the backward that this thread is running (engine.Backward)

    def __init__(self) -> None:  # runs once in each thread
        np.seterr(all="ignore")  # inf and nan are values, as in torch; setting it per op costs 1 µs


mode = Mode()
TANGENTS: Any = "tangents"  # true, so that ops with tracked inputs are not passed over
DUAL: Any = "dual"          # the `_tracked` of what has a tangent and requires no gradient


class Switches:
    """How many `with` blocks, in all threads, ask for what few programs use: every op tests these
    plain numbers, and looks at its own thread's `mode` only if one of them is not 0."""

    __slots__ = ("watching", "inference", "levels", "leaf_hooks", "lock")

    watching: int    # new nodes are shown to saved.watch: hooks on saved tensors, anomaly detection
    inference: int   # new tensors may be inference tensors
    levels: int      # dual levels are open: ops have tangents to compute (tangents.py)
    leaf_hooks: int  # some leaf has hooks: backward must not keep them waiting (engine.py)

    def __init__(self) -> None:
        self.watching = self.inference = self.levels = self.leaf_hooks = 0
        self.lock = threading.Lock()

    def add(self, name: str, change: int) -> None:
        with self.lock:
            setattr(self, name, getattr(self, name) + change)


switches = Switches()


class Version:
    """How often a piece of memory was written in place; shared by all tensors that see it."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


INFERENCE = Version()  # in the place of their counter, what all inference tensors share


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

    __slots__ = ("_data", "_in_rows", "_tracked", "_node", "_output", "_grad", "_counter", "_view",
                 "_hooks", "_accumulator", "_tangents", "__weakref__")

    _data: Any                      # numpy.ndarray or cupy.ndarray
    _in_rows: bool                  # True: the array is known to lie in memory row after row
    _tracked: bool                  # False: no gradient can flow here
    _node: Node | None              # what produced this tensor (may be stale for a view)
    _output: int                    # which of the node's outputs it is
    _grad: TensorBase | None
    _counter: Version | None        # made when first shared or written
    _view: View | None
    _hooks: LeafHooks | None        # a leaf's hooks, once it has any
    _accumulator: weakref.ref | None  # the leaf's AccumulateGrad node, while a graph holds it
    _tangents: weakref.WeakKeyDictionary  # by dual level; not there at all but in forward AD

    @property
    def requires_grad(self) -> bool:
        """Whether operations on the tensor are recorded, so that it has a gradient."""
        view = self._view
        if view is None:
            return self._tracked is True
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
        if self._counter is INFERENCE:
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self._counter is None else self._counter.count

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return dtypes.of(self._data.dtype)

    @property
    def device(self) -> device:
        """Where the elements are."""
        return device_of(self._data)


Tensor: type[TensorBase] = TensorBase  # tensor.py puts the full class here
_new = object.__new__
_ndarray = np.ndarray


def wrap(data: Any, in_rows: bool = False) -> Any:
    """A new tensor around an array, outside any graph. Who knows that the array lies `in_rows` says
    so: to ask it takes longer than most of what is done here."""
    tensor = _new(Tensor)
    tensor._data = data
    tensor._in_rows = in_rows or data.flags.c_contiguous
    tensor._tracked = False
    tensor._node = tensor._grad = tensor._counter = tensor._view = None
    tensor._hooks = tensor._accumulator = None
    tensor._output = 0
    if switches.inference and mode.inference:
        tensor._counter = INFERENCE
    return tensor


def give_array(tensor: TensorBase, data: Any) -> None:
    """Let the tensor have another array."""
    tensor._data = data
    tensor._in_rows = data.flags.c_contiguous


NUMBER = -1  # the `_output` of a Python number among an op's operands (promotion.wrap_number)


def may_flow(tensor: TensorBase) -> bool:
    """Whether a derivative may be wanted by this tensor: a gradient, or a tangent."""
    return mode.level is not None or mode.grad is True and tensor.requires_grad


def version_of(tensor: TensorBase) -> Version:
    """The tensor's version counter, made now if nobody needed it before."""
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    return counter


def versions_of(tensors: Any) -> tuple[int, ...]:
    """How often each tensor's memory has been written; an optional one that is missing, never."""
    counters = [None if tensor is None else tensor._counter for tensor in tensors]
    if INFERENCE in counters:
        raise RuntimeError(INFERENCE_SAVED)
    return tuple([0 if counter is None else counter.count for counter in counters])


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
    keep_retaining(view_tensor, fresh._node)
    view_tensor._node, view_tensor._output = fresh._node, fresh._output
    view.seen = view_tensor._counter.count  # type: ignore[union-attr]


def look_at_histories(tensors: Any) -> None:
    """Let stale views look at their bases now. torch does so before an op looks at anything else:
    if one is a view that nobody must look at any more, that is the op's first complaint."""
    if mode.grad is True:
        for tensor in tensors:
            if isinstance(tensor, TensorBase) and tensor._view is not None:
                tensor.grad_fn  # noqa: B018 (asked for its effect)


def after_history(error: Exception, *tensors: Any) -> Exception:
    """The error to raise about `tensors`, unless one of their histories has to be raised first."""
    look_at_histories(tensors)
    return error


# --- nodes ---------------------------------------------------------------------------------------

next_number = itertools.count(1).__next__
Edge = tuple["Node", int, tuple[int, ...], np.dtype]  # node, output, and the input's shape, dtype


class Node:
    """One recorded op. Each primitive has its own subclass, named as torch names it."""

    __slots__ = ("rank", "edges", "plan", "saved", "versions", "results", "values", "outputs",
                 "extras", "__weakref__")
    op: Any = None  # the primitive (primitive.Op); set on the subclass
    raw_saved: Any  # saved.SavedTensor; set there

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
        plan = self.plan
        return plan.derive(gradients, self.unpack() if plan.keeps_tensors else self.values)

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
        found, expected = versions_of(saved), self.versions or (0,) * len(saved)
        several = len(found) != len(self.plan.inputs)  # the last input stands for a list of tensors
        for slot in range(len(found)) if several else self.plan.by_name:
            now, then = found[slot], expected[slot]
            if saved[slot] is not None and self.is_detached(saved[slot], slot):
                raise RuntimeError(
                    "Trying to use a saved tensor that has been detached in-place, i.e. with "
                    ".detach_().This is not supported, please use out-of-place `.detach()` instead")
            if now != then:
                raise RuntimeError(modified(self, saved[slot], now, then, slot))

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
        """The node's name, which is torch's: MulBackward0."""
        kind = type(self).__name__
        by_hand = "Backward" not in kind or kind == "CopyBackwards"  # in torch's C++, not generated
        return f"torch::autograd::{kind}" if by_hand else kind

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Where each input's gradient goes: a node and the number of its output."""
        return tuple((None, 0) if edge is None else edge[:2] for edge in self.edges)

    @property
    def metadata(self) -> dict:
        """Notes of anybody's about the node."""
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
        return [*super().__dir__(), *(f"{prefix}{name}" for name in self.plan.saved_names
                                      for prefix in ("_saved_", "_raw_saved_"))]

    def __getattr__(self, attribute: str) -> Any:
        """`_saved_other`, `_saved_result`, `_saved_dim`: what the rules will read; with `_raw`, a
        tensor among them as something that takes hooks (saved.SavedTensor)."""
        prefix, _, name = attribute.rpartition("saved_")
        if prefix in ("_", "_raw_"):
            if name == "self" or name.startswith("self_"):  # torch's name for the first input
                name = self.op.inputs[0] + name.removeprefix("self")
            name = name.replace("_sym_sizes", "_shape")
            if name in self.plan.saved_names:
                slot = self.plan.saved_names.index(name)
                return self.unpack()[slot] if prefix == "_" else self.raw_saved(self, slot)
            if prefix == "_" and name in self.op.inputs:
                return None  # no rule that runs here reads it
        raise AttributeError(f"'{self.name()}' object has no attribute '{attribute}'")


FREED: Any = object()


def rebuild(node: Node, array: Any, counter: Version, output: int) -> TensorBase:
    """A node's own result as a tensor again, in its old place in the graph."""
    extras = node.extras
    if extras is not None and extras.through_base is not None and mode.grad:
        tensor = extras.through_base(counter)
    else:
        tensor = wrap(array)
        tensor._node, tensor._output, tensor._tracked, tensor._counter = node, output, True, counter
    if extras is not None and output in extras.tangents:
        tensor._tangents = extras.tangents[output]
    return tensor


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
        node = AccumulateGrad()
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
    node = kind()
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
    result of a write through a view the history that it has in the base (inplace.py);
    `tangents[i]` are the tangents of output i.
    """

    __slots__ = ("pre_hooks", "post_hooks", "tensor_hooks", "retained", "metadata",
                 "through_base", "tangents")

    def __init__(self) -> None:
        self.pre_hooks, self.post_hooks = Hooks(), Hooks()
        self.tensor_hooks: dict[int, Hooks] = {}
        self.retained: dict[int, weakref.ref] = {}
        self.metadata: dict = {}
        self.through_base: Any = None
        self.tangents: dict[int, weakref.WeakKeyDictionary] = {}


class LeafHooks:
    """The hooks of a leaf: on its gradient before, and on the leaf after, `.grad` is added to."""

    __slots__ = ("tensor", "post_accumulate")

    def __init__(self) -> None:
        self.tensor, self.post_accumulate = Hooks(), Hooks()


def keep_retaining(tensor: TensorBase, node: Node | None, output: int = 0) -> None:
    """Before `tensor` becomes that output of `node`: its wish to keep its gradient goes along.

    Hooks stay behind, with the value that they were registered on.
    """
    old = tensor._node
    if old is not None and old.extras is not None and node is not None:
        reference = old.extras.retained.get(tensor._output)
        if reference is not None and reference() is tensor:
            del old.extras.retained[tensor._output]
            extras_of(node).retained[output] = reference


def extras_of(node: Node) -> Extras:
    if node.extras is None:
        node.extras = Extras()
    return node.extras
