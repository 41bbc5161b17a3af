"""English that every Python brings along: its reference manual, and what its library says of itself.

Source: pydoc_data.topics and the docstrings of the standard library, under the licence of the Python Software
Foundation.
"""

from __future__ import annotations

import ast
import inspect
import sysconfig
import warnings
from pathlib import Path

_NO_LIBRARY = {"test", "tests", "site-packages", "idlelib", "lib2to3", "pydoc_data", "ensurepip", "turtledemo"}


def read_manual() -> dict[str, str]:
    """The chapters that Python's own `help` shows, by name: half a million characters."""
    from pydoc_data.topics import topics

    return {name: text.strip() for name, text in sorted(topics.items())}


def read_docstrings(library: Path | None = None) -> dict[str, str]:
    """The docstrings of each module of the standard library, by its file: 1.6 million characters."""
    library = library or Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in sorted(library.rglob("*.py")):
        place = path.relative_to(library)
        if _NO_LIBRARY.isdisjoint(place.parts):
            text = "\n\n".join(_list_docstrings(path.read_bytes()))
            if text:
                found[place.as_posix()] = text
    return found


def _list_docstrings(source: bytes) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own string literals
        tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return [inspect.cleandoc(text) for text in texts if text]
