"""Whether a second load test is slower than a first one, beyond what noise explains.

The closed-loop levels of two tests are paired: same model, variant, protocol and callers. The logarithms of the ratios
of a pair's latencies average out what differs from level to level; their spread, and that of each run's own windows, is
the noise. What changed on the machine between two tests is no noise: test both in one hour on one machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from statistics import fmean, stdev

from scipy.special import stdtrit

from loadtests.judge.significance import CONFIDENCE, find_relative_variance
from loadtests.measure.recording import Part, Recording
from loadtests.results import Results, Run
from model_store.version import split_version

# A difference that nobody would act on.
TOLERANCE = 0.02
FEWEST_PAIRS = 2

Cell = tuple[str, int]
Measure = Callable[[Recording], float | None]
METRICS: Mapping[str, Measure] = {
    "mean latency": lambda recording: fmean(recording.find_means_ms()),
    "p99 latency": lambda recording: recording.find_percentile_ms(99.0),
}


class DifferenceError(ValueError):
    """Two tests have nothing in common that could be compared."""


class Difference(Part):
    """How a metric of one variant changed: `ratio` is the second test over the first, with its 98 % interval.

    A slowdown of `detectable` (a share) would have been called a regression as often as not.
    """

    model: str
    variant: str
    metric: str
    pairs: int
    ratio: float
    low: float
    high: float

    @property
    def is_regression(self) -> bool:
        return self.low > 1 + TOLERANCE

    @property
    def detectable(self) -> float:
        return (1 + TOLERANCE) * self.ratio / self.low - 1


def compare_results(first: Results, second: Results) -> list[Difference]:
    """Compare what both tests have of each model and variant; runs with errors are left out.

    Raises:
        DifferenceError: fewer than two levels of any variant are in both.
    """
    before, after = _collect_runs(first), _collect_runs(second)
    found = []
    for model, variant in before.keys() & after.keys():
        cells = sorted(before[model, variant].keys() & after[model, variant].keys())
        pairs = [(before[model, variant][cell], after[model, variant][cell]) for cell in cells]
        for metric, measure in METRICS.items():
            if difference := _compare(model, variant, metric, measure, pairs):
                found.append(difference)
    if not found:
        raise DifferenceError(f"{first.name} and {second.name} have no {FEWEST_PAIRS} levels of a variant in common")
    return sorted(found, key=lambda item: (item.model, item.variant, item.metric))


def _collect_runs(results: Results) -> dict[tuple[str, str], dict[Cell, list[Run]]]:
    found: dict[tuple[str, str], dict[Cell, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for model in results.models:
        for run in model.runs:
            if run.kind == "closed loop" and not run.recording.errors and run.recording.requests:
                variant = split_version(run.version)[1]  # releases differ, variants are compared
                found[model.index.model, variant][run.protocol, run.callers or 0].append(run)
    return found


def _compare(
    model: str, variant: str, metric: str, measure: Measure, pairs: Sequence[tuple[list[Run], list[Run]]]
) -> Difference | None:
    logs, errors = [], []
    for before, after in pairs:
        sides = [[measure(run.recording) for run in runs] for runs in (before, after)]
        values = [[value for value in side if value] for side in sides]
        if not all(values):
            continue
        logs.append(log(fmean(values[1]) / fmean(values[0])))
        errors += [
            find_relative_variance(run.recording.find_means_ms()) / len(runs) ** 2
            for runs in (before, after)
            for run in runs
        ]
    if len(logs) < FEWEST_PAIRS:
        return None
    between = stdev(logs) / len(logs) ** 0.5
    within = sum(errors) ** 0.5 / len(logs)
    # The windows know their noise from many values; a few levels know theirs badly, and Student's t says how badly.
    half = max(float(stdtrit(len(logs) - 1, CONFIDENCE)) * between, 2.33 * within)
    mean = fmean(logs)
    return Difference(
        model=model,
        variant=variant,
        metric=metric,
        pairs=len(logs),
        ratio=exp(mean),
        low=exp(mean - half),
        high=exp(mean + half),
    )
