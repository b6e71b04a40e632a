"""Threads: how many there may be, and big arrays done by two of them.

Note [Two halves]
~~~~~~~~~~~~~~~~~
NumPy's matrix products run on all CPUs, everything else on one. A chain of passes over a big array
can be cut in two: `in_halves` does one half here and the other on a thread that waits for work (a
ufunc lets go of Python's lock while it computes). What is cut is independent, row by row or element
by element, so the result is the same number for number. It pays from some hundred thousand elements
on; handing over takes microseconds, and in many small pieces the lock would be handed to and fro.
"""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Any

_chosen: int | None = None


def get_num_threads() -> int:
    """The number of threads: as set, by `set_num_threads` or by OMP_NUM_THREADS when Python was
    started, else one for each CPU this process may use."""
    if _chosen is not None:
        return _chosen
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Limit the threads of BLAS, which takes the package threadpoolctl, and of minigrad's own."""
    global _chosen, _two
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _chosen = n
    _two = n > 1
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        warnings.warn("set_num_threads: without the package threadpoolctl BLAS keeps its threads "
                      "(OMP_NUM_THREADS=1, set before Python starts, limits them too)",
                      stacklevel=2)
    else:
        threadpool_limits(n)


_two = get_num_threads() > 1
WORTH_TWO = 1 << 18  # elements


def in_halves(work: Callable[[slice], Any], length: int, size: int) -> None:
    """Call `work` on slices that make up range(length): two at the same time where the `size`
    elements that it goes through are worth it (see Note [Two halves])."""
    if size < WORTH_TWO or length < 2 or not _two or not _busy.acquire(blocking=False):
        work(slice(0, length))
        return
    try:
        _in_two(work, length)
    finally:
        _busy.release()


def _in_two(work: Callable[[slice], Any], length: int) -> None:
    helper = _helper()
    helper.todo.put((work, slice(0, length // 2)))
    try:
        work(slice(length // 2, length))
    finally:
        try:
            error = helper.done.get()
        except BaseException:  # Ctrl-C: the answer that nobody waited for is no other call's
            _helpers.clear()
            raise
    if error is not None:
        raise error


class _Helper:
    """The second thread, and what goes to it and comes back."""

    def __init__(self) -> None:
        self.todo: queue.SimpleQueue = queue.SimpleQueue()
        self.done: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self.run, name="minigrad's second half", daemon=True).start()

    def run(self) -> None:
        from .core import mode

        mode.grad = False  # and, as in every thread that asks for `mode`, NumPy does not warn
        while True:
            work, part = self.todo.get()
            try:
                work(part)
            except BaseException as error:
                self.done.put(error)
            else:
                self.done.put(None)
            work = None


_busy = threading.Lock()  # taken while the helper works: who comes meanwhile works alone
_helpers: list[_Helper] = []


def _helper() -> _Helper:
    if not _helpers:
        _helpers.append(_Helper())
    return _helpers[0]


def _forget() -> None:
    """A forked process has no other threads, and nobody who would give back the lock."""
    global _busy
    _busy = threading.Lock()
    _helpers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
