"""How well a finished run tells unusual signals from usual ones, beside methods without a network.

The figure is the area under the ROC curve, the chance that an unusual signal deviates more than a usual one. Intervals
are 95 %, bootstrapped over signals, those of shares Wilson's; differences are network − other, paired.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from training.anomaly_detector.baselines import deviate_by_features, deviate_from_components
from training.anomaly_detector.data import UsualData
from training.anomaly_detector.network import count_code, load_network
from training.anomaly_detector.pictures import draw_signals
from training.anomaly_detector.program import answer_signals
from training.anomaly_detector.recipe import Recipe
from training.engine.runs import write_json
from training.labels.unusual import describe_alarms, describe_detection, draw_deviations

EVALUATION, PREDICTIONS = "evaluation.json", "predictions.npz"
COMPONENTS, FEATURES = "principal components", "measured features"


def evaluate_run(run: Path, data: UsualData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    network, recipe, stored = load_network(run)
    threshold, signals = stored["threshold"], data.test.values
    answer = answer_signals(network, signals)
    others = deviate_without_network(data, recipe)
    labels, is_unusual = data.test.labels.numpy(), data.is_unusual
    groups = {"all": np.ones(len(labels), bool)} | {
        data.labels[number]: ~is_unusual | (labels == number) for number in np.unique(labels[is_unusual])
    }
    unusual = {
        name: describe_detection(
            answer.deviation[rows], {method: each[rows] for method, each in others.items()}, is_unusual[rows], threshold
        )
        for name, rows in groups.items()
    }
    alarms = describe_alarms(answer.deviation[~is_unusual], threshold)
    content = {
        "dataset": f"{data.name} test",
        "n": len(labels),
        "code_values": count_code(recipe, data.num_samples),
        "explained": measure_explained(answer.reconstruction, data),
        "threshold": threshold,
        "false_alarms": alarms,
        "unusual": unusual,
    }
    write_json(run / EVALUATION, content)
    np.savez_compressed(run / PREDICTIONS, deviation=answer.deviation, labels=labels, is_unusual=is_unusual)
    if importlib.util.find_spec("matplotlib") is not None:
        names = {"usual": ~is_unusual} | {name: groups[name] & is_unusual for name in groups if name != "all"}
        deviations = {name: answer.deviation[rows] for name, rows in names.items()}
        draw_deviations(deviations, threshold, "standard deviations of the signal", run / "deviations.png")
        draw_signals(data, answer, recipe.rate_hz, run / "signals.png")
    area = unusual["all"]["area_under_curve"]
    return {
        "n": len(labels),
        "area_under_curve": round(area["value"], 4),
        "interval": [round(end, 4) for end in area["interval"]],
        "detected": round(unusual["all"]["detected"]["value"], 4),
        "false_alarms": round(alarms["value"], 4),
    }


def deviate_without_network(data: UsualData, recipe: Recipe) -> dict[str, np.ndarray]:
    """How unusual each simpler method finds the test signals, [N]; what it learns are the usual training signals."""
    num_values = count_code(recipe, data.num_samples)
    return {
        COMPONENTS: deviate_from_components(data.train, data.test.values, num_values),
        FEATURES: deviate_by_features(data.train, data.test.values, recipe.rate_hz),
    }


def measure_explained(reconstruction: np.ndarray, data: UsualData) -> float:
    """The share of the usual test signals' variance that comes back."""
    rows = ~data.is_unusual
    signals = data.test.values.numpy()[rows]
    return float(1 - (np.square(reconstruction[rows] - signals).mean(1) / signals.var(1)).mean())
