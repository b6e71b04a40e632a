"""`step(loss, "backward.html")`: the backward pass as one page, to play node by node.

The page shows the graph and, for each node's turn, the gradients that come in, the rule as
mathematics and as source, what goes out, and what each leaf has so far. It is one file that asks
the network for nothing; `step_page/` has its parts as a reader wants them, and here they are put
into each other.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..core import TensorBase
from ..explain import explain
from . import facts
from .step_data import page_data

__all__ = ["step"]

SCRIPTS = ("values.js", "graph.js", "details.js", "player.js")


def step(loss: Any, path: str | Path, names: Any = None, gradient: Any = None,
         title: str = "") -> Path:
    """Write the backward pass of `loss`, a tensor or a function that returns one, as a page.

    Of a function, the lines of the program are shown too. `names` names the leaves and `gradient`
    is what to begin with, as in `explain`. Nobody's `.grad` is touched, and the graph is not freed.
    """
    path = Path(path)
    _check(path)
    if names is None:
        names = facts.variables_of(sys._getframe(1))
    try:
        told = explain(_checked(loss, gradient), names, gradient)
    except RuntimeError as error:
        if "a second time" not in str(error):
            raise
        raise RuntimeError("step() runs the backward pass, but backward has freed the graph's "
                           "saved values already: call step() before backward, or pass a function "
                           "that computes the loss") from None
    title = title or f"Backward from {told.steps[0].name}"
    _write(path, page(page_data(told, title)))
    return path


def _checked(loss: Any, gradient: Any) -> Any:
    """The loss, or the function, if there is a backward pass to play; else one line about what to
    pass instead."""
    if facts.is_module(loss):
        raise TypeError("step() takes a tensor, or a function that returns one, not a module: pass "
                        "the loss, or lambda: loss_of(model(inputs))")
    if callable(loss) and not facts.is_tensor(loss):
        return lambda: _checked(loss(), gradient)
    if not isinstance(loss, TensorBase):
        reason = (", not one of PyTorch: step() plays minigrad's engine (draw, tree and diff take "
                  "PyTorch's tensors, too)" if facts.is_tensor(loss) else
                  f", or a function that returns one, not {type(loss).__name__}")
        raise TypeError(f"step() takes a tensor of minigrad{reason}")
    if loss.grad_fn is None:
        raise RuntimeError("step() needs a tensor with a history, and this one "
                           + ("is a leaf itself" if loss.requires_grad else
                              "does not require a gradient") + ": pass a result, such as the loss")
    if gradient is None and loss._data.size != 1:
        raise RuntimeError("step() begins at a number, as grad can be implicitly created only for "
                           "scalar outputs: pass a sum or a mean, or gradient=")
    return loss


def page(data: dict) -> str:
    """The page with this content."""
    parts = files(__package__).joinpath("step_page")

    def part(name: str) -> str:
        return parts.joinpath(name).read_text(encoding="utf-8")

    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    fills = {
        "<!-- title -->": html.escape(data["title"]),
        "/* style */": part("page.css"),
        "/* content */": content.replace("<", "\\u003c"),
        "/* script */": "\n".join(part(name) for name in SCRIPTS),
    }
    return re.sub("|".join(map(re.escape, fills)), lambda mark: fills[mark[0]], part("page.html"))


# --- files ---------------------------------------------------------------------------------------

def _check(path: Path) -> None:
    """Complain now rather than after the work."""
    if path.suffix not in (".html", ".htm"):
        raise ValueError(f"step() writes an HTML page: '{path}' should end in .html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"step() cannot write '{path}': there is no folder "
                                f"'{path.parent}'")
    if path.is_dir():
        raise IsADirectoryError(f"step() cannot write '{path}': it is a folder")


def _write(path: Path, text: str) -> None:
    """The whole file or nothing: written beside the place and then moved there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise type(error)(f"step() cannot write '{path}': {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
