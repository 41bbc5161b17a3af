"""Whether a second load test is worse than a first one, beyond what noise explains.

Levels are compared in pairs (`levels.py`), answers in time by as much as chance moves the bound. Rates that searches
found are told apart by what was shown to hold and what was not, quality by its intervals. What changed on the machine
between two tests is no noise: test both in one hour on one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, hypot, inf

from loadtests.judge.levels import METRICS, SURE, TOLERANCE, Variant, collect_runs, compare_goodput, pair_levels
from loadtests.judge.rate_search import RateSearch
from loadtests.measure.recording import Part
from loadtests.results import Results
from model_store.measured import Quality
from model_store.version import split_version

OF_INTERVAL = 1.96  # the normal distribution's quantile of the intervals that a release's quality comes with


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
        return (1 + self.tolerance) * worse / at_least - 1 if 0 < at_least < inf else inf

    @property
    def _worse(self) -> tuple[float, float]:
        """How many times as bad it became, and at least."""
        if not self.is_higher_better:
            return self.ratio, self.low
        return (1 / self.ratio if self.ratio else inf), (1 / self.high if self.high else inf)


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
    paired = pair_levels(first, second)
    for name, metric in METRICS.items():
        for (model, variant), pairs in paired[name].items():
            yield Difference(
                model=model,
                variant=variant,
                metric=name,
                pairs=1 if metric.is_shared else len(pairs.logs),
                ratio=exp(pairs.mean),
                low=exp(pairs.mean - pairs.half),
                high=exp(pairs.mean + pairs.half),
                is_higher_better=metric.is_higher_better,
                tolerance=metric.tolerance,
            )
    before, after = collect_runs(first), collect_runs(second)
    bounds = [{model.index.model: model.bound.ms for model in test.models} for test in (first, second)]
    for (model, variant), latency in paired["mean latency"].items():
        bound_ms, throughput = bounds[0][model], paired["throughput"][model, variant]
        if bounds[1][model] != bound_ms:
            continue
        found = compare_goodput(before[model, variant], after[model, variant], bound_ms, latency, throughput)
        if found is not None:
            yield Difference(
                model=model,
                variant=variant,
                metric="goodput",
                pairs=found.levels,
                ratio=found.ratio,
                low=found.low,
                high=found.high,
                is_higher_better=True,
            )


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
