"""Intervals and paired tests, with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Z_95 = 1.959963984540054
# Fewer rows of a near-identical variant are not judged by their mean alone.
NEAR_IDENTICAL_ROWS = 64
# Student's t for a two-sided 99.9 % interval with 30 degrees of freedom. Doubts are skewed: of samples of 64 from
# exponential, beta and log-normal distributions it covers 98.5 % and more, so that 95 % remain whatever the shape.
_STUDENT_FACTOR = 3.65
# How often rows are drawn anew: for a mean, and for an aggregate, which takes longer.
_MEAN_REPEATS, _AGGREGATE_REPEATS = 2000, 500
Aggregate = Callable[[np.ndarray], float]


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    rate, z2 = successes / n, Z_95**2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the median whatever the distribution, from 6 values on: between two that were measured.

    Source: Conover, Practical Nonparametric Statistics (1999), section 3.2.
    """
    ordered, n = sorted(values), len(values)
    outside, place = 2.0 / 2**n, 0  # the chance that all lie on one side of the median
    while outside + 2.0 * math.comb(n, place + 1) / 2**n <= 0.05:
        place += 1
        outside += 2.0 * math.comb(n, place) / 2**n
    return ordered[place], ordered[n - 1 - place]


def mcnemar_p(wins: int, losses: int) -> float:
    """Two-sided mid-p value of McNemar's test from the two discordant counts.

    Source: Fagerland, Lydersen, Laake, BMC Med. Res. Methodol. 13 (2013).
    """
    n, k = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    point = math.comb(n, k)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float((2 * tail - point) / 2**n))


def paired_difference_interval(wins: float, losses: float, n: int) -> tuple[float, float]:
    """95 % score interval of the difference of two paired proportions, (wins − losses) / n.

    Source: Tango, Stat. Med. 17 (1998), whose interval keeps its coverage with no discordant pair at all.
    """
    estimate = (wins - losses) / n
    lower = _bisect(lambda delta: _tango_score(wins, losses, n, delta) - Z_95, -1.0, estimate)
    upper = _bisect(lambda delta: _tango_score(wins, losses, n, delta) + Z_95, estimate, 1.0)
    return lower, upper


def rows_for_difference(wins: int, losses: int, n: int, margin: float) -> int | None:
    """Rows at which, with wins and losses as frequent as in these, Tango's interval excludes a loss of the margin.

    None: no number of rows would, because the difference itself is a loss of the margin or more.
    """
    if (wins - losses) / n <= -margin:
        return None

    def is_enough(rows: int) -> bool:
        scale = rows / n
        return paired_difference_interval(wins * scale, losses * scale, rows)[0] > -margin

    most = n
    while not is_enough(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(middle) else (middle, most)
    return most


def rows_for_margin(difference: float, low: float, n: int, margin: float) -> int | None:
    """Rows at which a lower bound that narrows with the root of their number excludes a loss of the margin."""
    if difference <= -margin:
        return None
    return math.ceil(n * ((difference - low) / (difference + margin)) ** 2) + 1


def bound_of_change(doubts: np.ndarray) -> float:
    """Upper bound of the share of rows whose score changes, from how far each went towards a change (0 to 1).

    A score changes only where the doubt reaches 1, and P(doubt ≥ 1) is at most its mean (Markov's inequality), of which
    Student's t gives the bound, one-sided at 97.5 % or more. For rows that all stay far from a change it tells from
    dozens of rows what counting changes tells from hundreds: none among n rows leaves a share of 3 / n possible.
    Source: Hanley, Lippman-Hand, JAMA 249 (1983) for the rule of three; Student, Biometrika 6 (1908).
    """
    return float(doubts.mean() + _STUDENT_FACTOR * doubts.std(ddof=1) / math.sqrt(len(doubts)))


def _tango_score(wins: float, losses: float, n: int, delta: float) -> float:
    a = 2 * n
    b = (2 * n - wins + losses) * delta - wins - losses
    c = -losses * delta * (1 - delta)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * q + delta * (1 - delta))
    numerator = wins - losses - n * delta
    if variance <= 0:
        return math.copysign(math.inf, numerator) if numerator else 0.0
    return numerator / math.sqrt(variance)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Zero of a function that falls from positive to negative."""
    for _ in range(60):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bootstrap_interval(scores: np.ndarray, aggregate: Aggregate | None = None, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, or of `aggregate`, over rows [N, ...]."""
    return _percentiles(_resampled(scores, aggregate, seed))


def paired_bootstrap(
    scores: np.ndarray, reference: np.ndarray, aggregate: Aggregate | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """Paired bootstrap of the difference to a reference: 95 % interval (low, high) and two-sided p value."""
    same_rows = seed
    differences = _resampled(scores, aggregate, same_rows) - _resampled(reference, aggregate, same_rows)
    low, high = _percentiles(differences)
    tail = min(np.mean(differences <= 0), np.mean(differences >= 0))
    return low, high, float(min(1.0, 2 * tail))


def _resampled(scores: np.ndarray, aggregate: Aggregate | None, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    n = len(scores)
    repeats = _MEAN_REPEATS if aggregate is None else _AGGREGATE_REPEATS
    values = np.empty(repeats)
    for index in range(repeats):
        rows = generator.integers(0, n, n)
        values[index] = scores[rows].mean() if aggregate is None else aggregate(scores[rows])
    return values


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def describe_figure(scores: np.ndarray, reference: np.ndarray | None, aggregate: Aggregate) -> dict[str, Any]:
    """A figure of rows [N, ...] as evaluations keep it: its value and interval, and reference − it, paired, if there is
    another that it is held to.
    """
    value = aggregate(scores)
    found: dict[str, Any] = {"value": value, "interval": bootstrap_interval(scores, aggregate)}
    if reference is None or reference is scores:
        return found
    low, high, p_value = paired_bootstrap(reference, scores, aggregate)
    return found | {
        "difference": aggregate(reference) - value,
        "difference_interval": (low, high),
        "p_value": p_value,
    }


def average(rows: np.ndarray) -> float:
    """The mean of a figure of each row, as an aggregate."""
    return float(rows.mean())


def describe_figures(
    rows: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray], aggregates: Mapping[str, Aggregate]
) -> dict[str, dict[str, Any]]:
    """The figure of every metric by name, as `describe_figure` has it."""
    return {metric: describe_figure(values, reference[metric], aggregates[metric]) for metric, values in rows.items()}


def round_figures(figures: Mapping[str, Mapping[str, Any]], prefix: str = "") -> dict[str, Any]:
    """Figures as a run's record has them: each value and its interval to four places, under the metric's name."""
    found: dict[str, Any] = {}
    for metric, figure in figures.items():
        found[f"{prefix}{metric}"] = round(figure["value"], 4)
        found[f"{prefix}{metric}_interval"] = [round(end, 4) for end in figure["interval"]]
    return found


def student_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean by Student's t; nothing bounds that of a single value."""
    from scipy.stats import t  # Imported late: it takes a second

    if len(values) < 2:
        return -math.inf, math.inf
    half = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half
