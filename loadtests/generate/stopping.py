"""When a level of a closed loop has lasted long enough.

Source: sequential batch means (Law and Carson, 1979).
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.generate.plan import ClosedLoop
from loadtests.judge.verdict import ENOUGH_ERROR, is_settled


def has_lasted(plan: ClosedLoop, spare_s: float, means_ms: Sequence[float], elapsed_s: float) -> bool:
    """Decide whether a level is over, from its windows' mean latencies so far."""
    if elapsed_s >= plan.most_s + spare_s:
        return True
    error = plan.wanted_error if elapsed_s < plan.most_s else ENOUGH_ERROR
    return is_settled(means_ms, error)


def count_spare_s(plan: ClosedLoop, spare_s: float, used_s: float) -> float:
    """What a level that took `used_s` leaves to those after it."""
    return max(0.0, spare_s + plan.most_s - used_s)
