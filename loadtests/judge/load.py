"""What became of an open loop's requests: overload told apart from slowness, and goodput from throughput."""

from __future__ import annotations

from typing import Literal

from loadtests.judge.verdict import holds_bound, misses_bound
from loadtests.measure.recording import Part, Recording

# What a server says that has too much to do: gRPC's and HTTP's names.
REFUSALS = frozenset({"RESOURCE_EXHAUSTED", "HTTP 429", "HTTP 503"})
EXPIRED = "DEADLINE_EXCEEDED"

State = Literal["held", "slow", "overloaded", "refusing", "failing", "undecided"]
MEANINGS: dict[State, str] = {
    "held": "answered within the bound",
    "slow": "kept up with the arrivals, but took longer than the bound",
    "overloaded": "fell behind the arrivals: what waited kept growing",
    "refusing": "turned requests away",
    "failing": "answered with errors",
    "undecided": "too few requests to say",
}


class Load(Part):
    """Requests of an open loop by what became of them; `expired` ran out of time unanswered."""

    offered: int
    answered: int
    in_time: int
    refused: int
    expired: int
    failed: int
    offered_per_s: float
    goodput_per_s: float
    state: State


def describe_load(recording: Recording, bound_ms: float) -> Load:
    """Count what was offered, answered, answered in time and refused, and say in one word how the server bore it."""
    refused = sum(count for status, count in recording.errors.items() if status in REFUSALS)
    expired = recording.errors.get(EXPIRED, 0)
    in_time = recording.count_in_time(bound_ms)
    # Everything came due before the last answer: per second of arrivals, not of draining.
    arrivals_s = recording.arrivals_s or recording.duration_s
    return Load(
        offered=recording.num_offered,
        answered=recording.requests,
        in_time=in_time,
        refused=refused,
        expired=expired,
        failed=recording.num_errors - refused - expired,
        offered_per_s=recording.num_offered / arrivals_s,
        goodput_per_s=in_time / arrivals_s,
        state=_name_state(recording, bound_ms, refused, expired),
    )


def falls_behind(recording: Recording, bound_ms: float) -> bool:
    """Decide whether what waited kept growing: more at the end than the bound allows at this rate, and than halfway.

    Source: Little's law.
    """
    windows = recording.windows
    rate = sum(window.scheduled for window in windows) / (recording.arrivals_s or recording.duration_s)
    allowed = max(1.0, rate * bound_ms / 1e3)
    halfway, end = windows[len(windows) // 2 - 1].waiting, windows[-1].waiting
    return end > allowed and end > 1.3 * halfway


def _name_state(recording: Recording, bound_ms: float, refused: int, expired: int) -> State:
    if recording.num_errors > refused + expired:
        return "failing"
    if refused:
        return "refusing"
    if falls_behind(recording, bound_ms):
        return "overloaded"
    if holds_bound(recording, bound_ms):
        return "held"
    return "slow" if misses_bound(recording, bound_ms) else "undecided"
