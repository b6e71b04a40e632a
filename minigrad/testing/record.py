"""Recorders: what a program computes, event by event, so that two engines can be compared.

Note [Two engines, one list of events]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An event is the result of an op that was recorded in the graph, the gradient of such a result, or a
parameter after an optimiser's step. minigrad shows every new node to whoever observes
(core.Mode.observer). torch shows only calls of its public functions (`TorchFunctionMode`), and of
each the last node: `linear` is one call, but two nodes, TBackward0 and AddmmBackward0. So torch's
list is the shorter one; its events are looked up in minigrad's, in order, by the names of the
nodes, which are the same in both.

Gradients come by hooks on the results. They are events of their own list, in the order of the
forward pass, as the engines may visit independent branches in different orders.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core import mode, switches

_OWN_FOLDER = str(Path(__file__).parent.parent)
_LARGEST = 1 << 16  # of larger arrays a sample of this many elements is kept


class Event(NamedTuple):
    """Something that was computed."""

    kind: str      # "result", "gradient" or "parameter"
    name: str      # the node's, or the parameter's
    value: Any     # an array: all of it, or a sample
    dtype: str     # of the tensor
    line: str      # file:number: text, where the program did it


def sample(array: Any) -> Any:
    """A copy of the array's elements, evenly chosen where there are many; complex and 16-bit ones
    as they are, in float64."""
    flat = np.asarray(array).reshape(-1)
    if flat.size > _LARGEST:
        flat = flat[::-(-flat.size // _LARGEST)]
    if flat.dtype.kind in "biuc":
        return flat.copy()
    return flat.astype(np.float64)


def line_outside(folders: tuple[str, ...]) -> str:
    """The innermost line of the program that is in none of these folders."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(folders):
        frame = frame.f_back
    if frame is None:
        return ""
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"{Path(file).name}:{number}: {linecache.getline(file, number).strip()}"


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


class EnoughSteps(BaseException):
    """Ends a recorded script."""


class Recorder:
    """A list of results, one of gradients and one of parameters, all in order."""

    last_step: int | None = None  # the optimiser's step after which the program is ended

    def __init__(self) -> None:
        self.steps = 0
        self.results: list[Event] = []
        self.gradients: dict[int, Event] = {}  # by the number of the result they belong to
        self.parameters: list[Event] = []

    def take(self, name: str, value: Any, line: str, tensor: Any) -> None:
        """Note a result, and ask for its gradient."""
        number = len(self.results)
        self.results.append(Event("result", name, value, _dtype(tensor), line))

        def hook(gradient: Any) -> None:
            self.gradients.setdefault(number, Event(
                "gradient", name, self.array(gradient), _dtype(gradient), line))

        tensor.register_hook(hook)

    def stepped(self, optimizer: Any, *_: Any) -> None:
        """Note all parameters, after a step of their optimiser."""
        line = line_outside(self.folders())
        for g, group in enumerate(optimizer.param_groups):
            for p, parameter in enumerate(group["params"]):
                if parameter.grad is not None:
                    self.parameters.append(Event("parameter", f"group {g}, parameter {p}",
                                                 self.array(parameter), _dtype(parameter),
                                                 line))
        self.steps += 1
        if self.steps == self.last_step:
            raise EnoughSteps

    def array(self, tensor: Any) -> Any:
        raise NotImplementedError

    def folders(self) -> tuple[str, ...]:
        raise NotImplementedError


class MinigradRecorder(Recorder):
    """Records what minigrad does inside a `with` block."""

    def array(self, tensor: Any) -> Any:
        data = tensor._data
        return sample(data.get() if hasattr(data, "get") else data)

    def folders(self) -> tuple[str, ...]:
        return (_OWN_FOLDER,)

    def __enter__(self) -> MinigradRecorder:
        from ..optim.optimizer import register_optimizer_step_post_hook

        self.before, mode.observer = mode.observer, self
        switches.add("watching", 1)
        self.handle = register_optimizer_step_post_hook(self.stepped)
        return self

    def __exit__(self, *error: object) -> None:
        self.handle.remove()
        mode.observer = self.before
        switches.add("watching", -1)

    def remember(self, node: Any, outputs: Any) -> None:
        """Called by the engine with each new node and what the op returns."""
        made: tuple = outputs if isinstance(outputs, tuple) else (outputs,)
        for output in made:
            origin: Any = getattr(output, "_node", None)
            if origin is node:
                self.take(node.name(), self.array(output), line_outside(self.folders()), output)

    def apply(self, node: Any, gradients: Any) -> Any:
        return node.apply(gradients)


def torch_recorder() -> Any:
    """The same for torch, which is imported now; an ImportError says what is missing."""
    import importlib

    torch: Any = importlib.import_module("torch")
    overrides: Any = importlib.import_module("torch.overrides")
    optimizers: Any = importlib.import_module("torch.optim.optimizer")
    hooked: Callable = optimizers.register_optimizer_step_post_hook
    torch_folder = str(Path(torch.__file__).parent)

    class TorchRecorder(Recorder, overrides.TorchFunctionMode):
        """Records the results of torch's public functions inside a `with` block."""

        def __init__(self) -> None:
            Recorder.__init__(self)
            overrides.TorchFunctionMode.__init__(self)
            self.seen: set[int] = set()

        def array(self, tensor: Any) -> Any:
            tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
            return sample((tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy())

        def folders(self) -> tuple[str, ...]:
            return (torch_folder, _OWN_FOLDER)

        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for output in result if isinstance(result, tuple | list) else (result,):
                if isinstance(output, torch.Tensor) and output.grad_fn is not None:
                    node = output.grad_fn
                    if id(node) not in self.seen or isinstance(result, tuple | list):
                        self.seen.add(id(node))
                        self.nodes.append(node)  # so that no other gets its id
                        self.take(node.name(), self.array(output), line_outside(self.folders()),
                                  output)
            return result

        def __enter__(self):
            self.nodes: list = []
            self.handle = hooked(self.stepped)
            return super().__enter__()

        def __exit__(self, *error):
            self.handle.remove()
            return super().__exit__(*error)

    return TorchRecorder()
