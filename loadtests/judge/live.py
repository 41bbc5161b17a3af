"""The verdict on live traffic: whether each version of a deployed model holds its service level now.

What callers of a deployed server send is not ours to choose, so there is no VALID or INVALID: only whether so many
requests prove or refute the level, with the confidence and the words of a load test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from loadtests.judge.load import State
from loadtests.judge.significance import is_refuted, is_supported
from loadtests.measure.recording import Part

# Outcomes of the gateway's requests. What a caller did wrong or gave up on says nothing of the server.
REFUSED = frozenset({"overloaded"})
FAILED = frozenset({"internal", "not_ready", "worker_died", "deadline"})


class Live(Part):
    """What the requests of one version came to within a window; `over` of them were not answered within the bound."""

    model: str
    version: str
    requests: float
    over: float
    refused: float
    failed: float
    per_s: float
    percentile_ms: float | None
    state: State

    @property
    def holds(self) -> bool:
        return self.state == "held"


def judge_live(
    model: str,
    version: str,
    *,
    outcomes: Mapping[str, float],
    buckets: Sequence[tuple[float, float]],
    window_s: float,
    bound_ms: float,
    percentile: float,
) -> Live:
    """Judge one version by how much its counters grew: requests by outcome, answers by latency.

    `buckets` are a histogram's (upper bound in s, answers within it), ascending, the last one infinite. Of a bucket
    that the bound cuts, no answer is counted as in time: a bound is judged as the next lower bucket's.
    """
    answered = buckets[-1][1] if buckets else 0.0
    in_time = max((count for upper_s, count in buckets if upper_s <= bound_ms / 1e3 * (1 + 1e-9)), default=0.0)
    refused = sum(outcomes.get(outcome, 0.0) for outcome in REFUSED)
    failed = sum(outcomes.get(outcome, 0.0) for outcome in FAILED)
    requests = answered + refused + failed
    over = requests - in_time
    return Live(
        model=model,
        version=version,
        requests=requests,
        over=over,
        refused=refused,
        failed=failed,
        per_s=requests / window_s,
        percentile_ms=_find_percentile_ms(buckets, percentile, requests),
        state=_name_state(requests, over, refused, failed, percentile),
    )


def _name_state(requests: float, over: float, refused: float, failed: float, percentile: float) -> State:
    """Name the state in the words of an open loop; a few failures among many answers are within the level."""
    num, num_over = math.floor(requests), math.ceil(over)
    if num and is_supported(num, num_over, percentile):
        return "held"
    if not num or not is_refuted(num, num_over, percentile):
        return "undecided"
    if failed >= max(refused, over - refused - failed):
        return "failing"
    return "refusing" if refused >= over - refused - failed else "slow"


def _find_percentile_ms(buckets: Sequence[tuple[float, float]], percentile: float, requests: float) -> float | None:
    """Interpolate within a bucket, as PromQL's histogram_quantile does; none where it lies beyond every bucket."""
    rank = percentile / 100 * requests
    below_s = below = 0.0
    for upper_s, count in buckets:
        if count >= rank > 0:
            if math.isinf(upper_s):
                return None
            share = (rank - below) / (count - below) if count > below else 1.0
            return 1e3 * (below_s + share * (upper_s - below_s))
        below_s, below = upper_s, count
    return None
