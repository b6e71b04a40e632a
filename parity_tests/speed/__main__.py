"""`python -m parity_tests.speed`: a table of the times of minigrad and torch, and their ratios."""

from __future__ import annotations

import argparse
import json
import sys

from parity_tests.speed.cases import CASES
from parity_tests.speed.measure import (
    LIBRARIES,
    alternate,
    environment,
    import_time,
    memory_of,
    merge,
    peak_memory,
    time_cases,
)
from parity_tests.speed.models import MODELS


def readable(seconds: float | str) -> str:
    if isinstance(seconds, str):
        return "n/a"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def row(label: str, minigrad: float | str, torch: float | str) -> str:
    reasons = [time for time in (minigrad, torch) if isinstance(time, str)]
    ratio = f"n/a: {reasons[0]}" if reasons else f"{minigrad / torch:.2f}"
    return f"| {label} | {readable(minigrad)} | {readable(torch)} | {ratio} |"


def table(names: list[str], rounds: int, threads: int, seconds: float) -> str:
    best: dict[str, dict] = {}
    imports: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        best = merge(best, alternate(names, threads, seconds))
        for library in LIBRARIES:
            imports[library].append(import_time(library))
    rows = [row(CASES[name].__doc__.strip().rstrip("."), best["minigrad"][name],
                best["torch"][name]) for name in names]
    rows.append(row("import, beyond NumPy's own", *(min(imports[name]) for name in LIBRARIES)))
    return "\n".join(["| lowest time of a step | minigrad | torch | ratio |",
                      "|---|---|---|---|", *rows])


def memory_table(names: list[str], threads: int) -> str:
    """Peak memory of the whole models; a process's least size is the library's, and not counted."""
    rows = []
    for name in names:
        peak = peak_memory(name, threads)
        mine, theirs = (f"{peak[library] / 2**20:.1f} MB" for library in LIBRARIES)
        ratio = peak["minigrad"] / peak["torch"]
        rows.append(f"| {CASES[name].__doc__.strip().rstrip('.')} | {mine} | {theirs} | "
                    f"{ratio:.2f} |")
    return "\n".join(["| peak memory beyond the import | minigrad | torch | ratio |",
                      "|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.speed", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"all, or some of: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each library")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for one case in one turn")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # library, options as JSON
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)  # library, case
    arguments = parser.parse_args()
    if arguments.memory:
        print(memory_of(*arguments.memory))
        return
    if arguments.child:
        library, options = arguments.child
        print(json.dumps(time_cases(library, **json.loads(options))))
        return
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(environment(arguments.threads), end="\n\n")
    names = arguments.cases or list(CASES)
    print(table(names, arguments.rounds, arguments.threads, arguments.seconds))
    models = [name for name in names if name in MODELS]
    if models:
        print(f"\n{memory_table(models, arguments.threads)}")


if __name__ == "__main__":
    main()
