"""What a folder's tests change, they change for themselves only, whatever the order in which folders run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
FOR_ALL_BELOW = {FOLDER / "conftest.py", FOLDER / "training" / "conftest.py"}


def _lasting_by_themselves(file: Path) -> Iterator[str]:
    """Names of fixtures that begin with a folder's first test, unasked, and end with the last test of all."""
    for node in ast.walk(ast.parse(file.read_text())):
        for decorator in getattr(node, "decorator_list", ()):
            given = {word.arg: ast.unparse(word.value) for word in getattr(decorator, "keywords", ())}
            if given.get("scope") == "'session'" and given.get("autouse") == "True":
                yield node.name


def test_no_folder_changes_what_tests_of_other_folders_see():
    lasting = {
        str(file.relative_to(FOLDER)): names
        for file in FOLDER.rglob("*.py")
        if file not in FOR_ALL_BELOW and (names := list(_lasting_by_themselves(file)))
    }
    assert lasting == {}, 'give these scope="module", and do the same within session-wide fixtures that need it'
