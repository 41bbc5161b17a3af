"""What a finished run is worth on signals that nothing was trained on, beside methods without a network.

Intervals are 95 %, bootstrapped over signals; differences are network − other, paired.
"""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.runs import write_json
from training.release.statistics import bootstrap_interval, describe_figure
from training.signal_denoiser.baselines import filter_by_wiener, pass_band
from training.signal_denoiser.data import SignalData
from training.signal_denoiser.network import load_network
from training.signal_denoiser.pictures import draw_gains, draw_signals
from training.signal_denoiser.program import clean_signals
from training.signal_denoiser.recipe import Recipe
from training.signal_denoiser.scores import score_signals

EVALUATION, PREDICTIONS = "evaluation.json", "predictions.npz"
NETWORK, WIENER, BAND = "network", "Wiener", "band of a monitor"
_NUM_GROUPS = 4


def evaluate_run(run: Path, data: SignalData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    network, recipe, _ = load_network(run)
    found = {NETWORK: clean_signals(network, data.test.noisy).numpy()} | answer_without_network(data, recipe)
    gains = {method: score_signals(own, data.test.noisy, data.test.clean) for method, own in found.items()}
    methods = {method: describe_figure(own, gains[NETWORK], _mean) for method, own in gains.items()}
    content = {
        "dataset": f"{data.name} test",
        "n": len(data.test),
        "methods": methods,
        "by_disturbance": measure_disturbed(gains, data),
    }
    write_json(run / EVALUATION, content)
    np.savez_compressed(run / PREDICTIONS, gain_db=gains[NETWORK], snr_db=data.test.snr_db.numpy())
    if importlib.util.find_spec("matplotlib") is not None:
        draw_signals(data, found, recipe.rate_hz, run / "signals.png")
        draw_gains(gains, data.test.snr_db.numpy(), run / "gain_by_disturbance.png")
    own, wiener = methods[NETWORK], methods[WIENER]
    return {
        "n": len(data.test),
        "gain_db": round(own["value"], 3),
        "interval": [round(end, 3) for end in own["interval"]],
        "minus_wiener": [round(value, 3) for value in (wiener["difference"], *wiener["difference_interval"])],
    }


def answer_without_network(data: SignalData, recipe: Recipe) -> dict[str, np.ndarray]:
    """What each simpler method makes of the test signals, float32 [N, L]."""
    return {
        WIENER: filter_by_wiener(data, recipe),
        BAND: pass_band(data.test.noisy, recipe.rate_hz),
    }


def measure_disturbed(gains: dict[str, np.ndarray], data: SignalData) -> dict[str, Any]:
    """Mean gain of each method with its interval, in quarters of the range of disturbances."""
    snr_db = data.test.snr_db.numpy()
    edges = np.linspace(snr_db.min(), snr_db.max(), _NUM_GROUPS + 1)
    group = np.digitize(snr_db, edges[1:-1])
    found: dict[str, Any] = {}
    for number, (low, high) in enumerate(pairwise(edges)):
        rows = group == number
        if rows.any():
            found[f"{low:.0f} to {high:.0f} dB"] = {"n": int(rows.sum())} | {
                method: {"value": _mean(own[rows]), "interval": bootstrap_interval(own[rows], _mean)}
                for method, own in gains.items()
            }
    return found


def _mean(gains: np.ndarray) -> float:
    return float(gains.mean())
