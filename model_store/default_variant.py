"""Which of the variants that may be served answers where nobody says which: the best at the release's objective."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from model_store.frontier import MeasuredSpeed


class Objective(StrEnum):
    """What the default is best at: rows per second, the time of one row, or the size of its programs."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    SIZE = "size"


class Candidate(Protocol):
    """A variant that may be served, with its figures: a manifest, or what becomes one."""

    @property
    def speed(self) -> MeasuredSpeed: ...

    @property
    def size_bytes(self) -> int: ...


def choose_default(passed: Mapping[str, Candidate], objective: Objective) -> str:
    """Choose the variant that is best at the objective; of equal ones, the first."""

    def cost(variant: str) -> float:
        candidate = passed[variant]
        if objective is Objective.SIZE:
            return candidate.size_bytes
        return candidate.speed.single_row_ms if objective is Objective.LATENCY else -candidate.speed.rows_per_s

    return min(passed, key=cost)
