"""Forecasts without a network: what was a season ago, and a linear function of the history.

Dimensions: N windows, L steps of context, H steps of horizon, Q levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.forecaster.data import Source
from training.forecaster.recipe import Recipe
from training.forecaster.windows import Windows
from training.sequences.scaling import measure_scale

_PENALTIES = (1e-2, 1.0, 1e2, 1e4)
_FIT_SEED, _NUM_FIT = 20_190_603, 6000


def forecast_seasonal_naive(windows: Windows, levels: Sequence[float]) -> np.ndarray:
    """Repeat the last season; quantiles [N, H, Q] are those of a normal distribution.

    Its deviation is that of the history's own seasonal differences, growing with the root of the seasons ahead.
    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), table 5.2.
    """
    histories, horizon = windows.history.double().numpy(), windows.future.shape[1]
    normal = np.array([NormalDist().inv_cdf(level) for level in levels])
    quantiles = np.empty((len(windows), horizon, len(levels)))
    for period in np.unique(windows.period.numpy()):
        rows = windows.period.numpy() == period
        history = histories[rows]
        median = history[:, -period:][:, np.arange(horizon) % period]
        deviation = np.sqrt(np.square(history[:, period:] - history[:, :-period]).mean(1))
        growth = np.sqrt(np.arange(horizon) // period + 1)
        quantiles[rows] = median[..., None] + deviation[:, None, None] * growth[:, None] * normal
    return quantiles


class LinearForecaster:
    """Ridge regression of every step on the scaled history; quantiles of its errors on windows that it was not fit to.

    The penalty is the best of a few on those windows.
    """

    def __init__(self, windows: Tensor, context: int, levels: Sequence[float]) -> None:
        """Fit on training windows float32 [N, L + H]: two thirds of them for the weights, a third for the errors."""
        level, scale = measure_scale(windows[:, :context])
        scaled = ((windows - level) / scale).double()
        # A constant history would be divided by next to nothing, and nobody could fit what follows.
        scaled = scaled[scaled.abs().amax(1) < 1 / np.sqrt(np.finfo(np.float32).eps)]
        middle = 2 * len(scaled) // 3
        inputs, targets = _with_one(scaled[:, :context]), scaled[:, context:]
        covariance = inputs[:middle].T @ inputs[:middle]
        product = inputs[:middle].T @ targets[:middle]
        identity = torch.eye(len(covariance), dtype=torch.float64)
        fits = [torch.linalg.solve(covariance + penalty * identity, product) for penalty in _PENALTIES]
        self.weights = min(fits, key=lambda fit: float((inputs[middle:] @ fit - targets[middle:]).abs().mean()))
        errors = targets[middle:] - inputs[middle:] @ self.weights
        self.offsets = torch.quantile(errors, torch.tensor(levels, dtype=torch.float64), dim=0).T

    def forecast(self, history: Tensor) -> np.ndarray:
        """Quantiles [N, H, Q] of histories [N, L]."""
        level, scale = measure_scale(history)
        median = _with_one(((history - level) / scale).double()) @ self.weights
        quantiles = (median[..., None] + self.offsets) * scale[..., None] + level[..., None]
        return quantiles.numpy()


def fit_linear(source: Source, recipe: Recipe) -> LinearForecaster:
    """Fit to training windows, always the same ones."""
    windows = source.sample(_NUM_FIT, generator_for(_FIT_SEED))
    return LinearForecaster(windows, recipe.context, recipe.levels)


def _with_one(history: Tensor) -> Tensor:
    return torch.cat([history, torch.ones_like(history[:, :1])], 1)
