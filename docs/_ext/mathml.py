"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, no network."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _append(translator: Any, node: Any, as_block: bool) -> None:
    try:
        markup = tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logger.warning("not understood: %s (%s)", node.astext(), error, location=node)
        markup = f"<code>{translator.encode(node.astext())}</code>"
    translator.body.append(f'<div class="formula">{markup}</div>' if as_block else markup)
    raise nodes.SkipNode


def visit_inline(translator: Any, node: Any) -> None:
    _append(translator, node, as_block=False)


def visit_block(translator: Any, node: Any) -> None:
    _append(translator, node, as_block=True)


def setup(app: Any) -> dict:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
