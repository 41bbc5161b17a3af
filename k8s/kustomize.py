"""Kustomize, as the kubectl of the environment carries it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from k8s.settings import ROOM

FOLDERS = ("base", "node", "models", "overlays", "components", "monitoring")


class KubectlError(RuntimeError):
    """kubectl refused; the text is its own."""


def copy_sources(target: Path) -> None:
    """Copy the room's manifests, so that models can be rendered beside them without touching the checkout."""
    for name in FOLDERS:
        shutil.copytree(ROOM / name, target / name)


def build(folder: Path) -> list[dict[str, Any]]:
    """Build a kustomization and return its objects.

    Raises:
        KubectlError: it does not build.
    """
    return [item for item in yaml.safe_load_all(run_kubectl("kustomize", str(folder))) if item]


def run_kubectl(*arguments: str) -> str:
    """Run kubectl and return what it printed.

    Raises:
        KubectlError: it failed.
    """
    command = [str(Path(sys.executable).with_name("kubectl")), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise KubectlError(f"`kubectl {' '.join(arguments)}` failed: {finished.stderr.strip()}")
    return finished.stdout
