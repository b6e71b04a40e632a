"""Two threads do what one does, number for number (Note [Two halves] in threads.py)."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from minigrad import threads
from parity_tests.harness import candidate

SIDE = 600  # squared it is enough for two threads

OPS = {
    "gelu": lambda lib, x, w: lib.nn.functional.gelu(x),
    "softmax": lambda lib, x, w: x.softmax(-1),
    "softmax of columns": lambda lib, x, w: x.softmax(0),
    "log_softmax": lambda lib, x, w: x.log_softmax(-1),
    "layer_norm": lambda lib, x, w: lib.nn.functional.layer_norm(x, (SIDE,), w, w),
}


@pytest.fixture
def two(monkeypatch):
    """Whether in_halves may take two threads is a switch of the test."""
    def switch(on):
        monkeypatch.setattr(threads, "_two", on)

    return switch


def _leaves(lib):
    draw = np.random.default_rng(0).standard_normal
    return [lib.tensor(draw(shape).astype("f4"), requires_grad=True)
            for shape in ((SIDE, SIDE), (SIDE,))]


@pytest.mark.parametrize("name", OPS)
def test_ops(name, two):
    def run():
        lib = candidate()
        x, w = _leaves(lib)
        y = OPS[name](lib, x, w)
        return y.detach().numpy(), lib.autograd.grad(y, x, y.detach().sin())[0].numpy()

    two(True)
    assert SIDE * SIDE >= threads.WORTH_TWO
    both = run()
    two(False)
    for got, want in zip(both, run(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_every_row_is_done_once_and_by_two_threads(two):
    two(True)
    done, who = np.zeros(1001, int), set()

    def work(part):
        done[part] += 1
        who.add(threading.current_thread().name)

    threads.in_halves(work, len(done), threads.WORTH_TWO)
    assert (done == 1).all() and len(who) == 2
    threads.in_halves(work, len(done), threads.WORTH_TWO - 1)  # too small: not handed over
    assert (done == 2).all()


def test_an_error_in_either_half_arrives_and_the_next_call_works(two):
    two(True)
    for wrong in (0, 999):
        def work(part, wrong=wrong):
            if wrong in range(1000)[part]:
                raise ValueError(wrong)

        with pytest.raises(ValueError, match=str(wrong)):
            threads.in_halves(work, 1000, threads.WORTH_TWO)
    seen = []
    threads.in_halves(seen.append, 1000, threads.WORTH_TWO)
    assert len(seen) == 2


def test_an_interrupted_wait_leaves_nothing_to_the_next_call(two, monkeypatch):
    two(True)
    threads.in_halves(lambda part: None, 1000, threads.WORTH_TWO)

    class Interrupted:
        def get(self):
            raise KeyboardInterrupt

        def put(self, answer):
            """Nobody waits for it any more."""

    monkeypatch.setattr(threads._helpers[0], "done", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        threads.in_halves(lambda part: None, 1000, threads.WORTH_TWO)
    done = np.zeros(1000, int)

    def work(part):
        done[part] += 1

    threads.in_halves(work, len(done), threads.WORTH_TWO)
    assert (done == 1).all()


def test_halves_within_halves_and_from_many_threads(two):
    two(True)
    done = np.zeros((4, 1000), int)

    def rows(row):
        def outer(part):
            def inner(piece):
                done[row, part][piece] += 1

            threads.in_halves(inner, len(range(1000)[part]), threads.WORTH_TWO)

        threads.in_halves(outer, 1000, threads.WORTH_TWO)

    callers = [threading.Thread(target=rows, args=(row,)) for row in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert (done == 1).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked on this system")
def test_a_forked_process_has_a_helper_of_its_own(two):
    two(True)
    threads.in_halves(lambda part: None, 1000, threads.WORTH_TWO)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        done = np.zeros(1000, np.uint8)

        def work(part):
            done[part] += 1

        threads.in_halves(work, 1000, threads.WORTH_TWO)
        os.write(writing, bytes([int(done.sum() == 1000)]))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"\x01"
    os.waitpid(child, 0)


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.get_num_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads.get_num_threads() >= 1
