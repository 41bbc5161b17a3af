"""Pictures of an evaluation: fans of some forecasts, error by horizon, and what share of values each quantile bounds.

Dimensions: N windows, L steps of context, H steps of horizon, Q levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.forecaster.windows import Windows

_NUM_FANS = 9
_STYLES = {"network": ("tab:red", "-"), "linear": ("tab:blue", "--"), "seasonal-naive": ("tab:gray", ":")}


def draw_all(
    run: Path,
    windows: Windows,
    forecasts: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    levels: Sequence[float],
) -> None:
    """Draw every picture into the run's folder."""
    draw_fans(windows, forecasts, levels, run / "fans.png")
    draw_errors_by_horizon(scores, run / "errors_by_horizon.png")
    draw_calibration(windows, forecasts, levels, run / "calibration.png")


def draw_fans(windows: Windows, forecasts: Mapping[str, np.ndarray], levels: Sequence[float], path: Path) -> None:
    """Histories, what came, and the network's quantiles as a fan; beside them the median of seasonal-naive."""
    figure, axes = _make_figure(3, 3, (14, 8))
    chosen = np.linspace(0, len(windows) - 1, min(_NUM_FANS, len(windows))).round().astype(int)
    context, horizon = windows.history.shape[1], windows.future.shape[1]
    past, ahead = np.arange(-context, 0), np.arange(horizon)
    centre = len(levels) // 2
    for axis, row in zip(axes, chosen, strict=False):
        quantiles = forecasts["network"][row]
        axis.plot(past, windows.history[row], color="black", linewidth=0.8)
        axis.plot(ahead, windows.future[row], color="black", linewidth=0.8, marker=".", markersize=3, label="came")
        for outer in range(centre):
            band = f"{round(100 * (levels[-1 - outer] - levels[outer]))} %"
            edges = (quantiles[:, outer], quantiles[:, -1 - outer])
            axis.fill_between(ahead, *edges, color="tab:red", alpha=0.2, linewidth=0, label=band)
        axis.plot(ahead, quantiles[:, centre], color="tab:red", linewidth=1.2, label="median")
        naive = forecasts["seasonal-naive"][row, :, centre]
        axis.plot(ahead, naive, color="tab:gray", linestyle=":", linewidth=1, label="seasonal-naive")
        axis.set_title(f"{windows.names[row]}, season {int(windows.period[row])}", fontsize=9)
        axis.axvline(-0.5, color="silver", linewidth=0.6)
    for axis in axes[len(chosen) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=7, loc="upper left")
    figure.supxlabel("steps from the origin of the forecast")
    figure.savefig(path, dpi=100)


def draw_errors_by_horizon(scores: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Scaled pinball loss, scaled error of the median and coverage against the steps ahead, by method."""
    titles = {
        "pinball": "scaled pinball loss",
        "mase": "MASE of the median",
        "coverage": "share between the outermost quantiles",
    }
    figure, axes = _make_figure(1, 3, (14, 4))
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        for method, (colour, line) in _STYLES.items():
            means = scores[method][metric].mean(0)
            axis.plot(np.arange(1, len(means) + 1), means, color=colour, linestyle=line, label=method)
        axis.set(title=title, xlabel="steps ahead")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=100)


def draw_calibration(
    windows: Windows, forecasts: Mapping[str, np.ndarray], levels: Sequence[float], path: Path
) -> None:
    """How often what came lay below each quantile, against the quantile's level."""
    figure, (axis,) = _make_figure(1, 1, (5, 4.5))
    axis.plot([0, 1], [0, 1], color="silver", linewidth=1)
    future = windows.future.numpy()[..., None]
    for method, (colour, line) in _STYLES.items():
        below = (future <= forecasts[method]).mean((0, 1))
        axis.plot(levels, below, color=colour, linestyle=line, marker="o", markersize=4, label=method)
    axis.set(xlabel="level of the quantile", ylabel="share of values below it", xlim=(0, 1), ylim=(0, 1))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=100)


def _make_figure(num_rows: int, num_columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(num_rows, num_columns)).flat)
