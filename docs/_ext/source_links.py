"""Links from the pages to the source: `[core.py](../minigrad/core.py#L171)` leads, on a site that
has no repository beside it, to a page with that file, highlighted, at that line.

A page's relative link to a file of the repository becomes the address
`source:minigrad/core.py#L171` when the page is read, and a relative link again when it is written;
each file that is linked to gets its page.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"\]\((\.\.?/[^)#\s]+)(#L\d+)?\)")
SCHEME = "source:"
FOLDER = "_source"


def to_address(app: Any, docname: str, content: list[str]) -> None:
    """On reading: links to files of the repository that are not pages."""
    page = f"docs/{docname}.md"

    def replaced(found: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        if path.startswith("docs/") and path.endswith(".md") or not (ROOT / path).exists():
            return found[0]  # Sphinx knows pages, and complains about what is not there
        return f"]({SCHEME}{path}{found[2] or ''})"

    content[0] = LINK.sub(replaced, content[0])


def to_link(app: Any, doctree: Any, docname: str) -> None:
    """On writing: the address as a link from this page."""
    for node in doctree.findall(nodes.reference):
        address = node.get("refuri", "")
        if not address.startswith(SCHEME):
            continue
        path, _, line = address.removeprefix(SCHEME).partition("#L")
        if (ROOT / path).is_dir():
            node.replace_self(node.children)
            continue
        app.linked_sources.add(path)
        target = app.builder.get_relative_uri(docname, f"{FOLDER}/{path}")
        node["refuri"] = f"{target}#L-{line}" if line else target


def pages(app: Any) -> Iterator[tuple[str, dict, str]]:
    """A page for each file that is linked to."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True)
    for path in sorted(app.linked_sources):
        text = (ROOT / path).read_text()
        code = highlight(text, get_lexer_for_filename(path, stripnl=False), formatter)
        body = f'<h1>{path}</h1><div class="source">{code}</div>'
        yield f"{FOLDER}/{path}", {"title": path, "body": body}, "page.html"


def share_navigation(app: Any, page: str, template: str, context: dict, doctree: Any) -> None:
    """All sources in folders of one depth have the same table of contents beside them, which is
    long, and is written once."""
    if page.startswith(f"{FOLDER}/"):
        write, written = context["toctree"], app.navigation.setdefault(page.count("/"), {})

        def toctree(**options: Any) -> str:
            key = repr(sorted(options.items()))
            if key not in written:
                written[key] = write(**options)
            return written[key]

        context["toctree"] = toctree


def setup(app: Any) -> dict:
    app.linked_sources = set()
    app.navigation = {}  # by depth of the folder
    app.connect("source-read", to_address)
    app.connect("doctree-resolved", to_link)
    app.connect("html-page-context", share_navigation, priority=400)  # the theme writes it at 500
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
