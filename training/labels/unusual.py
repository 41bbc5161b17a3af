"""What kinds share that tell unusual rows from usual ones by a number, the deviation: threshold, worth and picture.

Dimensions: N rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.release.spec import ParameterSpec
from training.release.statistics import bootstrap_interval, describe_figure, wilson_interval

_NUM_BINS = 50


def find_threshold(deviations: np.ndarray, usual_share: float) -> float:
    """The deviation that another usual row stays below with at least this chance, from those of N usual ones.

    Below N = share / (1 − share) no deviation promises that, and the greatest is taken.
    Source: Vovk, Gammerman and Shafer 2005, conformal prediction: the ⌈(N + 1) share⌉th smallest.
    """
    place = min(math.ceil((len(deviations) + 1) * usual_share), len(deviations))
    return float(np.sort(deviations)[place - 1])


def area_under_curve(rows: np.ndarray) -> float:
    """Chance that an unusual row has the greater number of two, ties counting half, of rows [N, 2]: number, is unusual.

    A draw of a bootstrap that has none of either tells nothing: 0.5.
    Source: Hanley and McNeil 1982: the area under the ROC curve is the Mann-Whitney statistic.
    """
    numbers, unusual = rows[:, 0], rows[:, 1] > 0
    if unusual.all() or not unusual.any():
        return 0.5
    usual = np.sort(numbers[~unusual])
    below, up_to = (np.searchsorted(usual, numbers[unusual], side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(usual)))


def describe_detection(
    own: np.ndarray, others: Mapping[str, np.ndarray], is_unusual: np.ndarray, threshold: float
) -> dict[str, Any]:
    """How well deviations [N] tell rows that are unusual, bool [N], and how many of those exceed the threshold.

    Beside it other methods' deviations [N] of the same rows, and own − other, paired.
    """
    rows = np.column_stack([own, is_unusual])
    count, detected = int(is_unusual.sum()), int((own[is_unusual] > threshold).sum())
    found: dict[str, Any] = {
        "n": count,
        "area_under_curve": {"value": area_under_curve(rows), "interval": bootstrap_interval(rows, area_under_curve)},
        "detected": {"value": detected / count, "interval": wilson_interval(detected, count)},
    }
    for method, numbers in others.items():
        found[method] = describe_figure(np.column_stack([numbers, is_unusual]), rows, area_under_curve)
    return found


def describe_alarms(deviations: np.ndarray, threshold: float) -> dict[str, Any]:
    """The share of usual rows' deviations [N] that exceed the threshold all the same."""
    alarms, count = int((deviations > threshold).sum()), len(deviations)
    return {"value": alarms / count, "interval": wilson_interval(alarms, count)}


def describe_threshold(
    threshold: float, usual_share: float, *, row: str, unit: str, maximum: float | None = None
) -> ParameterSpec:
    """Describe the parameter that says from which deviation, in `unit`, a row is unusual."""
    return ParameterSpec(
        name="threshold",
        kind="double",
        meaning=f"deviation in {unit} above which {row} is unusual; if absent {threshold:.4g}, which at most "
        f"{100 * (1 - usual_share):.2g} % of usual ones are expected to exceed",
        minimum=0,
        maximum=maximum,
    )


def draw_deviations(deviations: Mapping[str, np.ndarray], threshold: float, unit: str, path: Path) -> None:
    """Draw how far rows of each group deviate, and where the threshold lies."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    bins = np.linspace(0, max(float(each.max()) for each in deviations.values()), _NUM_BINS).tolist()
    for name, values in deviations.items():
        axes.hist(values, bins, density=True, alpha=0.5, label=f"{name} ({len(values)})")
    axes.axvline(threshold, color="black", linewidth=1, label=f"threshold {threshold:.3g}")
    axes.set(xlabel=f"deviation, {unit}", ylabel="density")
    axes.legend()
    figure.savefig(path, dpi=100)
