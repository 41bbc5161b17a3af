"""What a finished run is worth on windows that nothing was trained on, beside seasonal-naive and a linear forecaster.

Every figure has a 95 % bootstrap interval over clusters of windows: each generated window is a series of its own; of a
real series those whose futures begin in the same horizon count as one. Differences are paired.
Dimensions: N windows, H steps of horizon, Q levels.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.runs import write_json
from training.forecaster.baselines import fit_linear, forecast_seasonal_naive
from training.forecaster.data import SeriesData
from training.forecaster.network import load_network
from training.forecaster.pictures import draw_all
from training.forecaster.program import forecast_network
from training.forecaster.recipe import Recipe
from training.forecaster.scores import mean_of_clusters, saved_percent, score_steps, sum_clusters
from training.release.statistics import bootstrap_interval, paired_bootstrap

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.npz"
NETWORK, NAIVE, LINEAR = "network", "seasonal-naive", "linear"
METRICS = ("pinball", "mase", "coverage")

Scores = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One method by one metric, with its interval; `difference` is network − method with its interval and p value."""

    method: str
    metric: str
    value: float
    interval: tuple[float, float]
    difference: tuple[float, float, float, float] | None = None


def evaluate_run(run: Path, data: SeriesData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    network, recipe = load_network(run)
    forecasts = {NETWORK: forecast_network(network, data.test.history)} | forecast_baselines(data, recipe)
    scores = {method: score_steps(quantiles, data.test, recipe.levels) for method, quantiles in forecasts.items()}
    figures = compare_methods(scores, data.test.cluster)
    write_json(
        run / EVALUATION,
        {
            "dataset": f"{data.name} test",
            "n": len(data.test),
            "num_clusters": len(np.unique(data.test.cluster)),
            "figures": [asdict(figure) for figure in figures],
        },
    )
    np.savez_compressed(
        run / PREDICTIONS,
        future=data.test.future.numpy(),
        cluster=data.test.cluster,
        **{metric: scores[NETWORK][metric].mean(1) for metric in METRICS},
    )
    if importlib.util.find_spec("matplotlib") is not None:
        draw_all(run, data.test, forecasts, scores, recipe.levels)
    return headline(figures, scores, len(data.test))


def forecast_baselines(data: SeriesData, recipe: Recipe) -> dict[str, np.ndarray]:
    """Quantiles [N, H, Q] of the test windows by seasonal-naive and by ridge regression on training windows."""
    return {
        NAIVE: forecast_seasonal_naive(data.test, recipe.levels),
        LINEAR: fit_linear(data.source, recipe).forecast(data.test.history),
    }


def compare_methods(scores: Scores, cluster: np.ndarray) -> list[Figure]:
    """Average each method's scores, and pair the others with the network."""
    figures = []
    for method, own in scores.items():
        for metric in METRICS:
            sums, first = (sum_clusters(each[metric].mean(1), cluster) for each in (own, scores[NETWORK]))
            difference = None
            if method != NETWORK:
                low, high, p_value = paired_bootstrap(first, sums, mean_of_clusters)
                difference = (mean_of_clusters(first) - mean_of_clusters(sums), low, high, p_value)
            figures.append(
                Figure(
                    method=method,
                    metric=metric,
                    value=mean_of_clusters(sums),
                    interval=bootstrap_interval(sums, mean_of_clusters),
                    difference=difference,
                )
            )
    return figures


def headline(figures: list[Figure], scores: Scores, n: int) -> dict[str, Any]:
    """The figures that a run is told by."""
    own = {figure.metric: figure for figure in figures if figure.method == NETWORK}
    losses = np.stack([scores[method]["pinball"].mean(1) for method in (NETWORK, NAIVE)], 1)
    naive = next(figure for figure in figures if (figure.method, figure.metric) == (NAIVE, "pinball"))
    assert naive.difference is not None
    found: dict[str, Any] = {"n": n, "saved_percent": round(saved_percent(losses), 2)}
    for metric, figure in own.items():
        found |= {metric: round(figure.value, 4), f"{metric}_interval": [round(end, 4) for end in figure.interval]}
    return found | {"pinball_minus_naive": [round(value, 4) for value in naive.difference[:3]]}
