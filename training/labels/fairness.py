"""Whether labels are given to groups of rows alike: how often at all, and how often rightly and wrongly.

Sources: Dwork et al. 2012, https://arxiv.org/abs/1104.3913 (selection rates: demographic parity); Hardt et al. 2016,
https://arxiv.org/abs/1610.02413 (rates of true and false positives: equalized odds). Definitions as fairlearn's.
Dimensions: N rows, G groups, K labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from training.labels.groups import measure_groups


def measure_fairness(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, names: tuple[str, ...], label_names: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Of each rate, the label whose rate differs most between two groups, which they are, and by how much.

    All arrays are int [N]; `names` are those of the groups. Each label is taken against all others. Intervals are of
    the two groups that are named, `p_value` accounts for all groups and, by Bonferroni, for all labels that were tried.
    """
    rates: dict[str, Callable[[int], np.ndarray]] = {
        "selection_rate": lambda label: np.ones(len(labels), bool),
        "true_positive_rate": lambda label: labels == label,
        "false_positive_rate": lambda label: labels != label,
    }
    return {name: _find_widest(predicted, rows_of, groups, names, label_names) for name, rows_of in rates.items()}


def _find_widest(
    predicted: np.ndarray,
    rows_of: Callable[[int], np.ndarray],
    groups: np.ndarray,
    names: tuple[str, ...],
    label_names: tuple[str, ...],
) -> dict[str, Any]:
    """The label with the widest gap among the rows that its rate is about, of labels that have such rows."""
    found = {}
    for label, name in enumerate(label_names):
        rows = rows_of(label)
        if rows.any():
            found[name] = measure_groups(predicted[rows] == label, groups[rows], names)
    name = max(found, key=lambda name: found[name]["gap"])
    widest = found[name]
    rates = {end: widest["groups"][widest[end]]["accuracy"] for end in ("worst", "best")}
    return {
        "label": name,
        "lowest": {"group": widest["worst"], "rate": rates["worst"]},
        "highest": {"group": widest["best"], "rate": rates["best"]},
        "gap": widest["gap"],
        "gap_interval": widest["gap_interval"],
        "p_value": min(1.0, widest["p_value"] * len(found)),
    }
