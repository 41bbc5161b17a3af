"""What a load generator measured: latencies, errors, windows, and what generating cost."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, ConfigDict

from loadtests.measure.histogram import LatencyHistogram

LATE_S = 0.001


class Part(BaseModel):
    """A frozen piece of the results file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Part):
    """A slice of a run; `scheduled` is 0 where nothing was scheduled (closed loop)."""

    requests: int
    scheduled: int
    mean_ms: float


class GeneratorCost(Part):
    """What the generator took from the machine, and how late it sent."""

    processes: int
    cpu_cores: float
    late_share: float = 0.0
    late_mean_ms: float = 0.0


class Recording(Part):
    """One run of a generator.

    Latencies are HdrHistograms: `corrected` counts from when a request was scheduled, `uncorrected` from when it was
    sent. A closed loop schedules nothing, so there `corrected` is absent.
    """

    started: float
    duration_s: float
    rows_per_request: int
    requests: int
    errors: dict[str, int]
    corrected: str | None = None
    uncorrected: str
    windows: tuple[Window, ...]
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

    def latencies(self) -> LatencyHistogram:
        """The latencies that count: corrected where there was a schedule."""
        return LatencyHistogram(self.corrected or self.uncorrected)


class Recorder:
    """Collects one run; times are seconds since its start."""

    def __init__(self, *, started: float, duration_s: float, num_windows: int, rows_per_request: int = 1) -> None:
        self.started = started
        self.duration_s = duration_s
        self.rows_per_request = rows_per_request
        self.uncorrected = LatencyHistogram()
        self.corrected: LatencyHistogram | None = None
        self.errors: Counter[str] = Counter()
        self._counts = [0] * num_windows
        self._scheduled = [0] * num_windows
        self._sums_s = [0.0] * num_windows
        self._late = 0
        self._late_sum_s = 0.0

    def record(self, finished_s: float, latency_s: float) -> None:
        """Record a request of a closed loop that was answered at `finished_s`."""
        self.uncorrected.record(latency_s)
        self._count(finished_s, latency_s)

    def record_scheduled(self, scheduled_s: float, sent_s: float, finished_s: float) -> None:
        """Record a request of an open loop."""
        if self.corrected is None:
            self.corrected = LatencyHistogram()
        self.corrected.record(finished_s - scheduled_s)
        self.uncorrected.record(finished_s - sent_s)
        self._late += sent_s - scheduled_s > LATE_S
        self._late_sum_s += sent_s - scheduled_s
        if 0 <= scheduled_s < self.duration_s:
            self._scheduled[self._window_of(scheduled_s)] += 1
        self._count(finished_s, finished_s - scheduled_s)

    def record_error(self, status: str) -> None:
        self.errors[status] += 1

    def finish(self, *, duration_s: float, cpu_s: float, loadgen_result: str = "") -> Recording:
        """Close the run, which took `duration_s` and `cpu_s` of this process."""
        requests = len(self.uncorrected)
        windows = tuple(
            Window(requests=count, scheduled=scheduled, mean_ms=1e3 * total / count if count else 0.0)
            for count, scheduled, total in zip(self._counts, self._scheduled, self._sums_s, strict=True)
        )
        return Recording(
            started=self.started,
            duration_s=duration_s,
            rows_per_request=self.rows_per_request,
            requests=requests,
            errors=dict(self.errors),
            corrected=self.corrected.encode() if self.corrected else None,
            uncorrected=self.uncorrected.encode(),
            windows=windows,
            cost=GeneratorCost(
                processes=1,
                cpu_cores=cpu_s / duration_s,
                late_share=self._late / requests if requests else 0.0,
                late_mean_ms=1e3 * self._late_sum_s / requests if requests else 0.0,
            ),
            loadgen_result=loadgen_result,
        )

    def _count(self, finished_s: float, latency_s: float) -> None:
        if 0 <= finished_s < self.duration_s:
            window = self._window_of(finished_s)
            self._counts[window] += 1
            self._sums_s[window] += latency_s

    def _window_of(self, time_s: float) -> int:
        return int(time_s / self.duration_s * len(self._counts))


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
            "cost": GeneratorCost(
                processes=len(recordings),
                cpu_cores=sum(recording.cost.cpu_cores for recording in recordings),
                late_share=sum(r.cost.late_share * r.requests for r in recordings) / max(requests, 1),
                late_mean_ms=sum(r.cost.late_mean_ms * r.requests for r in recordings) / max(requests, 1),
            ),
        }
    )


def _merge_windows(windows: tuple[Window, ...]) -> Window:
    requests = sum(window.requests for window in windows)
    return Window(
        requests=requests,
        scheduled=sum(window.scheduled for window in windows),
        mean_ms=sum(window.mean_ms * window.requests for window in windows) / max(requests, 1),
    )
