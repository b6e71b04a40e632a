"""The demo, with few epochs: what it writes, what it says where something is missing."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / "examples" / "data" / "digits.csv.gz"

pytestmark = pytest.mark.xdist_group("demo")


def demo(*arguments, hidden=(), out):
    """Run the demo in a process of its own, in which the `hidden` packages cannot be imported."""
    code = ["import sys, shutil"]
    code += [f"sys.modules[{name!r}] = None" for name in hidden]
    if "dot" in hidden:
        code.append("shutil.which = lambda *args, **kwargs: None")
    code.append("from minigrad.demo import main")
    code.append(f"sys.exit(main({[*map(str, arguments), '--out', str(out)]!r}))")
    return subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=REPOSITORY, text=True,
                          capture_output=True, env=dict(os.environ, OMP_NUM_THREADS="1"))


def test_one_epoch_beside_torch(tmp_path):
    run = demo("--epochs", 1, out=tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "comparison.txt", "curves.png", "graph.svg"}
    text = (tmp_path / "out" / "comparison.txt").read_text()
    assert text.count("under torch") == 2 and text.count("under minigrad") == 2
    agreed = [float(line.split("at most ")[1].split()[0]) for line in text.splitlines()
              if "first 10 steps" in line]
    assert len(agreed) == 2 and max(agreed) < 1e-5
    assert "NllLossBackward0" in (tmp_path / "out" / "graph.svg").read_text()


def test_it_says_what_it_leaves_out(tmp_path):
    run = demo("--epochs", 1, hidden=("torch", "matplotlib", "dot", "tqdm"), out=tmp_path)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"comparison.txt"}
    assert "torch is not installed" in run.stdout
    assert "matplotlib is not installed" in run.stdout
    assert "no picture of the graph: drawing a graph needs the program `dot`" in run.stdout


@pytest.mark.parametrize("damage", ["truncated", "short", "text", "missing"])
def test_damaged_data(tmp_path, damage):
    path = tmp_path / "digits.csv.gz"
    if damage == "truncated":
        path.write_bytes(DATA.read_bytes()[:20_000])
    elif damage == "short":
        path.write_bytes(gzip.compress(gzip.decompress(DATA.read_bytes())[:10_000]))
    elif damage == "text":
        path.write_bytes(gzip.compress(b"no,numbers\n"))
    run = demo("--data", path, out=tmp_path / "out")
    assert run.returncode == 1
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("digits: ") and str(path) in line
    assert "Traceback" not in run.stderr
    assert not list((tmp_path / "out").iterdir())
