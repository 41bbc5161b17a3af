"""Checkov, where it is installed: a second opinion of the manifests, with the findings that are meant."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

VERSION: Final = "3.3.30"  # other versions have other rules
INSTALL: Final = f"uv tool install checkov=={VERSION}"
# Each with the reason why it is not followed. One that nothing breaks any more is a fault too.
EXCEPTIONS: Final = {
    "CKV_K8S_11": "a limit for the processor only makes answers late (policy/pods.py asks for none)",
    "CKV_K8S_15": "tags here are never moved, and a node must start again while the registry is away",
    "CKV_K8S_43": "an overlay names the tag that `k8s deploy --image` replaces, by a digest where a fleet pins it",
}


def find_checkov_faults(fleets: Mapping[str, Sequence[dict[str, Any]]]) -> list[str] | None:
    """Have checkov judge renderings by their names; None where there is none of the version that is known here."""
    checkov = shutil.which("checkov")
    if checkov is None or _run(checkov, "--version").strip() != VERSION:
        return None
    with tempfile.TemporaryDirectory(prefix="millrace-checkov-") as folder:
        for name, objects in fleets.items():
            (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
        options = ["--framework", "kubernetes", "--directory", folder, "--skip-download", "--compact"]
        return read_report(json.loads(_run(checkov, *options, "--output", "json")))


def read_report(report: Mapping[str, Any]) -> list[str]:
    """List what checkov found beyond the exceptions, and the exceptions that it did not find."""
    found = report["results"]["failed_checks"]
    unread = [f"checkov cannot read {path}" for path in report["results"].get("parsing_errors", ())]
    faults = {
        f"{Path(item['file_path']).stem}: {item['check_id']} {item['resource']}: {item['check_name']}"
        for item in found
        if item["check_id"] not in EXCEPTIONS
    }
    idle = EXCEPTIONS.keys() - {item["check_id"] for item in found}
    return (
        unread + sorted(faults) + [f"checkov finds no {name} any more: remove its exception" for name in sorted(idle)]
    )


def _run(*command: str) -> str:
    """Run a command that exits with 1 where it finds something."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
