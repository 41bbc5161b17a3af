"""How long batches kept a worker busy, by their rows, and how that compares with what was certified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from loadtests.capacity.levels import CertifyError
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Recording
from loadtests.measure.scraper import INTERVAL_S
from model_store.certificate import BatchTime, interpolate

FEWEST_CALLS = 8


class _Batches(NamedTuple):
    """Sums over batches of one size."""

    calls: float
    rows: float
    seconds: float
    squared_seconds: float


def read_batch_times(
    metrics: Metrics, recordings: Sequence[Recording], model: str, version: str
) -> tuple[BatchTime, ...]:
    """Read how long batches of each size kept a worker busy while these runs were made.

    Their deviation is that between calls of the same half second: what makes a machine slower in one minute than in the
    next is no chance from call to call, and makes no queue of its own. Of batches that take longer, it is that between
    all calls.

    Raises:
        CertifyError: no size was seen often enough.
    """
    steps = [step for run in recordings for step in _cut_steps(run.started, run.started + run.duration_s)]
    times = []
    for parts in _read_batches(metrics, steps, model, version):
        whole = _Batches(*(sum(column) for column in zip(*parts, strict=True)))
        if whole.calls >= FEWEST_CALLS:
            several = [part for part in parts if part.calls >= 2] or [whole]
            squares = sum(max(0.0, part.squared_seconds - part.seconds**2 / part.calls) for part in several)
            deviation_s = (squares / sum(part.calls - 1 for part in several)) ** 0.5
            rows, seconds = whole.rows / whole.calls, whole.seconds / whole.calls
            times.append(BatchTime(rows=rows, seconds=seconds, deviation_s=deviation_s, calls=round(whole.calls)))
    if not times:
        raise CertifyError(f"{model} {version} answered too few batches of any size; measure longer (--seconds)")
    return tuple(times)


def find_pace(
    metrics: Metrics, certified: Sequence[BatchTime], start_s: float, end_s: float, *, model: str, version: str
) -> float | None:
    """Find how many times as long batches took between two moments as those of their sizes were certified to take.

    None where none ended then.
    """
    points = [(time.rows, time.seconds) for time in certified]
    found = [part for (part,) in _read_batches(metrics, [(start_s, end_s)], model, version) if part.calls]
    expected_s = sum(part.calls * interpolate(points, part.rows / part.calls) for part in found)
    return sum(part.seconds for part in found) / expected_s if expected_s else None


def trace_pace(
    metrics: Metrics, certified: Sequence[BatchTime], start_s: float, end_s: float, *, model: str, version: str
) -> Callable[[float], float] | None:
    """Follow the pace from scrape to scrape; gives it by the seconds since `start_s`. None where no batch ended.

    In a step in which none ended the pace is that of the whole, and after the last step that of the last one.
    """
    between = partial(find_pace, metrics, certified, model=model, version=version)
    whole = between(start_s, end_s)
    if whole is None:
        return None
    paces = [between(*step) or whole for step in _cut_steps(start_s, end_s)]
    return lambda now_s: paces[min(int(now_s / INTERVAL_S), len(paces) - 1)]


def _cut_steps(start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Cut a period into steps as long as between two scrapes; the last is up to twice as long."""
    starts = [start_s + number * INTERVAL_S for number in range(max(1, int((end_s - start_s) / INTERVAL_S)))]
    return list(pairwise([*starts, end_s]))


def _read_batches(
    metrics: Metrics, steps: Sequence[tuple[float, float]], model: str, version: str
) -> Iterable[list[_Batches]]:
    """Read what ended within each of these steps, for one size after the other, the smallest first."""
    sizes = metrics.values_of("millrace_batches_total", "rows", model=model, version=version)
    for size in sorted(sizes, key=int):
        names = [f"millrace_batches{part}_total" for part in ("", "_rows", "_seconds", "_squared_seconds")]
        yield [
            _Batches(*(metrics.increase(name, start, end, model=model, version=version, rows=size) for name in names))
            for start, end in steps
        ]
