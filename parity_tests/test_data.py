"""Datasets, samplers and the DataLoader: the same items in the same order, the same errors."""

from __future__ import annotations

import collections
import types
import warnings

import numpy as np
import pytest

from parity_tests import harness
from parity_tests.harness import check_error, program

Point = collections.namedtuple("Point", ["x", "y"])


def numbers(torch, count=10):
    """A TensorDataset of `count` pairs."""
    return torch.utils.data.TensorDataset(
        torch.arange(count * 2.0).reshape(count, 2), torch.arange(count))


def squares(torch):
    class Squares(torch.utils.data.Dataset):
        def __len__(self):
            return 7

        def __getitem__(self, index):
            return {"value": index * index, "name": f"item {index}"}

    return Squares()


def doubled(torch):
    class Doubled(torch.utils.data.TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * each for each in super().__getitem__(index))

    return Doubled(torch.arange(5.0))


def stream(torch, count=7):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(count))

    return Stream()


# --- datasets ------------------------------------------------------------------------------------

def test_datasets():
    def run(torch):
        data, first = torch.utils.data, numbers(torch)
        joined = first + numbers(torch, 3)
        chosen = data.Subset(joined, [12, 0, 4])
        chain = data.ChainDataset([stream(torch, 2), stream(torch, 3)])
        stacked = data.StackDataset(a=first, b=numbers(torch))
        return [len(first), first[3], first[-1], first[2:4], len(joined), joined[10], joined[-1],
                joined.cumulative_sizes, type(joined).__name__, len(chosen), chosen[0], chosen[-1],
                list(chain), list(stream(torch) + stream(torch)), len(stacked), stacked[2],
                squares(torch)[3]]

    program(run)


def test_random_split():
    def run(torch):
        data, first = torch.utils.data, numbers(torch, 11)
        whole = data.random_split(first, [5, 6])
        parts = data.random_split(first, [0.5, 0.3, 0.2])
        own = data.random_split(first, [4, 7], generator=torch.Generator().manual_seed(3))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data.random_split(first, [1.0, 0.0])
        return ([part.indices for part in (*whole, *parts, *own)], [len(p) for p in parts],
                list(own[0]), [str(warning.message) for warning in caught], torch.rand(2))

    program(run)


# --- samplers ------------------------------------------------------------------------------------

SAMPLERS = {
    "sequential": lambda data, torch: data.SequentialSampler(range(5)),
    "random": lambda data, torch: data.RandomSampler(range(9)),
    "random_fewer": lambda data, torch: data.RandomSampler(range(9), num_samples=4),
    "random_more": lambda data, torch: data.RandomSampler(range(9), num_samples=22),
    "replacement": lambda data, torch: data.RandomSampler(range(9), replacement=True),
    "replacement_many": lambda data, torch: data.RandomSampler(range(9), True, 70),
    "generator": lambda data, torch: data.RandomSampler(
        range(9), generator=torch.Generator().manual_seed(5)),
    "subset": lambda data, torch: data.SubsetRandomSampler([7, 1, 5, 3]),
    "weighted": lambda data, torch: data.WeightedRandomSampler([0.1, 0.9, 0.4, 3.0], 12),
    "weighted_once": lambda data, torch: data.WeightedRandomSampler(
        [0.1, 0.9, 0.4, 3.0], 3, replacement=False),
    "distributed": lambda data, torch: data.DistributedSampler(range(11), 3, 1),
    "distributed_in_order": lambda data, torch: data.DistributedSampler(
        range(11), 3, 2, shuffle=False),
    "distributed_dropping": lambda data, torch: data.DistributedSampler(
        range(11), 3, 0, seed=4, drop_last=True),
    "distributed_few": lambda data, torch: data.DistributedSampler(range(2), 7, 6),
    "batches": lambda data, torch: data.BatchSampler(data.SequentialSampler(range(8)), 3, False),
    "full_batches": lambda data, torch: data.BatchSampler(data.RandomSampler(range(8)), 3, True),
    "batches_of_a_list": lambda data, torch: data.BatchSampler([5, 4, 1, 0], 2, True),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler(name):
    def run(torch):
        sampler = SAMPLERS[name](torch.utils.data, torch)
        return len(sampler), list(sampler), list(sampler), torch.rand(2)

    program(run)


def test_epochs_of_a_distributed_sampler():
    def run(torch):
        sampler = torch.utils.data.DistributedSampler(range(7), num_replicas=2, rank=1)
        epochs = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            epochs.append(list(sampler))
        return epochs

    program(run)


# --- DataLoader ----------------------------------------------------------------------------------

LOADERS = {
    "plain": lambda torch: dict(dataset=numbers(torch)),
    "batches": lambda torch: dict(dataset=numbers(torch), batch_size=3),
    "drop_last": lambda torch: dict(dataset=numbers(torch), batch_size=3, drop_last=True),
    "shuffled": lambda torch: dict(dataset=numbers(torch), batch_size=4, shuffle=True),
    "generator": lambda torch: dict(dataset=numbers(torch), batch_size=4, shuffle=True,
                                    generator=torch.Generator().manual_seed(11)),
    "sampler": lambda torch: dict(dataset=numbers(torch), batch_size=4, sampler=[9, 1, 1, 0, 5]),
    "weighted": lambda torch: dict(
        dataset=numbers(torch), batch_size=4,
        sampler=torch.utils.data.WeightedRandomSampler(torch.arange(10.0), 9)),
    "batch_sampler": lambda torch: dict(
        dataset=numbers(torch), batch_sampler=[[0, 1], [5], [7, 3, 9]]),
    "unbatched": lambda torch: dict(dataset=numbers(torch), batch_size=None),
    "unbatched_shuffled": lambda torch: dict(dataset=squares(torch), batch_size=None,
                                             shuffle=True),
    "dictionaries": lambda torch: dict(dataset=squares(torch), batch_size=3),
    "collate": lambda torch: dict(dataset=squares(torch), batch_size=3,
                                  collate_fn=lambda items: [item["value"] for item in items]),
    "stream": lambda torch: dict(dataset=stream(torch), batch_size=3),
    "stream_dropping": lambda torch: dict(dataset=stream(torch), batch_size=3, drop_last=True),
    "stream_unbatched": lambda torch: dict(dataset=stream(torch), batch_size=None),
    "subset": lambda torch: dict(dataset=torch.utils.data.Subset(numbers(torch), [9, 3, 3, -1]),
                                 batch_size=3),
    "subset_of_items": lambda torch: dict(
        dataset=torch.utils.data.Subset(squares(torch), [5, 1, 2]), batch_size=2),
    "stacked": lambda torch: dict(dataset=torch.utils.data.StackDataset(
        numbers(torch, 7), squares(torch)), batch_size=3),
    "stacked_by_name": lambda torch: dict(dataset=torch.utils.data.StackDataset(
        a=torch.utils.data.Subset(numbers(torch), [4, 2]), b=[1, 2]), batch_size=2),
    "dtypes": lambda torch: dict(dataset=torch.utils.data.TensorDataset(
        torch.ones(5, dtype=torch.bfloat16), torch.arange(5).bool(), torch.ones(5, 2, 3).mT,
        torch.ones(5, 0), torch.ones(1).expand(5)), batch_size=2, shuffle=True),
    "needing_grad": lambda torch: dict(dataset=torch.utils.data.TensorDataset(
        torch.ones(5, requires_grad=True)), batch_size=2),
    "overridden": lambda torch: dict(dataset=doubled(torch), batch_size=2),
    "collated_otherwise": lambda torch: dict(
        dataset=numbers(torch), batch_size=4, collate_fn=lambda items: (len(items), items[0])),
    "negative_indices": lambda torch: dict(dataset=numbers(torch), batch_sampler=[[-1, 0], [3]]),
    "indices_are_tensors": lambda torch: dict(
        dataset=numbers(torch), batch_sampler=[[torch.tensor(1), torch.tensor(2)]]),
    "list": lambda torch: dict(dataset=[1.5, 2.5, 3.5], batch_size=2),
    "range": lambda torch: dict(dataset=range(5), batch_size=2, shuffle=True),
    "strings": lambda torch: dict(dataset=["a", "b", "c"], batch_size=2),
    "empty": lambda torch: dict(dataset=[], batch_size=2),
    "split": lambda torch: dict(dataset=torch.utils.data.random_split(
        numbers(torch), [0.6, 0.4])[0], batch_size=4, shuffle=True),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loader(name):
    def run(torch):
        loader = torch.utils.data.DataLoader(**LOADERS[name](torch))
        length = None if name.startswith("stream") else len(loader)
        return length, list(loader), list(loader), loader.batch_size, torch.rand(2)

    program(run)


def test_collate_functions_of_ones_own():
    def run(torch):
        from importlib import import_module
        module = "torch.utils.data._utils" if torch.__name__ == "torch" else "minigrad.utils.data"
        collate = import_module(f"{module}.collate")
        longest = lambda batch, *, collate_fn_map: max(batch, key=len)
        own = collate.default_collate_fn_map | {str: longest}
        return (collate.collate([("a", 1), ("bcd", 2)], collate_fn_map=own),
                collate.collate([{"x": 1.5}], collate_fn_map={float: lambda batch, **_: batch}))

    program(run)


def test_facts_of_iterators():
    def run(torch):
        loader = torch.utils.data.DataLoader(numbers(torch), batch_size=4)
        batches = iter(loader)
        return len(batches), iter(batches) is batches, next(batches), loader.num_workers, \
            loader.prefetch_factor, loader.persistent_workers, loader.timeout, loader.in_order

    program(run)


def test_pinning_without_a_gpu_warns():
    def run(torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            batches = list(torch.utils.data.DataLoader(numbers(torch, 3), pin_memory=True))
        return batches, [str(each.message) for each in caught]

    if harness.DEVICE == "cpu":
        program(run)


def test_two_iterators_of_one_loader():
    def run(torch):
        loader = torch.utils.data.DataLoader(range(6), batch_size=2, shuffle=True)
        return list(zip(loader, loader, strict=True)), next(iter(loader)), torch.rand(1)

    program(run)


BATCHES = {
    "tensors": lambda torch: [torch.ones(2), torch.zeros(2)],
    "tensors_needing_grad": lambda torch: [torch.ones(2, requires_grad=True), torch.zeros(2)],
    "arrays": lambda torch: [np.arange(3), np.arange(3) * 2],
    "float_arrays": lambda torch: [np.ones((2, 2), np.float32)] * 2,
    "scalars": lambda torch: [np.float32(1.5), np.float32(2.5)],
    "int_scalars": lambda torch: [np.int16(3), np.int16(4)],
    "no_dimension": lambda torch: [np.array(1.0), np.array(2.0)],
    "floats": lambda torch: [1.5, 2.5],
    "ints": lambda torch: [1, 2, 3],
    "bools": lambda torch: [True, False],
    "strings": lambda torch: ["a", "b"],
    "bytes": lambda torch: [b"a", b"b"],
    "tuples": lambda torch: [(1, 2.0, "a"), (3, 4.0, "b")],
    "lists": lambda torch: [[1, torch.ones(1)], [3, torch.zeros(1)]],
    "named_tuples": lambda torch: [Point(1, 2.0), Point(3, 4.0)],
    "dictionaries": lambda torch: [{"a": 1, "b": [2.0, "x"]}, {"a": 3, "b": [4.0, "y"]}],
    "ordered": lambda torch: [collections.OrderedDict(b=1, a=2)] * 2,
    "mapping": lambda torch: [types.MappingProxyType({"a": 1})] * 2,
    "counter": lambda torch: [collections.Counter("aab"), collections.Counter("ab")],
    "user_list": lambda torch: [collections.UserList([1, 2.0]), collections.UserList([3, 4.0])],
    "default_dict": lambda torch: [collections.defaultdict(list, a=1)] * 2,
    "range": lambda torch: [range(2), range(2)],
    "arrays_of_texts": lambda torch: [("a", np.float64(1)), ("b", np.float64(2))],
    "bool_scalars": lambda torch: [np.bool_(True), np.bool_(False)],
    "nested": lambda torch: [({"a": torch.ones(2)}, (1, (2, 3)))] * 3,
}


@pytest.mark.parametrize("name", BATCHES)
def test_collate(name):
    def run(torch):
        data = torch.utils.data
        batch = data.default_collate(BATCHES[name](torch))
        converted = data.default_convert(BATCHES[name](torch))
        return batch, type(batch).__name__, converted, type(converted[0]).__name__

    program(run)


# --- errors --------------------------------------------------------------------------------------

ERRORS = {
    "batch_size": lambda torch, data: data.DataLoader([1], batch_size=0),
    "batch_size_type": lambda torch, data: data.DataLoader([1], batch_size=1.5),
    "drop_last": lambda torch, data: data.DataLoader([1], drop_last=3),
    "sampler_and_shuffle": lambda torch, data: data.DataLoader([1], shuffle=True, sampler=[0]),
    "batch_sampler": lambda torch, data: data.DataLoader([1], batch_size=3, batch_sampler=[[0]]),
    "unbatched": lambda torch, data: data.DataLoader([1], batch_size=None, drop_last=True),
    "stream_shuffle": lambda torch, data: data.DataLoader(stream(torch), shuffle=True),
    "stream_sampler": lambda torch, data: data.DataLoader(stream(torch), sampler=[1]),
    "stream_batches": lambda torch, data: data.DataLoader(stream(torch), batch_sampler=[[1]]),
    "stream_length": lambda torch, data: len(data.DataLoader(stream(torch))),
    "workers": lambda torch, data: data.DataLoader([1], num_workers=-1),
    "timeout": lambda torch, data: data.DataLoader([1], timeout=-1),
    "prefetch": lambda torch, data: data.DataLoader([1], prefetch_factor=2),
    "persistent": lambda torch, data: data.DataLoader([1], persistent_workers=True),
    "index_out_of_range": lambda torch, data: list(
        data.DataLoader(numbers(torch, 3), batch_sampler=[[0, 3]])),
    "subset_without_getitems": lambda torch, data: type(
        "Own", (data.Subset,), {"__getitem__": lambda self, index: 1})([1], [0]),
    "distributed_rank": lambda torch, data: data.DistributedSampler(range(3), 2, 2),
    "distributed_group": lambda torch, data: data.DistributedSampler(range(3)),
    "empty_shuffled": lambda torch, data: list(data.DataLoader([], shuffle=True)),
    "set_batch_size": lambda torch, data: setattr(data.DataLoader([1]), "batch_size", 3),
    "num_samples": lambda torch, data: data.RandomSampler([1], num_samples=-1),
    "replacement": lambda torch, data: data.RandomSampler([1], replacement=3),
    "weights": lambda torch, data: data.WeightedRandomSampler([[1.0]], 1),
    "weights_count": lambda torch, data: data.WeightedRandomSampler([1.0], 0),
    "weights_replacement": lambda torch, data: data.WeightedRandomSampler([1.0], 1, 3),
    "tensor_sizes": lambda torch, data: data.TensorDataset(torch.ones(2), torch.ones(3)),
    "no_datasets": lambda torch, data: data.ConcatDataset([]),
    "stream_in_concat": lambda torch, data: data.ConcatDataset([stream(torch)]),
    "chain_of_maps": lambda torch, data: list(data.ChainDataset([numbers(torch)])),
    "concat_index": lambda torch, data: data.ConcatDataset([[1], [2]])[-3],
    "split_lengths": lambda torch, data: data.random_split([1, 2], [1, 2]),
    "split_fraction": lambda torch, data: data.random_split([1, 2], [1.5, -0.5]),
    "stack_sizes": lambda torch, data: data.StackDataset([1], [1, 2]),
    "stack_nothing": lambda torch, data: data.StackDataset(),
    "abstract": lambda torch, data: data.Dataset()[0],
    "collate_type": lambda torch, data: data.default_collate([object()]),
    "collate_sizes": lambda torch, data: data.default_collate([[1], [1, 2]]),
    "collate_shapes": lambda torch, data: data.default_collate([torch.ones(2), torch.ones(3)]),
    "collate_objects": lambda torch, data: data.default_collate([np.array(["a"])] * 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    check_error([], lambda torch: ERRORS[name](torch, torch.utils.data),
                match="^default_collate: batch must contain" if name == "collate_type" else None)
