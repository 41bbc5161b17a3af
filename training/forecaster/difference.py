"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.forecaster.evaluate import METRICS, PREDICTIONS
from training.forecaster.scores import mean_of_clusters, sum_clusters
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare two finished runs' forecasts of the same test windows; returns the findings as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test windows.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if not np.array_equal(one["future"], other["future"]):
        raise other_test(first, second, "windows")
    lines = [f"{len(one['future'])} test windows; second − first, paired bootstrap"]
    for metric in METRICS:
        sums = [sum_clusters(scores[metric], one["cluster"]) for scores in (one, other)]
        means = [mean_of_clusters(each) for each in sums]
        low, high, p_value = paired_bootstrap(sums[1], sums[0], mean_of_clusters)
        lines.append(f"{metric:8} {describe_difference(means[0], means[1], (low, high), p_value)}")
    return "\n".join(lines)
