"""When a percentile is supported by enough requests, and how well a run's windows agree.

Source: MLPerf Inference LoadGen, early stopping (confidence 0.99); batch means (Law, Simulation Modeling and Analysis).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, linear_regression, stdev

from scipy.special import bdtr, bdtrc, stdtrit

CONFIDENCE = 0.99
PERCENTILES = (99.9, 99.0, 90.0)
# Fewer windows tell nothing of how they hang together.
_FEWEST_CORRELATED = 8
_MOST_SHARE = 0.9


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


def find_supported_percentile(num_requests: int, *, at_most: float = 100.0) -> float | None:
    """Find the highest of p99.9, p99 and p90 that this many requests can support at all, one outlier allowed."""
    return next((p for p in PERCENTILES if p <= at_most and num_requests >= find_minimum_requests(p, 1)), None)


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


def is_refuted(num_requests: int, num_over_bound: int, percentile: float) -> bool:
    """Decide whether so many of `num_requests` exceed a bound that the percentile cannot lie within it."""
    if num_over_bound == 0:
        return False
    return bool(bdtrc(num_over_bound - 1, num_requests, 1 - percentile / 100) <= 1 - CONFIDENCE)


def find_relative_error(means: Sequence[float]) -> float:
    """Half the 95 % interval of a run's mean as a share of it, from the means of its windows; infinite if one is empty.

    Neighbouring windows share what disturbs them, so that all count for as few as would be independent.
    """
    if len(means) < 2 or min(means) <= 0:
        return float("inf")
    num_independent = len(means) / _find_inflation(means)
    return float(stdtrit(num_independent - 1, 0.975)) * find_relative_variance(means) ** 0.5


def find_relative_variance(means: Sequence[float]) -> float:
    """Variance of a run's mean as a share of its square, from the means of its windows."""
    return (stdev(means) / fmean(means)) ** 2 / len(means) * _find_inflation(means)


def find_drift(means: Sequence[float]) -> tuple[float, float]:
    """How far a run's second half lies above its first, as a share of the mean, and half the 95 % interval of that.

    What scatters about a straight line is noise.
    """
    half, mean = len(means) // 2, fmean(means)
    if half < 2 or mean <= 0:
        return 0.0, float("inf")
    drift = (fmean(means[-half:]) - fmean(means[:half])) / mean
    rest = _subtract_line(means)
    inflation = _find_inflation(means)
    deviation = (sum(value**2 for value in rest) / (len(rest) - 2)) ** 0.5
    quantile = float(stdtrit(max(1.0, len(means) / inflation - 2), 0.975))
    return drift, quantile * 2 * deviation * (inflation / len(means)) ** 0.5 / mean


def _find_inflation(means: Sequence[float]) -> float:
    """How many times more a run's mean varies than if its windows were independent; at least two of them always are.

    Each window is taken to hand a share of its deviation on to the next. Source: variance of the mean of a first-order
    autoregressive process; the share's bias about a fitted line (Marriott and Pope, 1954).
    """
    rest = _subtract_line(means)
    squares = sum(value**2 for value in rest)
    if len(means) < _FEWEST_CORRELATED or not squares:
        return 1.0
    share = sum(one * other for one, other in pairwise(rest)) / squares
    share = min(max(0.0, share + (2 + 4 * share) / len(means)), _MOST_SHARE)
    return min((1 + share) / (1 - share), len(means) / 2)


def _subtract_line(values: Sequence[float]) -> list[float]:
    """Leave what least squares' straight line does not explain."""
    slope, level = linear_regression(range(len(values)), values)
    return [value - level - slope * index for index, value in enumerate(values)]
