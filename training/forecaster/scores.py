"""What a forecast is worth, per window and in sums over windows.

Dimensions: N windows, L steps of context, H steps of horizon, Q levels, C clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.forecaster.windows import Windows

_LEAST_SCALE = 1e-6  # of the history's mean size: a constant history has no seasonal difference


def pinball_losses(quantiles: np.ndarray, future: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Pinball loss [N, H], averaged over levels, of quantiles [N, H, Q] against what came, [N, H].

    Source: Koenker and Bassett 1978, eq. 3.1.
    """
    above = future[..., None] - quantiles
    level = np.asarray(levels)
    losses: np.ndarray = np.maximum(level * above, (level - 1) * above).mean(-1)
    return losses


def seasonal_scales(windows: Windows) -> np.ndarray:
    """Mean absolute difference [N] of each history to itself a season before, by which errors are divided.

    Source: Hyndman and Koehler 2006, Another look at measures of forecast accuracy, section 3 (seasonal MASE).
    """
    histories, periods = windows.history.double().numpy(), windows.period.numpy()
    scales = np.empty(len(histories))
    for period in np.unique(periods):
        rows = periods == period
        scales[rows] = np.abs(histories[rows, period:] - histories[rows, :-period]).mean(1)
    least = _LEAST_SCALE * np.abs(histories).mean(1) + np.finfo(np.float32).tiny
    return np.maximum(scales, least)


def score_steps(quantiles: np.ndarray, windows: Windows, levels: Sequence[float]) -> dict[str, np.ndarray]:
    """Score forecasts [N, H, Q] step by step: scaled pinball loss, scaled error of the median, and coverage, [N, H].

    Coverage is 1 where the outermost quantiles enclose what came, else 0.
    """
    future = windows.future.double().numpy()
    scales = seasonal_scales(windows)[:, None]
    quantiles = quantiles.astype(np.float64)
    return {
        "pinball": pinball_losses(quantiles, future, levels) / scales,
        "mase": np.abs(quantiles[..., len(levels) // 2] - future) / scales,
        "coverage": ((future >= quantiles[..., 0]) & (future <= quantiles[..., -1])).astype(np.float64),
    }


def sum_clusters(scores: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Sums and counts [C, 2] of scores [N] by cluster: what the bootstrap resamples."""
    sums = np.bincount(cluster, scores)
    return np.stack([sums, np.bincount(cluster)], 1)


def mean_of_clusters(sums: np.ndarray) -> float:
    """The mean over windows from sums and counts [C, 2]."""
    return float(sums[:, 0].sum() / sums[:, 1].sum())


def saved_percent(scores: np.ndarray) -> float:
    """Percent of a baseline's loss that is saved, from losses and the baseline's [N, 2]."""
    return float(100 * (1 - scores[:, 0].sum() / scores[:, 1].sum()))
