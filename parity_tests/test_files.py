"""save and load: files go from torch to minigrad and back, whatever is in them."""

from __future__ import annotations

import collections
import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from parity_tests.compare import compare
from parity_tests.files import bytes_of, loaded, place, rewritten, training_state
from parity_tests.harness import candidate

DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
          "float16", "bfloat16", "float32", "float64", "complex64", "complex128")

OBJECTS = {
    "training_state": training_state,
    "dtypes": lambda lib: {name: lib.tensor([1, 0, 1]).to(getattr(lib, name)) for name in DTYPES},
    "values": lambda lib: [lib.tensor([float("nan"), float("inf"), -0.0, 1e-40]),
                           lib.tensor([1 + 2j, -3j]), lib.tensor([-2**63, 2**63 - 1])],
    "scalars": lambda lib: [lib.tensor(3), lib.tensor(2.5), lib.tensor(True)],
    "empty": lambda lib: [lib.empty(0), lib.empty(2, 0, 3)],
    "large": lambda lib: lib.arange(100_000.0).reshape(100, 1000),
    "requires_grad": lambda lib: [lib.ones(2, requires_grad=True),
                                  lib.ones(2, requires_grad=True) * 2],
    "parameters": lambda lib: [lib.nn.Parameter(lib.ones(2)),
                               lib.nn.Parameter(lib.ones(2), requires_grad=False)],
    "types": lambda lib: [lib.Size([2, 3]), lib.float32, lib.bfloat16, lib.int64, lib.bool,
                          lib.device("cpu"), lib.device("cuda", 1), lib.ones(2, 3).shape],
    "containers": lambda lib: {
        "list": [1, [2.5, "three", None]], "tuple": (1, (2,), ()), 3: {"a": {}},
        "set": {1, 2}, "bytes": b"\x00\xff", "bytearray": bytearray(b"ab"), "complex": 1 + 2j,
        "large": 2**70, "negative": -(2**40), "ordered": collections.OrderedDict(b=1, a=2),
        "counter": collections.Counter("aab"), (1, 2): True},
}


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", OBJECTS)
def test_both_ways(name, weights_only):
    lib, make = candidate(), OBJECTS[name]
    want = loaded(torch, bytes_of(torch, make(torch)))
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        got = loaded(target, bytes_of(source, make(source)), weights_only=weights_only)
        compare(got, want, f"{source.__name__} to {target.__name__}", strides=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_protocols(protocol):
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        data = bytes_of(source, OBJECTS["containers"](source) | training_state(source),
                        pickle_protocol=protocol)
        got = loaded(target, data, weights_only=False)
        compare(got, OBJECTS["containers"](torch) | training_state(torch))


def test_types_of_what_is_loaded():
    lib = candidate()
    parameter, tensor, size, state = loaded(lib, bytes_of(torch, [
        torch.nn.Parameter(torch.ones(2)), torch.ones(2), torch.Size([3]),
        torch.nn.Linear(2, 3).state_dict()]))
    assert type(parameter) is lib.nn.Parameter and parameter.requires_grad
    assert type(tensor) is lib.Tensor and type(size) is lib.Size
    assert type(state) is collections.OrderedDict
    assert state._metadata == torch.nn.Linear(2, 3).state_dict()._metadata
    lib.nn.Linear(2, 3).load_state_dict(state)


# --- shared memory and views ---------------------------------------------------------------------

def windows(lib):
    base = lib.arange(24.0)
    return {"base": base, "part": base[2:14], "matrix": base[2:14].view(3, 4),
            "transposed": base.view(4, 6).t(), "steps": base[1::5],
            "expanded": base[3:4].expand(2, 3), "strided": base.as_strided((2, 3), (5, 2), 4),
            "alone": lib.ones(2), "overlapping": base.unfold(0, 3, 2),
            "tied": [base, base.view(2, 12)]}


def test_views_share_memory_again():
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        data = bytes_of(source, windows(source))
        records = [name for name in zipfile.ZipFile(io.BytesIO(data)).namelist() if "data/" in name
                   and "serialization" not in name]
        assert len(records) == 2, records
        got = loaded(target, data)
        compare(got, windows(torch), strides=True)
        base = got["base"]
        for name in ("part", "matrix", "transposed", "steps", "expanded", "strided"):
            assert got[name].untyped_storage() == base.untyped_storage(), name
            assert got[name].storage_offset() == windows(torch)[name].storage_offset(), name
        assert got["alone"].untyped_storage() != base.untyped_storage()
        assert got["tied"][0] is base
        base.fill_(7)
        assert got["strided"].tolist() == [[7.0] * 3] * 2
        assert got["tied"][1].sum().item() == 24 * 7


def test_a_view_takes_its_whole_storage_along():
    lib = candidate()
    got = loaded(lib, bytes_of(lib, lib.arange(10.0)[3:5]))
    assert got.untyped_storage().nbytes() == 40 and got.storage_offset() == 3


def test_conjugated_and_negated_views():
    x = torch.tensor([1 + 2j, 3 - 1j])
    assert x.conj().is_conj() and x.conj().imag.is_neg()
    got = loaded(candidate(), bytes_of(torch, [x.conj(), x.clone()]))
    compare(got, [x.conj().resolve_conj(), x])
    got = loaded(candidate(), bytes_of(torch, [x.conj().imag, x.imag, x.real]))
    compare(got, [x.conj().imag.resolve_neg(), x.imag, x.real])


def test_complex_parts_and_whole_are_of_different_types():
    for lib in (torch, candidate()):
        x = lib.tensor([1 + 2j, 3 - 1j])
        with pytest.raises(RuntimeError, match="view the same data as different types"):
            bytes_of(lib, [x, lib.view_as_real(x)])


def test_attributes_and_buffers():
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        tensor, parameter = source.ones(2), source.nn.Parameter(source.ones(2))
        tensor.tag, parameter.tag = "a", {"b": [1]}
        got = loaded(target, bytes_of(source, [tensor, parameter, source.nn.Buffer(
            source.ones(1))]))
        assert (got[0].tag, got[1].tag, got[2].persistent) == ("a", {"b": [1]}, True)
        assert type(got[1]) is target.nn.Parameter


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages():
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        got = loaded(target, bytes_of(source, source.tensor([1, 2, 3]).untyped_storage()))
        assert got.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 2] + [0] * 7 + [3] + [0] * 7


def test_arrays_that_torch_has_no_view_for():
    """NumPy's negative and odd strides are written as a copy."""
    lib = candidate()
    record = np.zeros(3, [("a", "u1"), ("b", "<f4")])
    record["b"] = [1, 2, 3]
    flipped, odd = lib.ones(0), lib.ones(0)
    flipped._data, odd._data = np.arange(5.0)[::-1], record["b"]
    got = loaded(torch, bytes_of(lib, [flipped, odd]))
    assert [each.tolist() for each in got] == [[4, 3, 2, 1, 0], [1, 2, 3]]


def test_records_are_aligned_and_as_torch_names_them():
    data = bytes_of(candidate(), windows(candidate()))
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = [info.filename for info in archive.infolist()]
    assert names == [f"archive/{name}" for name in (
        "data.pkl", ".format_version", ".storage_alignment", "byteorder", "data/0", "data/1",
        "version")]
    for info in archive.infolist():
        name, extra = (int.from_bytes(data[info.header_offset + at:][:2], "little")
                       for at in (26, 28))
        assert (info.header_offset + 30 + name + extra) % 64 == 0
        assert info.compress_type == zipfile.ZIP_STORED
    assert data == bytes_of(candidate(), windows(candidate())), "equal objects, other bytes"


# --- paths, files, mmap, older files -------------------------------------------------------------

def test_paths_and_files(tmp_path):
    lib = candidate()
    for source, target in ((torch, lib), (lib, torch), (lib, lib)):
        path = tmp_path / f"{source.__name__} ö.pt"
        source.save(windows(source), path)
        compare(target.load(str(path)), windows(torch))
        with open(path, "rb") as file:
            compare(target.load(file), windows(torch))
        with open(path, "wb") as file:
            source.save([source.ones(2)], file)
        compare(target.load(path), [torch.ones(2)])


def test_a_file_that_can_only_be_written():
    class Pipe:
        def __init__(self):
            self.parts = []

        def write(self, data):
            self.parts.append(bytes(data))
            return len(data)

        def flush(self):
            """Nothing waits."""

    pipe = Pipe()
    candidate().save(windows(candidate()), pipe)
    compare(loaded(torch, b"".join(pipe.parts)), windows(torch))
    compare(loaded(candidate(), b"".join(pipe.parts)), windows(torch))


def test_mmap(tmp_path):
    lib = candidate()
    for source in (torch, lib):
        path = tmp_path / "mapped.pt"
        source.save(windows(source) | {"none": source.empty(0)}, path)
        before = path.read_bytes()
        got = lib.load(path, mmap=True)
        compare(got, windows(torch) | {"none": torch.empty(0)}, strides=True)
        got["base"].add_(1)  # in memory only
        assert got["part"][0].item() == 3 and path.read_bytes() == before
        assert got["part"].untyped_storage().nbytes() == 96
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        lib.load(io.BytesIO(before), mmap=True)


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", OBJECTS)
def test_files_older_than_zip(name, weights_only):
    value = OBJECTS[name](torch)
    data = bytes_of(torch, value, _use_new_zipfile_serialization=False)
    got = loaded(candidate(), data, weights_only=weights_only)
    compare(got, loaded(torch, bytes_of(torch, value)), strides=True)


def test_older_files_share_memory_and_are_not_mapped(tmp_path):
    lib, path = candidate(), tmp_path / "old.pt"
    torch.save(windows(torch), path, _use_new_zipfile_serialization=False)
    got = lib.load(path)
    compare(got, windows(torch), strides=True)
    assert got["strided"].untyped_storage() == got["base"].untyped_storage()
    for each in (torch, lib):
        with pytest.raises(RuntimeError, match="^mmap can only be used with files saved with"):
            each.load(path, mmap=True)
    data = path.read_bytes()
    for end in range(0, len(data), 64):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            loaded(lib, data[:end])


def test_big_endian_files():
    values = np.array([1.5, -2.0, 1e10], ">f4")
    original = bytes_of(torch, torch.tensor(values.astype("<f4")))
    data = rewritten(original, {"byteorder": b"big", "data/0": values.tobytes()})
    compare(loaded(candidate(), data), loaded(torch, data))


# --- places --------------------------------------------------------------------------------------

def test_map_location():
    lib = candidate()
    data = bytes_of(lib, [lib.arange(3.0, device=place()), lib.ones(2)])
    calls = []

    def function(storage, location):
        calls.append((location, str(storage.device), storage.nbytes()))
        return storage if location == "cpu" else None

    here = "cpu" if place() == "cpu" else "cuda:0"
    for where, expected in ((None, here), ("cpu", "cpu"), (lib.device("cpu"), "cpu"),
                            ({"cuda:0": "cpu"}, "cpu"), ({"other": "cpu"}, here), (place(), here),
                            (function, here), (lambda storage, _: storage, "cpu")):
        first, second = loaded(lib, data, map_location=where)
        assert str(first.device) == expected, where
        assert first.cpu().tolist() == [0, 1, 2] and second.cpu().tolist() == [1, 1]
    assert calls == [(here, "cpu", 12), ("cpu", "cpu", 8)]


def test_locations_that_are_not_there():
    lib = candidate()
    for each in (torch, lib):
        data = bytes_of(each, each.ones(2))
        with pytest.raises(RuntimeError, match="don't know how to restore data location of torch.st"
                                               r"orage.UntypedStorage \(tagged with nowhere\)"):
            loaded(each, data, map_location={"cpu": "nowhere"})
        if each is torch or place() == "cpu":
            with pytest.raises(RuntimeError, match="^Attempting to deserialize object on a CUDA "
                                                   "device but torch.cuda.is_available.. is False"):
                loaded(each, data, map_location="cuda:0")


def test_map_location_of_shared_memory():
    lib = candidate()
    got = loaded(lib, bytes_of(torch, windows(torch)), map_location=place())
    compare(got, windows(torch), strides=True)
    assert got["matrix"].untyped_storage() == got["base"].untyped_storage()
    assert got["base"].device.type == place()


# --- safetensors ---------------------------------------------------------------------------------

def tensors(lib):
    names = [name for name in DTYPES if name != "complex128"]
    return {name: lib.tensor([[1, 0], [1, 1]]).to(getattr(lib, name)) for name in names} | {
        "empty": lib.empty(2, 0), "scalar": lib.tensor(2.5), "row": lib.arange(8.0)[:4]}


def test_safetensors_both_ways(tmp_path):
    pytest.importorskip("safetensors")
    import safetensors.torch
    ours, path = candidate().utils.safetensors, tmp_path / "model.safetensors"
    lib = candidate()
    ours.save_file(tensors(lib), path, metadata={"format": "pt"})
    got = safetensors.torch.load_file(path)
    compare({name: got[name] for name in tensors(torch)}, tensors(torch))
    for data in (path.read_bytes(), safetensors.torch.save(tensors(torch))):
        got = ours.load(data, device=place())
        compare({name: got[name] for name in tensors(torch)}, tensors(torch))
    assert safetensors.torch.save(tensors(torch), {"a": "b"}) == ours.save(tensors(lib), {"a": "b"})
    compare(lib.load(path)["row"], torch.arange(4.0))
    compare(lib.load(path, map_location=place())["bfloat16"], tensors(torch)["bfloat16"])
    compare(torch.load(path)["row"], torch.arange(4.0))


def test_safetensors_refuses():
    pytest.importorskip("safetensors")
    import safetensors.torch
    for lib, files in ((candidate(), candidate().utils.safetensors), (torch, safetensors.torch)):
        x = lib.ones(2, 3)
        with pytest.raises(RuntimeError, match="Some tensors share memory.*('a', 'b'|'b', 'a')"):
            files.save({"a": x, "b": x[:1]})
        with pytest.raises(ValueError, match="^You are trying to save a non contiguous tensor: "):
            files.save({"a": x.t()})
        with pytest.raises(ValueError, match="^Key `a` is invalid, expected torch.Tensor but rec"):
            files.save({"a": 3})
        with pytest.raises(ValueError, match="^Expected a dict of .str, torch.Tensor. but rec"):
            files.save([x])
        with pytest.raises(Exception, match="Error while deserializing"):
            files.load(files.save({"a": x})[:-1])
