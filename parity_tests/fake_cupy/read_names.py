"""Reads from a CuPy wheel which names CuPy has, and what parameters its functions take.

`python -m parity_tests.fake_cupy.read_names cupy_cuda12x-....whl` rewrites names.json. The wheel is
read as a zip file: nothing in it is run. What is compiled (the methods of ndarray) is known by name
only, from the strings that Cython leaves in the binary.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path

MODULES = [
    "cupy", "cupy.cuda", "cupy.exceptions", "cupy.fft", "cupy.lib.stride_tricks", "cupy.linalg",
    "cupy.random", "cupyx", "cupyx.scipy", "cupyx.scipy.fft", "cupyx.scipy.linalg",
    "cupyx.scipy.special",
]
# Attributes that CuPy declares in a header, so that no string in the binary qualifies them.
DECLARED_IN_C = ["base", "data", "dtype"]
NUMPY_2_BRANCH = "_numpy.__version__ < '2'"


class Wheel:
    """The Python sources in a wheel, by module name."""

    def __init__(self, path: str) -> None:
        self.archive = zipfile.ZipFile(path)
        self.files = set(self.archive.namelist())

    def source(self, module: str) -> ast.Module | None:
        stem = module.replace(".", "/")
        for name in (f"{stem}.py", f"{stem}/__init__.py"):
            if name in self.files:
                return ast.parse(self.archive.read(name))
        return None

    def binary(self, module: str) -> bytes:
        stem = module.replace(".", "/")
        (name,) = (file for file in self.files if re.match(rf"{stem}\.cpython.*\.so$", file))
        return self.archive.read(name)


def statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Top-level statements, and those inside the branches that NumPy 2 takes."""
    found = []
    for node in body:
        if isinstance(node, ast.If):
            old = ast.unparse(node.test) == NUMPY_2_BRANCH
            found += statements(node.orelse if old else node.body)
        else:
            found.append(node)
    return found


def parameters(function: ast.FunctionDef) -> list[str]:
    """The parameters as they are written: "/" and "*" on their own, "*args" and "**kwargs"."""
    return [part.split("=")[0].split(":")[0].strip()
            for part in re.split(r",\s*(?![^(\[]*[)\]])", ast.unparse(function.args)) if part]


def definition(wheel: Wheel, module: str, name: str) -> list[str] | None:
    """The parameters of `module.name`, or None where it is no plain Python function."""
    tree = wheel.source(module)
    for node in statements(tree.body) if tree else []:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return parameters(node)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known_as = alias.asname or alias.name
                submodule = (node.module, alias.name) == (module, name)
                if known_as == name and node.module and not submodule:
                    return definition(wheel, node.module, alias.name)
    return None


def public_names(wheel: Wheel, module: str) -> dict[str, list[str] | None]:
    names: dict[str, list[str] | None] = {}
    tree = wheel.source(module)
    assert tree is not None, module
    for node in statements(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                names[alias.asname or alias.name] = (
                    definition(wheel, node.module or "", alias.name))
        elif isinstance(node, ast.FunctionDef):
            names[node.name] = parameters(node)
        elif isinstance(node, ast.ClassDef):
            names[node.name] = None
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    aliased = node.value.id if isinstance(node.value, ast.Name) else ""
                    names[target.id] = names.get(aliased)
    return {name: names[name] for name in sorted(names) if not name.startswith("_")}


def read(path: str) -> dict:
    wheel = Wheel(path)
    methods = re.findall(rb"_ndarray_base\.(\w+)", wheel.binary("cupy._core.core"))
    public = {name.decode() for name in methods if not name.startswith(b"_")}
    version = re.search(r"-(\d[\w.]*)-", Path(path).name)
    assert version is not None, path
    return {
        "version": version[1],
        "ndarray": sorted(public | set(DECLARED_IN_C)),
        "modules": {module: public_names(wheel, module) for module in MODULES},
    }


def written(names: dict) -> str:
    """JSON with one name a line, so that a new version of CuPy makes a readable diff."""
    modules = ",\n".join(
        f"  {json.dumps(module)}: {{\n"
        + ",\n".join(f"   {json.dumps(name)}: {json.dumps(known)}"
                     for name, known in table.items())
        + "\n  }"
        for module, table in names["modules"].items())
    return (f'{{\n "version": {json.dumps(names["version"])},\n'
            f' "ndarray": {json.dumps(names["ndarray"])},\n "modules": {{\n{modules}\n }}\n}}\n')


if __name__ == "__main__":
    Path(__file__).with_name("names.json").write_text(written(read(sys.argv[1])))
