"""How many threads NumPy's matrix products use."""

from __future__ import annotations

import os
import warnings

_chosen: int | None = None


def get_num_threads() -> int:
    """The number of threads: as set, else one for each CPU this process may use."""
    if _chosen is not None:
        return _chosen
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Limit BLAS, the only part of minigrad with threads; the package threadpoolctl does it."""
    global _chosen
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _chosen = n
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        warnings.warn("set_num_threads: without the package threadpoolctl BLAS keeps its threads "
                      "(OMP_NUM_THREADS=1, set before Python starts, limits them too)",
                      stacklevel=2)
    else:
        threadpool_limits(n)
