"""minigrad's command line: `python -m minigrad run FILE`, `compare FILE`, `demo`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m minigrad", description="PyTorch's autograd in readable Python."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run_parser = commands.add_parser(
        "run", help="run an unmodified PyTorch program with minigrad in torch's place"
    )
    run_parser.add_argument("file", metavar="FILE.py", help="the program")
    run_parser.add_argument(
        "args", metavar="args", nargs=argparse.REMAINDER, help="the program's own arguments"
    )
    compare_parser = commands.add_parser(
        "compare", help="run a training script under torch and under minigrad, and say what is "
        "the first thing to differ")
    compare_parser.add_argument("file", metavar="FILE.py", help="the program")
    compare_parser.add_argument("--steps", type=int, default=3, help="of the optimiser (3)")
    compare_parser.add_argument("args", metavar="args", nargs="*", help="the program's own")
    commands.add_parser(
        "demo", add_help=False, help="train a model and draw its computation graph"
    )
    options, rest = parser.parse_known_args(argv)
    if options.command == "demo":
        from minigrad import demo

        return demo.main(rest) or 0
    if options.command == "compare":
        return compare_file(options.file, [*options.args, *rest], options.steps)
    if rest:
        run_parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return run_file(options.file, options.args)


def run_file(path: str, args: Sequence[str]) -> int:
    """Run the program at `path`; 2 and one clear line if it cannot be read."""
    from minigrad.run import run

    if not can_open(path):
        return 2
    run(path, args)
    return 0


def compare_file(path: str, args: Sequence[str], steps: int) -> int:
    """Compare the program's run with torch's: 0 if equal, 1 if not, 2 if it cannot be compared."""
    from minigrad.testing.compare import compare_script

    if not can_open(path):
        return 2
    try:
        report = compare_script(path, args, steps)
    except (ImportError, RuntimeError) as error:
        print(f"minigrad: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report.equal else 1


def can_open(path: str) -> bool:
    """Whether the program can be read; if not, one clear line says why."""
    try:
        open(path, "rb").close()
    except OSError as error:
        print(f"minigrad: cannot open '{path}': {error.strerror}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
