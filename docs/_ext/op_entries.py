"""What the reference says about an op, gathered from the op itself: where it is public, its kernel,
its rules and what they save, the ops that they use, and its row in the table of parity.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import minigrad
from minigrad import ops
from minigrad.core import Node
from minigrad.explain import source_of
from minigrad.plan import reads_of

ROOT = Path(minigrad.__file__).parent.parent
NAMESPACES = {  # where torch's names are; the first one in which an op is found names it
    "torch": minigrad, "Tensor": minigrad.Tensor, "nn.functional": minigrad.nn.functional,
    "linalg": minigrad.linalg, "fft": minigrad.fft, "special": minigrad.special,
    "signal.windows": minigrad.signal.windows, "masked": minigrad.masked}
FACTS = ("shape", "dtype", "place", "layout")
OPERATORS: dict[type, str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "true_divide", ast.Pow: "pow",
    ast.MatMult: "matmul", ast.USub: "neg", ast.Invert: "bitwise_not", ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or"}


@dataclass
class Rule:
    """The derivative by one or several inputs."""

    inputs: tuple[str, ...]
    source: str
    place: str
    saves: list[str]          # arrays: inputs and results
    remembers: list[str]      # numbers, shapes, dtypes
    helpers: list[Callable]   # private functions that it calls
    uses: list[Entry] = field(default_factory=list)


@dataclass
class Entry:
    """One function of a family."""

    family: str
    name: str
    function: Any
    label: str
    paths: list[str] = field(default_factory=list)    # torch.sin, Tensor.sin
    aliases: list[str] = field(default_factory=list)  # its other names in the family's file
    rules: list[Rule] = field(default_factory=list)
    uses: list[Entry] = field(default_factory=list)
    rows: list[tuple[str, list[str]]] = field(default_factory=list)  # of parity, by variant

    @property
    def op(self) -> Any:
        return getattr(self.function, "op", None)

    @property
    def defined(self) -> Any:
        """The function that was written: the kernel, or what a decorator wraps."""
        inner = inspect.unwrap(self.function)
        return inner.op.kernel if hasattr(inner, "op") else inner

    @property
    def is_public(self) -> bool:
        return bool(self.paths)

    @property
    def title(self) -> str:
        if self.is_public or self.op is None or "NotImplemented" in self.op.node.__name__:
            return self.name
        return self.op.node.__name__

    def signature(self) -> str:
        """As it is called: a kernel's `xp` is not an argument of the op."""
        found = inspect.signature(self.defined)
        parameters = [each.replace(annotation=each.empty) for each in found.parameters.values()]
        if hasattr(inspect.unwrap(self.function), "op"):
            parameters = [each for each in parameters[1:] if each.name != "out"]
        text = str(inspect.Signature(parameters))
        if getattr(self.function, "takes_out", False):
            starred = any(each.kind is each.KEYWORD_ONLY for each in parameters)
            text = f"{text[:-1]}{'' if starred else ', *'}, out=None)".replace("(, ", "(")
        return f"{self.name}{text}"

    def source(self) -> tuple[str, str]:
        """The text of the definition and its place; of an op that another function has made, the
        statement that calls it."""
        module = importlib.import_module(f"{ops.__name__}.{self.family}")
        if self.defined.__code__.co_filename == module.__file__:
            lines, first = inspect.getsourcelines(self.defined)
            return textwrap.dedent("".join(lines)).rstrip(), place_of(module.__file__, first)
        return _statements_of(module).get(self.name, ("", place_of(module.__file__, 1)))


@functools.cache
def _statements_of(module: types.ModuleType) -> dict[str, tuple[str, str]]:
    """{name: (the assignment that makes it, its place)}."""
    text = inspect.getsource(module)
    found = {}
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(each, ast.Name):
                    found[each.id] = (ast.get_source_segment(text, node) or "",
                                      place_of(module.__file__, node.lineno))
    return found


def place_of(file: Any, line: int) -> str:
    """`minigrad/ops/pointwise.py:187`."""
    return f"{Path(file).relative_to(ROOT)}:{line}"


# --- gathering -----------------------------------------------------------------------------------

class Reference:
    """All entries, by family, and the ways to find one."""

    def __init__(self) -> None:
        self.families: dict[str, list[Entry]] = {}
        self.modules: dict[str, types.ModuleType] = {}
        self.by_id: dict[int, Entry] = {}  # of the function
        self.by_op: dict[int, Entry] = {}
        self.labels: set[str] = set()
        for found in pkgutil.iter_modules(ops.__path__):
            module = importlib.import_module(f"{ops.__name__}.{found.name}")
            entries = list(self._entries(found.name, module))
            if entries:
                self.families[found.name], self.modules[found.name] = entries, module
        self._find_nameless()
        self._find_public_names()
        for family, entries in self.families.items():
            self.families[family] = [each for each in entries
                                     if each.op is not None or each.is_public]
        self.families = {name: each for name, each in self.families.items() if each}
        for entry in self:
            self._read(entry)

    def __iter__(self) -> Iterator[Entry]:
        for entries in self.families.values():
            yield from entries

    def _entries(self, family: str, module: types.ModuleType) -> Iterator[Entry]:
        for name, value in vars(module).items():
            value = getattr(value, "without_autocast", value)
            if not isinstance(value, types.FunctionType) or name == "_op":  # what a loop leaves
                continue
            op = getattr(value, "op", None)
            home = (inspect.unwrap(value) if op is None else op.kernel).__module__
            if home != module.__name__ and name not in _statements_of(module) \
                    or op is None and name.startswith("_"):
                continue
            known = self.by_id.get(id(value))
            if known is None:
                yield self._entry(family, name, value)
            elif known.family == family and not name.startswith("_"):
                known.aliases.append(name)

    def _entry(self, family: str, name: str, function: Any) -> Entry:
        label = f"op-{family}-{name}".lower().replace("_", "-")
        while label in self.labels:
            label += "-2"
        self.labels.add(label)
        entry = self.by_id[id(function)] = Entry(family, name, function, label)
        if entry.op is not None:
            self.by_op.setdefault(id(entry.op), entry)
        return entry

    def _find_nameless(self) -> None:
        """The ops that no name of a module holds, but a table or a closure: by their nodes."""
        for node in Node.__subclasses__():
            op = getattr(node, "op", None)
            if op is not None and op.call is not None and id(op) not in self.by_op:
                family = op.kernel.__module__.removeprefix(f"{ops.__name__}.")
                if family in self.families:
                    self.families[family].append(self._entry(family, op.name, op.call))

    def _find_public_names(self) -> None:
        for path, holder in NAMESPACES.items():
            for name in sorted(vars(holder)):
                entry = self.find(getattr(holder, name))
                if entry is not None and not name.startswith("_"):
                    entry.paths.append(f"{path}.{name}")

    def find(self, function: Any) -> Entry | None:
        function = getattr(function, "without_autocast", function)
        found = self.by_id.get(id(function))
        if found is None and hasattr(function, "op"):  # a Python operator's method
            return self.by_op.get(id(function.op))
        return found

    # --- rules and uses
    def _read(self, entry: Entry) -> None:
        if entry.op is None:
            entry.uses = self.uses(entry.defined, operators=False)
            return
        op = entry.op
        for inputs, rule in op.rules.items():
            source, line = source_of(rule)
            reads = [name for name in reads_of(rule) if name != "needs"]
            arrays = [name for name in reads if name in op.inputs or name in op.outputs]
            entry.rules.append(Rule(
                inputs, source, place_of(line.file, line.number) if line else "", arrays,
                [name for name in reads if name not in arrays], self._helpers(rule),
                self.uses(rule)))

    def _helpers(self, rule: Any) -> list[Callable]:
        """The private functions of the rule's file that it calls, and those that they call."""
        found: list[Callable] = []
        waiting = [rule]
        while waiting:
            function = waiting.pop(0)
            for name in function.__code__.co_names:
                value = function.__globals__.get(name)
                if isinstance(value, types.FunctionType) and self.find(value) is None \
                        and value.__module__ == rule.__module__ and value not in found \
                        and value is not rule:
                    found.append(value)
                    waiting.append(value)
        return found

    def uses(self, function: Any, operators: bool = True) -> list[Entry]:
        """The ops that a rule or a composite calls: by name, as a method or, if `operators`, as
        arithmetic (a composite may well add up sizes)."""
        found: dict[str, Entry] = {}
        for each in [function, *self._helpers(function)]:
            try:
                (tree,) = ast.parse(source_of(each)[0]).body
            except (SyntaxError, ValueError):  # not a definition: a function made elsewhere
                continue
            body = tree.body if isinstance(tree, ast.FunctionDef) else [tree]
            for node in [inner for part in body for inner in ast.walk(part)]:
                entry = self._used(node, each.__globals__, operators)
                if entry is not None and entry.function is not function \
                        and (entry.op is not None or entry.is_public):
                    found[entry.label] = entry
        return list(found.values())

    def _used(self, node: ast.AST, names: dict, operators: bool) -> Entry | None:
        if isinstance(node, ast.Name):
            return self.find(names.get(node.id))
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and isinstance(
                    names.get(node.value.id), types.ModuleType):
                return self.find(getattr(names[node.value.id], node.attr, None))
            return self.find(vars(minigrad.Tensor).get(node.attr))
        if operators and isinstance(node, ast.BinOp | ast.UnaryOp):
            numbers = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
            if not all(_is_number(each) for each in numbers):
                return self._operator(type(node.op))
        return None

    def _operator(self, kind: type) -> Entry | None:
        name = OPERATORS.get(kind)
        return self.find(getattr(minigrad, name)) if name else None

    # --- parity
    def read_parity(self, page: Path) -> None:
        """Give each entry its rows of the operators' table; the levels are left in `levels`."""
        self.levels: list[str] = []
        within = False
        for line in page.read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] == "operator" and not self.levels:  # (autocast has such a table, too)
                within, self.levels = True, cells[1:]
            elif not line.startswith("|"):
                within = False
            elif within and not cells[0].startswith("---"):
                name = re.sub(r"\[(.*)\]\(.*\)", r"\1", cells[0])
                entry = self._operator_named(name)
                if entry is not None:
                    entry.rows.append((name, cells[1:]))

    def _operator_named(self, name: str) -> Entry | None:
        """`special.erfcx`, `add`, `nn.functional.silu`, `softmax.with_dtype`."""
        for start in (minigrad, minigrad.Tensor):
            value: Any = start
            for part in name.split("."):
                inner = vars(value).get(part) if isinstance(value, type) else getattr(
                    value, part, None)
                if inner is None:
                    break  # the variant of an operator
                value = inner
            if self.find(value) is not None:
                return self.find(value)
        return None


def _is_number(node: ast.AST) -> bool:
    """A constant, math.pi, or an operation on such."""
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.Call):
        return _is_number(node.func)
    return isinstance(node, ast.Constant) or isinstance(node, ast.Attribute) \
        and isinstance(node.value, ast.Name) and node.value.id == "math"
