"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.autoencoder.evaluate import METRICS, PREDICTIONS
from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.labels.difference import compare_rows
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare what comes back of the same test images in two finished runs; returns the findings as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test images.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if not np.array_equal(one["labels"], other["labels"]) or not np.allclose(
        one["scores"][:, 1], other["scores"][:, 1]
    ):
        raise other_test(first, second, "images")
    lines = [f"{len(one['labels'])} test images; second − first"]
    for metric, aggregate in METRICS.items():
        values = [aggregate(each["scores"]) for each in (one, other)]
        low, high, p_value = paired_bootstrap(other["scores"], one["scores"], aggregate)
        found = describe_difference(values[0], values[1], (low, high), p_value, test="paired bootstrap")
        lines.append(f"{metric:14} {found}")
    if "right" in one:
        compared = compare_rows(one["right"], other["right"])
        values = [float(each["right"].mean()) for each in (one, other)]
        found = describe_difference(values[0], values[1], compared.interval, compared.p_value, test="McNemar")
        lines.append(f"{'probe_accuracy':14} {found}")
    return "\n".join(lines)
