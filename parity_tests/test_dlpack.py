"""Memory that is shared with other libraries."""

from __future__ import annotations

import numpy as np
import torch

import minigrad
from parity_tests.traces import attempt, traced


@traced
def test_of_numpy(torch, say):
    """The array's own memory and strides, of every type."""
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    shared = torch.from_dlpack(array)
    say(shared, shared.stride())
    array[0, 0] = 7
    shared[1, 1] = 8
    say(shared, array)
    say([str(torch.from_dlpack(np.ones(2, name)).dtype) for name in (
        "bool", "uint8", "int16", "int64", "float16", "float32", "complex64")])
    copied = torch.from_dlpack(array, copy=True)
    array[0, 0] = 9
    say(copied)


@traced
def test_to_numpy(torch, say):
    x = torch.ones(2, 3, device="cpu")
    array = np.from_dlpack(x.t())
    x[0, 1] = 5
    say(array, array.strides, [int(each) for each in x.__dlpack_device__()])
    say(torch.from_dlpack(torch.to_dlpack(x)), torch.from_dlpack(x))


@traced
def test_refused(torch, say):
    x = torch.ones(2, requires_grad=True, device="cpu")
    say(torch.from_dlpack(torch.to_dlpack(x)))
    say(attempt(lambda: np.from_dlpack(x)))
    say(attempt(lambda: torch.from_dlpack(3)))
    say(attempt(lambda: x.detach().__dlpack__(stream=5)))


def test_with_torch():
    theirs = torch.arange(4.0)
    ours = minigrad.from_dlpack(theirs)
    ours[1] = 10
    assert theirs.tolist() == [0, 10, 2, 3]
    back = torch.from_dlpack(ours)
    back[2] = 20
    assert ours.tolist() == [0, 10, 20, 3]
