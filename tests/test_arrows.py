"""Which room may import which: the arrows of the architecture."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("training", "handlers", "model_store", "host", "services", "loadtests", "k8s")
SHARED = ("model_store", "host")
EXCEPTIONS = {
    "training/release": {"handlers"},
    "training/gpu_": {"handlers"},  # `make gpu-check` runs variants as workers do
    "loadtests": {"services.client"},
    "k8s/cli.py": {"services.client"},
    "k8s/smoke.py": {"services.client"},
}
# Separate processes on separate machines: one must never need the other's code.
SERVICES = ("services.torchserve", "services.gateway", "services.client")


def imported_modules(path: Path) -> set[str]:
    """List the absolute names that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            assert node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_allowed(path: str, module: str) -> bool:
    room, target = path.split("/")[0], module.split(".")[0]
    if target not in ROOMS or target == room or (target in SHARED and room != "host"):
        return True
    return any(
        path.startswith(place) and (module + ".").startswith(f"{allowed}.")
        for place, targets in EXCEPTIONS.items()
        for allowed in targets
    )


def files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", files())
def test_imports_follow_the_arrows(path):
    forbidden = sorted(module for module in imported_modules(ROOT / path) if not is_allowed(path, module))
    assert forbidden == [], f"{path} may not import {forbidden}"


def test_the_rule_refuses_what_it_should():
    assert not is_allowed("handlers/base.py", "training.engine")
    assert not is_allowed("loadtests/report.py", "services.gateway.core")
    assert not is_allowed("training/classifier/recipe.py", "handlers.classifier")
    assert is_allowed("training/release/measurement.py", "handlers.base")
    assert not is_allowed("k8s/planning.py", "services.client.client")
    assert is_allowed("loadtests/generate/users.py", "services.client.client")
    assert is_allowed("services/gateway/core.py", "model_store.manifest")
    assert is_allowed("handlers/worker.py", "host.memory")
    assert not is_allowed("host/memory.py", "model_store.manifest")


@pytest.mark.parametrize("path", [path for path in files() if path.startswith("services/client/")])
def test_the_client_needs_no_server_code(path):
    assert not {module for module in imported_modules(ROOT / path) if module.startswith(SERVICES[:2])}


@pytest.mark.parametrize("path", [path for path in files() if path.startswith("services/grpc_server/")])
def test_the_grpc_server_knows_nothing_of_millrace(path):
    own = {module for module in imported_modules(ROOT / path) if module.split(".")[0] in ROOMS}
    assert all(module.startswith("services.grpc_server") for module in own)


def test_manifest_store_and_client_need_no_torch():
    # What other projects' servers run has an environment of its own, and nothing of ours.
    elsewhere = "loadtests/peers/servers/"
    for path in files():
        rooms = ("model_store/", "services/client/", "services/gateway/", "loadtests/", "k8s/")
        if path.startswith(rooms) and not path.startswith(elsewhere):
            assert not any(module.split(".")[0] == "torch" for module in imported_modules(ROOT / path)), path
