"""From DOT text to files: the program that lays graphs out, and writing without half-written files.

The system's `dot` is taken if there is one; else the program that the wheel graphviz-pure brings,
so that `pip install graphviz-pure` is enough. That one writes no PDF: pdf.py does then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .pdf import pdf_of

TEXT = {"dot", "gv"}
FORMATS = TEXT | {"svg", "png", "pdf", "jpg", "jpeg", "json"}


class LayoutUnavailable(RuntimeError):
    """There is nothing on this machine that could lay a graph out."""


def layout_engine() -> str:
    """The program that lays graphs out: the system's `dot`, else the one of graphviz-pure."""
    found = shutil.which("dot")
    if found is None:  # the wheel puts its program beside the interpreter
        beside = Path(sys.executable).parent
        found = shutil.which("graphviz-pure", path=str(beside)) or shutil.which("graphviz-pure")
    if found is None:
        raise LayoutUnavailable("drawing a graph needs the program `dot` (Graphviz) or the package "
                                "graphviz-pure: pip install graphviz-pure")
    return found


def lay_out(source: str, format: str) -> bytes:
    """DOT text as a picture."""
    if format not in FORMATS:
        raise ValueError(f"no such format: {format!r}; it is one of {', '.join(sorted(FORMATS))}")
    if format in TEXT:
        return source.encode()
    engine = layout_engine()
    if format == "pdf" and Path(engine).stem != "dot":
        return pdf_of(_run(engine, "json", source))
    return _run(engine, format, source)


def _run(engine: str, format: str, source: str) -> bytes:
    sharp = ["-Gdpi=144"] if format in ("png", "jpg", "jpeg") else []
    ran = subprocess.run([engine, f"-T{format}", *sharp], input=source.encode(),
                         capture_output=True, check=False)
    if ran.returncode or not ran.stdout:
        words = ran.stderr.decode(errors="replace").strip().splitlines() or ["it wrote nothing"]
        raise RuntimeError(f"{Path(engine).name} could not lay the graph out: {words[0]}")
    return ran.stdout


def write_picture(source: str, path: str | Path) -> Path:
    """Write DOT text into a file, as what its suffix says.

    Without a program that lays out, the DOT text itself is written beside, and LayoutUnavailable
    says where.
    """
    path = Path(path)
    format = path.suffix.removeprefix(".").lower()
    if format not in FORMATS:
        raise ValueError(f"{path}: the suffix says the format, and must be .svg, .png, .pdf or "
                         ".dot")
    check_writable(path)
    try:
        content = lay_out(source, format)
    except LayoutUnavailable as error:
        text = path.with_suffix(".dot")
        write_whole(text, source.encode())
        raise LayoutUnavailable(f"{error} (the graph is in {text}, as text)") from None
    write_whole(path, content)
    return path


def check_writable(path: Path) -> None:
    """Fail before the work, not after it."""
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; pass the name of a file")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder "
                                f"{path.absolute().parent}; make it first, or pass another path")


def write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing: written beside, then put in its place."""
    check_writable(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror}; pass another path") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that nobody else can read
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(f"cannot write {path}: {error.strerror}; pass another path") \
                from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
