"""`python -m parity_tests.memory`: what a graph holds between forward and backward, and what a long
training leaves behind. NumPy tells tracemalloc of its arrays, so the numbers are minigrad's alone.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

MIB = 2**20


def held_by_a_graph(lib: Any, wrap: bool, depth: int = 12, width: int = 256) -> int:
    """The bytes that a deep residual model's graph holds before backward frees them."""
    import importlib

    nn, checkpoint = lib.nn, importlib.import_module(f"{lib.__name__}.utils.checkpoint").checkpoint
    lib.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.Tanh())
              for _ in range(depth)]
    h = lib.randn(512, width, requires_grad=True)
    gc.collect()
    tracemalloc.start()
    for block in blocks:
        h = h + (checkpoint(block, h, use_reentrant=False) if wrap else block(h))
    held = tracemalloc.get_traced_memory()[0]
    h.square().mean().backward()
    tracemalloc.stop()
    return held


def growth_of_a_training(lib: Any, steps: int = 10_000) -> int:
    """How many bytes more are in use after `steps` training steps than after the first tenth."""
    nn = lib.nn
    lib.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x, y = lib.randn(16, 4), lib.randn(16, 1)
    tracemalloc.start()
    start = 0
    for step in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        if step == steps // 10:
            gc.collect()
            start = tracemalloc.get_traced_memory()[0]
    gc.collect()
    growth = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    return growth


def main() -> None:
    import minigrad

    kept, wrapped = (held_by_a_graph(minigrad, wrap) for wrap in (False, True))
    print(f"12 residual blocks, 512 x 256: the graph holds {kept / MIB:.1f} MiB")
    print(f"the same, each block checkpointed:             {wrapped / MIB:.1f} MiB")
    print(f"10,000 training steps: {growth_of_a_training(minigrad):+,} bytes in use")


if __name__ == "__main__":
    main()
