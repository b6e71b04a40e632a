"""`broadcasting((3, 1), (4,))`: how two shapes fit each other, as a picture.

Sizes are compared from the right. They fit if they are equal or one of them is 1; that one is
stretched, as is a dimension that is missing. Cells that exist are filled, stretched ones are pale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .training import new_chart

_MOST = 6       # cells drawn of one dimension
BAD = "#b3261e"
_LEAN = 0.42    # how far each sheet lies behind the one before


def broadcasting(shape_a: Any, shape_b: Any, *, path: str | Path | None = None) -> Any:
    """Two shapes (or tensors), how they are laid under each other, and the shape of the result.

    Shapes that do not fit are drawn as well, with the reason. Up to three dimensions are drawn as
    cells.
    """
    a, b = _shape(shape_a), _shape(shape_b)
    rank = max(len(a), len(b))
    aligned = [(1,) * (rank - len(each)) + each for each in (a, b)]
    fits = [one == other or 1 in (one, other) for one, other in zip(*aligned, strict=True)]
    result = tuple(other if one == 1 else one for one, other in zip(*aligned, strict=True))
    chart = new_chart()
    cells = all(fits) and 1 <= rank <= 3
    figure = chart.Chart(figsize=(8.0, 4.8) if cells else (8.0, 2.2))
    figure.text(0.04, 0.95, _verdict(a, b, result, fits), ha="left", va="top", fontsize=11,
                fontweight="bold", color=chart.INK if all(fits) else BAD)
    _table(chart, figure.add_axes((0.04, 0.6, 0.92, 0.28) if cells else (0.04, 0.05, 0.92, 0.72)),
           a, b, result, fits)
    if cells:
        below = figure.add_axes((0.04, 0.03, 0.92, 0.53))
        _cells(chart, below, aligned, result)
    if path is not None:
        figure.save(path)
    return figure


def _shape(given: Any) -> tuple[int, ...]:
    shape = getattr(given, "shape", given)
    try:
        sizes = tuple(shape)
        if all(type(size) is int and size >= 0 for size in sizes):
            return sizes
    except TypeError:
        pass
    raise TypeError("broadcasting() takes two shapes, such as (3, 1) and (4,), or two tensors, not "
                    f"{given!r}")


def _table(chart: Any, panel: Any, a: tuple, b: tuple, result: tuple, fits: list[bool]) -> None:
    """The two shapes under each other, flush right, and the verdict."""
    panel.axis("off")
    panel.set_xlim(-1.6, max(len(result) - 0.4, 8))
    panel.set_ylim(-0.4, 2.6)
    blue, orange, green = chart.COLORS[:3]
    rows = (("result", result, green), ("b", b, orange), ("a", a, blue))
    for y, (name, sizes, color) in enumerate(rows):
        panel.text(-0.7, y + 0.1, name, ha="right", va="center", fontsize=11, color=color,
                   fontweight="bold")
        for place in range(len(result)):
            own = place - (len(result) - len(sizes))
            good = fits[place]
            text = "·" if own < 0 else str(sizes[own])
            if name == "result" and not good:
                text = "?"
            stretched = name != "result" and good and (
                own < 0 or (sizes[own] == 1 and result[place] != 1))
            panel.text(place, y + 0.1, text, ha="center", va="center", fontsize=12,
                       color=BAD if not good else chart.FAINT if stretched else chart.INK,
                       fontweight="bold" if not good else "normal", fontfamily="monospace")
            if stretched and y:
                panel.text(place + 0.16, y + 0.02, f"→{result[place]}", ha="left", va="center",
                           fontsize=8, color=color)
    panel.plot([-0.45, len(result) - 0.55 + 0.2], [0.62, 0.62], color=chart.GRID, linewidth=1)


def _verdict(a: tuple, b: tuple, result: tuple, fits: list[bool]) -> str:
    if all(fits):
        return f"{a} and {b} fit: the result is {result}"
    place = len(fits) - 1 - fits[::-1].index(False)
    from_right = place - len(fits)
    return (f"{a} and {b} do not fit: in dimension {from_right}, {a[from_right]} and "
            f"{b[from_right]} differ, and neither is 1")


def _cells(chart: Any, panel: Any, aligned: list[tuple], result: tuple) -> None:
    """a, b and the result as sheets of cells, each as large as the result."""
    panel.axis("off")
    panel.set_aspect("equal")
    depth, rows, columns = ((1, 1, 1) + result)[-3:]
    width = min(columns, _MOST) + _LEAN * (min(depth, _MOST) - 1) + 1.3
    signs = ("", "with", "→")
    for number, (sizes, color) in enumerate(zip((*aligned, result), chart.COLORS, strict=False)):
        own = ((1, 1, 1) + tuple(sizes))[-3:]
        left = number * width
        for sheet in reversed(range(min(depth, _MOST))):
            for row in range(min(rows, _MOST)):
                for column in range(min(columns, _MOST)):
                    real = sheet < own[0] and row < own[1] and column < own[2]
                    x, y = left + column + _LEAN * sheet, -row + _LEAN * sheet
                    panel.add_patch(_cell(x, y, color, real))
        if signs[number]:
            panel.text(left - 0.65, -(min(rows, _MOST) - 1) / 2 + 0.5, signs[number], ha="center",
                       va="center", fontsize=9.5, color=chart.FAINT)
    if max(depth, rows, columns) > _MOST:
        panel.text(0, 1.25 + _LEAN * min(depth, _MOST), f"(at most {_MOST} of each dimension)",
                   fontsize=8, color=chart.FAINT)
    panel.set_xlim(-0.3, 3 * width - 1.0)
    panel.set_ylim(-min(rows, _MOST) + 0.7, 1.5 + _LEAN * min(depth, _MOST))


def _cell(x: float, y: float, color: str, real: bool) -> Any:
    from matplotlib.patches import Rectangle

    if real:
        return Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", linewidth=2)
    return Rectangle((x, y), 1, 1, facecolor="white", edgecolor=color, linewidth=0.8,
                     linestyle=(0, (2, 2)))
