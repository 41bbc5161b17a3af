"""Which runs may settle when they are made again, and how much longer that has to last."""

from __future__ import annotations

from loadtests.judge.significance import find_relative_error
from loadtests.judge.verdict import ALLOWED_ERROR, ReasonKind, Verdict
from loadtests.measure.recording import Recording

# What another minute of the machine, or more requests, may mend; what was measured is none of it.
UNSETTLED: frozenset[ReasonKind] = frozenset(
    {"too few requests", "too noisy", "drifting", "not decided", "host limits"}
)
LONGER = 2.5
AIM = 0.8  # of the error that is allowed: an error is itself known badly


def may_settle(verdict: Verdict) -> bool:
    """Decide whether an INVALID run is so only by noise or shortness."""
    return not verdict.valid and all(reason.kind in UNSETTLED for reason in verdict.reasons)


def find_times_longer(recording: Recording, verdict: Verdict) -> float:
    """Find how many times as long another run has to last: up to `LONGER`.

    The error of a mean falls with the root of the time; a machine that changed its pace needs another moment, not a
    longer one.
    """
    kinds = {reason.kind for reason in verdict.reasons}
    if kinds <= {"drifting", "host limits"}:
        return 1.0
    if "too noisy" not in kinds:
        return LONGER
    return min(LONGER, max(1.0, (find_relative_error(recording.find_means_ms()) / (AIM * ALLOWED_ERROR)) ** 2))
