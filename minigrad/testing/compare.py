"""`compare`: train in torch and in minigrad with the same seed; what is the first thing to differ?

    def build(torch):
        model = torch.nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return model, optimizer, lambda model, x, y: ((model(x) - y) ** 2).mean()

    print(minigrad.testing.compare(build, [(x, y)], steps=10))

Each step is recorded in both engines (record.py): the result of every op, its gradient, and every
parameter after the optimiser's step. `python -m minigrad compare script.py` does it for a script.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .record import EnoughSteps, Event, MinigradRecorder, Recorder, torch_recorder

# How far an array may be off, relative to its largest element: single elements may cancel.
_ALLOWED = {"float64": 1e-9, "float32": 1e-4}


@dataclass
class Difference:
    """Something that is not the same in both engines."""

    step: int
    kind: str
    name: str
    line: str
    off_by: float
    allowed: float

    def __str__(self) -> str:
        where = f" at {self.line}" if self.line else ""
        if self.off_by == np.inf:
            return f"step {self.step}, {self.kind} of {self.name}{where}: another shape, or nan"
        return (f"step {self.step}, {self.kind} of {self.name}{where}: off by {self.off_by:.2e} of "
                f"the largest element, allowed {self.allowed:.0e}")


@dataclass
class Report:
    """What was compared, and where it differs; `str()` tells the first place of each kind."""

    steps: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    largest: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.differences and bool(self.compared)

    def __str__(self) -> str:
        if not self.compared:
            return "nothing was compared: no op was recorded in both engines"
        counts = ", ".join(f"{count} {kind}s" for kind, count in self.compared.items())
        if self.equal:
            return (f"equal: {counts} in {self.steps} steps, off by {self.largest:.2e} at most (of "
                    "the largest element of each)")
        first = self.differences[0]
        return (f"{len(self.differences)} of {counts} differ in {self.steps} steps.\n"
                f"The first: {first}")


def compare(build: Callable, data: Any, steps: int = 10, *, seed: int = 0,
            rtol: float | None = None, stop: bool = True) -> Report:
    """Train in both engines, side by side, and report where they part.

    `build(lib)` returns a model, an optimiser and a function `loss(model, *batch)`. `data` is a
    list of batches, tuples of NumPy arrays, used in turn; or a function `data(lib, step)` that
    returns a tuple of tensors. `rtol` is how far an array may be off, relative to its largest
    element (by default by dtype). `stop`: after the first step with a difference.
    """
    import minigrad

    torch = _torch()
    sides = []
    for lib, make in ((minigrad, MinigradRecorder), (torch, torch_recorder)):
        lib.manual_seed(seed)
        sides.append((lib, make, build(lib)))
    report = Report()
    for step in range(steps):
        ours, theirs = (_recorded_step(lib, make(), parts, data, step)
                        for lib, make, parts in sides)
        report.steps += 1
        add_to(report, step, ours, theirs, rtol)
        if report.differences and stop:
            break
    return report


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise ImportError("comparing with PyTorch needs the package torch: pip install "
                          "torch") from None


def _recorded_step(lib: Any, recorder: Any, parts: tuple, data: Any, step: int) -> Recorder:
    model, optimizer, loss = parts
    batch = data(lib, step) if callable(data) else [
        lib.as_tensor(each) for each in data[step % len(data)]]
    with recorder:
        optimizer.zero_grad()
        loss(model, *batch).backward()
        optimizer.step()
    return recorder


# --- two lists of events -------------------------------------------------------------------------

def add_to(report: Report, step: int, ours: Recorder, theirs: Recorder,
           rtol: float | None = None) -> None:
    """Compare what two recorders noted (Note [Two engines, one list of events])."""
    names = [event.name for event in ours.results], [event.name for event in theirs.results]
    matcher = difflib.SequenceMatcher(None, *names, autojunk=False)
    pairs = [(block.a + i, block.b + i) for block in matcher.get_matching_blocks()
             for i in range(block.size)]
    for a, b in pairs:
        _compare(report, step, ours.results[a], theirs.results[b], rtol)
    for a, b in reversed(pairs):  # backward computes them in this order
        if a in ours.gradients and b in theirs.gradients:
            _compare(report, step, ours.gradients[a], theirs.gradients[b], rtol)
    for mine, other in zip(ours.parameters, theirs.parameters, strict=False):
        _compare(report, step, mine, other, rtol)


def _compare(report: Report, step: int, mine: Event, other: Event, rtol: float | None) -> None:
    report.compared[mine.kind] = report.compared.get(mine.kind, 0) + 1
    off_by = _off_by(mine.value, other.value)
    allowed = rtol if rtol is not None else _ALLOWED.get(mine.dtype, 2e-2)
    if off_by > allowed:
        report.differences.append(
            Difference(step, mine.kind, mine.name, mine.line, off_by, allowed))
    else:
        report.largest = max(report.largest, off_by)


def _off_by(mine: Any, other: Any) -> float:
    """The largest difference, relative to the largest element; inf for what cannot be compared."""
    if mine.shape != other.shape:
        return np.inf
    same = (mine == other) | (np.isnan(mine) & np.isnan(other))
    if same.all():
        return 0.0
    with np.errstate(all="ignore"):
        difference = np.where(same, 0, np.abs(mine - other))
        size = np.max(np.abs(np.where(np.isfinite(other), other, 0)))
        off_by = float(np.max(difference) / (size or 1.0))
    return off_by if np.isfinite(off_by) else np.inf


# --- scripts -------------------------------------------------------------------------------------

def compare_script(path: str, args: Sequence[str] = (), steps: int = 3) -> Report:
    """Run the script under torch and under minigrad, each in a process of its own, until its
    optimiser has taken `steps` steps, and compare what they recorded."""
    _torch()
    recorders = []
    with tempfile.TemporaryDirectory() as folder:
        for library in ("minigrad", "torch"):
            file = Path(folder, library)
            run = subprocess.run([sys.executable, "-m", "minigrad.testing.compare", library,
                                  str(file), str(steps), path, *args], env=os.environ)
            if not file.exists():
                raise RuntimeError(f"{path} fails under {library} (exit status {run.returncode})")
            recorders.append(pickle.loads(file.read_bytes()))
    report = Report(steps=steps)
    add_to(report, 0, *recorders)
    return report


def _record_script(library: str, file: str, steps: int, path: str, args: list[str]) -> None:
    """Run one script under a recorder, and leave its notes in `file`."""
    recorder: Any = MinigradRecorder() if library == "minigrad" else torch_recorder()
    recorder.last_step = steps
    try:
        with recorder:
            if library == "minigrad":
                from ..run import run

                run(path, args)
            else:
                import runpy

                sys.argv[:] = [path, *args]
                sys.path[0] = str(Path(path).resolve().parent)
                runpy.run_path(path, run_name="__main__")
    except EnoughSteps:
        pass
    notes = Recorder()
    notes.results, notes.gradients = recorder.results, recorder.gradients
    notes.parameters = recorder.parameters
    Path(file).write_bytes(pickle.dumps(notes))


if __name__ == "__main__":
    _record_script(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
