"""VALID or INVALID, and why: whether a run's figures may be quoted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loadtests.judge.significance import (
    find_drift,
    find_minimum_requests,
    find_num_discarded,
    find_relative_error,
    find_supported_percentile,
    is_refuted,
    is_supported,
)
from loadtests.measure.recording import FEWEST_WINDOWS, Part, Recording

MINIMUM_PERCENTILE = 90.0
# The mean of a run is to be known this well (95 %), and may wander by as much from its first half to its second.
ALLOWED_ERROR = 0.1
# A run that can be ended at any time is ended at this, where it is to be VALID and no more, and where known well.
ENOUGH_ERROR, WELL_KNOWN = 0.9 * ALLOWED_ERROR, 0.5 * ALLOWED_ERROR
FEWEST_CALM_WINDOWS = 4
FEWEST_REQUESTS = 20
SATURATED_CORES_PER_PROCESS = 0.95
LATE_SHARE_OF_LATENCY = 0.1

# From worst to least: what is named first is what to mend first.
ReasonKind = Literal[
    "errors", "too few requests", "too noisy", "drifting", "not decided", "generator limits", "host limits"
]


class Reason(Part):
    """Why a run's figures may not be quoted: the kind in two words, and its figures."""

    kind: ReasonKind
    text: str


class Verdict(Part):
    """Whether a run's figures may be quoted.

    `percentile` is the highest that the number of requests supports, `estimate_ms` its bound with confidence 0.99.
    """

    reasons: tuple[Reason, ...]
    percentile: float | None
    estimate_ms: float | None

    @property
    def valid(self) -> bool:
        return not self.reasons

    @property
    def label(self) -> str:
        return "VALID" if self.valid else "INVALID"


def judge(recording: Recording, *, bound_ms: float | None = None, needs_percentile: bool = True) -> Verdict:
    """Judge one run; with a bound, one that was made to find out whether it holds (random arrivals).

    A run whose throughput alone is quoted needs no percentile.
    """
    percentile = find_supported_percentile(recording.requests)
    estimate_ms = estimate_percentile_ms(recording, percentile) if percentile else None
    reasons = [*_find_errors(recording), *_find_too_few(recording, needs_percentile)]
    if not reasons:
        reasons += _find_noise(recording) if bound_ms is None else _find_undecided(recording, bound_ms)
    reasons += _find_generator_limits(recording)
    return Verdict(reasons=tuple(reasons), percentile=percentile, estimate_ms=estimate_ms)


def estimate_percentile_ms(recording: Recording, percentile: float) -> float | None:
    """LoadGen's early-stopping estimate: a bound for the percentile with confidence 0.99; None: too few requests."""
    num_discarded = find_num_discarded(recording.num_offered, percentile)
    if num_discarded is None or num_discarded < recording.num_errors:
        return None
    return recording.latencies().find_slowest_ms(num_discarded - recording.num_errors)


def bound_percentile(recording: Recording) -> float:
    """The percentile to hold against a bound: p99, or p90 where the run is too short for more."""
    return 99.0 if recording.num_offered >= find_minimum_requests(99.0, 1) else MINIMUM_PERCENTILE


def count_over(recording: Recording, bound_ms: float) -> int:
    """Requests not answered within a bound; what failed is one of them."""
    return recording.num_offered - recording.count_in_time(bound_ms)


def holds_bound(recording: Recording, bound_ms: float) -> bool:
    """Decide whether the run proves, with confidence 0.99, that it held a bound; errors count as over it."""
    over = count_over(recording, bound_ms)
    return is_supported(recording.num_offered, over, bound_percentile(recording))


def misses_bound(recording: Recording, bound_ms: float) -> bool:
    """Decide whether the run proves, with confidence 0.99, that it did not hold a bound."""
    return is_refuted(recording.num_offered, count_over(recording, bound_ms), bound_percentile(recording))


def is_settled(means: Sequence[float], error: float) -> bool:
    """Decide from its windows' means whether a run's mean latency is known within a share and does not wander."""
    return find_relative_error(means) <= error and not is_drifting(means)


def is_drifting(means: Sequence[float]) -> bool:
    """Decide whether a run's halves differ by more than is allowed, and by more than its noise explains."""
    drift, error = find_drift(means)
    return abs(drift) > max(ALLOWED_ERROR, error)


def _find_errors(recording: Recording) -> list[Reason]:
    if not recording.errors:
        return []
    kinds = ", ".join(f"{status} {count}" for status, count in sorted(recording.errors.items()))
    text = f"{recording.num_errors} of {recording.num_offered} requests failed ({kinds})"
    return [Reason(kind="errors", text=text)]


def _find_too_few(recording: Recording, needs_percentile: bool) -> list[Reason]:
    needed = find_minimum_requests(MINIMUM_PERCENTILE, 1) if needs_percentile else FEWEST_REQUESTS
    if recording.requests >= needed:
        return []
    who = f"p{MINIMUM_PERCENTILE:g}" if needs_percentile else "a mean"
    return [Reason(kind="too few requests", text=f"{recording.requests} requests, {who} needs {needed}")]


def _find_noise(recording: Recording) -> list[Reason]:
    """Judge the mean latency by its windows; callers who wait for their answers make throughput its reciprocal."""
    means = recording.find_means_ms()
    # A stall is the server's doing, and called out as such; the stretches without one show the noise.
    calm = [mean for mean, stalled in zip(means, _mark_stalled(recording, len(means)), strict=True) if not stalled]
    means = calm if len(calm) >= FEWEST_CALM_WINDOWS else means
    if min(means) <= 0:
        return [Reason(kind="too noisy", text="nothing was answered in one of its windows")]
    if is_drifting(means):
        drift, _ = find_drift(means)
        word = "grew" if drift > 0 else "fell"
        return [Reason(kind="drifting", text=f"latency {word} by {abs(drift):.0%} from the first half to the second")]
    error = find_relative_error(means)
    if error > ALLOWED_ERROR:
        text = f"mean latency known within ±{error:.0%} (95 %), ±{ALLOWED_ERROR:.0%} is allowed"
        return [Reason(kind="too noisy", text=text)]
    return []


def _mark_stalled(recording: Recording, num_stretches: int) -> list[bool]:
    length_s = recording.duration_s / num_stretches
    # What waited through a stall is answered after it.
    after_s = recording.duration_s / FEWEST_WINDOWS
    spans = [(stall.at_s, stall.at_s + stall.length_s) for stall in recording.stalls]
    return [
        any(start < (index + 1) * length_s and end + after_s > index * length_s for start, end in spans)
        for index in range(num_stretches)
    ]


def _find_undecided(recording: Recording, bound_ms: float) -> list[Reason]:
    if holds_bound(recording, bound_ms) or misses_bound(recording, bound_ms):
        return []
    percentile = bound_percentile(recording)
    text = (
        f"{count_over(recording, bound_ms)} of {recording.num_offered} requests over {bound_ms:g} ms neither prove "
        f"nor refute p{percentile:g}"
    )
    return [Reason(kind="not decided", text=text)]


def _find_generator_limits(recording: Recording) -> list[Reason]:
    reasons = []
    cost = recording.cost
    if cost.cpu_cores >= SATURATED_CORES_PER_PROCESS * cost.processes:
        text = f"{cost.cpu_cores:.2f} cores busy in {cost.processes} process(es) of the generator"
        reasons.append(Reason(kind="generator limits", text=text))
    mean_ms = recording.latencies().mean_ms
    allowed_ms = LATE_SHARE_OF_LATENCY * mean_ms
    if mean_ms and cost.late_mean_ms > allowed_ms:
        own_ms = cost.own_late_mean_ms
        text = f"requests left {cost.late_mean_ms:.2f} ms late on average, of {mean_ms:.2f} ms latency"
        if own_ms > allowed_ms:
            reasons.append(Reason(kind="generator limits", text=text))
        else:
            why = f"the system let the generator sleep too long, whose own part is {own_ms:.2f} ms"
            reasons.append(Reason(kind="host limits", text=f"{text}: {why}"))
    return reasons
