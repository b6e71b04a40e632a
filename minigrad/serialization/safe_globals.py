"""The classes and functions that the user lets `load(weights_only=True)` use."""

from __future__ import annotations

from typing import Any

_chosen: set = set()


def add_safe_globals(safe_globals: list) -> None:
    """Let files name these: classes, functions, or pairs of one and the name it has in the file."""
    _chosen.update(safe_globals)


def get_safe_globals() -> list:
    """What has been added and not been taken away."""
    return list(_chosen)


def clear_safe_globals() -> None:
    """Take all away that was added."""
    _chosen.clear()


class safe_globals:
    """`with safe_globals([Kind]):` lets files name these inside the block."""

    def __init__(self, safe_globals: list) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        add_safe_globals(self.safe_globals)

    def __exit__(self, *error: Any) -> None:
        _chosen.difference_update(self.safe_globals)


def by_name() -> dict[str, Any]:
    """{name in the file: what it stands for}."""
    table = {}
    for each in _chosen:
        if not isinstance(each, tuple):
            table[f"{each.__module__}.{each.__qualname__}"] = each
            continue
        if len(each) != 2:
            raise ValueError("Expected tuple of length 2 (global, str of callable full path), but "
                             f"got tuple of length: {len(each)}")
        if type(each[1]) is not str:
            raise TypeError("Expected second item in tuple to be str of callable full path, but "
                            f"got: {type(each[1])}")
        table[each[1]] = each[0]
    return table
