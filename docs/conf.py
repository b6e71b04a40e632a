"""How Sphinx builds these pages: `make docs`. Nothing here needs the network, nor do the pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "minigrad"
author = "The minigrad authors"
project_copyright = "The minigrad authors, MIT license"

extensions = ["myst_parser", "mathml", "source_links", "picture_directive", "generate_reference"]
exclude_patterns = ["_ext", "_static"]
root_doc = "index"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "source": None}

html_theme = "furo"
html_title = "minigrad"
html_static_path = ["_static"]
html_css_files = ["minigrad.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"source_edit_link": ""}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def tell_the_language(app: Any, page: str, template: str, context: dict, doctree: Any) -> None:
    """Fonts and screen readers need to know; pages in Japanese are in ja/."""
    if page.startswith("ja/"):
        context["language"] = "ja"


def setup(app: Any) -> None:
    app.connect("html-page-context", tell_the_language)
