"""Everything that can be checked of a fleet without a cluster, in one go."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from k8s.fleet.certificates import Trust
from k8s.fleet.envoy import Edge, Node
from k8s.fleet.processes import validate, write_configuration
from k8s.kustomize import build
from k8s.policy import find_violations
from k8s.schemas import VERSIONS, find_misfits

Object = dict[str, Any]

# Image volumes are not in the schemas before; the component says so.
FIRST_VERSION: Final = {"image-volume": "1.31"}


def build_all(root: Path) -> Iterator[tuple[str, list[Object]]]:
    """Build each overlay, and each component on top of `cpu`, in a folder as `copy_sources` makes it."""
    for overlay in sorted((root / "overlays").iterdir()):
        yield overlay.name, build(overlay)
    for component in sorted((root / "components").iterdir()):
        folder = root / f"with-{component.name}"
        folder.mkdir(exist_ok=True)
        (folder / "kustomization.yaml").write_text(
            yaml.safe_dump({"resources": ["../overlays/cpu"], "components": [f"../components/{component.name}"]})
        )
        yield component.name, build(folder)


def find_faults(name: str, objects: list[Object]) -> list[str]:
    """Apply the policy and every version's schemas to one rendering."""
    versions = VERSIONS[VERSIONS.index(FIRST_VERSION[name]) :] if name in FIRST_VERSION else VERSIONS
    faults = find_violations(objects)
    for version in versions:
        faults += find_misfits(objects, version)
    return [f"{name}: {fault}" for fault in dict.fromkeys(faults)]


def check_rules(rules: Path) -> list[str] | None:
    """Check alert rules and run their tests with promtool; None where there is no promtool (Debian: prometheus)."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return None
    faults = []
    for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")):
        finished = subprocess.run([promtool, *arguments], cwd=rules, capture_output=True, text=True, check=False)
        if finished.returncode:
            faults.append(f"promtool {' '.join(arguments)}: {finished.stdout}{finished.stderr}")
    return faults


def check_edge(folder: Path) -> list[str]:
    """Have Envoy judge the edge that a fleet on one machine gets, with keys, certificates, a canary and copies."""
    nodes, canary, mirror = ([Node(f"127.0.1.{number}", 8000, 8001)] for number in (1, 2, 3))
    trust = Trust.make(folder)
    edge = Edge(
        nodes=nodes,
        port=9000,
        admin_port=9001,
        keys={"client": "key"},
        canary=canary,
        canary_percent=5,
        mirror=mirror,
        mirror_percent=10,
        certificates=trust.towards_callers,
        identity=trust.towards_nodes,
    )
    fault = validate(write_configuration(edge, folder))
    return [f"envoy --mode validate: {fault}"] if fault else []
