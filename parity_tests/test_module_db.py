"""Every module of torch's own database, at every level: see module_levels.py for the levels.

    pytest parity_tests/test_module_db.py -k Conv2d              # one module
    pytest parity_tests/test_module_db.py -k "module and graph"  # one level
"""

from __future__ import annotations

import inspect

import pytest

from parity_tests.compare import measure
from parity_tests.harness import candidate, levels_left_out
from parity_tests.module_levels import LEVELS
from parity_tests.module_samples import BY_TITLE, class_of, present, title
from parity_tests.operator_levels import Tally
from parity_tests.operator_samples import quiet
from parity_tests.test_operators import relative

CASES = [pytest.param(info, level, id=f"{title(info)}-{level}",
                      marks=pytest.mark.xdist_group(title(info)))
         for info in present() for level in LEVELS if LEVELS[level].applies(info)
         and level not in levels_left_out()]


def expected_cells() -> dict[str, list[str]]:
    """The levels of every module that torch has: the rows of docs/parity.md."""
    return {name: [level for level in LEVELS if LEVELS[level].applies(info)]
            for name, info in BY_TITLE.items()}


@pytest.mark.parametrize(("info", "level"), CASES)
def test_module(info, level, record_property):
    tally = Tally()
    with quiet(), measure() as largest:
        LEVELS[level].compare(info, tally)
    assert tally.comparisons, "no sample was compared"
    record_property("error", largest.error)
    record_property("comparisons", tally.comparisons)
    record_property("source", source_of(class_of(info, candidate())))


def source_of(cls: type) -> str:
    """file:line of the class."""
    return relative(f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}")
