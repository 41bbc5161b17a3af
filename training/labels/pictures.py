"""Pictures of an evaluation: the confusion matrix and the reliability diagram."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.labels.figures import Reliability


def draw_confusion_matrix(matrix: np.ndarray, names: tuple[str, ...], path: Path) -> None:
    """Draw counts int64 [K, K], coloured by the share of the true class."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    size = max(4.0, 0.55 * len(names) + 1.5)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(names) <= 25:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)
    figure.savefig(path, dpi=120)


def draw_reliability(before: Reliability, after: Reliability, path: Path) -> None:
    """Draw accuracy over confidence before and after temperature scaling, with the rows in each bin below."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(5, 5.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color="grey", linestyle="dotted")
    for reliability, name in ((before, "as trained"), (after, "temperature-scaled")):
        filled = reliability.count > 0
        upper.plot(
            reliability.confidence[filled],
            reliability.accuracy[filled],
            marker="o",
            label=f"{name}, ECE {100 * reliability.expected_error:.2f} %",
        )
    upper.set_ylabel("accuracy")
    upper.legend()
    edges = np.linspace(0, 1, len(after.count) + 1)
    lower.bar(edges[:-1], after.count, width=np.diff(edges), align="edge")
    lower.set_yscale("log")
    lower.set_ylabel("rows")
    lower.set_xlabel("confidence of the predicted class")
    figure.savefig(path, dpi=120)
