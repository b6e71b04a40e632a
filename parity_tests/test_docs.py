"""The pages under docs/ run: each ```python block prints what the ```text block below it says.

A page is one program. It runs with minigrad and, but for blocks that begin with `# minigrad only`,
with torch in its place.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from pathlib import Path

import pytest

from parity_tests import harness

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```)?", re.S | re.M)
PAGES = [page for page in sorted(DOCS.glob("**/*.md")) if BLOCK.search(page.read_text())]
OURS_ONLY = "# minigrad only"


def blocks_of(page: Path) -> list[tuple[int, str, str]]:
    """(line, code, expected output) of each block."""
    text = page.read_text()
    return [(text[:found.start()].count("\n") + 2, found[1], found[2] or "")
            for found in BLOCK.finditer(text)]


def in_the_name_of(library: str, code: str) -> str:
    """The code with `library` imported in minigrad's place; but minigrad.viz takes both."""
    return re.sub(r"^(import|from) minigrad\b(?!\.viz)", rf"\1 {library}", code, flags=re.M)


def plain(text: str, library: str) -> str:
    """Without addresses and the numbers of source lines; and without what a node saves, as PyTorch
    makes a tensor of a number, and does not show what is inside of CopySlices."""
    text = re.sub(r"\.py:\d+", ".py:...", re.sub(r"0x[0-9a-f.]+", "0x...", text)).rstrip()
    return re.sub(r", saves [\d.]+ k?B$", "", text, flags=re.M) if library == "torch" else text


@pytest.mark.parametrize("library", ["minigrad", "torch"])
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(DOCS))[:-3] for page in PAGES])
def test_page(page, library):
    if harness.DEVICE != "cpu":
        pytest.skip("pages print what the CPU prints")
    importlib.import_module(library)
    names: dict = {"__name__": "__main__"}
    compared = 0
    for line, code, expected in blocks_of(page):
        if library == "torch" and code.startswith(OURS_ONLY):
            continue
        printed = io.StringIO()
        source = "\n" * (line - 1) + in_the_name_of(library, code)
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(page), "exec"), names)
        if expected:
            assert plain(printed.getvalue(), library) == plain(expected, library), (
                f"{page.name}, line {line}")
            compared += 1
    assert compared


LINK = re.compile(r"\]\(([^)#:\s]+)(?:#L\d+)?\)")


def test_links():
    """What the pages link to is there."""
    for page in DOCS.glob("**/*.md"):
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
        for target in LINK.findall(prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_architecture_names_files_that_exist():
    text = (DOCS / "architecture.md").read_text()
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", text):
        assert (DOCS.parent / "minigrad" / name).exists(), name


@pytest.mark.parametrize("page", sorted((DOCS / "ja").glob("*.md")), ids=lambda page: page.stem)
def test_translation(page):
    """A translated chapter has the blocks of the original, and as many sections and exercises."""
    original = DOCS / "book" / page.name
    assert [block[1:] for block in blocks_of(page)] == [block[1:] for block in blocks_of(original)]
    graphs = re.compile(r"^```\{graph\}.*?^```|^```\{chart\}.*?$", re.S | re.M)
    assert graphs.findall(page.read_text()) == graphs.findall(original.read_text())
    for mark in (r"^#+ ", r"^\*\*\d", "^<details>", r"^\| "):
        assert len(re.findall(mark, page.read_text(), re.M)) == len(
            re.findall(mark, original.read_text(), re.M)), mark
