"""What a run logged, by step, as a file that needs no library to be read: one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CURVES = "curves.jsonl"

# metric → its points, (step, value), by step
Curves = dict[str, list[tuple[int, float]]]


class CurveFile:
    """Adds to a run's curves; of a run that is resumed it forgets what will be logged again."""

    def __init__(self, run: Path, *, last_step: int = 0) -> None:
        path = run / CURVES
        kept = [line for line in _read_lines(path) if line["step"] <= last_step]
        # By lines, so that a killed run leaves what it had logged.
        self._file = path.open("w", buffering=1)
        for line in kept:
            self._write(line)

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Record the values of metrics at a step, but for those that are not finite: JSON has no name for them."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._write({"step": step, **finite})

    def close(self) -> None:
        self._file.close()

    def _write(self, line: Mapping[str, float]) -> None:
        self._file.write(json.dumps(line) + "\n")


def read_curves(run: Path) -> Curves:
    """Read a run's curves; none of a run that was made before there were any."""
    curves: Curves = {}
    for line in _read_lines(run / CURVES):
        step = line.pop("step")
        for name, value in line.items():
            curves.setdefault(name, []).append((step, value))
    return curves


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the end of a run that was killed while it wrote
            return
