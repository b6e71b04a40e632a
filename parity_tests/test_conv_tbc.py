"""conv_tbc: sequences (time, batch, channels), and native_channel_shuffle under nn.functional."""

from __future__ import annotations

import pytest

from parity_tests.harness import check, check_error


@pytest.mark.parametrize("pad", [-1, 0, 1, 2, 5])
@pytest.mark.parametrize("width", [1, 3])
def test_conv_tbc(width, pad):
    check([(6, 2, 3), (width, 3, 4), (4,)],
          lambda lib, x, w, b: lib.nn.functional.conv_tbc(x, w, b, pad), same_graph=True,
          noncontiguous=False)  # which torch refuses


def test_conv_tbc_of_other_types_and_sizes():
    for sizes in ((2, 2, 3), (4, 0, 3)):
        check([sizes, (3, 3, 4), (4,)], lambda lib, x, w, b: lib.conv_tbc(x, w, b),
              noncontiguous=False)
    check([(4, 2, 3), (3, 3, 4), (4,)], lambda lib, x, w, b: lib.conv_tbc(x, w, b, 1),
          dtypes=("int64",), domain=(-3, 3), noncontiguous=False)
    check([(4, 2, 3), (3, 3, 4), (4,)], lambda lib, x, w, b: lib.conv_tbc(x, w, b, pad=1),
          dtypes=("complex128",), noncontiguous=False, grad=False)


@pytest.mark.parametrize("shapes", [
    [(2, 3), (3, 3, 4), (4,)], [(4, 2, 3), (3, 4), (4,)], [(4, 2, 3), (3, 3, 4), (1, 4)],
    [(4, 2, 3), (3, 2, 4), (4,)], [(4, 2, 3), (3, 3, 4), (3,)], [(0, 2, 3), (3, 3, 4), (4,)]])
def test_conv_tbc_refuses(shapes):
    check_error(shapes, lambda lib, x, w, b: lib.nn.functional.conv_tbc(x, w, b))


def test_conv_tbc_refuses_two_types():
    check_error([(4, 2, 3), (3, 3, 4), (4,)], lambda lib, x, w, b: lib.conv_tbc(x, w.double(), b))


def test_native_channel_shuffle():
    check([(2, 6, 3)], lambda lib, x: lib.nn.functional.native_channel_shuffle(x, 3), grad=False)
