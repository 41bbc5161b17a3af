"""A table of networks and simpler methods that answered the same rows by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.labels.difference import compare_rows
from training.release.statistics import wilson_interval

_NOTHING = ("–", "–")


def format_table(right: Mapping[str, np.ndarray], costs: Mapping[str, Sequence[str]]) -> str:
    """Write which test rows, bool [N], each method got right as a Markdown table; differences are first − row.

    `costs` are the cells of `format_cost` of those methods that are networks.
    """
    first = next(iter(right))
    lines = [
        "| method | accuracy | first − row, points | right alone: first, row | McNemar p | parameters | training s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, own in right.items():
        low, high = wilson_interval(int(own.sum()), len(own))
        cells = [f"{100 * own.mean():.2f} % ({100 * low:.2f} … {100 * high:.2f})", "", "", ""]
        if name != first:
            found = compare_rows(own, right[first])
            low, high = found.interval
            cells[1:] = [
                f"{100 * found.difference:+.2f} ({100 * low:+.2f} … {100 * high:+.2f})",
                f"{found.only_second_right}, {found.only_first_right}",
                f"{found.p_value:.3g}",
            ]
        cells += costs.get(name, _NOTHING)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
