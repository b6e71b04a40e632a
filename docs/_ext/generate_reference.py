"""The reference of ops: a page a family, written from the ops whenever the pages are built.

`generate(target)` writes the pages; as an extension of Sphinx it writes docs/reference/ before the
pages are read.
"""

from __future__ import annotations

import html
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from little_graph import draw
from op_entries import ROOT, Entry, Reference, Rule, place_of

from minigrad.explain import source_of

INTRODUCTION = """\
# Reference of ops

Written from the source: each family has a file in [minigrad/ops/](../../minigrad/ops/arithmetic.py)
and a page here. An op has its formula, its kernel, the rules of its derivative, what each of them
saves, its row in the [table of parity](../parity.md) and, if it is differentiable, the graph that a
call of it records. An arrow goes where a gradient goes; what is round is a leaf.

In the formulas $a$, $b$, ... are the inputs and $y$ is the result; in a loss $x$ and $y$ are input
and target, and $\\ell$ is the loss. $\\bar a$ is the gradient of $a$, $a^*$ the conjugate, and
$[a > 0]$ is 1 where $a > 0$ and 0 elsewhere. The formulas of pointwise ops are checked against
kernels and rules by [parity_tests/test_formulas.py](../../parity_tests/test_formulas.py).

Every op but views takes `out=`.
"""
VERBATIM = re.compile(r"(\$[^$]+\$|`+[^`]+`+|(?<!\w)\*\w[\w -]*\*(?!\w))")  # *emphasis*, too
ACRONYMS = re.compile(r"\b(ctc|fft|ldl|lp|lu|qr|stft|svd)\b")
TITLE = re.compile(r"^(Note \[.*\])\n~+\n", re.M)
SPECIAL = re.compile(r"([\\*_<>|\[\]#])")


def generate(target: Path) -> None:
    """Write the pages and their index into the folder `target`."""
    reference = Reference()
    reference.read_parity(ROOT / "docs" / "parity.md")
    target.mkdir(parents=True, exist_ok=True)
    pages = {f"{family.replace('_', '-')}.md": "\n".join(Page(reference, family).lines())
             for family in reference.families}
    pages["index.md"] = "\n".join(index(reference))
    for old in target.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        page = target / name
        if not page.exists() or page.read_text() != text:  # Sphinx reads again what is newer
            page.write_text(text)


# --- Markdown ------------------------------------------------------------------------------------

def prose(docstring: str | None) -> str:
    """A docstring as Markdown: formulas, code and the titles of notes as such, the rest as text."""
    text = TITLE.sub(r"`\1`\n\n", inspect.cleandoc(docstring or ""))
    paragraphs = text.split("\n\n")
    return "\n\n".join(each if each.startswith("    ") else "".join(
        part if VERBATIM.fullmatch(part) else escaped(part)
        for part in VERBATIM.split(each)) for each in paragraphs)


def escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)


def code(text: str) -> list[str]:
    return ["```{code-block} python", *text.splitlines(), "```", ""]


def link(entry: Entry) -> str:
    return f"{{ref}}`{entry.title} <{entry.label}>`"


def source_link(place: str) -> str:
    """`pointwise.py:187`, which leads to that line."""
    path, _, line = place.rpartition(":")
    return f"[{Path(path).name}:{line}](../../{path}#L{line})"


def joined(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- a family's page -----------------------------------------------------------------------------

class Page:
    """The page of one family: what is public in the order of the file, then the rest."""

    def __init__(self, reference: Reference, family: str) -> None:
        self.reference = reference
        self.family = family
        self.module = reference.modules[family]
        entries = reference.families[family]
        self.public = [each for each in entries if each.is_public]
        self.inner = [each for each in entries if not each.is_public]

    def lines(self) -> Iterator[str]:
        path = place_of(self.module.__file__, 1)
        title = ACRONYMS.sub(lambda found: found[1].upper(), self.family.replace("_", " "))
        yield f"# {title[0].upper()}{title[1:]}"
        yield ""
        yield prose(self.module.__doc__)
        yield ""
        yield f"All of it is in {source_link(path).replace(':1]', ']')}."
        yield ""
        for entry in self.public:
            yield from self.section(entry)
        if self.inner:
            yield "## Called by the others" if self.public else "## Primitives"
            yield ""
            for entry in self.inner:
                yield from self.section(entry, "###")

    def section(self, entry: Entry, level: str = "##") -> Iterator[str]:
        source, place = entry.source()
        yield f"({entry.label})="
        yield f"{level} {escaped(entry.title)}"
        yield ""
        yield from [prose(entry.defined.__doc__), ""]
        yield f"`{entry.signature()}`"
        yield ""
        if entry.paths:
            yield f"Public as {joined(entry.paths)}."
            yield ""
        if entry.op is not None:
            number_form = entry.op.number_form
            rest = "" if number_form is None else (
                f", or `{number_form.node.__name__}` where `{entry.op.inputs[-1]}` is a number")
            yield f"Records the node `{entry.op.node.__name__}`{rest}."
            yield ""
        yield f"**{'Kernel' if entry.op is not None else 'Source'}**, {source_link(place)}:"
        yield ""
        yield from code(source)
        if entry.op is not None:
            yield from self.rules(entry)
        elif entry.uses:
            yield f"Calls {', '.join(map(link, entry.uses))}."
            yield ""
        yield from self.parity(entry)
        yield from self.graph(entry)

    def rules(self, entry: Entry) -> Iterator[str]:
        if not entry.rules:
            yield "It has no derivative."
            yield ""
        helpers: list[Callable] = []
        for rule in entry.rules:
            yield from self.rule(rule)
            helpers += [each for each in rule.helpers if each not in helpers]
        for helper in helpers:
            text, line = source_of(helper)
            if line is not None and line.file.startswith(str(ROOT)):
                yield f"with, {source_link(place_of(line.file, line.number))}:"
                yield ""
                yield from code(text)

    def rule(self, rule: Rule) -> Iterator[str]:
        place = f", {source_link(rule.place)}" if rule.place else ""
        yield f"**Rule for {joined([*rule.inputs])}**{place}:"
        yield ""
        yield from code("\n".join(_wrapped(rule.source)))
        told = [f"Saves {joined(rule.saves)}" if rule.saves else "Saves nothing"]
        if rule.remembers:
            told.append(f"keeps the values {joined(rule.remembers)}")
        if rule.uses:
            told.append(f"uses {', '.join(map(link, rule.uses))}")
        yield f"{'; '.join(told)}."
        yield ""

    def parity(self, entry: Entry) -> Iterator[str]:
        """Levels that apply, and the largest error at each or what else the table says."""
        for name, cells in entry.rows:
            told = [f"{level} {cell or 'missing'}" for level, cell in zip(
                self.reference.levels, cells, strict=True) if cell != "-"]
            yield f"**Parity** of `{name}`, errors in units of the last place: {', '.join(told)}."
            yield ""

    def graph(self, entry: Entry) -> Iterator[str]:
        drawn = draw(entry.function, entry.name)
        if drawn is not None:
            yield f"**Graph** of `{drawn.call}`:"
            yield ""
            yield "```{raw} html"
            yield drawn.svg.replace("<svg ", f'<svg aria-label="{html.escape(drawn.call)}" ', 1)
            yield "```"
            yield ""


def _wrapped(source: str) -> list[str]:
    """A lambda that was joined to one line, broken where it is too long to read."""
    if "\n" in source or len(source) <= 100:
        return source.splitlines()
    return textwrap.wrap(source, 100, subsequent_indent="    ", break_long_words=False,
                         break_on_hyphens=False)


# --- the index -----------------------------------------------------------------------------------

def index(reference: Reference) -> Iterator[str]:
    """All families, all public names, all nodes."""
    yield INTRODUCTION
    yield "## By family"
    yield ""
    yield "```{toctree}"
    yield ":maxdepth: 1"
    yield ""
    yield from (family.replace("_", "-") for family in sorted(reference.families))
    yield "```"
    yield ""
    yield "## By name"
    yield ""
    yield from _alphabet([(path.rpartition(".")[2], f"{{ref}}`{path} <{entry.label}>`")
                          for entry in reference for path in entry.paths])
    yield "## By node"
    yield ""
    yield from _alphabet([(entry.op.node.__name__,
                           f"{{ref}}`{entry.op.node.__name__} <{entry.label}>`")
                          for entry in reference if entry.op is not None and entry.rules])


def _alphabet(pairs: list[tuple[str, str]]) -> Iterator[str]:
    """A paragraph a letter."""
    letters: dict[str, list[str]] = {}
    for _, written in sorted(pairs, key=lambda pair: (pair[0].strip("_").lower(), pair[1])):
        letter = re.sub(r".*`(?:.*\.)?_*(\w).*", r"\1", written.partition(" <")[0]).upper()
        letters.setdefault(letter, []).append(written)
    for letter, found in letters.items():
        yield f"**{letter}** {', '.join(found)}"
        yield ""


# --- Sphinx --------------------------------------------------------------------------------------

def setup(app: Any) -> dict:
    app.connect("builder-inited", lambda app: generate(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
