"""What a release keeps of its run for people to look at: its origin, its curves, its evaluation, its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_store.evidence import EVALUATION, PICTURE_SUFFIX, TRAINING
from training.engine.curves import read_curves
from training.engine.runs import read_run

# Enough for a chart of any width, and with a dozen curves some kilobytes.
MAX_POINTS = 120
_DIGITS = 5
# A release is copied to each machine that serves it; a run may hold pictures of any size.
MAX_FILE_BYTES = 2**20
_KEPT = ("command", "preset", "data", "seed", "git_commit", "started", "finished", "data_findings")


def gather_evidence(run: Path) -> dict[str, bytes]:
    """Read the files of a run that go into its release, by name; what is larger than `MAX_FILE_BYTES` stays behind."""
    record = read_run(run)
    training = {name: record.get(name) for name in _KEPT} | {"curves": _thin_curves(run)}
    files = {TRAINING: json.dumps(training, separators=(",", ":")).encode()}
    return files | {path.name: path.read_bytes() for path in _find_files(run)}


def _find_files(run: Path) -> Iterator[Path]:
    for path in (run / EVALUATION, *sorted(run.glob(f"*{PICTURE_SUFFIX}"))):
        if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES:
            yield path


def _thin_curves(run: Path) -> dict[str, dict[str, list[Any]]]:
    """Curves of at most `MAX_POINTS` points, each the mean of as many neighbours as it takes."""
    curves = {}
    for name, points in read_curves(run).items():
        parts = np.array_split(np.array(points), min(len(points), MAX_POINTS))
        means = [part.mean(0) for part in parts]
        curves[name] = {
            "steps": [round(step) for step, _ in means],
            "values": [float(f"{value:.{_DIGITS}g}") for _, value in means],
        }
    return curves
