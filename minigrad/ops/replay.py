"""Derivatives of a backward kernel without a rule: what it did is done again and recorded.

Note [Replay]
~~~~~~~~~~~~~
A backward kernel written by hand computes $\\bar x = J(x)^T \\bar y$ for some function $y = f(x)$.
Its own derivatives, in $x$ and in $\\bar y$, are rarely asked for and long to write. So when they
are, f is computed once more as a composition of ops that are recorded, its gradients are taken from
that recording, recorded too, and these are then differentiated. The first-order gradients keep the
fast kernel; and as each step is recorded when the caller records, this works for every order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import engine
from ..core import edge_of, mode


def gradients_of_gradients(
    function: Callable, inputs: tuple, grad_outputs: tuple, wanted: Sequence[bool],
    arrived: Sequence[Any], needs: Sequence[bool],
) -> list:
    """The gradients of `(*grad_outputs, *inputs)`, where `needs` asks for them.

    The kernel turned `grad_outputs` into the gradients of those `inputs` that are `wanted`, and for
    these `arrived` holds the gradients that came back (or None). `function(*inputs)` is what was
    differentiated, made of recorded ops.
    """
    recording = mode.grad
    mode.grad = True
    try:
        count = len(grad_outputs)
        needed = (*needs[:count], *[a or b for a, b in zip(needs[count:], wanted, strict=True)])
        # Copies stand for the operands: their histories lead to each other (a gradient's to the
        # input it is one of), and only what lies between them and the results is meant here.
        copies = [_variable(each, need) for each, need in
                  zip((*grad_outputs, *inputs), needed, strict=True)]
        cotangents, variables = copies[:count], copies[count:]
        outputs = function(*variables)
        pairs = [(output, cotangent) for output, cotangent in
                 zip(outputs, cotangents, strict=True)
                 if cotangent is not None and output.requires_grad]
        places = [i for i, want in enumerate(wanted) if want]
        first = _gradients(pairs, [variables[i] for i in places], create_graph=True)
        pairs = [(gradient, arrived[i]) for i, gradient in zip(places, first, strict=True)
                 if gradient is not None and arrived[i] is not None and gradient.requires_grad]
        targets = [i for i, need in enumerate(needs) if need]
        second = _gradients(pairs, [copies[i] for i in targets], create_graph=recording)
    finally:
        mode.grad = recording
    found: list[Any] = [None] * len(needs)
    for i, gradient in zip(targets, second, strict=True):
        found[i] = gradient
    return found


def _variable(tensor: Any, need: bool) -> Any:
    """A copy with a history of its own: the tensor's, if it has one; else it is a leaf."""
    if tensor is None or not need:
        return tensor
    return tensor.clone() if tensor.requires_grad else tensor.detach().clone().requires_grad_()


def _gradients(pairs: list, variables: list, create_graph: bool) -> list:
    if not pairs or not variables:
        return [None] * len(variables)
    roots, gradients = zip(*pairs, strict=True)
    return engine.run_backward([_place(root) for root in roots], gradients, True, create_graph,
                               [_place(variable) for variable in variables], accumulate=False)


def _place(tensor: Any) -> Any:
    """The node that made a tensor, and which of its outputs it is."""
    edge = edge_of(tensor)
    return None if edge is None else edge[:2]
