"""What a load generator measured: latencies, errors, windows, stalls, and what generating cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from loadtests.measure.histogram import LatencyHistogram

LATE_S = 0.001
# Many, so that it shows for how long a disturbance lasts; each is to hold some requests where a mean is taken of it.
NUM_WINDOWS = 40
REQUESTS_PER_WINDOW = 10
FEWEST_WINDOWS = 10
# Nothing answered for this long, and for this many times the usual latency, although something waited.
STALL_S = 0.2
STALL_LATENCIES = 10


class Part(BaseModel):
    """A frozen piece of the results file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Part):
    """A slice of a run.

    `requests` were answered in it and `scheduled` came due in it; `waiting` had come due by its end and were not
    answered. The latter two are 0 where nothing is scheduled (closed loop).
    """

    requests: int
    scheduled: int
    waiting: int
    mean_ms: float
    max_ms: float


class Stall(Part):
    """A stretch without an answer although requests waited, `at_s` seconds after the run's start."""

    at_s: float
    length_s: float


class GeneratorCost(Part):
    """What the generator took from the machine, and how late it sent.

    Of `late_mean_ms`, `own_late_mean_ms` is its own doing; for the rest the system let it sleep too long.
    """

    processes: int
    cpu_cores: float
    late_share: float = 0.0
    late_mean_ms: float = 0.0
    own_late_mean_ms: float = 0.0


class Recording(Part):
    """One run of a generator.

    Latencies are HdrHistograms of what was answered: `corrected` counts from when a request was scheduled,
    `uncorrected` from when it was sent. A closed loop schedules nothing, so there `corrected` is absent. `duration_s`
    lasts until the last answer; `arrivals_s`, and the windows, cover the time in which requests came due.
    """

    started: float
    duration_s: float
    arrivals_s: float | None = None
    rows_per_request: int
    requests: int
    errors: dict[str, int]
    corrected: str | None = None
    uncorrected: str
    windows: tuple[Window, ...]
    stalls: tuple[Stall, ...] = ()
    cost: GeneratorCost
    loadgen_result: str = ""

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.duration_s

    @property
    def rows_per_s(self) -> float:
        return self.requests_per_s * self.rows_per_request

    @property
    def num_errors(self) -> int:
        return sum(self.errors.values())

    @property
    def num_offered(self) -> int:
        """Requests that were made, whatever became of them."""
        return self.requests + self.num_errors

    def find_means_ms(self) -> list[float]:
        """Mean latencies one after the other, each of so many windows that it holds some requests."""
        return average_windows(self.windows)

    def latencies(self) -> LatencyHistogram:
        """The latencies that count: corrected where there was a schedule."""
        return LatencyHistogram(self.corrected or self.uncorrected)

    def find_percentile_ms(self, percentile: float) -> float | None:
        """The latency that `percentile` % of all requests did not exceed; what failed never came.

        None: so many failed that the percentile lies among them, or there was no request.
        """
        if not self.requests or math.ceil(percentile / 100 * self.num_offered) > self.requests:
            return None
        return self.latencies().find_percentile_ms(min(100.0, percentile * self.num_offered / self.requests))

    def count_in_time(self, bound_ms: float) -> int:
        """Requests that were answered within a bound."""
        return self.requests - self.latencies().count_above(bound_ms)


RECORDINGS = TypeAdapter(list[Recording])


class Recorder:
    """Collects one run; times are seconds since its start. What came due before `warm_up_s` is left out."""

    def __init__(self, *, started: float, rows_per_request: int = 1, warm_up_s: float = 0.0) -> None:
        self.started = started + warm_up_s
        self.rows_per_request = rows_per_request
        self.errors: Counter[str] = Counter()
        self._warm_up_s = warm_up_s
        self._has_schedule = False
        # Scheduled, sent, finished; a closed loop schedules a request when it sends it.
        self._answered: list[tuple[float, float, float]] = []
        self._turned_s: list[float] = []
        self._failed: list[tuple[float, float]] = []

    def record(self, finished_s: float, latency_s: float) -> None:
        """Record a request of a closed loop that was answered at `finished_s`."""
        sent_s = finished_s - latency_s
        self._answered.append((sent_s, sent_s, finished_s))

    def record_scheduled(
        self, scheduled_s: float, sent_s: float, finished_s: float, *, turned_s: float | None = None
    ) -> None:
        """Record a request of an open loop, in the order they were sent.

        The generator turned to it at `turned_s`; without that, in time.
        """
        self._has_schedule = True
        if scheduled_s >= self._warm_up_s:
            shift_s = self._warm_up_s
            self._answered.append((scheduled_s - shift_s, sent_s - shift_s, finished_s - shift_s))
            self._turned_s.append((scheduled_s if turned_s is None else turned_s) - shift_s)

    def record_error(self, status: str, *, scheduled_s: float | None = None, finished_s: float = 0.0) -> None:
        """Record a request that failed; without `scheduled_s`, one of a closed loop."""
        if scheduled_s is None:
            self.errors[status] += 1
        elif scheduled_s >= self._warm_up_s:
            self._has_schedule = True
            self.errors[status] += 1
            self._failed.append((scheduled_s - self._warm_up_s, finished_s - self._warm_up_s))

    def find_means_ms(self, duration_s: float) -> list[float]:
        """Mean latencies so far, as `Recording.find_means_ms` has them."""
        return average_windows(self._cut_windows(self._to_array(), duration_s))

    def finish(
        self, *, duration_s: float, cpu_s: float, arrivals_s: float | None = None, loadgen_result: str = ""
    ) -> Recording:
        """Close the run, which took `duration_s` and `cpu_s` of this process.

        In an open loop requests came due during the first `arrivals_s`; the warm-up counts in neither.
        """
        times = self._to_array()
        scheduled, sent, finished = times
        corrected, uncorrected = LatencyHistogram(), LatencyHistogram()
        for latency_s in finished - sent:
            uncorrected.record(latency_s)
        for latency_s in finished - scheduled if self._has_schedule else ():
            corrected.record(latency_s)
        late_s = sent - scheduled
        own_late_s = _find_own_lateness_s(scheduled, np.array(self._turned_s), sent) if self._has_schedule else 0.0
        return Recording(
            started=self.started,
            duration_s=duration_s,
            arrivals_s=arrivals_s,
            rows_per_request=self.rows_per_request,
            requests=len(finished),
            errors=dict(self.errors),
            corrected=corrected.encode() if self._has_schedule else None,
            uncorrected=uncorrected.encode(),
            windows=tuple(self._cut_windows(times, arrivals_s or duration_s)),
            stalls=tuple(_find_stalls(scheduled, finished)),
            cost=GeneratorCost(
                processes=1,
                cpu_cores=cpu_s / duration_s,
                late_share=float((late_s > LATE_S).mean()) if len(late_s) else 0.0,
                late_mean_ms=1e3 * float(late_s.mean()) if len(late_s) else 0.0,
                own_late_mean_ms=1e3 * own_late_s,
            ),
            loadgen_result=loadgen_result,
        )

    def _to_array(self) -> np.ndarray:
        return np.array(self._answered, np.float64).reshape(-1, 3).T

    def _cut_windows(self, times: np.ndarray, length_s: float) -> list[Window]:
        scheduled, _, finished = times
        edges = np.linspace(0, length_s, NUM_WINDOWS + 1)
        order = np.argsort(finished)
        finished, latencies_ms = finished[order], 1e3 * (finished - scheduled)[order]
        cuts = np.searchsorted(finished, edges)
        due = np.sort(np.concatenate([scheduled, [start for start, _ in self._failed]]))
        gone = np.sort(np.concatenate([finished, [end for _, end in self._failed]]))
        due_at, gone_at = np.searchsorted(due, edges), np.searchsorted(gone, edges)
        windows = []
        for index, (low, high) in enumerate(pairwise(cuts)):
            part = latencies_ms[low:high]
            windows.append(
                Window(
                    requests=len(part),
                    scheduled=int(due_at[index + 1] - due_at[index]) if self._has_schedule else 0,
                    waiting=int(due_at[index + 1] - gone_at[index + 1]) if self._has_schedule else 0,
                    mean_ms=float(part.mean()) if len(part) else 0.0,
                    max_ms=float(part.max()) if len(part) else 0.0,
                )
            )
        return windows


def _find_own_lateness_s(scheduled: np.ndarray, turned: np.ndarray, sent: np.ndarray) -> float:
    """How late requests would have left on average, had the generator never overslept: by its own work alone."""
    if not len(scheduled):
        return 0.0
    work_s = sent - turned
    done_s = np.cumsum(work_s)
    # Lindley's recursion, unrolled: a request waits for the longest run of work that ends with it.
    ideal_s = done_s + np.maximum.accumulate(scheduled - (done_s - work_s))
    return float((ideal_s - scheduled).mean())


def _find_stalls(scheduled: np.ndarray, finished: np.ndarray) -> list[Stall]:
    if len(finished) < 2:
        return []
    latencies = finished - scheduled
    longest_usual_s = max(STALL_S, STALL_LATENCIES * float(np.median(latencies)))
    order = np.argsort(finished)
    ends = finished[order]
    gaps = np.diff(ends)
    # The first answer after a stall is to a request that waited through it; after a lull it is to a new one.
    waited = latencies[order][1:] >= STALL_S
    return [
        Stall(at_s=float(ends[index]), length_s=float(gaps[index]))
        for index in np.flatnonzero((gaps > longest_usual_s) & waited)
    ]


def average_windows(windows: Sequence[Window]) -> list[float]:
    """Mean latencies in ms, 0 where nothing was answered: of each window, or of stretches that hold some requests.

    There are always ten, where there are as many windows.
    """
    num_requests = sum(window.requests for window in windows)
    length = 1
    while len(windows) > length * FEWEST_WINDOWS and num_requests * length < REQUESTS_PER_WINDOW * len(windows):
        length *= 2
    return [_average(windows[start : start + length]) for start in range(0, len(windows), length)]


def _average(windows: Sequence[Window]) -> float:
    requests = sum(window.requests for window in windows)
    return sum(window.mean_ms * window.requests for window in windows) / max(requests, 1)


def merge_recordings(recordings: list[Recording]) -> Recording:
    """Join the recordings of generators that ran side by side."""
    first = recordings[0]
    histograms: dict[bool, LatencyHistogram] = {True: LatencyHistogram(), False: LatencyHistogram()}
    errors: Counter[str] = Counter()
    for recording in recordings:
        histograms[False].add(LatencyHistogram(recording.uncorrected))
        if recording.corrected:
            histograms[True].add(LatencyHistogram(recording.corrected))
        errors.update(recording.errors)
    requests = sum(recording.requests for recording in recordings)
    return first.model_copy(
        update={
            "duration_s": max(recording.duration_s for recording in recordings),
            "requests": requests,
            "errors": dict(errors),
            "corrected": histograms[True].encode() if len(histograms[True]) else None,
            "uncorrected": histograms[False].encode(),
            "windows": tuple(_merge_windows(windows) for windows in zip(*(r.windows for r in recordings), strict=True)),
            "stalls": tuple(stall for recording in recordings for stall in recording.stalls),
            "cost": GeneratorCost(
                processes=len(recordings),
                cpu_cores=sum(recording.cost.cpu_cores for recording in recordings),
                late_share=sum(r.cost.late_share * r.requests for r in recordings) / max(requests, 1),
                late_mean_ms=sum(r.cost.late_mean_ms * r.requests for r in recordings) / max(requests, 1),
                own_late_mean_ms=sum(r.cost.own_late_mean_ms * r.requests for r in recordings) / max(requests, 1),
            ),
        }
    )


def _merge_windows(windows: tuple[Window, ...]) -> Window:
    return Window(
        requests=sum(window.requests for window in windows),
        scheduled=sum(window.scheduled for window in windows),
        waiting=sum(window.waiting for window in windows),
        mean_ms=_average(windows),
        max_ms=max(window.max_ms for window in windows),
    )
