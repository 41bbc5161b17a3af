"""A release's evidence: what its training run left for people to look at, as a zip of small files.

`training.json` says how the run came about and holds its curves, `evaluation.json` what was measured of it, and the
pictures are PNG files. A program of one's own comes without a run, and its release without this file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

TRAINING: Final = "training.json"
EVALUATION: Final = "evaluation.json"
PICTURE_SUFFIX: Final = ".png"


def write_evidence(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def list_evidence(path: Path) -> tuple[str, ...]:
    """Names of the files, in the order in which they were written."""
    with zipfile.ZipFile(path) as archive:
        return tuple(archive.namelist())


def read_evidence(path: Path, name: str) -> bytes:
    """Read one of the files.

    Raises:
        KeyError: there is none of that name.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def read_records(path: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """How the run came about, and what was measured of it; empty where there is no such file, or no evidence at all."""
    if path is None:
        return {}, {}
    kept = [name for name in list_evidence(path) if name in (TRAINING, EVALUATION)]
    return parse_records({name: read_evidence(path, name) for name in kept})


def parse_records(files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same from the files of an evidence that is not yet written."""
    training, evaluation = (json.loads(files.get(name, b"{}")) for name in (TRAINING, EVALUATION))
    return training, evaluation
