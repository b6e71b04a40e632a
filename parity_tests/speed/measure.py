"""Timing two libraries fairly: each in processes of its own, turn by turn, the lowest time taken.

Whatever else a machine does only ever adds time, so the lowest of many is the best estimate; and
turns, because a machine is slower or faster for seconds on end.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from parity_tests.speed.cases import CASES

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = ("minigrad", "torch")

IMPORT_TIMER = """
import numpy, time
start = time.perf_counter()
import {library}
print(time.perf_counter() - start)
"""


def _child(arguments: list[str], threads: int, **variables: str) -> str:
    count = str(threads)
    environment = dict(os.environ, OMP_NUM_THREADS=count, OPENBLAS_NUM_THREADS=count,
                       MKL_NUM_THREADS=count, **variables)
    child = subprocess.run([sys.executable, *arguments], cwd=REPOSITORY, env=environment,
                           stdout=subprocess.PIPE, text=True, check=True)
    return child.stdout.splitlines()[-1]


def time_cases(library: str, names: Iterable[str], seconds: float) -> dict[str, float | str]:
    """Run in the child: seconds a step, or why the library cannot take it."""
    lib = importlib.import_module(library)
    times: dict[str, float | str] = {}
    for name in names:
        try:
            lib.manual_seed(0)
            times[name] = lowest(CASES[name](lib), seconds)
        except (AttributeError, ImportError, NotImplementedError) as error:
            times[name] = f"{type(error).__name__}: {error}"
    return times


def lowest(step, seconds: float) -> float:
    """The lowest time of one step among as many as fit in `seconds`, and at least five."""
    step()  # caches, lazy imports
    best, runs, deadline = float("inf"), 0, time.perf_counter() + seconds
    while runs < 5 or time.perf_counter() < deadline:
        start = time.perf_counter()
        step()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    return best


def alternate(names: Iterable[str], threads: int, seconds: float) -> dict[str, dict]:
    """One turn of each library: {library: {case: seconds, or why not}}."""
    options = json.dumps(dict(names=list(names), seconds=seconds))
    return {library: json.loads(_child(["-m", "parity_tests.speed", "--child", library, options],
                                       threads))
            for library in LIBRARIES}


def memory_of(library: str, name: str, steps: int = 5) -> int:
    """Run in the child: the bytes that building the case and a few steps take at most, beyond what
    the process held when the library was imported."""
    lib = importlib.import_module(library)
    before = _resident("VmRSS")
    step = CASES[name](lib)
    for _ in range(steps):
        step()
    return _resident("VmHWM") - before


def _resident(line: str) -> int:
    """Bytes in memory, now (VmRSS) or at most so far (VmHWM). getrusage's maximum would not do: a
    child inherits it from its parent."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{line}:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]


def peak_memory(name: str, threads: int) -> dict[str, int]:
    """{library: bytes}, each in a process of its own."""
    return {library: int(_child(["-m", "parity_tests.speed", "--memory", library, name], threads))
            for library in LIBRARIES}


def merge(best: dict[str, dict], turn: dict[str, dict]) -> dict[str, dict]:
    """The lower time of each case; a reason (a text) stays."""
    def lower(old, new):
        return new if isinstance(new, str) or old is None else min(old, new)

    return {library: {name: lower(best.get(library, {}).get(name), new)
                      for name, new in turn[library].items()} for library in LIBRARIES}


def import_time(library: str, threads: int = 1) -> float:
    """Seconds that a fresh interpreter spends on importing the library, NumPy being there.

    The second import counts: the first compiles the library, which pip has done for NumPy.
    """
    timer = ["-c", IMPORT_TIMER.format(library=library)]
    with tempfile.TemporaryDirectory() as compiled:
        for _ in range(2):
            seconds = float(_child(timer, threads, PYTHONDONTWRITEBYTECODE="",
                                   PYTHONPYCACHEPREFIX=compiled))
    return seconds


def environment(threads: int) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in ("numpy", "torch")]
    return ", ".join([_cpu(), f"{os.cpu_count()} cores", f"{threads} threads",
                      f"Python {platform.python_version()}", *versions])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
