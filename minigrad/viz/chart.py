"""Figures of matplotlib in one style. This file imports matplotlib: it is loaded when one is drawn.

The colours are Okabe and Ito's, which can be told apart by everybody.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from .layout import check_writable, write_whole

INK, FAINT, GRID = "#1b1f24", "#57606a", "#e3e7eb"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


class Chart(Figure):
    """A matplotlib figure that Jupyter shows, and that is written whole or not at all."""

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix (.svg, .png, .pdf) says the format."""
        path = Path(path)
        format = path.suffix.removeprefix(".").lower()
        known = self.canvas.get_supported_filetypes()
        if format not in known:
            raise ValueError(f"{path}: the suffix says the format, and must be .svg, .png or .pdf")
        check_writable(path)
        write_whole(path, self.drawn(format))
        return path

    def drawn(self, format: str) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format=format, dpi=150)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.drawn("png")


def dress(panel: Any, title: str, xlabel: str = "", ylabel: str = "") -> None:
    """Title, labels, and no more lines than needed."""
    panel.set_title(title, fontsize=10.5, color=INK, loc="left", fontweight="bold")
    panel.set_xlabel(xlabel, fontsize=8.5, color=FAINT)
    panel.set_ylabel(ylabel, fontsize=8.5, color=FAINT)
    panel.tick_params(labelsize=8, colors=FAINT, length=0)
    panel.grid(color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(GRID)


def shades(count: int) -> Sequence[Any]:
    """Colours for that many layers, from the first to the last."""
    if count <= len(COLORS):
        return COLORS[:count]
    ramp = colormaps["viridis"]
    return [ramp(0.92 * each / (count - 1)) for each in range(count)]
