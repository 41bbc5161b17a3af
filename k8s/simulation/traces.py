"""Load over time: rows per second for each simulated second."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from typing import Final

DAY_S: Final = 86_400
HOUR_S: Final = 3_600


def steps(base: float) -> list[float]:
    """One, two, three, two, one times the base, twenty minutes each."""
    return [base * level for level in (1, 2, 3, 2, 1) for _ in range(1200)]


def diurnal(base: float) -> list[float]:
    """A day: the base at night, four times as much in the afternoon, along a sine."""
    return [base * (2.5 - 1.5 * math.cos(2 * math.pi * second / DAY_S)) for second in range(DAY_S)]


def spike(base: float) -> list[float]:
    """Ten minutes at the base, five times as much at once for twenty, the base again."""
    return [base] * 600 + [5 * base] * 1200 + [base] * 2400


def flash_crowd(base: float) -> list[float]:
    """Ten times the base, reached within two minutes, falling by half every ten."""
    rise = [base * (1 + 9 * second / 120) for second in range(120)]
    fall = [base * (1 + 9 * 0.5 ** (second / 600)) for second in range(HOUR_S)]
    return [base] * 600 + rise + fall


TRACES: Final = {"steps": steps, "diurnal": diurnal, "spike": spike, "flash-crowd": flash_crowd}


def read_trace(path: Path) -> list[float]:
    """Read a recorded trace: CSV lines `second,rows_per_s`, rising seconds; each value holds until the next.

    Raises:
        ValueError: fewer than two lines, or seconds that do not rise.
    """
    with path.open(newline="") as file:
        points = [(int(float(second)), float(rows)) for second, rows in csv.reader(file)]
    if len(points) < 2 or any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(points)):
        raise ValueError(f"{path}: at least two lines `second,rows_per_s` with rising seconds")
    trace: list[float] = []
    for (start, rows), (end, _) in itertools.pairwise(points):
        trace += [rows] * (end - start)
    return trace
