"""nn.utils.rnn: packed and padded sequences."""

from __future__ import annotations

import pytest

from parity_tests.harness import check, check_error, program


def weighted_sum(torch, output):
    """A scalar in which each element counts differently."""
    weights = torch.arange(1, output.numel() + 1, dtype=output.dtype, device=output.device)
    return (output * weights.reshape(output.shape).cos()).sum()


def test_packing_and_back():
    def run(torch, device):
        rnn, found = torch.nn.utils.rnn, []
        for batch_first in (False, True):
            x = torch.arange(40.0).reshape((4, 5, 2) if batch_first else (5, 4, 2))
            x = x.double().to(device).requires_grad_()
            for lengths in ([5, 5, 2, 1], torch.tensor([1, 4, 4, 2])):
                packed = rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
                back = rnn.pad_packed_sequence(packed, batch_first, -1.0, total_length=6)
                first, = torch.autograd.grad(weighted_sum(torch, back[0]).sin(), x,
                                             create_graph=True)
                second, = torch.autograd.grad(weighted_sum(torch, first), x)
                found += [list(packed), back, first, second, back[0].stride()]
        return found

    program(run)


def test_the_graph_of_packing():
    check([(5, 3, 2)], lambda lib, x: lib.nn.utils.rnn.pack_padded_sequence(x, [5, 5, 2]).data,
          same_graph=True)
    check([(3, 5, 2)], lambda lib, x: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_padded_sequence(x, [5, 2, 2], batch_first=True),
        batch_first=True)[0], same_graph=True, strides=True)
    check([(2, 3), (4, 3)], lambda lib, x, y: lib.nn.utils.rnn.pad_sequence([x, y]),
          same_graph=True, strides=True)


@pytest.mark.parametrize("options", [
    {}, dict(batch_first=True), dict(padding_value=7.0), dict(padding_side="left"),
    dict(batch_first=True, padding_side="left", padding_value=-1.0)], ids=str)
def test_pad_sequence(options):
    check([(2, 3), (4, 3), (1, 3)], lambda lib, *x: lib.nn.utils.rnn.pad_sequence(x, **options))
    check([(2,), (4,)], lambda lib, x, y: lib.nn.utils.rnn.pad_sequence([x, y], **options))


def test_lists_of_sequences():
    def run(torch, device):
        rnn = torch.nn.utils.rnn
        parts = [torch.arange(float(3 * n)).reshape(n, 3).to(device) for n in (4, 2, 1)]
        packed = rnn.pack_sequence(parts)
        loose = rnn.pack_sequence(parts[::-1], enforce_sorted=False)
        padded = rnn.pad_sequence(parts, batch_first=True)
        return (list(packed), list(loose), rnn.unpack_sequence(packed), rnn.unpack_sequence(loose),
                rnn.unpad_sequence(padded, torch.tensor([4, 2, 1]).to(device), batch_first=True),
                rnn.unpad_sequence(rnn.pad_sequence(parts), torch.tensor([4, 2, 1]).to(device)),
                rnn.invert_permutation(torch.tensor([2, 0, 1]).to(device)),
                rnn.invert_permutation(None))

    program(run)


def test_packed_sequence_is_a_tuple_with_conversions():
    def run(torch):
        packed = torch.nn.utils.rnn.pack_sequence([torch.ones(3, 1), torch.zeros(2, 1)])
        same = packed.to(torch.float32) is packed
        return (repr(packed), isinstance(packed, tuple), len(packed), same, packed.is_cuda,
                packed.is_pinned(), packed.cpu() is packed,
                [list(getattr(packed, kind)()) for kind in
                 ("double", "float", "half", "long", "int", "short", "char", "byte")],
                list(type(packed)((packed.data, packed.batch_sizes))))

    program(run)


# --- errors --------------------------------------------------------------------------------------

def ones(torch, *shape):
    return torch.ones(*shape)


def pack(torch, *args, **options):
    return torch.nn.utils.rnn.pack_padded_sequence(*args, **options)


ERRORS = {
    "unsorted": lambda t: pack(t, ones(t, 3, 2, 1), [2, 3]),
    "zero": lambda t: pack(t, ones(t, 3, 2, 1), [3, 0]),
    "count": lambda t: pack(t, ones(t, 3, 2, 1), [3]),
    "count_batch_first": lambda t: pack(t, ones(t, 3, 2, 1), [2, 1], batch_first=True),
    "empty": lambda t: pack(t, ones(t, 0, 2, 1), [3, 2]),
    "lengths": lambda t: pack(t, ones(t, 3, 2, 1), t.tensor([[3, 2]])),
    "vector": lambda t: pack(t, ones(t, 3), [3]),
    "sequence_unsorted": lambda t: t.nn.utils.rnn.pack_sequence([ones(t, 2), ones(t, 3)]),
    "sequence_empty": lambda t: t.nn.utils.rnn.pack_sequence([]),
    "pad_sequence_empty": lambda t: t.nn.utils.rnn.pad_sequence([]),
    "pad_sequence_number": lambda t: t.nn.utils.rnn.pad_sequence(1),
    "pad_sequence_element": lambda t: t.nn.utils.rnn.pad_sequence([ones(t, 2), 1]),
    "pad_sequence_side": lambda t: t.nn.utils.rnn.pad_sequence([ones(t, 2)], padding_side="up"),
    "pad_sequence_scalars": lambda t: t.nn.utils.rnn.pad_sequence([t.tensor(1.0)]),
    "pad_packed_length": lambda t: t.nn.utils.rnn.pad_packed_sequence(
        pack(t, ones(t, 3, 2, 1), [3, 2]), total_length=2),
    "pad_packed_sizes": lambda t: t.nn.utils.rnn.pad_packed_sequence(
        t.nn.utils.rnn.PackedSequence(ones(t, 3, 1), t.tensor([2.0]))),
    "packed_sequence": lambda t: t.nn.utils.rnn.PackedSequence(ones(t, 3)),
    "unpad_lengths": lambda t: t.nn.utils.rnn.unpad_sequence(ones(t, 3, 2), t.tensor([3])),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], ERRORS[name])
