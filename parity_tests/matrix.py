"""docs/parity.md: what is equal to torch, and how closely, section by section.

A pytest plugin, switched on by `--matrix FILE`: it marks the tests that belong to a section, so
that `-m matrix` runs only these, listens to their reports, whichever worker they come from, and
writes the file when the run is over.

A section is a table of entries (operators, modules, ...) by levels. Its tests have node ids like
`test_operators.py::test_operator[softmax-gradient]`: entry, dash, level; or `test_exists[softmax]`,
where the test itself is the level. They leave their largest error in `record_property("error",
...)`, and where the code is in `record_property("source", ...)`.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Section(NamedTuple):
    """One table: the entries of a database of torch's, by levels."""

    title: str               # "Operators"
    entry: str               # what a row is: "operator"
    database: str            # where the samples come from, in words
    file: str                # "test_operators.py"
    levels: dict[str, str]   # level: what is compared there
    expected: str = ""       # "module:function", which gives {entry: [level, ...]}; else what ran

    def cells(self) -> dict[str, list[str]]:
        module, _, function = self.expected.partition(":")
        return getattr(importlib.import_module(f"parity_tests.{module}"), function)()


SECTIONS = [
    Section("Operators", "operator", "its own operator database", "test_operators.py", {
        "exists": "the function, its aliases, its methods",
        "forward": "values, dtype, shape, shared memory",
        "gradient": "of every input, float64 and complex128",
        "second": "the gradient's gradient",
        "forward_ad": "the tangent of every output, in forward mode",
        "graph": "names of the nodes and their edges",
        "method": "the method of Tensor",
        "inplace": "the in-place method",
        "out": "`out=`",
        "errors": "class and words of exceptions",
        "layouts": "strided, 0-d and empty inputs",
        "dtypes": "integers, bool, 16-bit floats, complex64",
        "promotion": "all pairs of dtypes",
        "extremal": "nan, infinities, huge and tiny numbers",
    }, "test_operators:expected_cells"),
    Section("Modules", "module", "its own module database", "test_module_db.py", {
        "construct": "parameters and buffers from the same seed",
        "repr": "what is printed",
        "state": "`state_dict`: names, values, loading",
        "train": "results in training, buffers, random numbers",
        "eval": "the same in evaluation",
        "gradient": "of every input and parameter",
        "second": "the gradient's gradient",
        "graph": "names of the nodes and their edges",
        "layouts": "strided inputs and their gradients",
        "dtypes": "16-bit floats, complex numbers",
        "errors": "class and words of exceptions",
        "copies": "`deepcopy` and `pickle`",
    }, "test_module_db:expected_cells"),
    Section("Optimisers", "optimiser", "its own optimiser database", "test_optim_db.py", {
        "steps": "30 steps in float64: parameters, state, options",
        "float32": "the same in float32",
        "complex": "the same in complex128",
        "half": "three steps in float16 and bfloat16",
        "state": "going on with a state of the other library's",
        "differentiable": "gradients through three steps",
        "errors": "class and words of exceptions",
    }, "test_optim_db:expected_cells"),
    Section("Learning rate schedules", "schedule", "schedules of every class of "
            "torch.optim.lr_scheduler", "test_lr_scheduler.py", {
        "rates": "50 steps of SGD and of Adam, with momenta",
        "tensor": "rates that are tensors",
        "state": "state_dict, and going on with it",
        "epochs": "step(epoch), the closed form",
    }, "test_lr_scheduler:expected_cells"),
    Section("Autocast on the CPU", "operator", "its own operator database, in float32 and in "
            "autocast's dtype", "test_amp.py", {
        "bfloat16": "dtypes of the results under autocast to bfloat16",
        "float16": "and to float16",
    }, "test_amp:expected_cells"),
    Section("Files", "content", "programs of ours", "test_files.py", {
        "both_ways": "torch reads what minigrad saves, minigrad what torch saves",
        "files_older_than_zip": "minigrad reads torch's older format",
    }),
    Section("Data", "case", "programs of ours", "test_data.py", {
        "loader": "what a DataLoader yields, in which order",
        "sampler": "the indices of samplers, from the same seed",
        "collate": "batches made of all kinds of items",
    }),
]
EQUAL, GAP, WRONG = "equal", "gap", "wrong"

INTRODUCTION = """\
# Parity with PyTorch

Written by `make parity`; do not edit.

**{equal} of {total} cells are equal to PyTorch {torch} ({share:.1f} %)**, on the samples of its \
own databases, with NumPy {numpy}.

A number is the largest error seen, in units of the last place of an element (or of 1, where the \
element is smaller); `gap` is a known difference, with its reason in \
[known_gaps.py](../parity_tests/known_gaps.py); `-` means that the level does not apply, an empty \
cell that the entry is missing. A name leads to the code.
"""


class Cell:
    """One entry at one level."""

    def __init__(self, state: str, properties: dict[str, Any]) -> None:
        self.state = state
        self.error = properties.get("error", 0.0)
        self.source = properties.get("source", "")

    def __str__(self) -> str:
        if self.state != EQUAL:
            return self.state
        return "0" if not self.error else f"{self.error:.1g}" if self.error < 1 else (
            f"{self.error:.0f}")


class Table:
    """A section's cells, and what becomes of them in the page."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.cells: dict[tuple[str, str], Cell] = {}
        self.expected: dict[str, list[str]] = {}
        self.pattern = re.compile(re.escape(section.file) + r"::test_(\w+)\[(.+)\]$")

    def take(self, report: Any) -> None:
        found = self.pattern.search(report.nodeid)
        if not found:
            return
        name, _, level = (found[2], "", found[1]) if found[1] in self.section.levels else \
            found[2].rpartition("-")
        if level in self.section.levels:
            state = EQUAL if report.passed else GAP if hasattr(report, "wasxfail") else WRONG
            self.cells[name, level] = Cell(state, dict(report.user_properties))

    def find_expected(self) -> None:
        if self.section.expected:
            self.expected = self.section.cells()
        else:
            for name, level in self.cells:
                self.expected.setdefault(name, []).append(level)

    def is_equal(self, name: str, level: str) -> bool:
        cell = self.cells.get((name, level))
        return cell is not None and cell.state == EQUAL

    def equal(self, level: str | None = None) -> int:
        return sum(self.is_equal(name, each) for name, levels in self.expected.items()
                   for each in levels if level in (None, each))

    def total(self, level: str | None = None) -> int:
        return sum(level in (None, each) for levels in self.expected.values() for each in levels)

    def text(self) -> list[str]:
        section = self.section
        lines = [f"## {section.title}", "",
                 f"{self.equal()} of {self.total()} cells are equal "
                 f"({100 * self.equal() / max(self.total(), 1):.1f} %), on the samples of "
                 f"{section.database}.", "",
                 f"| level | what is compared | {section.entry}s | equal | |",
                 "| --- | --- | ---: | ---: | ---: |"]
        for level, text in section.levels.items():
            equal, total = self.equal(level), self.total(level)
            lines.append(f"| {level} | {text} | {total} | {equal} | "
                         f"{100 * equal / max(total, 1):.1f} % |")
        lines += ["", f"| {section.entry} | {' | '.join(section.levels)} |",
                  f"| --- |{' ---: |' * len(section.levels)}"]
        for name in sorted(self.expected):
            row = [str(self.cells.get((name, level), "")) if level in self.expected[name] else "-"
                   for level in section.levels]
            lines.append(f"| {self.link(name)} | {' | '.join(row)} |")
        return [*lines, ""]

    def link(self, name: str) -> str:
        for level in ("gradient", "forward", *self.section.levels):
            cell = self.cells.get((name, level))
            if cell is not None and cell.source.startswith("minigrad/"):
                path, _, line = cell.source.rpartition(":")
                shown = name.replace("__", r"\_\_")  # two of them would make it bold
                return f"[{shown}](../{path}#L{line})"
        return name


class Matrix:
    """The plugin: collects the cells of all sections, then writes them down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables = [Table(section) for section in SECTIONS]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list) -> None:
        for item in items:
            if any(table.pattern.search(item.nodeid) for table in self.tables):
                item.add_marker("matrix")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            for table in self.tables:
                table.take(report)

    def pytest_sessionfinish(self, session: Any) -> None:
        if hasattr(session.config, "workerinput"):
            return  # the controller of the workers has them all
        import numpy
        import torch

        for table in self.tables:
            table.find_expected()
        equal = sum(table.equal() for table in self.tables)
        total = sum(table.total() for table in self.tables)
        introduction = INTRODUCTION.format(
            equal=equal, total=total, share=100 * equal / total, numpy=numpy.__version__,
            torch=torch.__version__.split("+")[0])
        lines = [line for table in self.tables for line in table.text()]
        self.path.write_text(f"{introduction}\n" + "\n".join(lines))
