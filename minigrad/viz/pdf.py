"""A laid-out graph as a PDF, for layout programs that write none.

Graphviz's JSON has the drawing itself: polygons, curves and texts, in points, from the lower left
corner, which is PDF's own coordinate system. So the page is a list of the same operations. Its
font is Helvetica, which every reader of PDF has and by whose widths the graph was laid out; a
letter outside Windows-1252 becomes a question mark.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

_MARGIN = 4.0
_FONTS = ("Helvetica", "Helvetica-Bold", "Courier")


def pdf_of(laid_out: bytes) -> bytes:
    """One page with what Graphviz's `-Tjson` describes."""
    graph = json.loads(laid_out)
    left, bottom, right, top = (float(each) for each in graph["bb"].split(","))
    page = _Page()
    parts = [("graph", graph)]
    parts += [("cluster" if "bb" in each else "node", each) for each in graph.get("objects", ())]
    parts += [("edge", each) for each in graph.get("edges", ())]
    for kind, part in parts:
        for name in ("_draw_", "_hdraw_", "_tdraw_", "_ldraw_", "_hldraw_", "_tldraw_"):
            page.draw(kind, part.get(name, ()))
    box = f"{left - _MARGIN} {bottom - _MARGIN} {right + _MARGIN} {top + _MARGIN}"
    fonts = " ".join(f"/F{number} {number + 4} 0 R" for number in range(len(_FONTS)))
    content = zlib.compress("\n".join(page.lines).encode("cp1252", "replace"))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [{box}] >>".encode(),
        f"<< /Type /Page /Parent 2 0 R /Contents {len(_FONTS) + 4} 0 R "
        f"/Resources << /Font << {fonts} >> >> >>".encode(),
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
          for name in _FONTS),
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
    ]
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    """The objects, numbered, and the table of where each begins."""
    text, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(text))
        text += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return text + (b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\n"
                   b"startxref\n%d\n%%%%EOF\n" % (count, table, count, len(text)))


class _Page:
    """Graphviz's operations, one after the other, as PDF's."""

    def __init__(self) -> None:
        self.lines: list[str] = ["1 j 1 J"]
        self.size, self.face, self.color = 10.0, "Helvetica", "0 0 0"
        self.kind = ""
        self.bold: dict[str, bool] = {}  # said only when it changes, for each kind on its own

    def draw(self, kind: str, operations: Any) -> None:
        self.kind = kind
        self.lines.append("[] 0 d 1 w")
        for operation in operations:
            self.one(operation["op"], operation)

    def one(self, op: str, operation: dict) -> None:
        if op == "c":
            self.color = _rgb(operation["color"])
            self.lines.append(f"{self.color} RG")
        elif op == "C":
            self.lines.append(f"{_rgb(operation.get('color', '#ffffff'))} rg")
        elif op == "S":
            self.style(operation["style"])
        elif op == "F":
            self.size, self.face = operation["size"], operation["face"]
        elif op == "t":
            self.bold[self.kind] = bool(operation["fontchar"] & 1)
        elif op in "pPL":
            self.path(operation["points"], straight=True,
                      end={"p": "s", "P": "b", "L": "S"}[op])
        elif op in "bB":
            self.path(operation["points"], straight=False, end={"b": "S", "B": "b"}[op])
        elif op in "eE":
            self.ellipse(operation["rect"], "b" if op == "E" else "s")
        elif op == "T":
            self.text(operation)

    def style(self, style: str) -> None:
        if style.startswith("setlinewidth"):
            self.lines.append(f"{float(style[13:-1])} w")
        else:
            self.lines.append({"dashed": "[4 3] 0 d", "dotted": "[1 3] 0 d"}.get(style, "[] 0 d"))

    def path(self, points: list, straight: bool, end: str) -> None:
        pairs = [f"{x:.2f} {y:.2f}" for x, y in points]
        self.lines.append(f"{pairs[0]} m")
        if straight:
            self.lines += [f"{pair} l" for pair in pairs[1:]]
        else:
            self.lines += [f"{' '.join(pairs[at:at + 3])} c" for at in range(1, len(pairs), 3)]
        self.lines.append(end)

    def ellipse(self, rect: list, end: str) -> None:
        x, y, w, h = rect
        k = 4 / 3 * (math.sqrt(2) - 1)  # four curves that are nearly a circle
        self.path([(x + w, y), (x + w, y + k * h), (x + k * w, y + h), (x, y + h),
                   (x - k * w, y + h), (x - w, y + k * h), (x - w, y), (x - w, y - k * h),
                   (x - k * w, y - h), (x, y - h), (x + k * w, y - h), (x + w, y - k * h),
                   (x + w, y)], straight=False, end=end)

    def text(self, operation: dict) -> None:
        (x, y), width = operation["pt"], operation["width"]
        start = x - {"l": 0.0, "c": width / 2, "r": width}[operation["align"]]
        words = operation["text"]
        for letter in "\\()":
            words = words.replace(letter, "\\" + letter)
        font = 2 if "Courier" in self.face else int(self.bold.get(self.kind, False))
        self.lines.append(f"BT /F{font} {self.size} Tf {self.color} rg {start:.2f} {y:.2f} Td "
                          f"({words}) Tj ET")


def _rgb(color: str) -> str:
    """#rrggbb as three numbers; what is transparent is white, as the paper."""
    digits = "ffffff" if len(color) == 9 and color.endswith("00") else color.removeprefix("#")
    return " ".join(f"{int(digits[at:at + 2], 16) / 255:.3f}" for at in (0, 2, 4))
