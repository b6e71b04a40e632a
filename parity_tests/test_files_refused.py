"""load refuses what is not tensors and says what is damaged; save leaves the old file whole."""

from __future__ import annotations

import collections
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from parity_tests.compare import compare, normalise
from parity_tests.files import bytes_of, loaded, rewritten, training_state
from parity_tests.harness import candidate

Point = collections.namedtuple("Point", ["x", "y"])


class Marked:
    """Pickled, it asks whoever loads it to call `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# --- files that one does not trust ---------------------------------------------------------------

def file_of(pickled):
    return rewritten(bytes_of(torch, {"x": torch.ones(2)}), {"data.pkl": pickled})


def touch(path):
    Path(path).touch()


def malicious(path):
    """Pickles that would make the file `path` if they were trusted."""
    at, command = str(path), f"touch {path}"
    opcode = lambda body: b"\x80\x02" + body + b"."
    system = f"cos\nsystem\n(X{len(command):c}\0\0\0{command}t".encode()
    return {
        "system": pickle.dumps(Marked(os.system, command), 2),
        "function": pickle.dumps(Marked(touch, at), 2),
        "eval": pickle.dumps(Marked(eval, f"open({at!r}, 'w')"), 2),
        "exec": pickle.dumps(Marked(exec, f"open({at!r}, 'w')"), 2),
        "open": pickle.dumps(Marked(open, at, "w"), 2),
        "getattr": pickle.dumps(Marked(getattr, at, "upper"), 2),
        "copy": pickle.dumps(Marked(shutil.copy, __file__, at), 2),
        "nested": pickle.dumps({"weights": [1, {"deep": Marked(os.system, command)}]}, 2),
        "protocol_4": pickle.dumps(Marked(os.system, command), 4),
        "protocol_0": pickle.dumps(Marked(os.system, command), 0),
        "inst": opcode(f"(X{len(command):c}\0\0\0{command}ios\nsystem\n".encode()),
        "object": opcode(b"(" + f"cos\nsystem\nX{len(command):c}\0\0\0{command}o".encode()),
        "newobj": opcode(system + b"\x81"),
        "reduce_of_a_result": opcode(b"ccollections\nOrderedDict\n)R)R"),
        "reduce_of_a_text": opcode(b"X\x01\0\0\0a)R"),
        "build_of_a_class": opcode(b"ctorch\ndevice\nN}X\x08\0\0\0__init__ctorch\nSize\ns\x86b"),
        "build_of_a_function": opcode(b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\0\0\0aK\x01sb"),
        "append_to_a_class": opcode(b"ctorch\nSize\nK\x01a"),
        "items_of_a_class": opcode(b"ctorch\nSize\nK\x01K\x02s"),
        "newobj_of_a_function": opcode(b"ctorch._utils\n_rebuild_tensor_v2\n)\x81"),
        "persistent_text": opcode(b"X\x01\0\0\0aQ"),
        "extension": opcode(b"\x82\x01"),
        "builtins_2": opcode(b"c__builtin__\neval\n"),
        "nothing": b"",
        "no_end": b"\x80\x02K\x01",
    }


@pytest.mark.parametrize("name", malicious("x"))
def test_what_is_not_tensors_is_refused(name, tmp_path):
    target = tmp_path / "ran"
    data = file_of(malicious(target)[name])
    messages = []
    for lib in (candidate(), torch):
        with warnings.catch_warnings(), pytest.raises(Exception) as caught:
            warnings.simplefilter("ignore")
            loaded(lib, data)
        messages.append(caught.value)
    assert not target.exists()
    assert isinstance(messages[0], pickle.UnpicklingError)
    if isinstance(messages[1], pickle.UnpicklingError):
        got, want = (normalise(str(message)).replace("minigrad", "torch") for message in messages)
        for text in ("<class", "<function", "<built"):  # what an object is called differs
            got, want = got.split(text)[0], want.split(text)[0]
        assert got == want


def test_a_malicious_file_runs_when_it_is_trusted(tmp_path):
    """So that the test above tests something."""
    loaded(candidate(), file_of(malicious(tmp_path / "ran")["function"]), weights_only=False)
    assert (tmp_path / "ran").exists()


def test_windows_outside_of_a_storage_are_refused():
    source = torch.arange(6.0)
    good = zipfile.ZipFile(io.BytesIO(bytes_of(torch, source))).read("archive/data.pkl")
    at = good.index(b"K\x00K\x06\x85")  # offset 0, sizes (6,)
    for window in (b"K\x01K\x06\x85", b"K\x00K\x07\x85", b"J\xff\xff\xff\xffK\x06\x85",
                   b"K\x00J\xff\xff\xff\xff\x85", b"K\x00J\xff\xff\xff\x7f\x85"):
        with pytest.raises(RuntimeError):
            loaded(candidate(), rewritten(bytes_of(torch, source), {
                "data.pkl": good[:at] + window + good[at + 5:]}))


class Trusted:
    def __init__(self, value):
        self.value = value


def mine(files):
    """The safe globals of this file: torch has some of its own."""
    return sorted(name for name in map(str, files.get_safe_globals()) if __name__ in name)


def test_safe_globals():
    lib, outcomes = candidate(), []
    for each in (torch, lib):
        files, tried = each.serialization, []
        data = bytes_of(each, [Trusted(3), Point(1, 2)])

        def attempt(each=each, data=data, tried=tried):
            try:
                first, second = loaded(each, data)
                tried.append((type(first).__name__, first.value, second))
            except pickle.UnpicklingError as error:
                tried.append(normalise(str(error)))

        attempt()
        with files.safe_globals([Trusted]):
            attempt()
            tried.append(mine(files))
        files.add_safe_globals([Trusted, (Point, f"{__name__}.Point")])
        attempt()
        tried.append(mine(files))
        tried.append(sorted(files.get_unsafe_globals_in_checkpoint(io.BytesIO(data))))
        files.clear_safe_globals()
        attempt()
        tried.append(sorted(files.get_unsafe_globals_in_checkpoint(io.BytesIO(data))))
        outcomes.append(tried)
    assert outcomes[1] == outcomes[0]


def test_modules_need_trust():
    lib = candidate()
    for source, target in ((torch, lib), (lib, lib)):
        source.manual_seed(0)
        model = source.nn.Sequential(source.nn.Linear(3, 4), source.nn.ReLU())
        data = bytes_of(source, model)
        with pytest.raises(pickle.UnpicklingError, match="was not an allowed global by default"):
            loaded(target, data)
        got = loaded(target, data, weights_only=False)
        assert type(got) is target.nn.Sequential
        compare(got(target.ones(2, 3)), model(source.ones(2, 3)) if source is torch
                else torch.tensor(model(source.ones(2, 3)).tolist()), flags=False)


# --- damaged files -------------------------------------------------------------------------------

def test_a_byte_that_changed():
    """Every 64th byte, one after the other: an error, or it was a byte that does not matter."""
    lib, unharmed = candidate(), 0
    for source in (torch, lib):
        whole = bytes_of(source, training_state(source))
        want = loaded(lib, whole)
        for position in [*range(0, len(whole), 64), *range(len(whole) - 700, len(whole), 7)]:
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            try:
                got = loaded(lib, bytes(damaged))
            except (RuntimeError, ValueError, pickle.UnpicklingError) as error:
                assert str(error)
            else:
                unharmed += 1
                same_bytes(got, want)
    assert unharmed  # the dates, for one


def same_bytes(got, want):
    if isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            same_bytes(got[key], want[key])
    elif isinstance(want, list):
        for mine, theirs in zip(got, want, strict=True):
            same_bytes(mine, theirs)
    elif hasattr(want, "untyped_storage"):
        assert got.untyped_storage().tolist() == want.untyped_storage().tolist()
        assert (got.dtype, got.shape, got.stride()) == (want.dtype, want.shape, want.stride())
    else:
        assert got == want


def test_a_byte_of_the_values():
    lib = candidate()
    whole = bytes_of(torch, torch.full((64,), 3.0))
    damaged = bytearray(whole)
    damaged[whole.index(np.full(8, 3.0, np.float32).tobytes()) + 9] ^= 1
    with pytest.raises(RuntimeError, match="^PytorchStreamReader failed reading file data/0: Bad "
                                           "CRC-32"):
        loaded(lib, bytes(damaged))


def test_a_file_cut_short():
    whole = bytes_of(candidate(), training_state(candidate()))
    for end in range(0, len(whole), 64):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)) as caught:
            loaded(candidate(), whole[:end])
        if end >= 64:
            assert "failed finding central directory" in str(caught.value)


def test_not_a_file_of_ours():
    for lib in (candidate(), torch):
        for data in (b"", b"hello", b"\x80\x02K\x05.", b"PK\x03\x04"):
            ours = (RuntimeError, pickle.UnpicklingError)
            with pytest.raises(ours if lib is not torch else Exception):  # noqa: B017
                loaded(lib, data)
        with pytest.raises(FileNotFoundError):
            lib.load("/no/such/file.pt")
        with pytest.raises(RuntimeError, match="^Parent directory /no/such does not exist.$"):
            lib.save(1, "/no/such/file.pt")
        with pytest.raises(AttributeError, match="^expected 'f' to be string, path, or a file-l"):
            lib.save(1, 3)


# --- a save that does not finish -----------------------------------------------------------------

def in_a_process(tmp_path, body):
    """Run `body` in a fresh interpreter; `path` holds an old file there."""
    script = f"""
        import io, os, signal
        import minigrad as torch
        path = {str(tmp_path / "state.pt")!r}
        new = {{"x": torch.full((300_000,), 2.0), "y": torch.zeros(5)}}
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script) + textwrap.dedent(body)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60)


@pytest.fixture
def old_file(tmp_path):
    candidate().save({"x": candidate().ones(1000)}, tmp_path / "state.pt")
    (tmp_path / "state.pt").chmod(0o640)
    return (tmp_path / "state.pt").read_bytes()


@pytest.mark.parametrize("moment", [1, 3, 8, 9, "fsync", "replace"])
def test_killed_while_saving(moment, tmp_path, old_file):
    done = in_a_process(tmp_path, f"""
        moment, writes = {moment!r}, 0
        die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

        class Dying(io.FileIO):
            def write(self, data):
                global writes
                writes += 1
                if writes == moment:
                    super().write(bytes(data)[:len(data) // 2])
                    die()
                return super().write(data)

        if isinstance(moment, str):
            setattr(os, moment, die)
        else:
            from minigrad.serialization import archive
            archive.open = lambda path, mode: Dying(path, mode)
        torch.save(new, path)
    """)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "state.pt").read_bytes() == old_file


def test_no_room_on_the_disk(tmp_path, old_file):
    done = in_a_process(tmp_path, """
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        try:
            torch.save(new, path)
        except OSError as error:
            print(type(error).__name__)
    """)
    assert done.stdout == "OSError\n", done.stderr
    assert (tmp_path / "state.pt").read_bytes() == old_file
    assert os.listdir(tmp_path) == ["state.pt"], "the unfinished file is still there"


def test_what_cannot_be_pickled_leaves_the_old_file(tmp_path, old_file):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        candidate().save([candidate().ones(2), lambda: 1], tmp_path / "state.pt")
    assert (tmp_path / "state.pt").read_bytes() == old_file
    assert os.listdir(tmp_path) == ["state.pt"]


def test_saving_over_a_file(tmp_path, old_file):
    """Links stay links, permissions stay, a new file has the usual ones."""
    lib, path, link = candidate(), tmp_path / "state.pt", tmp_path / "link.pt"
    link.symlink_to(path)
    lib.save([lib.ones(2)], link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    compare(torch.load(path), [torch.ones(2)])
    lib.save([lib.ones(2)], tmp_path / "new.pt")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new.pt").stat().st_mode == (tmp_path / "plain").stat().st_mode
    lib.save([lib.ones(2)], os.devnull)
