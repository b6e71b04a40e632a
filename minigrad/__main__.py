"""minigrad's command line: `python -m minigrad run FILE [args...]`, `python -m minigrad demo`."""

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
    commands.add_parser(
        "demo", add_help=False, help="train a model and draw its computation graph"
    )
    options, rest = parser.parse_known_args(argv)
    if options.command == "demo":
        from minigrad import demo

        return demo.main(rest) or 0
    if rest:
        run_parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return run_file(options.file, options.args)


def run_file(path: str, args: Sequence[str]) -> int:
    """Run the program at `path`; 2 and one clear line if it cannot be read."""
    from minigrad.run import run

    try:
        open(path, "rb").close()
    except OSError as error:
        print(f"minigrad: cannot open '{path}': {error.strerror}", file=sys.stderr)
        return 2
    run(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
