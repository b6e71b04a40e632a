"""Every class and method of the chapter prints, draws and computes the same under both engines."""

from __future__ import annotations

import ast
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from parity_tests import chapter

# The engine put beside torch; "torch" compares torch with itself, which tests the comparison.
CANDIDATE = os.environ.get("MINIGRAD_CHAPTER_CANDIDATE", "minigrad")
CLASSES = [
    "TensorVsNumPy", "TensorBasics", "AdvancedIndexing", "AutogradDeepDive",
    "PracticalGradientHandling", "ModuleDesignPhilosophy", "ComprehensiveTrainingLoop",
    "EarlyStopping",
]
FIGURES = {
    "TensorBasics.broadcasting_deep_dive": 6,
    "AdvancedIndexing.index_operations_visualization": 4,
    "ModuleDesignPhilosophy.initialization_strategies": 4,
    "comprehensive_training_loop": 6,
}

pytestmark = [
    pytest.mark.skipif(not chapter.CHAPTER.exists(), reason="the chapter's text is not here"),
    pytest.mark.xdist_group("chapter"),
]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """(torch's, the candidate's) records: one process each, both on the CPU, at the same time."""
    folder = tmp_path_factory.mktemp("chapter")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    runs = []
    for number, engine in enumerate(["torch", CANDIDATE]):
        target = folder / f"{number}-{engine}"
        command = [sys.executable, "-W", "ignore", "-m", "parity_tests.chapter", engine, target]
        process = subprocess.Popen(
            command, cwd=chapter.ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        runs.append((engine, target, process))
    records = []
    for engine, target, process in runs:
        _, errors = process.communicate()
        assert process.returncode == 0, f"the chapter did not run under {engine}:\n{errors}"
        records.append(pickle.loads(target.read_bytes()))
    return records


def test_the_code_is_told_from_the_prose():
    text = chapter.CHAPTER.read_text(encoding="utf-8")
    program = chapter.program(text)
    pairs = zip(program.splitlines(), text.splitlines(), strict=False)
    assert all(code in ("", original) for code, original in pairs)
    tree = ast.parse(program)
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == CLASSES


def test_every_function_of_the_chapter_ran(recordings):
    program = chapter.program(chapter.CHAPTER.read_text(encoding="utf-8"))
    for records in recordings:
        assert records["functions"] == chapter.functions(ast.parse(program))


@pytest.mark.parametrize("name", chapter.STEPS)
def test_step(recordings, name):
    expected, actual = (records[name] for records in recordings)
    assert "error" not in expected, expected["error"]
    if "error" in actual:
        pytest.fail(f"{CANDIDATE}: {actual['error']}", pytrace=False)
    assert_same_text(expected["printed"], actual["printed"])
    assert_same(expected["figures"], actual["figures"], "figures")
    assert_same(expected["values"], actual["values"], "values")
    assert [len(figure) for figure in expected["figures"]] == (
        [FIGURES[name]] if name in FIGURES else []
    )


# --- Comparing -----------------------------------------------------------------------------------

UNREPEATABLE = re.compile(r"\d+\.\d+(?=秒)|(?<=at )0x[0-9a-f]+")  # seconds, addresses
DECIMAL = re.compile(r"[+-]?\d+\.\d{3,}(?:e[+-]\d+)?")


def assert_same_text(expected: str, actual: str) -> None:
    """Equal line by line, but for times and addresses; a number printed to three decimals or more
    may differ by one in its last digit, since sums round differently in another order."""
    expected, actual = UNREPEATABLE.sub("*", expected), UNREPEATABLE.sub("*", actual)
    if expected == actual:
        return
    assert DECIMAL.sub("#", expected).splitlines() == DECIMAL.sub("#", actual).splitlines()
    for one, other in zip(DECIMAL.findall(expected), DECIMAL.findall(actual), strict=True):
        mantissa, _, exponent = one.partition("e")
        last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(float(one) - float(other)) < 1.5 * last_digit, (one, other)


def assert_same(expected, actual, where: str) -> None:
    """Equal in structure, text, dtype and shape; numbers equal to 1e-5.

    A histogram counts by bin, and a value on an edge may fall to either side: the heights of bars,
    and the limits that follow from them, are equal to 1e-4 of the largest.
    """
    assert type(expected) is type(actual), where
    if isinstance(expected, dict):
        assert list(expected) == list(actual), where
        for key, item in expected.items():
            assert_same(item, actual[key], f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(expected) == len(actual), where
        for number, (one, other) in enumerate(zip(expected, actual, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(expected, np.ndarray):
        assert (expected.dtype, expected.shape) == (actual.dtype, actual.shape), where
        counted = "['bars']" in where or "['limits']" in where
        slack = 1e-4 * np.abs(expected).max(initial=0) if counted else 1e-5
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=slack, err_msg=where)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-5), where
    elif "['texts']" in where:
        assert_same_text(expected, actual)
    else:
        assert expected == actual, where
