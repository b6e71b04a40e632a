"""The signatures of torch's functions and methods: names, order, defaults, keyword-only marks.

torch declares them in native_functions.yaml. Python sees several overloads as one function; so does
minigrad: every overload's arguments must fit, by position and by name, and where both have a
default it must be the same.
"""

from __future__ import annotations

import ast
import inspect
import re
import types
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torchgen

from parity_tests.harness import candidate

DECLARATIONS = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
# Arguments that belong to torch's storage and dispatch: every factory of minigrad takes them.
OPTIONS = {"dtype", "layout", "device", "pin_memory", "memory_format", "generator"}
# Overloads by the names of dimensions, and of Python scalars for what are tensors elsewhere.
LEFT_OUT = re.compile(r"Dimname|Storage|Stream|\.dimname|_names|\.out|_out$|\.functional")


class Argument(NamedTuple):
    name: str
    default: str | None
    keyword_only: bool


def declared() -> dict[tuple[str, str], list[list[Argument]]]:
    """("function" or "method", name) -> the arguments of each overload."""
    found: dict[tuple[str, str], list[list[Argument]]] = {}
    entry = ""
    for line in DECLARATIONS.read_text().splitlines():
        if line.startswith("- func: "):
            entry = line.removeprefix("- func: ")
            _note(found, entry, "function")
        elif line.strip().startswith("variants:") and "method" in line:
            if "function" not in line:
                _forget(found, entry)
            _note(found, entry, "method")
    return found


def _parsed(entry: str) -> tuple[str, list[Argument]] | None:
    match = re.match(r"([\w.]+)\((.*)\) ->", entry)
    if not match or LEFT_OUT.search(match[1]) or LEFT_OUT.search(match[2]) or "!)" in match[2]:
        return None
    arguments, keyword_only = [], False
    for text in re.split(r", (?![^\[(]*[\])])", match[2]) if match[2] else []:
        if text == "*":
            keyword_only = True
            continue
        name, _, default = text.rpartition(" ")[2].partition("=")
        arguments.append(Argument(name, default or None, keyword_only))
    return match[1].partition(".")[0], arguments


def _note(found: dict, entry: str, kind: str) -> None:
    parsed = _parsed(entry)
    if parsed is not None:
        found.setdefault((kind, parsed[0]), []).append(parsed[1])


def _forget(found: dict, entry: str) -> None:
    parsed = _parsed(entry)
    if parsed is not None:
        found["function", parsed[0]].remove(parsed[1])


def named(kind: str, name: str) -> Any:
    """The candidate's function or method of this name, in whichever namespace torch has it."""
    lib = candidate()
    if kind == "method":
        return vars(lib.Tensor).get(name)
    if name.startswith("_"):
        return None
    for prefix in ("linalg_", "fft_", "special_"):
        if name.startswith(prefix):
            return vars(getattr(lib, prefix[:-1], lib)).get(name.removeprefix(prefix))
    return vars(lib).get(name)


def signature_of(function: Any) -> inspect.Signature | None:
    """A primitive's parameters are those of its kernel."""
    function = inspect.unwrap(function)
    op = getattr(function, "op", None)
    if op is None:
        return inspect.signature(function)
    if op.variadic:
        return None
    kinds = inspect.Parameter
    positional = [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in op.inputs]
    keywords = [kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=op.defaults.get(name, kinds.empty))
                for name in op.keywords if name != "out"]
    return inspect.Signature(positional + [each for each in keywords if each.name not in
                                           op.inputs])


DECLARED = declared()
CASES = [key for key, overloads in DECLARED.items()
         if overloads and callable(named(*key)) and not key[1].endswith("_")]


def test_all_are_found():
    assert len(CASES) >= 600


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_signature(kind, name):
    signature = signature_of(named(kind, name))
    if signature is None:
        return  # tensors in any number
    python = vars(torch).get(name) if kind == "function" else getattr(torch.Tensor, name, None)
    overloads = [written_in_python(python)] if isinstance(python, types.FunctionType) else (
        DECLARED[kind, name])
    for arguments in overloads:
        check_overload(signature, arguments, kind)


def written_in_python(function: Any) -> list[Argument]:
    """Where torch wraps its declared function in one of its own, that one's arguments count."""
    return [Argument(each.name, None if each.default is each.empty else repr(each.default),
                     each.kind is each.KEYWORD_ONLY)
            for each in inspect.signature(function).parameters.values()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def check_overload(signature: inspect.Signature, arguments: list[Argument], kind: str) -> None:
    ours = list(signature.parameters.values())
    starred = any(each.kind is each.VAR_POSITIONAL for each in ours)
    open_ended = any(each.kind is each.VAR_KEYWORD for each in ours)
    positions = [each for each in ours if each.kind in (
        each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    by_name = {each.name: each for each in ours}
    for place, argument in enumerate(arguments):
        name = "input" if argument.name == "self" else argument.name
        if place == 0:
            continue  # given by position, and called input, self, x, a, ...
        if name in OPTIONS and (open_ended or name not in by_name):
            continue
        assert name in by_name or open_ended or starred, f"no argument {name}: {signature}"
        if not argument.keyword_only and not starred:
            assert place < len(positions), f"{name} is not taken by position: {signature}"
            assert positions[place].name == name, (
                f"argument {place} is {positions[place].name}, torch's is {name}: {signature}")
        if argument.default is not None and name in by_name:
            same_default(by_name[name], argument)


def same_default(ours: inspect.Parameter, theirs: Argument) -> None:
    if ours.default is ours.empty:
        assert ours.kind in (ours.VAR_POSITIONAL, ours.VAR_KEYWORD), f"{ours} has no default"
        return
    try:
        want = ast.literal_eval(theirs.default)
    except (ValueError, SyntaxError):
        return  # a name of C++: Mean, contiguous_format, ...
    if want in ([], None) or ours.default in (None, (), []):
        return  # "not given" is written in several ways
    mine = list(ours.default) if isinstance(ours.default, tuple) else ours.default
    assert mine == want or [mine] == want, f"{ours}: torch's default is {want}"
