"""The promises about time: the cost of small ops, of AdamW, and of `import minigrad`."""

from __future__ import annotations

import pytest

from parity_tests.speed.measure import alternate, import_time, merge

TURNS = 8  # on a busy machine a turn may be lost: the lowest time of each library counts
RATIO = {"chain_constants": 1.2, "chain_leaves": 1.2, "adamw_step_of_50": 1.3,
         "data_epoch": 0.5}
IMPORT_RATIO = 0.15  # both beyond NumPy

pytestmark = pytest.mark.xdist_group("speed")  # one worker, so that they do not race each other


@pytest.mark.parametrize("case", RATIO)
def test_costs_what_it_costs_in_torch(case):
    best: dict[str, dict] = {}
    for _ in range(TURNS):
        best = merge(best, alternate([case], threads=1, seconds=0.5))
        assert isinstance(best["minigrad"][case], float), best["minigrad"][case]  # or why not
        ratio = best["minigrad"][case] / best["torch"][case]
        if ratio <= RATIO[case]:
            return
    pytest.fail(f"{case}: {ratio:.2f} x torch's time, at most {RATIO[case]} allowed; {best}")


def test_import_is_quick():
    theirs = import_time("torch")
    times = []
    for _ in range(TURNS):
        times.append(import_time("minigrad"))
        if times[-1] <= IMPORT_RATIO * theirs:
            return
    pytest.fail(f"import minigrad takes {min(times):.3f} s beyond numpy, torch {theirs:.3f} s, "
                f"allowed are {IMPORT_RATIO} of that")
