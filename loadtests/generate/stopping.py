"""When a level of a closed loop has lasted long enough.

Source: sequential batch means (Law and Carson, 1979).
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.generate.plan import ClosedLoop
from loadtests.judge.verdict import ALLOWED_ERROR, is_settled

# A level goes on until its mean latency is known this well (95 %), half of what a verdict asks for; in the time that
# others left over, until a verdict has what it asks for.
WANTED_ERROR = 0.05
ENOUGH_ERROR = 0.9 * ALLOWED_ERROR


def has_lasted(plan: ClosedLoop, spare_s: float, means_ms: Sequence[float], elapsed_s: float) -> bool:
    """Decide whether a level is over, from its windows' mean latencies so far."""
    if elapsed_s >= plan.most_s + spare_s:
        return True
    error = WANTED_ERROR if elapsed_s < plan.most_s else ENOUGH_ERROR
    return is_settled(means_ms, error)


def count_spare_s(plan: ClosedLoop, spare_s: float, used_s: float) -> float:
    """What a level that took `used_s` leaves to those after it."""
    return max(0.0, spare_s + plan.most_s - used_s)
