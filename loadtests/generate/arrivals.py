"""When requests arrive at random: gaps that are gamma distributed around a rate, which may change.

Shape 1 is Poisson, below it arrivals come in bursts, above it they come evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

_CHUNK = 256
# A rate that changes is followed in so many steps.
_NUM_STEPS = 20_000


def draw_arrivals(rate: float, random: np.random.Generator, *, shape: float = 1.0) -> Iterator[float]:
    """Draw ascending times in seconds, without end, so many a second."""
    time_s = 0.0
    while True:
        for gap_s in random.gamma(shape, 1 / (shape * rate), _CHUNK).tolist():
            time_s += gap_s
            yield time_s


def draw_arrivals_like(
    counts: Sequence[int], length_s: float, random: np.random.Generator, *, since_s: float = 0.0
) -> np.ndarray:
    """Draw ascending times, so many in each of these equal parts of `length_s` after `since_s`.

    What came at random, came within a part of known number as evenly drawn times do.
    """
    starts_s = since_s + length_s / len(counts) * np.repeat(np.arange(len(counts)), counts)
    return np.sort(starts_s + random.uniform(0.0, length_s / len(counts), len(starts_s)))


def draw_arrivals_until(
    seconds: float,
    find_rate: Callable[[np.ndarray], np.ndarray],
    random: np.random.Generator,
    *,
    shape: float = 1.0,
) -> np.ndarray:
    """Draw ascending times within `seconds`, where `find_rate` gives the rate at each time.

    Source: time rescaling of a renewal process (Brown et al., 2002): arrivals at rate 1, in the time in which the rate
    adds up.
    """
    grid_s = np.linspace(0.0, seconds, _NUM_STEPS + 1)
    rates = find_rate((grid_s[1:] + grid_s[:-1]) / 2)
    expected = np.concatenate([[0.0], np.cumsum(rates) * seconds / _NUM_STEPS])
    drawn: list[np.ndarray] = []
    reached = 0.0
    while reached < expected[-1]:
        gaps = random.gamma(shape, 1 / shape, max(_CHUNK, int(expected[-1] - reached) + 1))
        drawn.append(reached + np.cumsum(gaps))
        reached = float(drawn[-1][-1])
    times = np.concatenate(drawn) if drawn else np.empty(0)
    return np.interp(times[times < expected[-1]], expected, grid_s)
