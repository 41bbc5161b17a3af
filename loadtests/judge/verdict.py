"""VALID or INVALID, and why: whether a run's figures may be quoted."""

from __future__ import annotations

from loadtests.judge.significance import (
    NUM_WINDOWS_COMPARED,
    STABLE_RATIO,
    find_instability,
    find_minimum_requests,
    find_num_discarded,
    find_supported_percentile,
    is_supported,
)
from loadtests.measure.recording import Part, Recording

MINIMUM_PERCENTILE = 90.0
MINIMUM_WINDOW_REQUESTS = 10
SATURATED_CORES_PER_PROCESS = 0.95
LATE_SHARE_OF_LATENCY = 0.1


class Verdict(Part):
    """Whether a run's figures may be quoted.

    `percentile` is the highest that the number of requests supports, `estimate_ms` its bound with confidence 0.99.
    """

    valid: bool
    reasons: tuple[str, ...]
    percentile: float | None
    estimate_ms: float | None

    @property
    def label(self) -> str:
        return "VALID" if self.valid else "INVALID"


def judge(recording: Recording) -> Verdict:
    """Judge one run."""
    percentile = find_supported_percentile(recording.requests)
    estimate_ms = estimate_percentile_ms(recording, percentile) if percentile else None
    reasons = (
        *_find_errors(recording),
        *_find_too_few(recording),
        *_find_unstable(recording),
        *_find_generator_limits(recording),
    )
    return Verdict(valid=not reasons, reasons=reasons, percentile=percentile, estimate_ms=estimate_ms)


def estimate_percentile_ms(recording: Recording, percentile: float) -> float | None:
    """LoadGen's early-stopping estimate: a bound for the percentile with confidence 0.99; None: too few requests."""
    num_discarded = find_num_discarded(recording.requests, percentile)
    return None if num_discarded is None else recording.latencies().find_slowest_ms(num_discarded)


def bound_percentile(recording: Recording) -> float:
    """The percentile to hold against a bound: p99, or p90 where the run is too short for more."""
    return 99.0 if recording.requests >= find_minimum_requests(99.0, 1) else MINIMUM_PERCENTILE


def holds_bound(recording: Recording, bound_ms: float) -> bool:
    """Decide whether the run proves, with confidence 0.99, that it held a bound; errors count as over it."""
    percentile = bound_percentile(recording)
    over = recording.latencies().count_above(bound_ms) + recording.num_errors
    return is_supported(recording.requests + recording.num_errors, over, percentile)


def _find_errors(recording: Recording) -> list[str]:
    if not recording.errors:
        return []
    kinds = ", ".join(f"{status} {count}" for status, count in sorted(recording.errors.items()))
    return [f"errors: {recording.num_errors} of {recording.requests + recording.num_errors} requests failed ({kinds})"]


def _find_too_few(recording: Recording) -> list[str]:
    needed = find_minimum_requests(MINIMUM_PERCENTILE, 1)
    if recording.requests < needed:
        return [f"too few: {recording.requests} requests, p{MINIMUM_PERCENTILE:g} needs {needed}"]
    fewest = min((window.requests for window in recording.windows[-NUM_WINDOWS_COMPARED:]), default=0)
    if fewest < MINIMUM_WINDOW_REQUESTS:
        return [f"too short: a window holds {fewest} requests, {MINIMUM_WINDOW_REQUESTS} are needed to see a trend"]
    return []


def _find_unstable(recording: Recording) -> list[str]:
    reasons = []
    windows = recording.windows
    if any(window.scheduled for window in windows):
        # Poisson arrivals differ from window to window by chance: what was answered counts against what was asked for.
        throughput = [window.requests / window.scheduled if window.scheduled else 0.0 for window in windows]
    else:
        throughput = [float(window.requests) for window in windows]
    for name, values in (("throughput", throughput), ("latency", [window.mean_ms for window in windows])):
        ratio = find_instability(values)
        if ratio > STABLE_RATIO:
            reasons.append(
                f"unstable: {name} differs {ratio:.2f}-fold over the last three windows, {STABLE_RATIO} is allowed"
            )
    return reasons


def _find_generator_limits(recording: Recording) -> list[str]:
    reasons = []
    cost = recording.cost
    if cost.cpu_cores >= SATURATED_CORES_PER_PROCESS * cost.processes:
        reasons.append(f"generator saturated: {cost.cpu_cores:.2f} cores busy in {cost.processes} process(es)")
    mean_ms = recording.latencies().mean_ms
    if mean_ms and cost.late_mean_ms > LATE_SHARE_OF_LATENCY * mean_ms:
        reasons.append(
            f"generator late: requests left {cost.late_mean_ms:.2f} ms late on average, of {mean_ms:.2f} ms latency"
        )
    return reasons
