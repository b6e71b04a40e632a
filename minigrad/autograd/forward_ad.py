"""Forward-mode AD: a tangent goes through the program with each value.

    with dual_level():
        x = make_dual(primal, tangent)
        y, jvp = unpack_dual(f(x))

How the tangents are computed: ../tangents.py. There is one level at a time, as in torch; higher
orders are for `minigrad.func.jvp`, which nests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core import TensorBase, mode, version_of, wrap
from ..names import missing_in
from ..primitive import derivative, primitive
from ..tangents import Level, Outside, set_tangent
from . import forward_rules as forward_rules  # fills in the kinds of ops
from .grad_mode import ContextDecorator

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
           "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """A value and its tangent; None where it has none."""

    primal: Any
    tangent: Any


def enter_dual_level() -> int:
    """Open a level in which tensors can have tangents; returns its number, 0."""
    if mode.level is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    level = Level()
    level.open()
    return level.number


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level; all its tangents are gone."""
    current = _current_level()
    if level is not None and level != current:
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was "
                           "created. This is not supported.")
    if mode.level is None:
        raise RuntimeError("Dual level must be a positive number.")
    mode.level.close()


class dual_level(ContextDecorator):
    """A level for the length of a `with` block, or of a decorated function."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *error: object) -> None:
        exit_dual_level()


def _current_level() -> int:
    return -1 if mode.level is None else mode.level.number


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A tensor that shares the memory of `tensor` and carries `tangent`: itself if it is laid out
    alike, else a copy."""
    current = _current_level()
    if (current if level is None else level) < 0:
        raise RuntimeError("Trying to create a dual Tensor for forward AD but no level exists, "
                           "make sure to enter_dual_level() first.")
    for name, each in (("primal", tensor), ("tangent", tangent)):
        if not (each.is_floating_point() or each.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: "
                             f"{each.dtype}")
    if level is not None and level != current:
        raise RuntimeError("Invalid level given to _make_dual")
    if mode.level.of(tensor) is not None:
        raise RuntimeError("Making a dual Tensor based on a Tensor that already has a forward "
                           f"gradient at the same level {current} is not supported.")
    if mode.level.of(tangent) is not None:
        raise RuntimeError("Setting a forward grad that itself has a forward gradient at the same "
                           f"level{current} is not supported.")
    return dual(tensor, tangent)


def dual(tensor: Any, tangent: Any) -> Any:
    """`tensor` with a tangent at the innermost level, its history and its tangents of the levels
    around it."""
    level = mode.level
    with Outside(level):
        result = same_memory(tensor)
        set_tangent(level, result, tangent)
    return result


@primitive(promote="exact", node_name="ViewBackward0")
def _same(xp, input):
    """The value, as a tensor of its own."""
    return input


derivative(_same, input=lambda g: g)
_same.op.tangent = "itself"


def same_memory(tensor: Any) -> Any:
    """The tensor again, with its history but as a base of its own: tangents do not go through to
    what it views."""
    result = _same(tensor)
    result._counter = version_of(tensor)
    return result


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a dual tensor, as tensors that are not dual."""
    current = _current_level()
    if (current if level is None else level) < 0:
        return UnpackedDualTensor(tensor, None)
    if not isinstance(tensor, TensorBase):
        raise TypeError("_unpack_dual(): argument 'dual' (position 1) must be Tensor, not "
                        f"{type(tensor).__name__}")
    if level is not None and level != current:
        return UnpackedDualTensor(tensor, None)
    tangent = mode.level.of(tensor)
    with Outside(mode.level):
        primal: Any = same_memory(tensor) if tensor._tracked else wrap(tensor._data)
    return UnpackedDualTensor(primal, tangent)


__getattr__ = missing_in(__name__)
