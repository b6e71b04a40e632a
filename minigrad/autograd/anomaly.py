"""Anomaly detection: which line of the program made the node whose backward went wrong.

Note [Where a node was made]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An error in backward comes with the traceback of `loss.backward()`, where nothing is wrong; the line
that matters is the one that made the node. While anomaly detection is on, every node keeps the
stack of its making in its `metadata`, and the node whose backward was making it, for the nodes of
double backward. That is slow, and only for looking for errors.
"""

from __future__ import annotations

import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core import Node, mode, switches
from ..device import array_module
from .grad_mode import ContextDecorator

_OWN_FOLDER = str(Path(__file__).parent.parent)


class Detection:
    """What anomaly detection does while it is on."""

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan
        self.running: Node | None = None  # whose backward is running now

    def remember(self, node: Node, outputs: Any) -> None:
        """Keep the lines of the program that lead to this node (not minigrad's own)."""
        node.metadata["traceback_"] = traceback.format_list(
            [frame for frame in _stack() if not frame.filename.startswith(_OWN_FOLDER)])
        if self.running is not None:
            node.metadata["parent_"] = self.running

    def apply(self, node: Node, gradients: Any) -> Any:
        """`node.apply(gradients)`, with a report if it fails or finds nan."""
        before, self.running = self.running, node
        try:
            derived = node.apply(gradients)
            if self.check_nan:
                _refuse_nan(node, derived)
            return derived
        except Exception:
            _report(node)
            raise
        finally:
            self.running = before


def _stack() -> Iterator[traceback.FrameSummary]:
    """The frames of this thread, the outermost first."""
    frames = []
    frame: Any = sys._getframe(2)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    for each in reversed(frames):
        code = each.f_code
        linecache.checkcache(code.co_filename)
        yield traceback.FrameSummary(code.co_filename, each.f_lineno, code.co_name)


def _refuse_nan(node: Node, derived: Any) -> None:
    for number, gradient in enumerate(derived):
        if gradient is not None and gradient._data.dtype.kind in "fcV":
            xp = array_module(gradient._data)
            if bool(xp.isnan(gradient._data).any()):
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its "
                                   f"{number}th output.")


def _report(node: Node) -> None:
    """Warn with the lines that made the node, then with those of the node that made it run."""
    lines = node.metadata.get("traceback_")
    if not lines:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable "
            "detect anomaly during forward pass for more information.", stacklevel=3)
        return
    warnings.warn(f"Error detected in {node.name()}. Traceback of forward call that caused the "
                  f"error:\n{''.join(lines)}", stacklevel=3)
    parent = node.metadata.get("parent_")
    while parent is not None:
        lines = parent.metadata.get("traceback_")
        if not lines:
            warnings.warn(
                f"\n\nPrevious calculation was induced by {parent.name()}. No forward pass "
                "information available. Enable detect anomaly during forward pass for more "
                "information.", stacklevel=3)
            return
        warnings.warn(
            f"\n\nPrevious calculation was induced by {parent.name()}. Traceback of forward call "
            f"that induced the previous calculation:\n{''.join(lines)}", stacklevel=3)
        parent = parent.metadata.get("parent_")


# --- switching it on -----------------------------------------------------------------------------

def is_anomaly_enabled() -> bool:
    """Whether nodes remember where they were made."""
    return isinstance(mode.observer, Detection)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a gradient that is nan is an error, once anomaly detection is on."""
    return mode.check_nan


def _switch(enabled: bool, check_nan: bool) -> None:
    if enabled != is_anomaly_enabled():
        switches.add("watching", 1 if enabled else -1)
    mode.check_nan = check_nan
    mode.observer = Detection(check_nan) if enabled else None


class set_detect_anomaly(ContextDecorator):
    """Switch anomaly detection on or off: at once, and back again at the end of a `with` block."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.mode, self.check_nan = mode, check_nan
        self.previous = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        _switch(mode, check_nan)

    def clone(self) -> Any:
        return type(self)(self.mode, self.check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _switch(*self.previous)


class detect_anomaly(ContextDecorator):
    """Within this context, an error in backward is reported with the forward line that made the
    failing node, and (with `check_nan`) a backward that makes nan is an error."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        warnings.warn("Anomaly Detection has been enabled. This mode will increase the runtime and "
                      "should only be enabled for debugging.", stacklevel=2)

    def clone(self) -> Any:
        return type(self)(self.check_nan)

    def __enter__(self) -> None:
        self.previous = is_anomaly_enabled(), is_anomaly_check_nan_enabled()
        _switch(True, self.check_nan)

    def __exit__(self, *error: object) -> None:
        _switch(*self.previous)
