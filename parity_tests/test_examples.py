"""The examples are PyTorch programs: they print the same under torch and under minigrad."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path for path in (REPOSITORY / "examples").glob("*.py")
                  if path.name != "digits.py")  # the demo's, see test_demo.py
NUMBER = re.compile(r"-?\b\d+\.?\d*(?:e[-+]?\d+)?")


def lines_of(*command):
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(REPOSITORY))
    run = subprocess.run([sys.executable, *command], text=True, capture_output=True,
                         env=environment, cwd=REPOSITORY, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_prints_the_same(path):
    theirs = lines_of(str(path))
    ours = lines_of("-m", "minigrad", "run", str(path))
    assert theirs and len(ours) == len(theirs)
    for got, want in zip(ours, theirs, strict=True):
        assert NUMBER.sub("#", got) == NUMBER.sub("#", want)
        for a, b in zip(NUMBER.findall(got), NUMBER.findall(want), strict=True):
            assert math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-4), (got, want)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_and_plain(path):
    text = path.read_text()
    assert text.startswith('"""') and len(text.splitlines()) <= 80
    assert "import torch" in text and "minigrad" not in text


def test_nine_topics_and_four_exercises():
    names = [path.name for path in EXAMPLES]
    assert sum(name[:2].isdigit() for name in names) == 9
    assert sum(name.startswith("exercise_") for name in names) == 4
