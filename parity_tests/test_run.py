"""`python -m minigrad run FILE` is `python FILE` with minigrad in torch's place."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def python(tmp_path):
    """Runs `python ARGUMENTS...` in an empty folder, from which minigrad can be imported."""
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": search}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


@pytest.fixture
def write(tmp_path):
    """Writes a program into the folder and returns its name, as it is given to python there."""

    def write(source, name="program.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    return write


def check_same(python, *arguments):
    """Python and minigrad print the same, show the same traceback and end with the same status."""
    expected = python(*arguments)
    actual = python("-m", "minigrad", "run", *arguments)
    assert actual.stdout == expected.stdout
    assert actual.stderr == expected.stderr
    assert actual.returncode == expected.returncode
    return actual


# --- A program is run as Python runs it ----------------------------------------------------------


def test_main_and_arguments(python, write):
    write("answer = 42", "folder/neighbour.py")
    program = write(
        '''
        """The docstring."""
        import pickle, sys
        import neighbour

        class Kept:
            pass

        print(__name__, __file__, __doc__, __package__, neighbour.answer)
        print(sys.argv, sys.path[0])
        print(sys.modules["__main__"].__dict__ is globals(), Kept.__module__)
        print(type(pickle.loads(pickle.dumps(Kept()))) is Kept)
        ''',
        "folder/program.py",
    )
    result = check_same(python, program, "--rate", "0.1", "-v", "--", "--help")
    assert result.returncode == 0 and "--rate" in result.stdout


@pytest.mark.parametrize("leave", ["sys.exit()", "sys.exit(3)", "sys.exit('no')", "raise OSError"])
def test_exit_status(python, write, leave):
    check_same(python, write(f"import sys\nprint('before')\n{leave}\n"))


def test_traceback_starts_in_the_program(python, write):
    program = write(
        """
        def inner():
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("wrong") from error

        inner()
        """
    )
    assert "inner()" in check_same(python, program).stderr


def test_traceback_goes_to_the_programs_own_hook(python, write):
    program = write(
        """
        import sys, traceback

        def hook(kind, error, frames):
            print(kind, error, len(traceback.extract_tb(frames)))

        sys.excepthook = hook
        raise ValueError("wrong")
        """
    )
    check_same(python, program)


def test_syntax_error(python, write):
    assert "SyntaxError" in check_same(python, write("x = 1\ny = = 2\n")).stderr


def test_source_encoding(python, write, tmp_path):
    program = write("")
    (tmp_path / program).write_bytes(b"# coding: latin-1\nprint(ascii('\xe9'))\n")
    check_same(python, program)


def test_a_training_program(python, write):
    program = write(
        """
        import torch
        import torch.nn.functional as F
        from torch import nn, optim
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        inputs = torch.randn(64, 8)
        classes = (inputs.sum(dim=1) > 0).long()
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        for epoch in range(3):
            for data, target in DataLoader(TensorDataset(inputs, classes), 16, shuffle=True):
                loss = F.cross_entropy(model(data), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(f"{loss.item():.4f}", loss.grad_fn.name())
        """
    )
    check_same(python, program)


# --- torch's names -------------------------------------------------------------------------------


def test_every_import_gives_the_very_minigrad_module(python, write):
    program = write(
        """
        import sys
        import torch
        import torch.cuda.amp
        import torch.nn.functional as F
        import torch.utils.checkpoint as checkpoint
        from torch import Tensor, nn, optim
        from torch.optim.lr_scheduler import LambdaLR
        from torch.utils.data import DataLoader
        import minigrad
        import minigrad.optim.lr_scheduler

        assert torch is minigrad and Tensor is minigrad.Tensor and nn is minigrad.nn
        assert F is minigrad.nn.functional and checkpoint is minigrad.utils.checkpoint
        assert LambdaLR is minigrad.optim.lr_scheduler.LambdaLR
        assert DataLoader is minigrad.utils.data.DataLoader
        assert isinstance(torch.zeros(1), minigrad.Tensor)
        assert issubclass(torch.nn.Linear, minigrad.nn.Module)
        for name in ["nn", "nn.functional", "optim", "utils.data"]:
            assert sys.modules[f"torch.{name}"] is sys.modules[f"minigrad.{name}"]
            assert sys.modules[f"torch.{name}"].__spec__.name == f"minigrad.{name}"
        with torch.cuda.amp.autocast(enabled=False):
            print("same")
        """
    )
    assert python("-m", "minigrad", "run", program).stdout == "same\n"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("torch.no_such_name", "AttributeError: minigrad has no 'torch.no_such_name'"),
        ("import torch.no_such", "ModuleNotFoundError: minigrad has no module 'torch.no_such'"),
        (
            "from torch.nn.no_such import x",
            "ModuleNotFoundError: minigrad has no module 'torch.nn.no_such'",
        ),
        (
            "import torch.cuda.no_such",
            "ModuleNotFoundError: minigrad has no module 'torch.cuda.no_such'",
        ),
        (
            "from torch import no_such_name",
            "ImportError: cannot import name 'no_such_name' from 'minigrad'",
        ),
    ],
)
def test_missing_names_say_so(python, write, statement, message):
    result = python("-m", "minigrad", "run", write(f"import torch\n{statement}\n"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(message)


def test_a_broken_import_inside_is_not_called_missing(python, write):
    write("import not_installed_anywhere", "broken.py")
    program = write(
        """
        import minigrad, os
        minigrad.__path__.append(os.getcwd())
        import torch.broken
        """
    )
    result = python("-m", "minigrad", "run", program)
    assert "No module named 'not_installed_anywhere'" in result.stderr.splitlines()[-1]


def test_torch_itself_is_left_alone(python, write):
    program = write(
        """
        import minigrad.run
        import torch
        assert torch is not minigrad and torch.nn.__spec__.name == "torch.nn"
        try:
            minigrad.run.install()
        except RuntimeError as error:
            print(error)
        """
    )
    assert "torch itself is already imported" in python(program).stdout


# --- The command line ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_file_that_cannot_be_read(python, name):
    result = python("-m", "minigrad", "run", name)
    assert result.returncode == 2
    assert result.stderr.startswith(f"minigrad: cannot open '{name}': ")
    assert result.stderr.count("\n") == 1 and not result.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "--fast", "program.py"]])
def test_wrong_use(python, arguments):
    result = python("-m", "minigrad", *arguments)
    assert result.returncode == 2
    assert "usage: python -m minigrad" in result.stderr and "Traceback" not in result.stderr
