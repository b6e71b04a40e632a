"""Every operator of torch's own database, at every level: see operator_levels.py for the levels.

    pytest parity_tests -k softmax                # one operator
    pytest parity_tests -k "operator and graph"   # one level
    make parity                                   # all, and docs/parity.md
"""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from parity_tests.compare import measure
from parity_tests.harness import candidate, levels_left_out
from parity_tests.operator_levels import LEVELS, Tally
from parity_tests.operator_samples import (
    aliases_of,
    function_of,
    has_name,
    in_place_name,
    in_scope,
    method_name,
    present,
    quiet,
    title,
)

ROOT = Path(__file__).parent.parent
CASES = [pytest.param(op, level, id=f"{title(op)}-{level}", marks=pytest.mark.xdist_group(op.name))
         for op in present() for level in LEVELS if LEVELS[level].applies(op)
         and level not in levels_left_out()]


def expected_cells() -> dict[str, list[str]]:
    """The levels that apply to each operator in scope, whether minigrad has it or not."""
    return {title(op): ["exists", *(name for name, level in LEVELS.items() if level.applies(op))]
            for op in in_scope()}


@pytest.mark.parametrize("op", in_scope(), ids=title)
def test_exists(op):
    """The function, its other names, its method and its in-place method: those that torch has."""
    method, in_place = method_name(op), in_place_name(op)
    names = {op.name, f"{op.name}_", *aliases_of(op), method, in_place} - {None}
    assert [name for name in names if has_name(name, torch) and not has_name(name, candidate())
            ] == []
    assert op in present()


@pytest.mark.parametrize(("op", "level"), CASES)
def test_operator(op, level, record_property):
    tally = Tally()
    with quiet(), measure() as largest:
        LEVELS[level].compare(op, tally)
    assert tally.comparisons, "no sample was compared"
    record_property("error", largest.error)
    record_property("comparisons", tally.comparisons)
    record_property("source", relative(tally.source) or source_of(op))


def relative(source: str) -> str:
    """file:line, from the root of the project on."""
    return source.removeprefix(f"{ROOT}/")


def source_of(op) -> str:
    function = inspect.unwrap(function_of(op, candidate()))
    code = getattr(getattr(getattr(function, "op", None), "kernel", function), "__code__", None)
    return relative(f"{code.co_filename}:{code.co_firstlineno}") if code else ""
