"""The highest rate of random arrivals whose p99 stays within a bound, by a sequential procedure.

A probe at one rate goes on until its requests prove or refute, each with confidence 0.99, that the rate holds; a rate
that stays undecided counts as not held. The search brackets the rate by steps that grow, halves the bracket, and gives
the lowest rate that failed a second chance before it believes it, since a burst of other work on the machine fails a
probe too.

Late answers come in bursts: one long queue makes many. Requests are therefore counted by blocks of time, and count for
as many as if they were independent. A queue that still grows proves nothing yet: near its capacity a server takes long
to show what it does in the end. What is found is confirmed by a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from loadtests.judge.significance import CONFIDENCE, find_supported_percentile, is_supported
from loadtests.measure.recording import Part

STEP = 1.4
BLOCK_BOUNDS = 4  # a block is at least this many times the bound, so that a burst rarely spans two
LEAST_BLOCKS, MOST_BLOCKS = 8, 20
SPARE = 0.9  # arrivals are random: fewer may come than expected
GROWING = 1.25  # of the mean latency, from the first half to the second
# So many late ones need no statistics.
HOPELESS_REQUESTS, HOPELESS_SHARE = 100, 0.5

Outcome = Literal["holds", "fails", "undecided"]


class Probe(Part):
    """One rate tried: `over` of `requests` were not answered within the bound."""

    rate: float
    requests: int
    over: int
    seconds: float
    outcome: Outcome
    late_mean_ms: float = 0.0


class RateSearch(Part):
    """What a search found: the highest rate that held and the lowest that did not; None where there was none."""

    bound_ms: float
    held: float | None
    failed: float | None
    probes: tuple[Probe, ...]

    @property
    def seconds(self) -> float:
        return sum(probe.seconds for probe in self.probes)


def decide(
    scheduled_s: np.ndarray, latencies_s: np.ndarray, *, bound_s: float, percentile: float, block_s: float
) -> Outcome:
    """Decide whether requests at a rate prove that the percentile holds the bound, or that it does not.

    `latencies_s` are infinite where a request failed. Source: ratio estimator over clusters (Cochran, Sampling
    Techniques); its design effect shrinks the number of requests that early stopping (significance.py) is asked about.
    """
    num, is_over = len(latencies_s), latencies_s > bound_s
    num_over = int(is_over.sum())
    length_s = float(scheduled_s[-1] - scheduled_s[0]) if num else 0.0
    num_blocks = min(MOST_BLOCKS, int(length_s / block_s))
    if num_blocks < LEAST_BLOCKS:
        return "fails" if num >= HOPELESS_REQUESTS and num_over > HOPELESS_SHARE * num else "undecided"
    block = np.minimum((scheduled_s - scheduled_s[0]) * num_blocks / length_s, num_blocks - 1).astype(int)
    share = num_over / num
    surplus = np.bincount(block, is_over, num_blocks) - share * np.bincount(block, minlength=num_blocks)
    variance = float((surplus**2).sum()) * num_blocks / (num_blocks - 1)
    if share - float(stdtrit(num_blocks - 1, CONFIDENCE)) * variance**0.5 / num > 1 - percentile / 100:
        return "fails"
    effect = max(1.0, variance / (num_over * (1 - share))) if 0 < num_over < num else 1.0
    proven = is_supported(int(num / effect), ceil(num_over / effect), percentile)
    return "holds" if proven and not _is_growing(np.minimum(latencies_s, 2 * bound_s)) else "undecided"


def _is_growing(latencies_s: np.ndarray) -> bool:
    first, second = np.array_split(latencies_s, 2)
    return bool(second.mean() > GROWING * first.mean())


def choose_proof(rate: float, bound_s: float, length_s: float) -> tuple[float, float]:
    """Choose the length of a block, in seconds, and the percentile that a probe of `length_s` is able to prove.

    p99, or p90 where the rate brings too few requests for more.
    """
    block_s = min(BLOCK_BOUNDS * bound_s, length_s / (LEAST_BLOCKS + 1))
    return block_s, find_supported_percentile(int(SPARE * rate * length_s), at_most=99.0) or 90.0


def search_rate(
    run_probe: Callable[[float], Probe], *, bound_ms: float, first_rate: float, budget_s: float, resolution: float
) -> RateSearch:
    """Search from `first_rate` until held and failed rates lie within `resolution`, or the budget is spent.

    The last probe is one of which half an average one's time was left, so that the budget is kept on average.
    """
    probes: list[Probe] = []
    held: float | None = None
    failed: list[float] = []
    rate, step = first_rate, STEP
    while not probes or sum(probe.seconds for probe in probes) * (1 + 0.5 / len(probes)) < budget_s:
        probe = run_probe(rate)
        probes.append(probe)
        if probe.outcome == "holds":
            held = max(rate, held or 0.0)
            failed = [other for other in failed if other > rate]
        else:
            failed.append(rate)
        lowest = min(failed, default=None)
        if held is None or lowest is None:
            rate = rate * step if lowest is None else lowest / step
            step **= 1.5  # a first rate that is far off must not cost the budget
        elif lowest / held > resolution:
            rate = (held * lowest) ** 0.5
        elif failed.count(lowest) == 1:
            rate = lowest
        else:
            break
    return RateSearch(bound_ms=bound_ms, held=held, failed=min(failed, default=None), probes=tuple(probes))
