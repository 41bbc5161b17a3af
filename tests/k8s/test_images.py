"""The Containerfile holds what `serve` and `store` need of this repository, and nothing else."""

import ast
import re
import subprocess
import tomllib

import pytest

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


def test_nothing_in_the_onnx_image_needs_what_was_left_out():
    """Captum once brought torch and its 5 GB back."""
    (line,) = re.findall(r"^ *onnx\) .*$", TEXT, re.MULTILINE)
    left_out = set(re.findall(r"--prune ([\w-]+)", line))
    assert "torch" in left_out
    packages = {item["name"]: item for item in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    waiting = [item["name"] for item in packages["millrace"]["dev-dependencies"]["serve"]]
    waiting += [item["name"] for item in packages["millrace"]["dependencies"]]
    parts = set()
    while waiting:
        name = waiting.pop()
        if name not in parts | left_out:
            parts.add(name)
            waiting += [item["name"] for item in packages[name].get("dependencies", ())]
    wanting = {name for name in parts if "torch" in {item["name"] for item in packages[name].get("dependencies", ())}}
    assert wanting == set()
    installs = re.findall(r"pip install .*-r /tmp/parts.txt", TEXT)
    assert installs
    assert all("--no-deps" in install for install in installs)


@pytest.mark.parametrize("script", ["build", "check"])
def test_the_scripts_are_sound_shell(script):
    path = ROOM / "images" / script
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert path.stat().st_mode & 0o111
