"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.labels.difference import compare_rows
from training.release.statistics import paired_bootstrap
from training.segmenter.evaluate import MASK_METRICS, PREDICTIONS


def compare_runs(first: Path, second: Path) -> str:
    """Compare what two finished runs say of the same test scenes; returns the findings as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test scenes, or have no task in common.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if not np.array_equal(one["truth"], other["truth"]):
        raise other_test(first, second, "scenes")
    shared = one.keys() & other.keys()
    if shared == {"truth"}:
        raise ValueError(f"{first} and {second} have no task in common: one makes masks, the other labels")
    lines = [f"{len(one['truth'])} test scenes; second − first"]
    for metric, aggregate in MASK_METRICS.items() if "counts" in shared else ():
        first_value, second_value = (aggregate(each["counts"]) for each in (one, other))
        low, high, p_value = paired_bootstrap(other["counts"], one["counts"], aggregate)
        found = describe_difference(first_value, second_value, (low, high), p_value, test="paired bootstrap")
        lines.append(f"{metric:14} {found}")
    if "right" in shared:
        first_value, second_value = (float(each["right"].mean()) for each in (one, other))
        rows = compare_rows(one["right"], other["right"])
        found = describe_difference(first_value, second_value, rows.interval, rows.p_value, test="McNemar")
        lines.append(f"{'accuracy':14} {found}")
    return "\n".join(lines)
