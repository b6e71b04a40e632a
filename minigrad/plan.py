"""What a node remembers and runs, worked out once for each set of inputs that need gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


class Plan:
    """For one set of inputs that need gradients: what to save, and the rules to run.

    `derive(gradients, known)` returns the gradients of all edges. Backward spends its time here, so
    the calls of the rules are written out as one expression and compiled: for x * y it is
    `[input(gradients[0], known[1]), other(gradients[0], known[0])]`.
    """

    __slots__ = ("inputs", "pick", "results", "values", "derive", "saved_names", "keeps_tensors",
                 "by_name")

    def __init__(self, op: Any, wanted: tuple[bool, ...]) -> None:
        active = [(at, rule) for at, rule in op.steps(wanted)
                  if any(wanted[at] if isinstance(at, slice) else (wanted[at],))]
        reads = {name for _, rule in active for name in reads_of(rule)} - {"needs"}
        self.inputs = tuple(i for i, name in enumerate(op.inputs) if name in reads)
        self.pick = _picker(self.inputs, whole=len(self.inputs) == len(op.inputs))
        self.results = tuple(i for i, name in enumerate(op.outputs) if name in reads)
        inputs = [op.inputs[i] for i in self.inputs]
        results = [op.outputs[i] for i in self.results]
        self.values = tuple(sorted(reads.difference(inputs, results)))
        self.saved_names = (*inputs, *results, *self.values)
        self.derive = _compiled(active, self.saved_names, wanted)
        self.keeps_tensors = bool(self.inputs or self.results)
        # torch looks at what is saved in the order of its names, among which the first is "self".
        self.by_name = sorted(range(len(inputs)), key=lambda slot: (
            "self" if inputs[slot] == "input" else inputs[slot]))


def reads_of(rule: Any) -> tuple[str, ...]:
    """The names a rule asks for, from its code: inspect.signature is 50 times slower, and `import
    minigrad` would feel it."""
    code = rule.__code__
    return code.co_varnames[1:code.co_argcount]


def _picker(places: tuple[int, ...], whole: bool) -> Callable:
    """What takes the saved inputs out of all inputs."""
    if whole:
        return tuple
    if len(places) == 1:
        (place,) = places
        return lambda inputs: (inputs[place],)
    return operator.itemgetter(*places) if places else tuple


def _compiled(active: list, saved_names: tuple[str, ...], wanted: tuple[bool, ...]) -> Callable:
    """The rules as one function (see Plan)."""
    items = {i: "None" for i in range(len(wanted))}
    names: dict[str, Any] = {}
    for number, (at, rule) in enumerate(active):
        gradient = rule.__code__.co_varnames[0]
        arguments = ["gradients" if gradient == "grads" else "gradients[0]"]
        for name in reads_of(rule):
            arguments.append(f"needs{number}" if name == "needs"
                             else f"known[{saved_names.index(name)}]")
        call = f"rule{number}({', '.join(arguments)})"
        names[f"rule{number}"] = rule
        if isinstance(at, slice):
            names[f"needs{number}"] = wanted[at]
            for i in range(at.start, at.stop):
                del items[i]
            items[at.start] = f"*{call}"
        else:
            items[at] = call
    source = ", ".join(items[i] for i in sorted(items))
    return eval(f"lambda gradients, known: [{source}]", names)
