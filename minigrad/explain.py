"""`explain(loss)`: the backward pass, told one node at a time.

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    print(minigrad.explain(lambda: (x * x).sum(), names={"x": x}))

For each node: where in the program it was made, the gradient that comes in, the rule as mathematics
and as code, what it sends on and to whom, and what has arrived at each leaf so far. `str()` of an
explanation is a text; its `steps` are the same as data, for pictures. Nobody's `.grad` is touched,
and the graph is not freed.

Where a node was made is known only if somebody looked when it was: `explain` looks while it calls
the function it is given; for a loss that exists already, make it inside `remember_lines()`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .autograd.function import FunctionNode
from .autograd.grad_mode import ContextDecorator
from .core import AccumulateGrad, Node, TensorBase, edge_of, mode, switches
from .engine import run_backward
from .inplace import CopySlices

__all__ = ["Explanation", "Leaf", "Line", "Rule", "Sent", "Step", "explain", "remember_lines"]

_OWN_FOLDER = str(Path(__file__).parent)


# --- what an explanation is made of --------------------------------------------------------------

@dataclass
class Line:
    """A line of a program."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}: {self.text}"


@dataclass
class Rule:
    """The derivative of an op by one or several of its inputs."""

    inputs: tuple[str, ...]
    source: str
    place: Line | None

    def __str__(self) -> str:
        where = f"   [{Path(self.place.file).name}:{self.place.number}]" if self.place else ""
        return f"{', '.join(self.inputs)}: {self.source}{where}"


@dataclass
class Sent:
    """A gradient on its way to a node, or to a leaf."""

    number: int      # of the step at which it is used; -1 for a leaf
    to: str
    gradient: Any
    node: Any        # to which it goes
    input: str       # of the op, whose gradient this is; "" if the op has no names for them


@dataclass
class Step:
    """One node's turn."""

    number: int
    node: Any
    name: str
    mathematics: str
    made_at: Line | None
    arrived: list[Any]
    rules: list[Rule]
    sent: list[Sent]
    accumulated: dict[str, Any] = field(default_factory=dict)


@dataclass
class Leaf:
    """Where gradients end up."""

    name: str
    tensor: Any
    gradient: Any
    node: Any  # the AccumulateGrad


@dataclass
class Explanation:
    """The steps of a backward pass, in order, and the leaves that it reached."""

    steps: list[Step]
    leaves: list[Leaf]

    def __str__(self) -> str:
        lines = []
        for step in self.steps:
            made = f"   made at {step.made_at}" if step.made_at else ""
            lines.append(f"step {step.number}: {step.name}{made}")
            lines += [f"    {text}" for text in step.mathematics.splitlines()]
            lines += [f"    arrives   {_brief(each)}" for each in step.arrived]
            lines += [f"    rule      {rule}" for rule in step.rules]
            for sent in step.sent:
                at = f" (step {sent.number})" if sent.number >= 0 else ""
                lines.append(f"    sends     {_brief(sent.gradient)} to {sent.to}{at}")
            lines += [f"    so far    {name}: {_brief(step.accumulated[name])}"
                      for name in dict.fromkeys(sent.to for sent in step.sent)
                      if name in step.accumulated]
        lines += [f"leaf {leaf.name}: gradient {_brief(leaf.gradient)}" for leaf in self.leaves]
        return "\n".join(lines)


def _brief(gradient: Any) -> str:
    """A gradient in one line: its numbers if they are few."""
    if gradient is None:
        return "nothing"
    if gradient.numel() <= 8:
        return " ".join(str(gradient.detach()).split())
    return f"{tuple(gradient.shape)}, norm {float(gradient.detach().norm()):.4g}"


# --- where nodes are made ------------------------------------------------------------------------

class remember_lines(ContextDecorator):
    """Inside, each new node remembers the line of the program that made it."""

    def __enter__(self) -> None:
        self.before, mode.observer = mode.observer, self
        switches.add("watching", 1)

    def __exit__(self, *error: object) -> None:
        mode.observer = self.before
        switches.add("watching", -1)

    def remember(self, node: Node, outputs: Any) -> None:
        """Called for each new node: note the innermost line that is not minigrad's own."""
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
            frame = frame.f_back
        if frame is not None:
            file, number = frame.f_code.co_filename, frame.f_lineno
            node.metadata["line"] = Line(file, number, linecache.getline(file, number).strip())

    def apply(self, node: Node, gradients: Any) -> Any:
        """The node's own gradients: backward is not watched."""
        return node.apply(gradients)


# --- walking -------------------------------------------------------------------------------------

def explain(loss: Any, names: Any = None, gradient: Any = None) -> Explanation:
    """Walk the backward pass of `loss`, a tensor or a function that returns one.

    `names` names the leaves: a dict or pairs, as from `named_parameters()`; else the variables of
    the caller are looked through, modules among them. `gradient` is what to begin with (1 for a
    scalar).
    """
    caller: Any = inspect.currentframe()
    known = _names(names if names is not None else caller.f_back.f_locals)
    if callable(loss) and not isinstance(loss, TensorBase):
        with remember_lines():
            loss = loss()
    if not isinstance(loss, TensorBase):
        raise TypeError("explain() takes a tensor, or a function that returns one, not "
                        f"{type(loss).__name__}")
    if not loss.requires_grad:
        raise RuntimeError("there is nothing to explain: the tensor does not require a gradient "
                           "and has no history")
    from . import autograd

    (start,) = autograd._initial_gradients((loss,), (gradient,))
    edge: Any = edge_of(loss)
    walk = _Walk(known)
    outer, mode.observer = mode.observer, walk
    try:
        leaves = _leaves_behind(edge[0])
        found = run_backward([edge[:2]], [start], True, False, [(leaf, 0) for leaf in leaves],
                             accumulate=False)
    finally:
        mode.observer = outer
    walk.number_targets()
    return Explanation(walk.steps, [
        Leaf(walk.name(leaf), leaf.variable, gradient, leaf)
        for leaf, gradient in zip(leaves, found, strict=True)])


class _Walk:
    """Takes notes while the engine walks."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.steps: list[Step] = []
        self.accumulated: dict[str, Any] = {}
        self.called: dict[int, str] = {}
        self.uses: Counter[str] = Counter()

    def remember(self, node: Node, outputs: Any) -> None:
        """Nothing: no nodes are made while it runs."""

    def apply(self, node: Node, gradients: Any) -> Any:
        """The node's own gradients, written down."""
        derived = node.apply(gradients)
        op = _op_of(node)
        step = Step(
            len(self.steps), node, self.name(node), _mathematics(op), node.metadata.get("line"),
            [None if each is None else each.detach() for each in gradients],
            list(_rules(node)), [])
        names = _input_names(node)
        for edge, gradient, name in zip(node.edges, derived, names, strict=True):
            if edge is not None and gradient is not None:
                self._note(step, edge[0], gradient.detach(), name)
        step.accumulated = dict(self.accumulated)
        self.steps.append(step)
        return derived

    def _note(self, step: Step, target: Node, gradient: Any, name: str) -> None:
        sent = Sent(-1, self.name(target), gradient, target, name)
        step.sent.append(sent)
        if isinstance(target, AccumulateGrad):
            from .engine import fit

            fitting = fit(gradient, target.variable._data.shape, target.variable._data.dtype)
            before = self.accumulated.get(sent.to)
            self.accumulated[sent.to] = fitting if before is None else before + fitting

    def name(self, node: Node) -> str:
        if not isinstance(node, AccumulateGrad):
            return node.name().removeprefix("torch::autograd::")
        leaf = node.variable
        if id(leaf) not in self.called:  # two leaves never share a name
            name = self.names.get(id(leaf)) or f"a leaf of shape {tuple(leaf._data.shape)}"
            self.uses[name] += 1
            self.called[id(leaf)] = name if self.uses[name] == 1 else f"{name} #{self.uses[name]}"
        return self.called[id(leaf)]

    def number_targets(self) -> None:
        """Tell each gradient the step that uses it, now that all have their numbers."""
        numbers = {id(step.node): step.number for step in self.steps}
        for step in self.steps:
            for sent in step.sent:
                sent.number = numbers.get(id(sent.node), -1)


def _leaves_behind(start: Node) -> list[Any]:
    """All leaves that a gradient may reach, in the order they were made."""
    found, stack = {start}, [start]
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found.add(edge[0])
                stack.append(edge[0])
    return sorted((node for node in found if isinstance(node, AccumulateGrad)),
                  key=lambda node: node.rank)


def _names(given: Any) -> dict[int, str]:
    """What tensors are called, by their id."""
    pairs: Iterable = given.items() if hasattr(given, "items") else given
    found: dict[int, str] = {}
    for name, value in pairs:
        if isinstance(value, TensorBase):
            found.setdefault(id(value), name)
        elif hasattr(value, "named_parameters"):
            for own, parameter in value.named_parameters():
                found.setdefault(id(parameter), f"{name}.{own}")
    return found


# --- rules as text -------------------------------------------------------------------------------

def _op_of(node: Node) -> Any:
    return node.fn.op if isinstance(node, CopySlices) else node.op


def _input_names(node: Node) -> list[str]:
    """What the op calls the inputs that the node's edges belong to."""
    op = node.op
    if op is None or op.variadic or len(op.differentiable) != len(node.edges):
        return [""] * len(node.edges)
    return [op.inputs[place] for place in op.differentiable]


def _mathematics(op: Any) -> str:
    """The formula that the op's docstring opens with; of an op without one, the words of the method
    or function that calls it."""
    if op is None:
        return ""
    told = op.kernel.__doc__
    if not told and op.name != "backward":  # of what pooling saves; the method is another
        library = sys.modules[__package__]
        places = (library.Tensor, library, library.nn.functional)
        found = [getattr(place, op.name) for place in places if hasattr(place, op.name)]
        told = found[0].__doc__ if found else None
    return inspect.cleandoc(told or "").split("\n\n")[0]


def _rules(node: Node) -> Iterable[Rule]:
    """The rules that this node runs."""
    if isinstance(node, FunctionNode):
        backward = node.function.backward
        yield Rule(("every input",), *source_of(backward))
        return
    inner = node.fn if isinstance(node, CopySlices) else node
    if inner.op is None:
        return
    wanted = {inner.op.inputs[place] for place, edge in zip(
        inner.op.differentiable, inner.edges, strict=False) if edge is not None}
    for inputs in inner.op.rules:
        if wanted.intersection(inputs) or inner.op.variadic:
            yield _rule_of(inner.op, inputs)


@functools.cache
def _rule_of(op: Any, inputs: tuple[str, ...]) -> Rule:
    """An op's rule, looked up once: ops are as lasting as the library."""
    return Rule(inputs, *source_of(op.rules[inputs]))


def source_of(function: Callable) -> tuple[str, Line | None]:
    """The source of a rule, be it a lambda inside a longer statement, and where it stands."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function), None
    file, number = code.co_filename, code.co_firstlineno
    line = Line(file, number, linecache.getline(file, number).strip())
    for node in _functions_in(file).get(number, ()):
        if isinstance(node, ast.FunctionDef) or _encloses(node, code):
            return _tidied(_text_of(node, file), node.col_offset), line
    return line.text, line


def _encloses(node: ast.Lambda, code: Any) -> bool:
    """Whether the code comes from this lambda, and not from another on the same line."""
    inside = max((line, column) for line, _, column, _ in code.co_positions()
                 if line is not None and column is not None)
    return (node.lineno, node.col_offset) <= inside < (node.end_lineno, node.end_col_offset)


def _text_of(node: ast.Lambda | ast.FunctionDef, file: str) -> str:
    """What ast.get_source_segment returns, which splits the whole file into lines each time."""
    lines = [line.encode() for line in linecache.getlines(file)[node.lineno - 1:node.end_lineno]]
    lines[-1] = lines[-1][:node.end_col_offset]
    lines[0] = lines[0][node.col_offset:]
    return b"".join(lines).decode()


def _tidied(text: str, column: int) -> str:
    """A lambda of several lines in one; a function moved to the left."""
    if text.startswith("lambda"):
        return re.sub(r"(?<=[(\[{]) | (?=[)\]}])", "", " ".join(text.split()))
    return textwrap.dedent(" " * column + text)


@functools.cache
def _functions_in(file: str) -> dict[int, list]:
    """The lambdas and functions of a file, by the line on which they begin."""
    found: dict[int, list] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda | ast.FunctionDef):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(each.lineno for each in decorators)])
            found.setdefault(first, []).append(node)
    return found
