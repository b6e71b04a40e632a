"""An iterator whose batches are made by worker processes.

Each worker has a queue of tasks, (number, index), and a pipe for its results. The iterator hands
tasks out in turn, `prefetch_factor` to each worker, and one more for each batch it returns; results
that come too early wait until it is their turn, so that the order is the sampler's. A thread
empties the pipes, so that workers never wait for the program, and notices when a worker is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import wait
from typing import Any

from .iterator import LoaderIterator
from .worker import ExceptionWrapper, Resume, StreamEnd, worker_loop

JOIN_SECONDS = 5.0


class _Gone:
    """In the place of a result: the worker's process has ended."""


def _receive(workers: list, results: queue.Queue, stop: Any) -> None:
    """Put every worker's results into the queue, as (worker's number, result)."""
    pipes = {pipe: number for number, (_, pipe) in enumerate(workers)}
    ends = {process.sentinel: pipe for process, pipe in workers}
    while ends:
        for ready in wait([*ends, *ends.values(), stop]):
            if ready is stop:
                return
            pipe: Any = ends.get(ready, ready)
            if pipe not in ends.values():
                continue
            try:
                while pipe.poll():
                    results.put((pipes[pipe], pipe.recv()))
                if ready is pipe:
                    continue
            except (EOFError, OSError):
                pass
            except Exception as error:  # a result that cannot be unpickled here
                results.put((pipes[pipe], error))
                continue
            ends = {end: other for end, other in ends.items() if other is not pipe}
            results.put((pipes[pipe], _Gone()))


class WorkersIterator(LoaderIterator):
    """Iterates once over the dataset; with `persistent_workers`, again after `reset`."""

    _hint = (
        "For multiprocessing data-loading, this could be caused by not properly configuring the "
        "IterableDataset replica at each worker. Please see https://pytorch.org/docs/stable/data."
        "html#torch.utils.data.IterableDataset for examples.")

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._persistent, self._timeout = loader.persistent_workers, loader.timeout
        self._in_order = loader.in_order
        self._limit = loader.prefetch_factor * loader.num_workers
        self._workers: list = []  # (process, the pipe's end here)
        self._task_queues: list = []
        self._results: queue.Queue = queue.Queue()
        self._closed, self._pid = False, os.getpid()
        context = loader.multiprocessing_context or multiprocessing
        self._done = context.RawValue("b", 0)  # without a lock that a dying worker could hold
        for number in range(loader.num_workers):
            self._start(context, loader, number)
        self._stop, stop = multiprocessing.Pipe()
        self._receiver = threading.Thread(
            target=_receive, args=(self._workers, self._results, stop), daemon=True)
        self._receiver.start()
        self.reset(loader, first=True)

    def _start(self, context: Any, loader: Any, number: int) -> None:
        tasks = context.Queue()
        tasks.cancel_join_thread()  # when this process ends, nobody reads the rest
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=worker_loop, daemon=True, args=(
            loader.dataset, tasks, there, self._done, loader.batch_sampler is not None,
            loader.collate_fn, loader.drop_last, self._base_seed, loader.worker_init_fn, number,
            loader.num_workers))
        try:
            process.start()
        except BaseException:
            self.close()
            raise
        there.close()
        self._workers.append((process, here))
        self._task_queues.append(tasks)

    def reset(self, loader: Any, first: bool = False) -> None:
        """Begin an epoch."""
        self._indices = iter(self._index_sampler)
        self._begin(loader)
        self._sent = self._returned = 0      # numbers of the next task, of the next result
        self._tasks: dict[int, list] = {}    # number: [worker] or [worker, result]
        self._outstanding = 0
        self._active = [True] * len(self._workers)
        self._load = [0] * len(self._workers)
        self._turns = itertools.cycle(range(len(self._workers)))
        if not first:
            for tasks in self._task_queues:
                tasks.put(Resume())
            waiting = len(self._workers)
            while waiting:
                number, _ = self._get()
                waiting -= isinstance(number, Resume)
        for _ in range(self._limit):
            self._hand_out()

    def _next(self) -> Any:
        while True:
            self._skip_what_ended_workers_owe()
            task = self._tasks[self._returned]
            if len(task) == 2:
                del self._tasks[self._returned]
                self._returned += 1
                return self._handed_over(task[1], task[0])
            number, data = self._get()
            self._outstanding -= 1
            if isinstance(data, StreamEnd):
                self._active[data.worker_id] = False
                if not self._persistent:
                    self._task_queues[data.worker_id].put(None)
                self._hand_out()
            elif number == self._returned:
                self._returned += 1
                return self._handed_over(data, self._tasks.pop(number)[0])
            elif not self._in_order:
                return self._handed_over(data, self._tasks.pop(number)[0])
            else:
                self._tasks[number].append(data)

    def _skip_what_ended_workers_owe(self) -> None:
        while self._returned < self._sent:
            task = self._tasks.get(self._returned)
            if task is not None:
                if len(task) == 2 or self._active[task[0]]:
                    return
                del self._tasks[self._returned]
            self._returned += 1
        if not self._persistent:
            self.close()
        raise StopIteration

    def _handed_over(self, data: Any, worker: int) -> Any:
        self._load[worker] -= 1
        self._hand_out()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data

    def _hand_out(self) -> None:
        """Give the next index, if there is one, to the next worker that takes any."""
        try:
            index = next(self._indices)
        except StopIteration:
            return
        for _ in self._workers:
            worker = next(self._turns)
            if self._active[worker] and (
                    self._in_order or self._load[worker] < self._limit // sum(self._active)):
                break
        else:
            return
        self._task_queues[worker].put((self._sent, index))
        self._tasks[self._sent] = [worker]
        self._load[worker] += 1
        self._outstanding += 1
        self._sent += 1

    def _get(self) -> tuple:
        """The next result, of whichever worker."""
        while True:
            try:
                worker, message = self._results.get(timeout=self._timeout or None)
            except queue.Empty:
                raise RuntimeError(
                    f"DataLoader timed out after {self._timeout} seconds") from None
            if isinstance(message, Exception):
                raise message
            if not isinstance(message, _Gone):
                return message
            if self._active[worker]:
                self._active[worker] = False
                process = self._workers[worker][0]
                process.join()
                self.close()
                raise RuntimeError(f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly"
                                   ) from RuntimeError(_how_it_ended(process))

    def close(self) -> None:
        """End the workers, in their own way if they do so within seconds."""
        if self._closed:
            return
        self._closed = True
        self._done.value = 1
        for tasks in self._task_queues:
            tasks.put(None)
        for process, _ in self._workers:
            process.join(JOIN_SECONDS)
            for end in (process.terminate, process.kill):
                if process.is_alive():
                    end()
                    process.join(JOIN_SECONDS)
        for tasks in self._task_queues:
            tasks.close()
        if hasattr(self, "_receiver"):
            with contextlib.suppress(OSError):  # it has ended with the last worker
                self._stop.send(None)
            self._receiver.join(JOIN_SECONDS)
            self._stop.close()
        for _, pipe in self._workers:
            pipe.close()

    def __del__(self) -> None:
        # While Python exits, workers are left to multiprocessing: they are daemons. And a process
        # that inherited this iterator has no business with its workers.
        if getattr(self, "_pid", None) == os.getpid() and not _exiting():
            self.close()


def _exiting() -> bool:
    return sys is None or sys.is_finalizing() or not threading.main_thread().is_alive()


def _how_it_ended(process: Any) -> str:
    if process.exitcode is not None and process.exitcode < 0:
        name = signal.strsignal(-process.exitcode)
        return f"DataLoader worker (pid {process.pid}) is killed by signal: {name}. "
    return (f"DataLoader worker (pid {process.pid}) exited unexpectedly with exit code "
            f"{process.exitcode}. Details are lost due to multiprocessing. Rerunning with "
            "num_workers=0 may give better error trace.")

