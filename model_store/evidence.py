"""A release's evidence: what its training run left for people to look at, as a zip of small files.

`training.json` says how the run came about and holds its curves, `evaluation.json` what was measured of it, and the
pictures are PNG files. A program of one's own comes without a run, and its release without this file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
