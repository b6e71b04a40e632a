"""`{graph}`, `{chart}`, `{step}` for Sphinx: page_pictures.py draws, in the page's order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from page_pictures import html_of, pictures_of
from sphinx.util.docutils import SphinxDirective

import minigrad

# When one of these changes, the pictures are drawn again.
SOURCES = [Path(__file__), *Path(minigrad.__file__).parent.rglob("*.py")]


class PictureDirective(SphinxDirective):
    """Each takes the next of the page's pictures; the page runs as far as they need it."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"before": str}

    def run(self) -> list[nodes.Node]:
        page = self.env.docname
        pictures = self.env.temp_data.get("pictures")
        if pictures is None:
            text = self.env.doc2path(page).read_text(encoding="utf-8")
            pictures = self.env.temp_data["pictures"] = pictures_of(text)
            for file in SOURCES:
                self.env.note_dependency(str(file))
        return [nodes.raw("", html_of(next(pictures), page.partition("/")[0]), format="html")]


def setup(app: Any) -> dict:
    for kind in ("graph", "chart", "step"):
        app.add_directive(kind, PictureDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
