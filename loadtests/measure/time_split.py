"""Where a request's time goes, from the gateway's metrics and the caller's own clock."""

from __future__ import annotations

from loadtests.measure.histogram import LatencyHistogram
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Part, Recording

REQUEST = "millrace_request_seconds"
QUEUE = "millrace_queue_seconds"
BATCH_ROWS = "millrace_batch_rows"


class TimeSplit(Part):
    """Mean milliseconds of a request.

    `queue`: waiting in the gateway for a free worker; `compute`: the call to the worker and back, the program included;
    `transport`: everything between the caller and the gateway, the generator's own lateness included.
    """

    queue_ms: float
    compute_ms: float
    transport_ms: float
    rows_per_batch: float


def split_time(recording: Recording, metrics: Metrics, *, model: str, version: str) -> TimeSplit | None:
    """Split the mean latency of a run; None if the server has no such metrics or saw no request of it."""
    start, end = recording.started, recording.started + recording.duration_s
    labels = {"model": model, "version": version}
    whole = _mean_ms(metrics, REQUEST, start, end, labels)
    queue_ms = _mean_ms(metrics, QUEUE, start, end, labels)
    if whole is None or queue_ms is None:
        return None
    seen_ms = LatencyHistogram(recording.corrected or recording.uncorrected).mean_ms
    batches = metrics.increase(f"{BATCH_ROWS}_count", start, end, **labels)
    rows = metrics.increase(f"{BATCH_ROWS}_sum", start, end, **labels)
    return TimeSplit(
        queue_ms=queue_ms,
        compute_ms=max(whole - queue_ms, 0.0),
        transport_ms=max(seen_ms - whole, 0.0),
        rows_per_batch=rows / batches if batches else 0.0,
    )


def _mean_ms(metrics: Metrics, name: str, start: float, end: float, labels: dict[str, str]) -> float | None:
    count = metrics.increase(f"{name}_count", start, end, **labels)
    return 1e3 * metrics.increase(f"{name}_sum", start, end, **labels) / count if count > 0 else None
