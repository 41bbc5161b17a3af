"""The levels of two tests in pairs, metric by metric, and how much pairs differ by chance.

Levels pair by model, variant, kind, protocol and callers. The logarithms of the ratios of a pair average out what
differs from level to level; their spread, pooled over all variants, and that of each run's own windows, is the noise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log
from statistics import fmean
from typing import NamedTuple

from scipy.special import stdtrit

from loadtests.judge.significance import CONFIDENCE, find_relative_variance
from loadtests.results import Kind, Results, Run
from model_store.version import split_version

# A difference that nobody would act on; memory differs by more from one start of a server to the next.
TOLERANCE, MEMORY_TOLERANCE = 0.02, 0.05
SURE = 2.33  # the normal distribution's quantile of CONFIDENCE

Variant = tuple[str, str]
Cell = tuple[Kind, str, int]
Cells = Mapping[Cell, Sequence[Run]]


class Metric(NamedTuple):
    """What is compared of runs of one kind; the noise between pairs is that of the metric `noise_of`.

    Levels of one test that share what differs between tests, as a worker's memory, count as one pair.
    """

    kind: Kind
    measure: Callable[[Run], float | None]
    is_higher_better: bool
    noise_of: str
    tolerance: float = TOLERANCE
    is_shared: bool = False


METRICS: Mapping[str, Metric] = {
    "mean latency": Metric("closed loop", lambda run: fmean(run.recording.find_means_ms()), False, "mean latency"),
    "p99 latency": Metric("closed loop", lambda run: run.recording.find_percentile_ms(99.0), False, "p99 latency"),
    "throughput": Metric("closed loop", lambda run: run.recording.rows_per_s, True, "throughput"),
    # One run a variant: how much pairs differ is seen from the levels of the closed loops.
    "Offline throughput": Metric("Offline", lambda run: run.recording.rows_per_s, True, "throughput"),
    "worker memory": Metric(
        "closed loop", lambda run: run.worker_bytes, False, "worker memory", MEMORY_TOLERANCE, is_shared=True
    ),
}


@dataclass(frozen=True)
class Pairs:
    """The ratios of one metric of one variant, as logarithms, and the noise of their mean and of one of them.

    `within` is the variance of the mean that the runs' own windows show, `between` that from pair to pair.
    """

    logs: Sequence[float]
    within: float
    between: float
    degrees: int
    is_shared: bool

    @property
    def mean(self) -> float:
        return fmean(self.logs)

    @property
    def half(self) -> float:
        """Half the 98 % interval of the mean."""
        # The windows know their noise from many values; a few levels know theirs badly, and Student's t says so.
        return max(self.half_of_one / (1 if self.is_shared else len(self.logs)) ** 0.5, SURE * self.within**0.5)

    @property
    def half_of_one(self) -> float:
        """Half the 98 % interval of a single pair."""
        return float(stdtrit(self.degrees, CONFIDENCE)) * self.between**0.5


def pair_levels(first: Results, second: Results) -> dict[str, dict[Variant, Pairs]]:
    """Pair what both tests have in common; by metric and variant, where anything shows the noise."""
    before, after = collect_runs(first), collect_runs(second)
    variants = sorted(before.keys() & after.keys())
    found = {
        name: {variant: _measure_pairs(metric, before[variant], after[variant]) for variant in variants}
        for name, metric in METRICS.items()
    }
    paired: dict[str, dict[Variant, Pairs]] = {}
    for name, metric in METRICS.items():
        between, degrees = _pool([logs for logs, _ in found[metric.noise_of].values()])
        paired[name] = {
            variant: Pairs(logs, within, between, degrees, metric.is_shared)
            for variant, (logs, within) in found[name].items()
            if logs and degrees
        }
    return paired


def collect_runs(results: Results) -> dict[Variant, dict[Cell, list[Run]]]:
    """Collect a test's runs without errors by variant and level."""
    found: dict[Variant, dict[Cell, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for model in results.models:
        for run in model.runs:
            if not run.recording.errors and run.recording.requests:
                variant = split_version(run.version)[1]  # releases differ, variants are compared
                found[model.index.model, variant][run.kind, run.protocol, run.callers or 0].append(run)
    return found


class Goodput(NamedTuple):
    """How a variant's answers in time changed: the second test over the first, with a 98 % interval."""

    levels: int
    ratio: float
    low: float
    high: float


def compare_goodput(before: Cells, after: Cells, bound_ms: float, latency: Pairs, throughput: Pairs) -> Goodput | None:
    """Compare the rows in time that all levels gave a second; None where the first test had none in time.

    Near the bound a little more latency makes many answers late. What chance moves a level's latency by, it may as well
    have moved the bound by: how many more, or fewer, would then have been in time is the level's noise.
    """
    cells = [cell for cell in before.keys() & after.keys() if cell[0] == "closed loop"]
    moved = exp(latency.half_of_one)
    then, now, fewest, most = (
        [_count_in_time(runs[cell], bound) for cell in cells]
        for runs, bound in (
            (before, bound_ms),
            (after, bound_ms),
            (after, bound_ms / moved),
            (after, bound_ms * moved),
        )
    )
    if not sum(then):
        return None
    speed = sum(now) * throughput.half
    low, high = (
        hypot(speed, *(some - usual for some, usual in zip(side, now, strict=True))) for side in (fewest, most)
    )
    before_all = sum(then)
    return Goodput(
        levels=len(cells),
        ratio=sum(now) / before_all,
        low=max(0.0, sum(now) - low) / before_all,
        high=(sum(now) + high) / before_all,
    )


def _count_in_time(runs: Sequence[Run], bound_ms: float) -> float:
    """Rows a second that were answered within a bound, the mean of a level's runs."""
    recordings = [run.recording for run in runs]
    return fmean(each.count_in_time(bound_ms) / each.requests * each.rows_per_s for each in recordings)


def _measure_pairs(metric: Metric, before: Cells, after: Cells) -> tuple[list[float], float]:
    """The pairs' logarithms, and the variance of their mean that the runs' own windows show."""
    logs, errors = [], []
    for cell in sorted(cell for cell in before.keys() & after.keys() if cell[0] == metric.kind):
        sides = [before[cell], after[cell]]
        values = [[value for run in runs if (value := metric.measure(run))] for runs in sides]
        if all(values):
            logs.append(log(fmean(values[1]) / fmean(values[0])))
            if not metric.is_shared:
                errors += [
                    find_relative_variance(run.recording.find_means_ms()) / len(runs) ** 2
                    for runs in sides
                    for run in runs
                ]
    return logs, sum(errors) / max(1, len(logs)) ** 2


def _pool(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance within groups, each about its own mean, and its degrees of freedom."""
    degrees = sum(len(group) - 1 for group in groups if group)
    squares = sum((value - fmean(group)) ** 2 for group in groups for value in group)
    return (squares / degrees if degrees else 0.0), degrees
