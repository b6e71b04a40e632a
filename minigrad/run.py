"""Run an unmodified PyTorch program with minigrad in torch's place: `python -m minigrad run FILE`.

`install()` puts a finder first on `sys.meta_path`; from then on `import torch.nn` gives the very
module `minigrad.nn`, so classes, `isinstance` and `is` agree however a name was imported. Without
`install()` nothing here touches `import torch`.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Any

# Note [Two names, one module]
#
# Python keeps modules in `sys.modules` by name, and a loader may answer an import with a module
# that exists already. So "torch.nn" becomes a second key for the object under "minigrad.nn". Two
# details:
#
# - The import system stamps every module it loads with the spec it was found by. We put the
#   module's own spec back, or `importlib.reload` and `pkgutil` would see the wrong name.
# - torch's packages and minigrad's need not be cut alike: minigrad/cuda.py is one file whose
#   attribute `amp` is a module. Python looks for "torch.cuda.amp" only below something with a
#   `__path__`, so an aliased plain module gets an empty one, and we then find the submodule among
#   its attributes.


class TorchAlias(MetaPathFinder, Loader):
    """Answers `import torch.x.y` with the module `minigrad.x.y`."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        spec = ModuleSpec(fullname, self)
        spec.loader_state = minigrad_module(fullname)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = spec.loader_state
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        module.__spec__ = spec.loader_state
        if not hasattr(module, "__path__"):
            module.__path__ = []


def minigrad_module(torch_name: str) -> ModuleType:
    """The minigrad module that stands for `torch_name`, or a ModuleNotFoundError that says so."""
    name = "minigrad" + torch_name.removeprefix("torch")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it exists, and something that it imports does not
            raise
    parent, _, attribute = name.rpartition(".")
    module = getattr(sys.modules.get(parent), attribute, None)
    if not isinstance(module, ModuleType):
        raise ModuleNotFoundError(f"minigrad has no module '{torch_name}'", name=torch_name)
    return module


def install() -> None:
    """Give minigrad's modules to every later `import torch`; again is harmless."""
    torch = sys.modules.get("torch")
    if torch is not None and torch is not sys.modules.get("minigrad"):
        raise RuntimeError("minigrad cannot take torch's place: torch itself is already imported")
    if not any(isinstance(finder, TorchAlias) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchAlias())


def run(path: str, args: Sequence[str] = ()) -> None:
    """Run the program at `path` as `python path args...` would, with minigrad in torch's place.

    The process becomes the program's: `sys.argv`, `sys.path[0]` and `__main__` stay its own
    afterwards. Its exceptions and its SystemExit pass through; a traceback starts at its first
    frame.
    """
    file = os.path.abspath(path)
    loader = SourceFileLoader("__main__", file)
    source = loader.get_data(file)
    install()
    main = ModuleType("__main__")
    main.__dict__.update(__file__=file, __loader__=loader, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv[:] = [path, *args]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(file))
    try:
        exec(compile(source, file, "exec", dont_inherit=True), main.__dict__)
    except BaseException as error:
        show_from_first_frame_in(main, error)
        raise


def show_from_first_frame_in(main: ModuleType, error: BaseException) -> None:
    """Have the interpreter print `error` without the frames that led to the program."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals is not main.__dict__:
        frames = frames.tb_next
    hook = sys.excepthook

    def excepthook(kind, value, traceback):
        if value is error:
            traceback = frames
        hook(kind, value.with_traceback(traceback), traceback)

    sys.excepthook = excepthook
