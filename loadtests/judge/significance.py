"""When a percentile is supported by enough requests, and when a run is stable.

Source: MLPerf Inference LoadGen, early stopping (confidence 0.99), and perf_analyzer's stability criterion.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import bdtr

CONFIDENCE = 0.99
STABLE_RATIO = 1.1
NUM_WINDOWS_COMPARED = 3
PERCENTILES = (99.9, 99.0, 90.0)


def is_supported(num_requests: int, num_over_bound: int, percentile: float) -> bool:
    """Decide whether `num_requests` prove a percentile to lie within a bound that `num_over_bound` of them exceed."""
    return bool(bdtr(num_over_bound, num_requests, 1 - percentile / 100) <= 1 - CONFIDENCE)


def find_minimum_requests(percentile: float, num_over_bound: int) -> int:
    """Find the smallest number of requests that proves a percentile when `num_over_bound` of them exceed the bound."""
    enough = 1
    while not is_supported(enough, num_over_bound, percentile):
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if is_supported(middle, num_over_bound, percentile):
            enough = middle
        else:
            too_few = middle
    return enough


def find_supported_percentile(num_requests: int) -> float | None:
    """Find the highest of p99.9, p99 and p90 that this many requests can support at all, one outlier allowed."""
    return next((p for p in PERCENTILES if num_requests >= find_minimum_requests(p, 1)), None)


def find_num_discarded(num_requests: int, percentile: float) -> int | None:
    """Find how many of the slowest requests to discard: the slowest that is left is LoadGen's early-stopping estimate.

    The estimate bounds the percentile with confidence 0.99. None: too few requests.
    """
    if not is_supported(num_requests, 1, percentile):
        return None
    allowed, too_many = 1, num_requests
    while too_many - allowed > 1:
        middle = (allowed + too_many) // 2
        if is_supported(num_requests, middle, percentile):
            allowed = middle
        else:
            too_many = middle
    return allowed - 1


def find_instability(values: Sequence[float]) -> float:
    """Largest over smallest of the last three windows; infinite when there are fewer or one is zero."""
    last = values[-NUM_WINDOWS_COMPARED:]
    if len(last) < NUM_WINDOWS_COMPARED or min(last) <= 0:
        return float("inf")
    return max(last) / min(last)
