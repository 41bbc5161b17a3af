"""Pictures of an evaluation: confusion matrix, reliability diagram, accuracy under attack and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def draw_robustness(figures: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy with its interval over the largest change of a pixel, by attack."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    for method in dict.fromkeys(row["method"] for row in figures):
        rows = [row for row in figures if row["method"] == method]
        bounds = [row["bound"] for row in rows]
        (line,) = axes.plot(bounds, [row["accuracy"] for row in rows], marker="o", label=method)
        edges = np.array([row["interval"] for row in rows])
        axes.fill_between(bounds, edges[:, 0], edges[:, 1], alpha=0.2, color=line.get_color(), linewidth=0)
    axes.set(xlabel="largest change of a pixel of 0 … 255", ylabel=f"accuracy of {figures[0]['n']} images", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def draw_groups(by_group: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw each group's accuracy with its interval, one panel for each attribute, the worst group first."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    most = max(len(found["groups"]) for found in by_group.values())
    figure = Figure(figsize=(5.5 * len(by_group), 1.5 + 0.3 * most), layout="constrained")
    panels = figure.subplots(1, len(by_group), squeeze=False)[0]
    for axes, (attribute, found) in zip(panels, by_group.items(), strict=True):
        ranked = sorted(found["groups"].items(), key=lambda item: item[1]["accuracy"], reverse=True)
        for place, (_, group) in enumerate(ranked):
            axes.plot(group["interval"], [place, place], color="tab:blue")
            axes.plot(group["accuracy"], place, marker="o", color="tab:blue")
        axes.set_yticks(range(len(ranked)), [f"{name} ({group['n']})" for name, group in ranked])
        axes.set(xlabel="accuracy with 95 % interval", title=f"by {attribute}, p = {found['p_value']:.2g} of the gap")
        axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=120)
