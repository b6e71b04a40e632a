"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, no network."""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from sphinx.util import logging

from minigrad.viz.math import TexError, to_mathml

logger = logging.getLogger(__name__)


def _append(translator: Any, node: Any, display: bool) -> None:
    tex = node.astext()
    try:
        markup = to_mathml(tex, display)
    except TexError as error:
        logger.warning("%s", error, location=node)
        markup = f"<code>{html.escape(tex)}</code>"
    translator.body.append(f'<div class="formula">{markup}</div>' if display else markup)
    raise nodes.SkipNode


def visit_inline(translator: Any, node: Any) -> None:
    _append(translator, node, display=False)


def visit_block(translator: Any, node: Any) -> None:
    _append(translator, node, display=True)


def setup(app: Any) -> dict:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
