"""What a finished run is worth on signals that nothing was trained on, beside simpler methods.

Dimensions: N signals, K labels.
"""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.labels.difference import describe_right
from training.labels.groups import measure_groups
from training.labels.pictures import draw_groups
from training.labels.record import record_evaluation
from training.signal_classifier.baselines import predict_by_centroid, predict_by_features
from training.signal_classifier.pictures import draw_signals
from training.signals.recordings import SignalData

NETWORK, FEATURES, CENTROID = "network", "logistic regression on features", "nearest mean spectrum"
_BANDS = 4


def evaluate_run(run: Path, logits: Tensor, data: SignalData, temperature: float, rate_hz: float) -> dict[str, Any]:
    """Record what the logits float32 [N, K] of the test signals are worth; return the headline figures."""
    right = {NETWORK: logits.argmax(1).numpy() == data.test.labels.numpy()} | judge_baselines(data, rate_hz)
    methods = {method: describe_right(own, right[NETWORK]) for method, own in right.items()}
    disturbed = measure_disturbed(right[NETWORK], data)
    headline = record_evaluation(
        run,
        logits,
        data.test.labels,
        temperature,
        data.labels,
        f"{data.name} test",
        methods=methods,
        by_disturbance=disturbed,
    )
    if importlib.util.find_spec("matplotlib") is not None:
        draw_signals(data, logits.argmax(1).numpy(), rate_hz, run / "signals.png")
        if disturbed:
            draw_groups({"power above disturbances": disturbed}, run / "accuracy_by_disturbance.png")
    features = methods[FEATURES]
    difference = (features["difference"], *features["difference_interval"])
    return headline | {
        "features": round(features["value"], 4),
        "minus_features": [round(value, 4) for value in difference],
    }


def judge_baselines(data: SignalData, rate_hz: float) -> dict[str, np.ndarray]:
    """Which test signals each simpler method names rightly, bool [N]."""
    truth = data.test.labels.numpy()
    return {
        FEATURES: predict_by_features(data, rate_hz) == truth,
        CENTROID: predict_by_centroid(data) == truth,
    }


def measure_disturbed(right: np.ndarray, data: SignalData) -> dict[str, Any]:
    """Accuracy in quarters of the range of disturbances; nothing where their strength is unknown."""
    if data.test.snr_db is None:
        return {}
    snr_db = data.test.snr_db.numpy()
    edges = np.linspace(snr_db.min(), snr_db.max(), _BANDS + 1)
    names = tuple(f"{low:.0f} to {high:.0f} dB" for low, high in pairwise(edges))
    return measure_groups(right, np.digitize(snr_db, edges[1:-1]), names)
