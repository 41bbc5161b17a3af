"""Which of the variants that passed the gate is a release's default."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from training.release.measurement import Timing


class Objective(StrEnum):
    """What the default is best at: rows per second, the time of one row, or the size of its programs."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    SIZE = "size"


class Candidate(Protocol):
    """A variant that may be served, with its figures."""

    @property
    def timing(self) -> Timing: ...

    @property
    def size_bytes(self) -> int: ...


def choose_default(passed: Mapping[str, Candidate], objective: Objective) -> str:
    """Choose the variant that is best at the objective; of equal ones, the first."""

    def cost(variant: str) -> float:
        candidate = passed[variant]
        if objective is Objective.SIZE:
            return candidate.size_bytes
        return candidate.timing.single_row_ms if objective is Objective.LATENCY else -candidate.timing.rows_per_s

    return min(passed, key=cost)
