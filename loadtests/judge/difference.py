"""Whether a second load test is worse than a first one, beyond what noise explains.

The levels of two tests are paired: same model, variant, kind, protocol and callers. The logarithms of the ratios of a
pair average out what differs from level to level; their spread, pooled over all variants, and that of each run's own
windows, is the noise. Rates that searches found are told apart by what was shown to hold and what was not, quality by
its intervals. What changed on the machine between two tests is no noise: test both in one hour on one machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, hypot, inf, log
from statistics import fmean
from typing import NamedTuple

from scipy.special import stdtrit

from loadtests.judge.rate_search import RateSearch
from loadtests.judge.significance import CONFIDENCE, find_relative_variance
from loadtests.measure.recording import Part, Recording
from loadtests.results import Kind, Results, Run
from model_store.manifest import Quality
from model_store.version import split_version

# A difference that nobody would act on.
TOLERANCE = 0.02
# Quantiles of the normal distribution: of CONFIDENCE, and of the intervals that a release's quality comes with.
SURE, OF_INTERVAL = 2.33, 1.96

Variant = tuple[str, str]
Cell = tuple[Kind, str, int]


class Metric(NamedTuple):
    """What is compared of runs of one kind; the noise between pairs is that of the metric `noise_of`."""

    kind: Kind
    measure: Callable[[Recording], float | None]
    is_higher_better: bool
    noise_of: str


METRICS: Mapping[str, Metric] = {
    "mean latency": Metric("closed loop", lambda run: fmean(run.find_means_ms()), False, "mean latency"),
    "p99 latency": Metric("closed loop", lambda run: run.find_percentile_ms(99.0), False, "p99 latency"),
    "throughput": Metric("closed loop", lambda run: run.rows_per_s, True, "throughput"),
    # One run a variant: how much pairs differ is seen from the levels of the closed loops.
    "Offline throughput": Metric("Offline", lambda run: run.rows_per_s, True, "throughput"),
}


class DifferenceError(ValueError):
    """Two tests have nothing in common that could be compared."""


class Difference(Part):
    """How a metric of one variant changed: `ratio` is the second test over the first, with its 98 % interval.

    A change for the worse of `detectable` (a share) would have been called a regression as often as not.
    """

    model: str
    variant: str
    metric: str
    pairs: int
    ratio: float
    low: float
    high: float
    is_higher_better: bool = False
    tolerance: float = TOLERANCE

    @property
    def is_regression(self) -> bool:
        return self._worse[1] > 1 + self.tolerance

    @property
    def detectable(self) -> float:
        worse, at_least = self._worse
        return (1 + self.tolerance) * worse / at_least - 1 if at_least else inf

    @property
    def _worse(self) -> tuple[float, float]:
        """How many times as bad it became, and at least."""
        return (1 / self.ratio, 1 / self.high) if self.is_higher_better else (self.ratio, self.low)


class _Pairs(NamedTuple):
    logs: list[float]
    within: float  # variance of their mean that the runs' own windows show


def compare_results(first: Results, second: Results) -> list[Difference]:
    """Compare what both tests have of each model and variant; runs with errors are left out.

    Raises:
        DifferenceError: they have not two levels of a variant in common.
    """
    found = [*_compare_levels(first, second), *_compare_rates(first, second), *_compare_quality(first, second)]
    if not any(item.metric in METRICS for item in found):
        raise DifferenceError(f"{first.name} and {second.name} have no two levels of a variant in common")
    return sorted(found, key=lambda item: (item.model, item.variant, item.metric))


def _compare_levels(first: Results, second: Results) -> Iterator[Difference]:
    before, after = _collect_runs(first), _collect_runs(second)
    pairs = {
        name: {
            variant: _measure_pairs(metric, before[variant], after[variant]) for variant in before.keys() & after.keys()
        }
        for name, metric in METRICS.items()
    }
    for name, metric in METRICS.items():
        between, degrees = _pool([each.logs for each in pairs[metric.noise_of].values()])
        for (model, variant), (logs, within) in pairs[name].items():
            if not logs or not degrees:
                continue
            # The windows know their noise from many values; a few levels know theirs badly, and Student's t says so.
            half = max(float(stdtrit(degrees, CONFIDENCE)) * (between / len(logs)) ** 0.5, SURE * within**0.5)
            mean = fmean(logs)
            yield Difference(
                model=model,
                variant=variant,
                metric=name,
                pairs=len(logs),
                ratio=exp(mean),
                low=exp(mean - half),
                high=exp(mean + half),
                is_higher_better=metric.is_higher_better,
            )


def _collect_runs(results: Results) -> dict[Variant, dict[Cell, list[Run]]]:
    found: dict[Variant, dict[Cell, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for model in results.models:
        for run in model.runs:
            if not run.recording.errors and run.recording.requests:
                variant = split_version(run.version)[1]  # releases differ, variants are compared
                found[model.index.model, variant][run.kind, run.protocol, run.callers or 0].append(run)
    return found


def _measure_pairs(metric: Metric, before: Mapping[Cell, list[Run]], after: Mapping[Cell, list[Run]]) -> _Pairs:
    logs, errors = [], []
    for cell in sorted(cell for cell in before.keys() & after.keys() if cell[0] == metric.kind):
        sides = [before[cell], after[cell]]
        values = [[value for run in runs if (value := metric.measure(run.recording))] for runs in sides]
        if all(values):
            logs.append(log(fmean(values[1]) / fmean(values[0])))
            errors += [
                find_relative_variance(run.recording.find_means_ms()) / len(runs) ** 2 for runs in sides for run in runs
            ]
    return _Pairs(logs, sum(errors) / max(1, len(logs)) ** 2)


def _pool(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance within groups, each about its own mean, and its degrees of freedom."""
    degrees = sum(len(group) - 1 for group in groups if group)
    squares = sum((value - fmean(group)) ** 2 for group in groups for value in group)
    return (squares / degrees if degrees else 0.0), degrees


def _compare_rates(first: Results, second: Results) -> Iterator[Difference]:
    """Compare the rates within the bound, where both tests held to the same one."""
    before, after = _collect_searches(first), _collect_searches(second)
    for (model, variant), then in before.items():
        now = after.get((model, variant))
        if now is None or now.bound_ms != then.bound_ms or then.held is None or (now.held or now.failed) is None:
            continue
        high = now.failed / then.held if now.failed else inf
        yield Difference(
            model=model,
            variant=variant,
            metric="rate within the bound",
            pairs=1,
            ratio=now.held / then.held if now.held else high,
            low=now.held / then.failed if now.held and then.failed else 0.0,
            high=high,
            is_higher_better=True,
        )


def _collect_searches(results: Results) -> dict[Variant, RateSearch]:
    return {
        (model.index.model, split_version(search.version)[1]): search.found
        for model in results.models
        for search in model.searches
    }


def _compare_quality(first: Results, second: Results) -> Iterator[Difference]:
    """Compare the quality of two releases, as each was measured on the same held-out rows when it was made."""
    before, after = _collect_quality(first), _collect_quality(second)
    for (model, variant), then in before.items():
        now = after.get((model, variant))
        if now is None or (now.metric, now.dataset_digest) != (then.metric, then.dataset_digest) or then.value <= 0:
            continue
        half = SURE / OF_INTERVAL * hypot(*((each.interval[1] - each.interval[0]) / 2 for each in (then, now)))
        yield Difference(
            model=model,
            variant=variant,
            metric=then.metric,
            pairs=1,
            ratio=now.value / then.value,
            low=(now.value - half) / then.value,
            high=(now.value + half) / then.value,
            is_higher_better=then.higher_is_better,
            tolerance=0.0,
        )


def _collect_quality(results: Results) -> dict[Variant, Quality]:
    return {
        (model.index.model, manifest.variant): manifest.quality for model in results.models for manifest in model.served
    }
