"""What runs in a worker process: it fetches batches and sends them back, or what went wrong."""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ...random import manual_seed
from ...threads import set_num_threads
from .dataset import IterableDataset
from .fetch import fetcher_of

PARENT_CHECK_SECONDS, DONE_CHECK_SECONDS = 5.0, 0.3


@dataclass
class WorkerInfo:
    """What `get_worker_info()` tells in a worker: `seed` is the one its random numbers have."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Facts about the DataLoader's worker process that this is; None in the main process."""
    return _worker_info


# --- messages ------------------------------------------------------------------------------------

@dataclass(frozen=True)
class StreamEnd:
    """The worker's copy of the stream is exhausted."""

    worker_id: int


@dataclass(frozen=True)
class Resume:
    """To a worker: start the dataset anew. From it: that has been done."""


class KeyErrorMessage(str):
    """A text that a KeyError shows as it is, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """The exception that is being handled, as a class and a text: tracebacks do not travel."""

    def __init__(self, where: str = "in background") -> None:
        kind, error, trace = sys.exc_info()
        self.exc_type: Any = kind
        self.exc_msg = "".join(traceback.format_exception(kind, error, trace))
        self.where = where

    def reraise(self) -> NoReturn:
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = KeyErrorMessage(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)
        try:
            error = self.exc_type(message)
        except Exception:  # it takes other arguments
            raise RuntimeError(message) from None
        try:
            raise error
        finally:
            del error  # or it would be its own traceback's local, and live until the next gc


# --- the process ---------------------------------------------------------------------------------

def worker_loop(dataset: Any, tasks: Any, results: Any, done: Any, batches: bool,
                collate_fn: Callable, drop_last: bool, base_seed: int, init_fn: Any,
                worker_id: int, num_workers: int) -> None:
    """Fetch what `tasks` asks for, (number, index), and send (number, batch) to `results`.

    None ends it. Once `done` is set, tasks are only read, so that a None is found soon.
    """
    gc.freeze()  # what the main process has left to collect is not for its workers to end
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    where = f"in DataLoader worker process {worker_id}"
    try:
        failure, fetcher = None, None
        make = lambda: fetcher_of(dataset, batches, collate_fn, drop_last)
        _seed(base_seed, worker_id, num_workers, dataset)
        try:
            if init_fn is not None:
                init_fn(worker_id)
            fetcher = make()
        except Exception:
            failure = ExceptionWrapper(where)
        ended = False
        while (task := _next_task(tasks, done)) is not None:
            if isinstance(task, Resume):
                ended = False
                results.send((task, None))
                fetcher = make()
                continue
            if done.value or ended:
                continue
            number, index = task
            if failure is not None:
                data, failure = failure, None
            else:
                data = _fetched(fetcher, index, dataset, worker_id, where)
                ended = isinstance(data, StreamEnd)
            _send(results, number, data, where)
            del data, task, index
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass  # the main process has them too, or has gone


def _next_task(tasks: Any, done: Any) -> Any:
    """The next task; None as well, should that be lost: a queue that is garbage sends nothing."""
    while True:
        try:
            return tasks.get(timeout=DONE_CHECK_SECONDS)
        except queue.Empty:
            if done.value:
                return None


def _seed(base_seed: int, worker_id: int, num_workers: int, dataset: Any) -> None:
    """Random numbers as torch's worker of that number has them: torch's, Python's and NumPy's."""
    global _worker_info
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without threadpoolctl: each worker would say so
        set_num_threads(1)
    seed = base_seed + worker_id
    random.seed(seed)
    manual_seed(seed)
    words = np.array([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0], np.uint32)
    np.random.seed(np.random.SeedSequence(words).generate_state(4))
    _worker_info = WorkerInfo(worker_id, num_workers, seed, dataset)


def _fetched(fetcher: Any, index: Any, dataset: Any, worker_id: int, where: str) -> Any:
    try:
        return fetcher.fetch(index)
    except Exception as error:
        if isinstance(error, StopIteration) and isinstance(dataset, IterableDataset):
            return StreamEnd(worker_id)
        return ExceptionWrapper(where)


def _send(results: Any, number: int, data: Any, where: str) -> None:
    try:
        results.send((number, data))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:  # what cannot be pickled: nothing of it has been sent
        results.send((number, ExceptionWrapper(where)))


def _end_with_the_parent() -> None:
    """No worker outlives a main process that was killed."""
    parent, pid = multiprocessing.parent_process(), os.getppid()
    while os.getppid() == pid:
        assert parent is not None
        parent.join(PARENT_CHECK_SECONDS)
    os._exit(1)
