"""Storages: which tensors share memory, and giving a tensor other memory with set_."""

from __future__ import annotations

import pytest

from parity_tests.harness import candidate, check_error, program

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")


def test_sharing():
    def run(torch):
        x = torch.arange(12.0)
        views = [x, x[3:], x.view(3, 4), x.view(3, 4).t(), x.detach(), x[1::2], x.expand(2, 12)]
        others = [x.clone(), torch.arange(12.0), x + 0]
        mine = x.untyped_storage()
        return [(y.untyped_storage() == mine, y.untyped_storage().data_ptr() == mine.data_ptr(),
                 y.untyped_storage().nbytes(), y.storage_offset(),
                 y.data_ptr() - mine.data_ptr() if y.untyped_storage() == mine else None,
                 hash(y.untyped_storage()) == hash(mine)) for y in views + others]

    program(run)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16", "bool", "complex64", "uint8"])
def test_facts(dtype):
    def run(torch):
        x = torch.ones(2, 3).to(getattr(torch, dtype))
        untyped, typed = x.untyped_storage(), x.storage()
        return [untyped.size(), untyped.nbytes(), len(untyped), untyped[0], untyped.tolist(),
                list(untyped), untyped.device, untyped.element_size(), untyped.is_cuda,
                type(untyped).__name__, repr(untyped), untyped[2:6].tolist(), typed.size(),
                len(typed), typed.nbytes(), typed.dtype, typed.tolist(), typed[1],
                typed.element_size(), repr(typed), typed.untyped() == untyped,
                typed.data_ptr() == x.data_ptr(), torch.is_storage(untyped),
                torch.is_storage(typed), torch.is_storage(x)]

    program(run)


def test_writing():
    def run(torch):
        x = torch.arange(3.0)
        x.untyped_storage().fill_(0)
        zeros = x.clone()
        x.untyped_storage().copy_(torch.ones(3).untyped_storage())
        x.untyped_storage()[3] = 64
        copy = x.untyped_storage().clone()
        x.zero_()
        return (zeros, x, copy.tolist(), torch.UntypedStorage(3).size(),
                torch.UntypedStorage([1, 2, 3]).tolist(), copy.cpu() == copy)

    program(run)


def test_set():
    def run(torch):
        x, empty = torch.arange(12.0), lambda: torch.zeros(0)
        over = [empty().set_(x), empty().set_(x, 1, (2,), (2,)),
                empty().set_(source=x, storage_offset=1, size=(2, 3), stride=(1, 2)),
                empty().set_(x.untyped_storage()), empty().set_(x.untyped_storage(), 3, (2, 2)),
                empty().set_(x.storage(), 1, (3,), (4,)), empty().set_(x[4:])]
        nothing = torch.zeros(3)
        nothing.set_()
        x.fill_(5)
        y = torch.zeros(2)
        before = y._version
        y.set_(x)
        return (over, [each.storage_offset() for each in over], nothing,
                y._version - before, x._version, [each.is_set_to(x) for each in over],
                x.view(12).is_set_to(x), x.view(3, 4).is_set_to(x), x.clone().is_set_to(x))

    program(run, strides=True)


ERRORS = {
    "dtype": lambda torch: torch.zeros(0, dtype=torch.float64).set_(torch.ones(2)),
    "typed_storage": lambda torch: torch.zeros(0, dtype=torch.float64).set_(
        torch.ones(2).storage()),
    "offset": lambda torch: torch.zeros(0).set_(torch.ones(2).untyped_storage(), -1, (2,), (2,)),
    "size": lambda torch: torch.zeros(0).set_(torch.ones(2).untyped_storage(), 0, (-2,), (2,)),
    "stride": lambda torch: torch.zeros(0).set_(torch.ones(2).untyped_storage(), 0, (2,), (-2,)),
    "leaf": lambda torch: torch.zeros(0, requires_grad=True).set_(torch.ones(2)),
    "copy": lambda torch: torch.ones(2).untyped_storage().copy_(torch.ones(3).untyped_storage()),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])


def test_a_number_is_no_source():
    check_error([], lambda torch: torch.zeros(0).set_(3), match="received an invalid combination of"
                                                                r" arguments - got \(int")


def test_a_storage_does_not_grow():
    """torch would make it larger; NumPy's memory has the size it was made with."""
    x = candidate().ones(2)
    with pytest.raises(RuntimeError, match="requiring a storage size of 12 are out of bounds for "
                                           "storage of size 8"):
        candidate().zeros(1).set_(x.untyped_storage(), 1, (2,), (1,))


def test_typed_storages_are_deprecated():
    """torch says so once in a process, Python's filter once for each place."""
    with pytest.warns(UserWarning, match="^TypedStorage is deprecated. It will be removed in the"):
        candidate().ones(2).storage()
