"""pytest's side of the proof: `--device`, the number of threads, and the list of known gaps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

THREADS = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, THREADS)  # read once, when NumPy and torch load

HERE = Path(__file__).parent

# What is about the host, about text or about whole programs is not repeated on another device.
HOST_ONLY = {f"test_{name}.py" for name in (
    "chapter", "data_workers", "demo", "docs", "docstrings", "examples", "files_refused",
    "formulas", "formulas_of_reductions", "harness", "lr_scheduler", "names", "page_pictures",
    "reference", "run", "signatures", "speed", "testing", "threads", "viz", "viz_diff", "viz_step",
    "viz_step_browser", "viz_training")}

# `--hypothesis-profile nightly` looks for new examples; else they are the same in every run.
settings.register_profile("nightly", max_examples=2000, deadline=None, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("nightly"), max_examples=100,
                          derandomize=True, database=None)
settings.load_profile("same")


def pytest_addoption(parser):
    parser.addoption(
        "--device", choices=("cpu", "cuda", "fake-cuda"), default="cpu",
        help="where minigrad runs: NumPy, CuPy on a GPU, or the strict stand-in for CuPy",
    )
    parser.addoption("--matrix", metavar="FILE", help="write the table of operators and levels")


def pytest_configure(config):
    device = config.getoption("--device")
    if device == "fake-cuda":
        from parity_tests import fake_cupy

        fake_cupy.install()  # before minigrad looks for `cupy`
    elif device == "cuda":
        import cupy

        if not cupy.cuda.is_available():
            raise pytest.UsageError("--device cuda: CuPy finds no GPU (try --device fake-cuda)")

    import torch

    from parity_tests import harness

    torch.set_num_threads(int(THREADS))
    harness.DEVICE = device
    if config.getoption("--matrix"):
        from parity_tests.matrix import Matrix

        config.pluginmanager.register(Matrix(Path(config.getoption("--matrix"))))


def pytest_report_header(config):
    return f"minigrad's device: {config.getoption('--device')}, {THREADS} threads"


def gap_keys(item) -> list[str]:
    """Every key under which known_gaps.py may list this test."""
    short_id = item.nodeid.removeprefix(f"{HERE.name}/")
    case = [item.callspec.id] if hasattr(item, "callspec") else []
    names = [short_id, item.name, *case]
    return names + [f"{name} @{item.config.getoption('--device')}" for name in names]


def whole_folder_collected(config) -> bool:
    chosen = {Path(config.invocation_params.dir, argument).resolve() for argument in config.args}
    narrowed = config.getoption("keyword") or config.getoption("markexpr")
    return not narrowed and bool(chosen & {HERE, *HERE.parents})


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    from parity_tests.known_gaps import GAPS

    matched = set()
    for item in items:
        for key in gap_keys(item):
            if key in GAPS:
                matched.add(key)
                item.add_marker(pytest.mark.xfail(reason=GAPS[key], strict=True))

    device = config.getoption("--device")
    if device != "cpu":
        dropped = [item for item in items if item.path.name in HOST_ONLY]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item.path.name not in HOST_ONLY]
        return
    expected = {key for key in GAPS if " @" not in key or key.endswith(f" @{device}")}
    if whole_folder_collected(config) and expected - matched:
        raise pytest.UsageError(f"known_gaps.py names no test: {sorted(expected - matched)}")
