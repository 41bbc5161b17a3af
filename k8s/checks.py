"""Everything that can be checked of a fleet without a cluster, in one go."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from k8s.fleet.callers import Tokens
from k8s.fleet.certificates import Trust
from k8s.fleet.envoy import Edge, Node
from k8s.fleet.processes import validate, write_configuration
from k8s.kustomize import build
from k8s.policy import find_violations
from k8s.schemas import VERSIONS, find_misfits

Object = dict[str, Any]

# Source: RFC 7517, appendix A.1; Envoy takes no set without a key.
PUBLIC_KEY: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
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
    """Have Envoy judge the edges that a fleet on one machine gets: keys or tokens, certificates, a canary, copies."""
    nodes, canary, mirror = ([Node(f"127.0.1.{number}", 8000, 8001)] for number in (1, 2, 3))
    trust = Trust.make(folder)
    key_set = folder / "token-keys.json"
    key_set.write_text(json.dumps({"keys": [PUBLIC_KEY]}))
    plain = Edge(
        nodes=nodes,
        port=9000,
        admin_port=9001,
        canary=canary,
        canary_percent=5,
        mirror=mirror,
        mirror_percent=10,
        certificates=trust.towards_callers,
        identity=trust.towards_nodes,
    )
    edges = {
        "keys": replace(plain, keys={"client": "key"}),
        "tokens": replace(plain, tokens=Tokens(issuer="issuer", key_set=key_set, audiences=["millrace"])),
    }
    faults = {name: validate(write_configuration(edge, folder)) for name, edge in edges.items()}
    return [f"envoy --mode validate, {name}: {fault}" for name, fault in faults.items() if fault]
