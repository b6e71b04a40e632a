"""DataLoader with worker processes: torch's batches, torch's seeds, no hang whatever happens."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from parity_tests.harness import candidate, check_error, program

SECONDS = 60  # for a test that takes one; then something hangs


@pytest.fixture(autouse=True)
def no_hang():
    def stop(*_):
        raise TimeoutError(f"still running after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    gc.collect()  # torch's iterators are in cycles after an error; no worker should inherit them


class Squares:
    """A dataset that needs no library."""

    def __init__(self, count=20, slow=False):
        self.count, self.slow = count, slow

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if self.slow:
            time.sleep(0.02 * (index % 3))  # so that batches are ready out of turn
        return index * index, f"item {index}"


def stream(torch, count=7, split=False):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            info = torch.utils.data.get_worker_info()
            return iter(range(count) if info is None or not split
                        else range(info.id, count, info.num_workers))

        def __len__(self):
            return count

    return Stream()


def tensors(torch, count=50):
    return torch.utils.data.TensorDataset(
        torch.arange(count * 2.0).reshape(count, 2), torch.arange(count),
        torch.ones(count, dtype=torch.bfloat16))


def large(torch):
    class Large:
        def __len__(self):
            return 12

        def __getitem__(self, index):
            return torch.full((300_000,), float(index))  # more than a pipe holds

    return Large()


LOADERS = {
    "plain": lambda torch: dict(dataset=Squares(), num_workers=2),
    "batches": lambda torch: dict(dataset=tensors(torch), batch_size=8, num_workers=2),
    "three": lambda torch: dict(dataset=tensors(torch), batch_size=8, num_workers=3),
    "one": lambda torch: dict(dataset=tensors(torch), batch_size=8, num_workers=1),
    "shuffled": lambda torch: dict(dataset=tensors(torch), batch_size=8, shuffle=True,
                                   num_workers=2),
    "generator": lambda torch: dict(dataset=tensors(torch), batch_size=8, shuffle=True,
                                    num_workers=2, generator=torch.Generator().manual_seed(3)),
    "drop_last": lambda torch: dict(dataset=tensors(torch), batch_size=8, num_workers=2,
                                    drop_last=True),
    "unbatched": lambda torch: dict(dataset=tensors(torch), batch_size=None, num_workers=2),
    "batch_sampler": lambda torch: dict(dataset=tensors(torch), num_workers=2,
                                        batch_sampler=[[0, 1], [5], [7, 3, 9]]),
    "collate": lambda torch: dict(dataset=Squares(), batch_size=3, num_workers=2,
                                  collate_fn=lambda items: [name for _, name in items]),
    "slow": lambda torch: dict(dataset=Squares(slow=True), batch_size=2, num_workers=2),
    "more_workers_than_batches": lambda torch: dict(dataset=Squares(3), batch_size=2,
                                                    num_workers=3),
    "prefetch": lambda torch: dict(dataset=Squares(), batch_size=2, num_workers=2,
                                   prefetch_factor=5),
    "persistent": lambda torch: dict(dataset=tensors(torch), batch_size=8, shuffle=True,
                                     num_workers=2, persistent_workers=True),
    "large": lambda torch: dict(dataset=large(torch), batch_size=2, num_workers=2),
    "large_indices": lambda torch: dict(dataset=range(200_000), batch_size=100_000,
                                        num_workers=1),
    "timeout": lambda torch: dict(dataset=Squares(), batch_size=4, num_workers=2, timeout=20),
    "pinned": lambda torch: dict(dataset=tensors(torch), batch_size=8, num_workers=2,
                                 pin_memory=False),
    "stream": lambda torch: dict(dataset=stream(torch), batch_size=3, num_workers=2),
    "stream_split": lambda torch: dict(dataset=stream(torch, 11, True), batch_size=3,
                                       num_workers=2),
    "stream_dropping": lambda torch: dict(dataset=stream(torch, 11, True), batch_size=3,
                                          num_workers=2, drop_last=True),
    "stream_unbatched": lambda torch: dict(dataset=stream(torch, 5, True), batch_size=None,
                                           num_workers=2),
    "stream_persistent": lambda torch: dict(dataset=stream(torch, 11, True), batch_size=3,
                                            num_workers=2, persistent_workers=True),
    "empty": lambda torch: dict(dataset=[], batch_size=2, num_workers=2),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loader(name):
    def run(torch):
        loader = torch.utils.data.DataLoader(**LOADERS[name](torch))
        return list(loader), list(loader), torch.rand(2)

    program(run)


def test_batches_out_of_turn():
    def run(torch):
        loader = torch.utils.data.DataLoader(Squares(slow=True), batch_size=2, num_workers=2,
                                             in_order=False)
        return sorted(name for _, names in loader for name in names)

    program(run)


def test_starting_processes_anew():
    """With spawn everything is pickled: the dataset, the functions, the batches."""
    def run(torch):
        loader = torch.utils.data.DataLoader(Squares(6), batch_size=2, num_workers=1,
                                             multiprocessing_context="spawn")
        return list(loader)

    program(run)


# --- random numbers, facts -----------------------------------------------------------------------

def noise(torch):
    class Noise:
        def __len__(self):
            return 12

        def __getitem__(self, index):
            info = torch.utils.data.get_worker_info()
            return (torch.rand(2), random.random(), np.random.rand(), info.id, info.num_workers,
                    info.seed, torch.initial_seed(), info.dataset is not None)

    return Noise()


@pytest.mark.parametrize("options", [{}, {"persistent_workers": True}, {"generator": 5}])
def test_each_worker_has_its_seed(options):
    def run(torch):
        more = dict(options)
        if "generator" in more:
            more["generator"] = torch.Generator().manual_seed(more["generator"])
        loader = torch.utils.data.DataLoader(noise(torch), batch_size=2, num_workers=2,
                                             shuffle=True, **more)
        return list(loader), list(loader), torch.rand(1)

    program(run)


def test_worker_init_fn():
    def run(torch):
        class Numbers:
            offset = 0

            def __len__(self):
                return 8

            def __getitem__(self, index):
                return index + self.offset

        def begin(worker):
            info = torch.utils.data.get_worker_info()
            assert info.id == worker
            info.dataset.offset = 100 * (worker + 1)

        loader = torch.utils.data.DataLoader(Numbers(), batch_size=2, num_workers=2,
                                             worker_init_fn=begin)
        return list(loader), torch.utils.data.get_worker_info()

    program(run)


def test_persistent_workers_stay():
    class Pids:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return os.getpid()

    make = candidate().utils.data.DataLoader
    loader = make(Pids(), num_workers=2, persistent_workers=True)
    first, second = list(loader), list(loader)
    assert first == second and len({int(pid) for pid in first}) == 2
    for _ in loader:
        break  # what was on its way belongs to no later epoch
    assert list(loader) == first
    loader = make(Pids(), num_workers=2)
    assert not {int(pid) for pid in loader} & {int(pid) for pid in loader}


# --- what goes wrong -----------------------------------------------------------------------------

class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class Failing:
    def __init__(self, error, at=5):
        self.error, self.at = error, at

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == self.at:
            raise self.error
        return index


def outcome(lib, error):
    batches = iter(lib.utils.data.DataLoader(Failing(error), batch_size=2, num_workers=2))
    got, caught = [], None
    try:
        for batch in batches:
            got.append(batch.tolist())
    except Exception as failure:
        caught = failure
    text = re.sub(r'  File "(?!.*test_data_workers).*\n(    .*\n)+', "", str(caught))
    return got, type(caught).__name__, text


def test_an_error_in_a_worker():
    """Once beside torch, which then waits 10 s for its workers: an error holds its iterator."""
    assert outcome(candidate(), KeyError("key")) == outcome(torch, KeyError("key"))


@pytest.mark.parametrize("error, kind", [
    (ValueError("bad value"), "ValueError"), (IndexError(), "IndexError"),
    (TwoArguments(1, 2), "RuntimeError")], ids=repr)
def test_errors_in_a_worker(error, kind):
    got, raised, text = outcome(candidate(), error)
    name = type(error).__name__
    assert (got, raised) == ([[0, 1], [2, 3]], kind)
    assert text.startswith(f"Caught {name} in DataLoader worker process 0.\nOriginal Traceback (m"
                           "ost recent call last):\n  File ")
    assert "in __getitem__\n    raise self.error\n" in text and name in text.splitlines()[-1]


def test_after_an_error_the_rest_follows():
    def run(torch):
        batches = iter(torch.utils.data.DataLoader(Failing(ValueError("bad")), batch_size=2,
                                                   num_workers=2))
        got = []
        while True:
            try:
                got.append(next(batches))
            except ValueError:
                got.append("error")
            except StopIteration:
                return got

    program(run)


def test_an_error_where_the_worker_begins():
    def begin(worker):
        raise ValueError("cannot begin")

    loader = candidate().utils.data.DataLoader(Squares(), num_workers=2, worker_init_fn=begin)
    with pytest.raises(ValueError, match=r"^Caught ValueError in DataLoader worker process 0\."
                                         r"\nOriginal Traceback \(most recent call last\):\n"
                                         r"(?s:.*)ValueError: cannot begin\n$"):
        list(loader)


def test_what_cannot_be_pickled():
    class Functions:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return lambda: index

    loader = candidate().utils.data.DataLoader(Functions(), num_workers=1, batch_size=None)
    with pytest.raises((AttributeError, TypeError, RuntimeError), match="in DataLoader worker"):
        list(loader)


class Dying:
    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            self.how()
        return index


DEATHS = {
    "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), "is killed by signal: Killed"),
    "terminated": (lambda: os.kill(os.getpid(), signal.SIGTERM), "is killed by signal: Termin"),
    "exited": (lambda: os._exit(3), "exited unexpectedly with exit code 3. Details are lost "),
    "sys_exit": (lambda: sys.exit(1), "exited unexpectedly with exit code 1"),
}


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("persistent", [False, True])
def test_a_worker_that_dies(how, persistent):
    die, words = DEATHS[how]
    loader = candidate().utils.data.DataLoader(Dying(die), num_workers=2, batch_size=2,
                                               persistent_workers=persistent)
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid\(s\) \d+\) exited unexpect"
                       ) as caught:
        list(loader)
    assert words in str(caught.value.__cause__)
    assert not multiprocessing.active_children()


def test_timeout():
    class Sleeping:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            time.sleep(4 if index else 0)
            return index

    for lib in (torch, candidate()):
        batches = iter(lib.utils.data.DataLoader(Sleeping(), num_workers=1, timeout=1))
        assert next(batches).tolist() == [0]
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="^DataLoader timed out after 1 seconds$"):
            next(batches)
        assert time.monotonic() - began < 3
        del batches
        gc.collect()


# --- workers end ---------------------------------------------------------------------------------

def test_workers_end_with_the_iterator():
    loader = candidate().utils.data.DataLoader(large(candidate()), num_workers=2)
    batches = iter(loader)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    del batches
    gc.collect()
    assert not multiprocessing.active_children()
    list(loader)
    assert not multiprocessing.active_children()


def in_a_process(body):
    script = """
        import os, sys, time, signal
        import minigrad as torch
        class Numbers:
            def __len__(self):
                return 1000
            def __getitem__(self, index):
                return torch.ones(50_000) * index
        loader = torch.utils.data.DataLoader(Numbers(), num_workers=2, batch_size=2)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script) + textwrap.dedent(body)], timeout=SECONDS,
        cwd=Path(__file__).parents[1], capture_output=True, text=True)


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "raise SystemExit", "del batches"])
def test_a_program_ends_with_an_iterator_open(end):
    done = in_a_process(f"batches = iter(loader)\nnext(batches)\n{end}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_fails_with_an_iterator_open():
    done = in_a_process("for batch in loader:\n    raise ValueError('here')")
    assert done.returncode == 1 and done.stderr.endswith("ValueError: here\n")


def test_workers_do_not_outlive_a_program_that_is_killed():
    done = in_a_process("""
        batches = iter(loader)
        next(batches)
        print(*[process.pid for process, _ in batches._workers], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    for _ in range(200):
        alive = [pid for pid in pids if is_running(pid)]
        if not alive:
            break
        time.sleep(0.1)
    assert len(pids) == 2 and not alive


def is_running(pid):
    """Whether there is such a process, and it is more than a name (a zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- arguments -----------------------------------------------------------------------------------

ERRORS = {
    "negative": lambda data: data.DataLoader([1], num_workers=-1),
    "prefetch": lambda data: data.DataLoader([1], num_workers=1, prefetch_factor=-1),
    "context": lambda data: data.DataLoader([1], multiprocessing_context="fork"),
    "context_name": lambda data: data.DataLoader([1], num_workers=1,
                                                 multiprocessing_context="other"),
    "context_type": lambda data: data.DataLoader([1], num_workers=1, multiprocessing_context=3),
    "set_persistent": lambda data: setattr(
        data.DataLoader([1], num_workers=1), "persistent_workers", True),
    "timeout_alone": lambda data: list(data.DataLoader([1], timeout=3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], lambda torch: ERRORS[name](torch.utils.data))


def test_warnings():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = torch.utils.data
            data.DataLoader([1], num_workers=1000)
            short = stream(torch, 2)
            type(short).__iter__ = lambda self: iter(range(5))
            loader = data.DataLoader(short, num_workers=0, batch_size=None)
            len(loader), list(loader)
        return [(type(each.message).__name__, re.sub("<.*>", "", str(each.message)))
                for each in caught]

    program(run)
