"""minigrad.testing: assert_close and make_tensor as in torch; compare, which uses torch itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests import harness
from parity_tests.harness import candidate
from parity_tests.traces import attempt, traced

PAIRS = {
    "equal": lambda t: ([1.0, 2.0], [1.0, 2.0]),
    "one off": lambda t: (t.tensor([1.0, 2, 3]), t.tensor([1.0, 2, 4])),
    "several off": lambda t: (t.ones(2, 2), t.tensor([[1.0, 1], [2, 3]])),
    "shape": lambda t: (t.ones(3), t.ones(2)),
    "dtype": lambda t: (t.ones(2), t.ones(2, dtype=t.float64)),
    "integers": lambda t: (t.tensor([1, 2]), t.tensor([1, 3])),
    "uint8": lambda t: (t.tensor([1, 2], dtype=t.uint8), t.tensor([1, 3], dtype=t.uint8)),
    "bools": lambda t: (t.tensor([True, False]), t.tensor([True, True])),
    "0-d": lambda t: (t.tensor(1.0), t.tensor(2.0)),
    "0-d integers": lambda t: (t.tensor(1), t.tensor(2)),
    "floats": lambda t: (1.0, 2.0),
    "ints": lambda t: (1, 2),
    "float and int": lambda t: (1.0, 1),
    "complex": lambda t: (1j, 2j),
    "bool": lambda t: (True, False),
    "lists": lambda t: ([1.0, 2.0], [1.0, 3.0]),
    "lengths": lambda t: ([1], [1, 2]),
    "list and tuple": lambda t: ([1], (1,)),
    "nested": lambda t: ({"a": [1, (2, 3)]}, {"a": [1, (2, 4)]}),
    "dicts": lambda t: ({"a": t.ones(1)}, {"a": t.zeros(1)}),
    "keys": lambda t: ({"a": 1}, {"b": 1}),
    "nan": lambda t: (t.tensor([float("nan")]), t.tensor([float("nan")])),
    "nan numbers": lambda t: (float("nan"), float("nan")),
    "inf": lambda t: (t.tensor([float("inf")]), t.tensor([1.0])),
    "same inf": lambda t: (t.tensor([float("inf")]), t.tensor([float("inf")])),
    "empty": lambda t: (t.ones(0), t.ones(0)),
    "complex tensors": lambda t: (t.tensor([1 + 1j]), t.tensor([2 + 1j])),
    "bfloat16": lambda t: (t.tensor([1.0, 2.0]).bfloat16(), t.tensor([1.0, 3.0]).bfloat16()),
    "tensor and list": lambda t: (t.ones(1), [1.0]),
    "tensor and number": lambda t: (t.ones(1), 1.0),
    "strings": lambda t: ("a", "a"),
    "None": lambda t: (None, None),
    "None and 1": lambda t: (None, 1),
    "arrays": lambda t: (np.array([1.0]), np.array([2.0])),
    "strides": lambda t: (t.ones(2, 3), t.ones(3, 2).t()),
    "parameter": lambda t: (t.nn.Parameter(t.ones(1)), t.ones(1)),
    "requires_grad": lambda t: (t.ones(1, requires_grad=True), t.ones(1)),
}
OPTIONS = [{}, {"rtol": 1e-2, "atol": 0.5}, {"equal_nan": True}, {"check_dtype": False},
           {"check_stride": True}, {"allow_subclasses": False}, {"msg": "mine"},
           {"msg": lambda words: f"mine: {words}"}, {"rtol": 0.1}]


@pytest.mark.parametrize("name", PAIRS)
@traced
def test_assert_close(torch, say, name):
    for options in OPTIONS:
        say(str(attempt(lambda options=options: torch.testing.assert_close(
            *PAIRS[name](torch), **options))).replace("minigrad", "torch").replace(
                "torch.tensor.Tensor", "torch.Tensor").replace("torch.nn.parameter.", ""))


@traced
def test_assert_allclose(torch, say):
    if hasattr(torch.testing, "assert_allclose"):
        say(attempt(lambda: torch.testing.assert_allclose([1.0, 2.0], torch.tensor([1.0, 2.0]))))


SHAPES = [dict(low=None, high=None), dict(low=0, high=1), dict(low=-3.5, high=2.5)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64",
                                   "int64", "int32", "int8", "uint8", "bool"])
@traced
def test_make_tensor(torch, say, dtype):
    kind = getattr(torch, dtype)
    make = lambda *size, **options: torch.testing.make_tensor(
        *size, dtype=kind, device="cpu", **options)
    for options in SHAPES:
        say(attempt(lambda options=options: make(2, 3, **options)))
    say(attempt(lambda: make((3, 4), noncontiguous=True)), attempt(
        lambda: make((3, 4), noncontiguous=True).stride()))
    say(attempt(lambda: make([5], exclude_zero=True)), attempt(lambda: make(3, requires_grad=True)))
    say(attempt(lambda: make(3, low=2, high=1)), attempt(lambda: make(3, low=float("nan"))))
    say(attempt(lambda: make(3, low=1e40, high=1e41) if "float64" != dtype else 0))
    say(attempt(lambda: make(2, noncontiguous=True, memory_format=torch.contiguous_format)))
    say(attempt(lambda: make()))


# --- compare -------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
BATCHES = [(RNG.standard_normal((8, 4)).astype(np.float32),
            RNG.standard_normal((8, 1)).astype(np.float32)) for _ in range(3)]


def build(lib, twist=lambda lib, h: h):
    model = lib.nn.Sequential(lib.nn.Linear(4, 8), lib.nn.Tanh(), lib.nn.Dropout(0.5),
                              lib.nn.Linear(8, 1))
    optimizer = lib.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss(model, x, y):
        h = twist(lib, model(x))
        return ((h - y) ** 2).mean()

    return model, optimizer, loss


needs_cpu = pytest.mark.skipif("harness.DEVICE != 'cpu'",
                               reason="compare runs both engines on the CPU")


def ours(lib):
    return lib.__name__ == "minigrad"


@needs_cpu
def test_compare_finds_equal_trainings_equal():
    report = candidate().testing.compare(build, BATCHES, steps=5)
    assert report.equal and report.steps == 5, report
    assert report.compared["result"] >= 20 and report.compared["gradient"] >= 20
    assert report.compared["parameter"] == 20
    assert str(report).startswith("equal: ") and 0 <= report.largest < 1e-5


@needs_cpu
def test_compare_finds_the_first_difference():
    def twist(lib, h):
        return h * (1.5 if ours(lib) else 1.0)  # the twisted line

    report = candidate().testing.compare(lambda lib: build(lib, twist), BATCHES)
    first = report.differences[0]
    assert not report.equal and report.steps == 1
    assert (first.kind, first.name) == ("result", "MulBackward0")
    assert "the twisted line" in first.line and Path(__file__).name in first.line
    assert "off by 5.00e-01" in str(report)


@needs_cpu
def test_compare_finds_wrong_gradients():
    def twist(lib, h):
        class Twice(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 1.0

            @staticmethod
            def backward(ctx, g):
                return g * (2.0 if ours(lib) else 1.0)

        return Twice.apply(h)

    report = candidate().testing.compare(lambda lib: build(lib, twist), BATCHES)
    kinds = [difference.kind for difference in report.differences]
    assert kinds[0] == "gradient" and "parameter" in kinds and "result" not in kinds


@needs_cpu
def test_compare_finds_wrong_steps():
    def build_with_other_rate(lib):
        model, optimizer, loss = build(lib)
        optimizer.param_groups[0]["lr"] = 0.1 if ours(lib) else 0.2
        return model, optimizer, loss

    report = candidate().testing.compare(build_with_other_rate, BATCHES)
    assert {difference.kind for difference in report.differences} == {"parameter"}


SCRIPT = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
for step in range(100):
    optimizer.zero_grad()
    loss = (model(torch.ones(2, 3)) * {factor}).pow(2).sum()  # of the script
    loss.backward()
    optimizer.step()
    assert step < 3, "stopped by then"
"""


@needs_cpu
@pytest.mark.parametrize("differs", [False, True])
def test_comparing_a_script(tmp_path, differs):
    factor = "(2.0 if torch.__name__ == 'minigrad' else 1.0)" if differs else "1.0"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(factor=factor))
    run = subprocess.run([sys.executable, "-m", "minigrad", "compare", str(script), "--steps", "3"],
                         capture_output=True, text=True)
    assert run.returncode == (1 if differs else 0), run.stderr
    if differs:
        assert "The first: step 0, result of MulBackward0 at script.py:8" in run.stdout
    else:
        assert run.stdout.startswith("equal: ") and "6 parameters" in run.stdout


@needs_cpu
def test_comparing_what_fails(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('from the script')")
    run = subprocess.run([sys.executable, "-m", "minigrad", "compare", str(script)],
                         capture_output=True, text=True)
    assert run.returncode == 2 and "fails under minigrad" in run.stderr
    run = subprocess.run([sys.executable, "-m", "minigrad", "compare", "nothing.py"],
                         capture_output=True, text=True)
    assert run.returncode == 2 and "cannot open 'nothing.py'" in run.stderr
    assert harness.DEVICE == "cpu"
