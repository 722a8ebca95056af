"""What benchmarks take of the package is there. They run seldom, so nothing else would tell soon."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[2]
BENCHMARKS = sorted((PYTHON / "benchmarks").glob("*.py"))


def read(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def taken(benchmark: Path) -> list[tuple[str, str]]:
    """Module and name of each import of the package, wherever it stands in the file."""
    return [
        (node.module, name.name)
        for node in ast.walk(read(benchmark))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "bluefleet"
        for name in node.names
    ]


def named(module: str) -> Iterator[str]:
    """What a module has. It is read and not imported: some of them need what only an image has."""
    path = PYTHON / "src" / Path(*module.split("."))
    tree = read(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
    if path.is_dir():
        yield from (each.stem for each in path.iterdir())
        # A package that imports its modules late has their names in a table.
        yield from (
            each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name for each in node.names)
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("benchmark", [each for each in BENCHMARKS if taken(each)], ids=lambda each: each.stem)
def test_what_a_benchmark_takes_of_the_package_is_there(benchmark: Path) -> None:
    assert not [f"{module}.{name}" for module, name in taken(benchmark) if name not in named(module)]
