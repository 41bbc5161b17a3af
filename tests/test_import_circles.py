"""No room has files that import each other in a circle, wherever in the file the imports stand.

An import inside a function only holds a circle off until somebody moves it; the two files are one idea, or a third
file is missing.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.test_arrows import ROOMS, ROOT, imported_modules


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def read_imports(room: str) -> dict[str, set[str]]:
    """Map each module of a room to those modules of the same room that it names in an import."""
    paths = {module_name(str(path.relative_to(ROOT))): path for path in (ROOT / room).rglob("*.py")}
    return {name: find_modules(imported_modules(path), set(paths)) - {name} for name, path in paths.items()}


def find_modules(imported: set[str], modules: set[str]) -> set[str]:
    """Turn imported names into modules: `a.b.c` is the module `a.b.c`, or the name `c` of the module `a.b`."""
    return {name if name in modules else name.rpartition(".")[0] for name in imported} & modules


def find_late_imports(path: Path) -> list[str]:
    """List what a file imports of this project inside functions."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    statements = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    return [node.module for node in statements if node.module and node.module.split(".")[0] in ROOMS]


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Return one circle, from a module back to itself; empty if there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for imported in sorted(imports[name]):
            circle = search(imported, [*path, name])
            if circle:
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(imports) if (circle := search(name, []))), [])


@pytest.mark.parametrize("room", ROOMS)
def test_imports_inside_functions_say_why_they_are_late(room):
    silent = {
        str(path.relative_to(ROOT)): late
        for path in (ROOT / room).rglob("*.py")
        if (late := find_late_imports(path)) and "# Imported late: " not in path.read_text()
    }
    assert silent == {}


@pytest.mark.parametrize("room", ROOMS)
def test_no_files_import_each_other_in_a_circle(room):
    assert find_circle(read_imports(room)) == []


def test_a_circle_is_found_however_long_and_named_in_order():
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert find_circle({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def test_imports_inside_functions_and_of_names_count():
    imports = read_imports("training")
    assert "training.engine.loop" in imports["training.classifier.session"]  # of a name, at the top
    assert "training.release.build" in imports["training.release.cli"]  # inside a function
