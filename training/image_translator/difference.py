"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference
from training.engine.runs import read_arrays
from training.image_translator.evaluate import MEASURED
from training.image_translator.measurement import METRICS
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare what two finished runs make of the same test sources; returns the findings as text.

    Raises:
        FileNotFoundError: a run has nothing measured because it did not finish.
        ValueError: the runs were evaluated on different images or by different classifiers.
    """
    one, other = (read_arrays(run, MEASURED) for run in (first, second))
    if not _is_same_test(one, other):
        raise ValueError(
            f"{first} and {second} were judged by different classifiers or on different data; train both with the same "
            "--data and the same --set judge=RUN"
        )
    shared = [metric for metric in METRICS if metric in one and metric in other]
    lines = [f"{len(one[shared[0]])} test images; second − first"]
    for metric in shared:
        aggregate = METRICS[metric]
        low, high, p_value = paired_bootstrap(other[metric], one[metric], aggregate)
        before, after = (aggregate(rows[metric]) for rows in (one, other))
        lines.append(f"{metric:14} {describe_difference(before, after, (low, high), p_value, test='paired bootstrap')}")
    return "\n".join(lines)


def _is_same_test(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether both were held against the same images, as the same eyes see them."""
    if {metric: rows.shape for metric, rows in one.items()} != {metric: rows.shape for metric, rows in other.items()}:
        return False
    if "frechet" not in one:
        return True
    return np.allclose(one["frechet"][:, 1], other["frechet"][:, 1], atol=1e-2, rtol=1e-2)
