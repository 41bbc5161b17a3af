"""The Containerfile holds what `serve` and `store` need of this repository, and nothing else."""

import ast
import re
import subprocess
from pathlib import Path

from k8s.settings import ROOM

ROOT = ROOM.parent
TEXT = (ROOM / "images" / "Containerfile").read_text()
COPIED = set(re.findall(r"^COPY (\w+) \1$", TEXT, re.MULTILINE))


def imported_rooms(room: str) -> set[str]:
    found = set()
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name.split(".")[0] for name in names if name}
    return {name for name in found if (ROOT / name / "__init__.py").exists()}


def test_every_room_that_serving_imports_is_copied_and_no_other():
    needed, new = {"services", "model_store", "handlers"}, {"services", "model_store", "handlers"}
    while new:
        new = set().union(*(imported_rooms(room) for room in new)) - needed
        needed |= new
    assert needed == COPIED
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    assert {f"!{room}" for room in COPIED} <= set(ignored)


def test_the_image_runs_as_the_user_of_the_pods():
    deployment = (ROOM / "node" / "deployment.yaml").read_text()
    assert "runAsUser: 10001" in deployment
    assert re.findall(r"^USER (.*)$", TEXT, re.MULTILINE)[-1] == "10001:10001"


def test_the_build_script_is_sound_shell():
    script = ROOM / "images" / "build"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert Path(script).stat().st_mode & 0o111
