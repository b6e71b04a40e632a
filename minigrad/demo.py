"""`python -m minigrad demo`: train on real digits, compare with PyTorch step by step, draw.

The program is examples/digits.py, an ordinary PyTorch program. It runs under minigrad and, where
torch is installed, once more under torch with the same seed, each in a process of its own:
minigrad never imports torch. What a machine lacks (torch, matplotlib, a program that lays graphs
out) is said and left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[1] / "examples" / "digits.py"
TARGETS = {"MLP": 0.97, "Transformer": 0.96}


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 if both models learn, 1 with one clear line if they do not or cannot."""
    parser = argparse.ArgumentParser(prog="python -m minigrad demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the files go")
    parser.add_argument("--data", type=Path, help="the digits, if not those of the repository")
    parser.add_argument("--epochs", type=int, help="at most so many passes over the images")
    options = parser.parse_args(arguments)
    if not PROGRAM.exists():
        print("minigrad demo: the program and its data, examples/digits.py, are in the source "
              "repository, not in the installed package", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    more = [] if options.data is None else ["--data", str(options.data)]
    more += [] if options.epochs is None else ["--epochs", str(options.epochs)]

    has_torch = importlib.util.find_spec("torch") is not None
    ours = train(["-m", "minigrad", "run", str(PROGRAM)], "minigrad", options.out, more)
    if ours is None:
        return 1
    theirs = None
    if has_torch:
        theirs = train([str(PROGRAM)], "torch", options.out, more)
    else:
        print("torch is not installed: no comparison of the loss curves with it")

    comparison = compare(ours, theirs)
    (options.out / "comparison.txt").write_text(comparison + "\n")
    print(comparison)
    written = [options.out / "comparison.txt"]
    for draw in (draw_curves, draw_graph):
        path = draw(ours, theirs, options)
        written += [] if path is None else [path]
    print("written:", ", ".join(map(str, written)))
    missed = [name for name, least in TARGETS.items() if ours[name]["test"] < least]
    if missed and options.epochs is None:
        print(f"minigrad demo: below the expected accuracy: {', '.join(missed)}", file=sys.stderr)
        return 1
    return 0


def train(command: list[str], library: str, out: Path, more: list[str]) -> dict | None:
    """Run the program under one library; its report, or None after its own error message."""
    print(f"training under {library} ...", flush=True)
    report = out / f"{library}.json"
    root = str(PROGRAM.parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    finished = subprocess.run([sys.executable, *command, "--report", str(report), *more],
                              env=dict(os.environ, PYTHONPATH=path), check=False)
    if finished.returncode:
        return None
    result = json.loads(report.read_text())
    report.unlink()
    return result


def compare(ours: dict, theirs: dict | None) -> str:
    """What each library reached, and how far the two loss curves agree."""
    lines = []
    for name, mine in ours.items():
        lines.append(f"{name}: {len(mine['losses'])} steps under minigrad in "
                     f"{mine['seconds']:.1f} s, test accuracy {mine['test']:.1%}")
        if theirs is None:
            continue
        other = theirs[name]
        lines.append(f"{' ' * len(name)}  {len(other['losses'])} steps under torch in "
                     f"{other['seconds']:.1f} s, test accuracy {other['test']:.1%}")
        gaps = [abs(a - b) / abs(b) for a, b in
                zip(mine["losses"], other["losses"], strict=False)]
        for count in (1, 10, 100, len(gaps)):
            if count <= len(gaps):
                lines.append(f"{' ' * len(name)}  losses of the first {count} steps differ by at "
                             f"most {max(gaps[:count]):.1e} (relative)")
    return "\n".join(lines)


def draw_curves(ours: dict, theirs: dict | None, options: Any) -> Path | None:
    """curves.png: the loss of every step, minigrad's over torch's."""
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        print("matplotlib is not installed: no training curves")
        return None
    matplotlib.use("Agg")
    plots = importlib.import_module("matplotlib.pyplot")
    figure, panels = plots.subplots(1, len(ours), figsize=(5 * len(ours), 3.5), squeeze=False)
    for panel, (name, mine) in zip(panels[0], ours.items(), strict=True):
        if theirs is not None:
            panel.plot(theirs[name]["losses"], color="#f0b429", linewidth=4, label="torch")
        panel.plot(mine["losses"], color="#1b4f9c", linewidth=1, label="minigrad")
        panel.set(title=f"{name}: test accuracy {mine['test']:.1%}", xlabel="step", ylabel="loss")
        panel.legend()
    figure.tight_layout()
    figure.savefig(options.out / "curves.png", dpi=150)
    plots.close(figure)
    return options.out / "curves.png"


def draw_graph(ours: dict, theirs: dict | None, options: Any) -> Path | None:
    """graph.svg: the computation graph of one training step of the MLP."""
    from . import viz
    from .run import install

    try:
        viz.layout_engine()
        importlib.import_module("graphviz")
    except viz.LayoutUnavailable as error:
        print(f"no picture of the graph: {error}")
        return None
    except ImportError:
        print("the package graphviz is not installed: no picture of the graph")
        return None
    install()
    spec = importlib.util.spec_from_file_location("digits", PROGRAM)
    assert spec is not None and spec.loader is not None
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    images, labels = digits.load(options.data or digits.DATA)
    model = digits.MLP()
    loss = digits.F.cross_entropy(model(images[:4]), labels[:4])
    return viz.save(loss, options.out / "graph.svg", model.named_parameters())


if __name__ == "__main__":
    sys.exit(main())
