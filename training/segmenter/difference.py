"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
        raise ValueError(f"{first} and {second} were evaluated on different test scenes; compare runs on the same data")
    shared = one.keys() & other.keys()
    if shared == {"truth"}:
        raise ValueError(f"{first} and {second} have no task in common: one makes masks, the other labels")
    lines = [f"{len(one['truth'])} test scenes; second − first"]
    for metric, aggregate in MASK_METRICS.items() if "counts" in shared else ():
        values = [aggregate(each["counts"]) for each in (one, other)]
        low, high, p_value = paired_bootstrap(other["counts"], one["counts"], aggregate)
        lines.append(_describe(metric, values, (low, high), p_value, "paired bootstrap"))
    if "right" in shared:
        found = compare_rows(one["right"], other["right"])
        values = [float(each["right"].mean()) for each in (one, other)]
        lines.append(_describe("accuracy", values, found.interval, found.p_value, "McNemar"))
    return "\n".join(lines)


def _describe(metric: str, values: list[float], interval: tuple[float, float], p_value: float, test: str) -> str:
    low, high = interval
    verdict = "they differ" if low > 0 or high < 0 else "no difference shown"
    return (
        f"{metric:14} {values[0]:.4f} → {values[1]:.4f}: {values[1] - values[0]:+.4f} "
        f"(95 % interval {low:+.4f} … {high:+.4f}), {test} p = {p_value:.3g}: {verdict}"
    )
