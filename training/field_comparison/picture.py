"""What a comparison found, as a picture: each choice's scores, seed by seed, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.field_comparison.comparing import Result


def draw_choices(results: Sequence[Result], field: str, path: Path) -> None:
    """A line for each seed across the choices, so that pairs can be seen, and a bar at each mean."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(1.6 + 1.2 * len(results), 4), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(results))
    for number, scores in enumerate(zip(*(result.scores for result in results), strict=True)):
        axis.plot(places, scores, marker="o", linewidth=0.7, alpha=0.7, label=f"seed {number}")
    means = [float(np.mean(result.scores)) for result in results]
    axis.hlines(means, places - 0.25, places + 0.25, color="black", label="mean")
    axis.set_xticks(places, [result.choice for result in results])
    axis.set(xlabel=field, ylabel="score of the last validation, higher is better")
    axis.grid(alpha=0.3, axis="y")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
