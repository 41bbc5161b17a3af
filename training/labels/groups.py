"""Whether answers are as good for one group of rows as for another.

Dimensions: N rows, G groups.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from training.release.statistics import wilson_interval

_SHUFFLES = 1000


def measure_groups(right: np.ndarray, groups: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Describe the accuracy of each group, the worst of them and the gap to the best, ready for JSON.

    `right` bool [N], `groups` int [N] in the order of `names`. The gap's interval is of the two groups that are named;
    that they are the extremes of several widens the gap by chance, which `p_value` accounts for: how often groups that
    are dealt at random have so large a gap.
    Source: Newcombe, Stat. Med. 17 (1998), method 10, for the interval.
    """
    present = [index for index in range(len(names)) if (groups == index).any()]
    counts = {index: (int(right[groups == index].sum()), int((groups == index).sum())) for index in present}
    rates = {index: successes / n for index, (successes, n) in counts.items()}
    worst, best = min(present, key=rates.__getitem__), max(present, key=rates.__getitem__)
    gap = rates[best] - rates[worst]
    return {
        "groups": {
            names[index]: {"accuracy": rates[index], "interval": list(wilson_interval(*counts[index])), "n": n}
            for index, (_, n) in counts.items()
        },
        "worst": names[worst],
        "best": names[best],
        "gap": gap,
        "gap_interval": list(_difference_interval(counts[best], counts[worst])),
        "p_value": _gap_p(right, groups, gap),
    }


def _difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """95 % interval of the difference of two independent proportions, each (successes, n)."""
    rates = [successes / n for successes, n in (first, second)]
    (low1, high1), (low2, high2) = (wilson_interval(*counts) for counts in (first, second))
    difference = rates[0] - rates[1]
    return (
        difference - math.hypot(rates[0] - low1, high2 - rates[1]),
        difference + math.hypot(high1 - rates[0], rates[1] - low2),
    )


def _gap_p(right: np.ndarray, groups: np.ndarray, gap: float) -> float:
    """How often the gap between best and worst is at least this one where rows are dealt to groups at random."""
    random = np.random.default_rng(0)
    sizes = np.bincount(groups)
    present = sizes > 0
    reached = 0
    for _ in range(_SHUFFLES):
        rates = np.bincount(groups, random.permutation(right))[present] / sizes[present]
        reached += rates.max() - rates.min() >= gap - 1e-12
    return (reached + 1) / (_SHUFFLES + 1)
