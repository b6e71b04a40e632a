"""Forward mode: tangents that travel with the values, op by op.

Note [Tangents from the rules of backward]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An op's table entry has one direction only: its rule maps the gradient u of the result to J^T u.
Forward mode wants J t, for a tangent t of the input. But the rule is linear in u, and written in
ops that have derivatives; so the derivative of the rule *with respect to u*, contracted with t, is
(J^T)^T t = J t, whatever u was. That is `transposed`, and it serves every op. Three kinds of ops
have a shorter way, declared as `op.tangent` (autograd/forward_rules.py):

    "itself"       linear in all inputs together: the op, applied to the tangents (all views)
    "each"         linear in each input alone: the sum of the ops with one input's tangent each
    "elementwise"  J is diagonal, so it is its own transpose: the rule, applied to the tangent

Note [Dual levels]
~~~~~~~~~~~~~~~~~~
A `Level` is one forward differentiation under way. While it is open, every op on a tracked tensor
comes to `Level.record` (through primitive.record). It steps outside itself, to the level that it
was opened in or to none, has the op recorded there, and then computes the tangents of the result
there: so these computations have tangents and histories of their own, and hessians are forward
over reverse with nothing more said. Tangents lie in dictionaries with weak keys: when a level is
closed, nobody holds it any more, and all its tangents are gone.

A level goes on where recording for backward is off: `no_grad` then sets `mode.grad` to TANGENTS,
which is true but not True.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from . import primitive, promotion
from .core import DUAL, TANGENTS, edge_of, extras_of, mode, switches, wrap
from .device import array_module
from .dtypes import DIFFERENTIABLE
from .engine import fit, run_backward
from .ops.strided import geometry, strided_view
from .plan import Plan


class Level:
    """One forward differentiation under way (see Note [Dual levels])."""

    __slots__ = ("outer", "number", "__weakref__")

    def __init__(self) -> None:
        self.outer: Level | None = mode.level
        self.number: int = 0 if self.outer is None else self.outer.number + 1

    def open(self) -> None:
        switches.add("levels", 1)
        mode.level, mode.off = self, TANGENTS
        if mode.grad is False and not mode.inference:
            mode.grad = TANGENTS

    def close(self) -> None:
        switches.add("levels", -1)
        _step_outside(self)

    # --- an op ---

    def record(self, op: Any, data: Any, inputs: tuple, values: dict) -> Any:
        """What primitive.record does, and the tangents of the result."""
        with Outside(self):
            if mode.grad:
                outputs = primitive.record(op, data, inputs, values, False)
            elif type(data) is tuple:
                outputs = tuple([wrap(promotion.as_array(np, each)) for each in data])
            else:
                outputs = wrap(promotion.as_array(np, data))
            tangents = [None if tensor is None else self.of(tensor) for tensor in inputs]
            if op.rules and any(each is not None for each in tangents):
                several = outputs if type(outputs) is tuple else (outputs,)
                found = KINDS.get(op.tangent, op.tangent)(op, inputs, values, several, tangents)
                for number, (output, tangent) in enumerate(zip(several, found, strict=True)):
                    if output._data.dtype in DIFFERENTIABLE:
                        self.set(output, zeros_like(output) if tangent is None else tangent)
                        if output._node is not None and output._node.results:
                            extras_of(output._node).tangents[number] = output._tangents
        return outputs

    # --- a tensor's tangent ---

    def of(self, tensor: Any) -> Any:
        """The tangent of `tensor`, or None. A view may have one through its base."""
        found = getattr(tensor, "_tangents", None)
        if found is not None and self in found:
            return found[self]
        view = tensor._view
        if view is None:
            return None
        whole = self.of(view.base)
        if whole is None or view.base._data.strides != whole._data.strides:
            return None
        part = strided_view(whole, geometry(tensor, view.base))
        self.set(tensor, part)
        return part

    def set(self, tensor: Any, tangent: Any) -> None:
        """Give `tensor` this tangent, laid out as it is: so that the tangents of views can be views
        of the tangent."""
        found = getattr(tensor, "_tangents", None)
        if found is None:
            tensor._tangents = found = weakref.WeakKeyDictionary()
        found[self] = laid_out(tangent, tensor)
        if not tensor._tracked:
            tensor._tracked = DUAL

    def copy(self, source: Any, target: Any) -> None:
        """Give `target` the tangents of `source` at this level and those around it."""
        level: Level | None = self
        while level is not None:
            with Outside(level):
                tangent = level.of(source)
                if tangent is not None:
                    level.set(target, tangent if target._data is source._data else tangent.clone())
            level = level.outer

    def write(self, target: Any, result: Any) -> None:
        """`result` is written over `target`: so is its tangent, also in what `target` views."""
        level: Level | None = self
        while level is not None:
            with Outside(level):
                level.overwrite(target, level.of(result))
            level = level.outer

    def overwrite(self, target: Any, new: Any) -> None:
        """Make `new` (None: zero) the tangent of `target`, after a write in place."""
        old = self.of(target)
        if new is None:
            if old is not None:
                old.zero_()
        elif old is not None:
            old.copy_(new)
        elif target._view is None:
            self.set(target, new.clone())
        else:
            base = target._view.base
            self.set(base, zeros_like(base))
            self.of(target).copy_(new)


class NoTangents:
    """No level and no recording: what a Function's own forward runs in."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before = mode.level, mode.off, mode.grad
        mode.level, mode.off, mode.grad = None, False, False

    def __exit__(self, *error: object) -> None:
        mode.level, mode.off, mode.grad = self.before


class Outside:
    """Inside the block, what holds outside of `level`: the level around it, or none."""

    __slots__ = ("level", "before")

    def __init__(self, level: Level) -> None:
        self.level = level

    def __enter__(self) -> None:
        self.before = mode.level, mode.off, mode.grad
        _step_outside(self.level)

    def __exit__(self, *error: object) -> None:
        mode.level, mode.off, mode.grad = self.before


def _step_outside(level: Level) -> None:
    mode.level = level.outer
    if level.outer is None:
        mode.off = False
        mode.grad = mode.grad is True


def set_tangent(level: Level, tensor: Any, tangent: Any) -> None:
    """Give a tensor a tangent from outside, if the shapes are the same."""
    if tangent._data.shape != tensor._data.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            "Tensor, this is not supported. Tensor is of size "
            f"{list(tensor._data.shape)} while the given forward gradient is of size "
            f"{list(tangent._data.shape)}.")
    level.set(tensor, tangent)


def zeros_like(tensor: Any) -> Any:
    return wrap(array_module(tensor._data).zeros_like(tensor._data))


def laid_out(tangent: Any, like: Any) -> Any:
    """`tangent` itself, or a copy with the strides of `like` if its own are others."""
    wanted, have = like._data.strides, tangent._data.strides
    if wanted == have or 0 in wanted or 0 in like._data.shape:
        return tangent
    size = tangent._data.dtype.itemsize
    item = like._data.dtype.itemsize
    if [s // item for s in wanted] == [s // size for s in have]:
        return tangent  # of another dtype
    fresh = tangent.new_empty_strided(like._data.shape, [s // item for s in wanted])
    return fresh.copy_(tangent)


# --- the tangent of an op's result ----------------------------------------------------------------

def transposed(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    """J t as the derivative of u -> J^T u (see Note [Tangents from the rules of backward])."""
    places, plan, known = _rules(op, inputs, values, outputs, tangents)
    create_graph = mode.grad is True
    before, mode.grad = mode.grad, True
    try:
        dummies: list[Any] = []
        for output in outputs:
            dummy = None
            if output._data.dtype in DIFFERENTIABLE:
                dummy = zeros_like(output)
                dummy._tracked = True
            dummies.append(dummy)
        roots, weights = [], []
        for place, derived in zip(places, plan.derive(dummies, known), strict=True):
            if derived is not None and tangents[place] is not None:
                data = inputs[place]._data
                root = fit(derived, data.shape, data.dtype)
                if root.requires_grad:
                    roots.append(root)
                    weights.append(fit(tangents[place], data.shape, data.dtype))
    finally:
        mode.grad = before
    if not roots:
        return [None] * len(outputs)
    found = iter(run_backward([_place(root) for root in roots], weights, create_graph, create_graph,
                              [_place(dummy) for dummy in dummies if dummy is not None],
                              accumulate=False))
    return [None if dummy is None else next(found) for dummy in dummies]


def _place(tensor: Any) -> Any:
    """Where the tensor's gradient arrives: a node and its output."""
    edge: Any = edge_of(tensor)
    return edge[:2]


def elementwise(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> list:
    """The rule itself, between two conjugations: torch's gradients are conjugates."""
    (output,) = outputs
    total: Any = None
    for place, tangent in enumerate(tangents):
        if tangent is not None and (op.every_input or place in op.differentiable):
            if tangent._data.shape != output._data.shape:
                tangent = tangent.expand(output._data.shape)
            only = [tangent if i == place else None for i in range(len(inputs))]
            places, plan, known = _rules(op, inputs, values, outputs, only)
            part = plan.derive([tangent.conj()], known)[places.index(place)].conj()
            total = part if total is None else total + part
    return [None if total is None else fit(total, output._data.shape, output._data.dtype)]


def itself(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> Any:
    """The op, applied to the tangents instead of the inputs."""
    moving = [*inputs]
    for place in range(len(inputs)) if op.every_input else op.differentiable:
        if inputs[place] is not None:
            tangent = tangents[place]
            moving[place] = zeros_like(inputs[place]) if tangent is None else tangent
    result = op.call(*moving, **values)
    return result if type(result) is tuple else (result,)


def each(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> Any:
    """The sum of the ops with one input replaced by its tangent."""
    total: Any = None
    for place, tangent in enumerate(tangents):
        if tangent is not None:
            part = op.call(*inputs[:place], tangent, *inputs[place + 1:], **values)
            total = part if total is None else total + part
    return (total,)


KINDS = {"transposed": transposed, "elementwise": elementwise, "itself": itself, "each": each}


def _rules(op: Any, inputs: Any, values: dict, outputs: tuple, tangents: list) -> tuple:
    """The places of the inputs that have rules, the plan for those with tangents, and the values
    that its rules read."""
    places = range(len(inputs)) if op.every_input else op.differentiable
    wanted = tuple([tangents[place] is not None for place in places])
    bits = sum(1 << i for i, each in enumerate(wanted) if each)
    key = (bits, len(places)) if op.variadic else bits
    plan = op.plans.get(key)
    if plan is None:
        plan = op.plans[key] = Plan(op, wanted)
    known = [*plan.pick(inputs)] if plan.inputs else []
    known += [outputs[i] for i in plan.results]
    known += [primitive._value(op, name, inputs, values) for name in plan.values]
    return places, plan, known

