"""docs/parity.md: operator by level, what is equal to torch and how closely.

A pytest plugin, switched on by `--matrix FILE`: it listens to the reports of test_operators.py,
whichever worker they come from, and writes the file when the run is over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LEVEL_TEXT = {
    "exists": "the function, its aliases, its methods",
    "forward": "values, dtype, shape, shared memory",
    "gradient": "of every input, float64 and complex128",
    "second": "the gradient's gradient",
    "graph": "names of the nodes and their edges",
    "method": "the method of Tensor",
    "inplace": "the in-place method",
    "out": "`out=`",
    "errors": "class and words of exceptions",
    "layouts": "strided, 0-d and empty inputs",
    "dtypes": "integers, bool, 16-bit floats, complex64",
    "promotion": "all pairs of dtypes",
    "extremal": "nan, infinities, huge and tiny numbers",
}
EQUAL, GAP, WRONG = "equal", "gap", "wrong"


class Cell:
    """One operator at one level."""

    def __init__(self, state: str, properties: dict[str, Any]) -> None:
        self.state = state
        self.error = properties.get("error", 0.0)
        self.source = properties.get("source", "")

    def __str__(self) -> str:
        if self.state != EQUAL:
            return self.state
        return "0" if not self.error else f"{self.error:.1g}" if self.error < 1 else (
            f"{self.error:.0f}")


class Matrix:
    """Collects the cells, then writes them down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells: dict[tuple[str, str], Cell] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        found = re.search(r"test_operators\.py::test_(operator|exists)\[([^\]]+)\]", report.nodeid)
        if not found or report.when != "call":
            return
        name, _, level = (found[2].rpartition("-") if found[1] == "operator"
                          else (found[2], "", "exists"))
        state = EQUAL if report.passed else GAP if hasattr(report, "wasxfail") else WRONG
        self.cells[name, level] = Cell(state, dict(report.user_properties))

    def pytest_sessionfinish(self, session: Any) -> None:
        if hasattr(session.config, "workerinput"):
            return  # the controller of the workers has them all
        from parity_tests.operator_levels import LEVELS
        from parity_tests.operator_samples import in_scope, title

        expected = {title(op): ["exists", *(level for level in LEVELS if LEVELS[level].applies(op))]
                    for op in in_scope()}
        self.path.write_text(self._text(expected))

    def _text(self, expected: dict[str, list[str]]) -> str:
        import numpy
        import torch

        total = sum(map(len, expected.values()))
        equal = sum(self._is_equal(name, level) for name in expected for level in expected[name])
        lines = [
            "# Parity with PyTorch, operator by operator", "",
            "Written by `make parity`; do not edit.", "",
            f"**{equal} of {total} cells are equal to PyTorch {torch.__version__.split('+')[0]} "
            f"({100 * equal / total:.1f} %)**, on the samples of its own operator database, with "
            f"NumPy {numpy.__version__}.", "",
            "A number is the largest error seen, in units of the last place of an element (or of "
            "1, where the element is smaller); `gap` is a known difference, with its reason in "
            "[known_gaps.py](../parity_tests/known_gaps.py); `-` means that the level does not "
            "apply to the operator, an empty cell that the operator is missing. A name leads to "
            "the operator's rule.", "",
            "| level | what is compared | operators | equal | |",
            "| --- | --- | ---: | ---: | ---: |",
        ]
        for level, text in LEVEL_TEXT.items():
            names = [name for name in expected if level in expected[name]]
            good = sum(self._is_equal(name, level) for name in names)
            lines.append(f"| {level} | {text} | {len(names)} | {good} | "
                         f"{100 * good / max(len(names), 1):.1f} % |")
        lines += ["", f"| operator | {' | '.join(LEVEL_TEXT)} |",
                  f"| --- |{' ---: |' * len(LEVEL_TEXT)}"]
        for name in sorted(expected):
            row = [self._entry(name, level, expected[name]) for level in LEVEL_TEXT]
            lines.append(f"| {self._link(name)} | {' | '.join(row)} |")
        return "\n".join(lines) + "\n"

    def _is_equal(self, name: str, level: str) -> bool:
        cell = self.cells.get((name, level))
        return cell is not None and cell.state == EQUAL

    def _entry(self, name: str, level: str, levels: list[str]) -> str:
        return str(self.cells.get((name, level), "")) if level in levels else "-"

    def _link(self, name: str) -> str:
        for level in ("gradient", "forward"):
            cell = self.cells.get((name, level))
            if cell is not None and cell.source.startswith("minigrad/"):
                path, _, line = cell.source.rpartition(":")
                return f"[{name}](../{path}#L{line})"
        return name
