"""The bound of a test that nobody gave one: so many times what one caller of the reference waits, as a round figure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from loadtests.results import Bound, Run
from loadtests.subject import Subject

BOUND_SERVICES = 8.0
ROUND_FIGURES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)


def choose_bound(given_ms: float | None, runs: Sequence[Run], reference: Subject) -> Bound:
    """Take the bound that was given, or choose one from the closed loop of the reference with the fewest callers."""
    if given_ms is not None:
        return Bound(ms=given_ms, why="as given")
    version = reference.manifest.version
    levels = [
        run for run in runs if (run.version, run.kind, run.protocol) == (version, "closed loop", "grpc") and run.callers
    ]
    fewest = min((run.callers or 1 for run in levels), default=1)
    times_ms = [run.recording.find_percentile_ms(50) for run in levels if run.callers == fewest]
    service_ms = median([time_ms for time_ms in times_ms if time_ms is not None] or [1.0])
    callers = "one caller" if fewest == 1 else f"each of {fewest} callers"
    why = f"{BOUND_SERVICES:g} times the {service_ms:.1f} ms that {callers} of {reference.name} waited, rounded up"
    return Bound(ms=choose_bound_ms(service_ms), why=why)


def choose_bound_ms(service_ms: float) -> float:
    """Choose the bound that nobody gave: so many times what one caller waits, as a round figure."""
    return round_up(BOUND_SERVICES * service_ms)


def round_up(value: float) -> float:
    """Round up to a figure that people would choose: 1, 1.5, 2, 3, 5 or 7 times a power of ten."""
    power = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while value > ROUND_FIGURES[-1] * power:
        power *= 10
    return next(figure * power for figure in ROUND_FIGURES if value <= figure * power)
