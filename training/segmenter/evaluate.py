"""What a finished run is worth on test scenes, beside a threshold and a guess that sees nothing.

Every figure has a 95 % bootstrap interval over images, accuracy one by Wilson; differences are paired.
Dimensions: N images, K classes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.runs import write_json
from training.labels.difference import describe_right
from training.release.statistics import bootstrap_interval, describe_figure
from training.segmenter.baselines import cut_by_threshold, find_common_classes
from training.segmenter.data import SceneData
from training.segmenter.network import load_network
from training.segmenter.pictures import draw_all
from training.segmenter.program import predict
from training.segmenter.scenes import label_masks
from training.segmenter.scores import (
    count_pixels,
    dice_by_class,
    foreground_iou,
    iou_by_class,
    mean_dice,
    mean_iou,
)

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.npz"
NETWORK, THRESHOLD, MAJORITY = "network", "threshold", "majority"
MASK_METRICS = {"mean_iou": mean_iou, "mean_dice": mean_dice, "foreground_iou": foreground_iou}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Masks uint8 [N, H, W] with their pixel counts [N, K, 3], and which labels are right, bool [N]; None: not made."""

    masks: np.ndarray | None
    counts: np.ndarray | None
    right: np.ndarray | None


def evaluate_run(run: Path, data: SceneData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    network, _, _ = load_network(run)
    masks, labels = predict(network, data.test.images)
    predictions = {NETWORK: judge_prediction(data, masks, labels)} | predict_baselines(data)
    own = predictions[NETWORK]
    methods = {method: describe_prediction(each, own, data.classes) for method, each in predictions.items()}
    write_json(run / EVALUATION, {"dataset": f"{data.name} test", "n": len(data.test), "methods": methods})
    truth = data.test.masks.numpy()
    made: dict[str, Any] = {"truth": count_pixels(truth, truth, len(data.classes))[:, :, 0]}
    made |= {"counts": own.counts, "right": own.right}
    np.savez_compressed(run / PREDICTIONS, **{name: array for name, array in made.items() if array is not None})
    if masks is not None and importlib.util.find_spec("matplotlib") is not None:
        drawn = {method: each.masks for method, each in predictions.items() if each.masks is not None}
        draw_all(run, data, drawn, methods)
    return headline(methods, len(data.test))


def judge_prediction(data: SceneData, masks: np.ndarray | None, labels: np.ndarray | None) -> Prediction:
    """Hold masks uint8 [N, H, W] and labels int64 [N] against those of the test scenes."""
    truth, num_classes = data.test.masks, len(data.classes)
    return Prediction(
        masks=masks,
        counts=None if masks is None else count_pixels(masks, truth.numpy(), num_classes),
        right=None if labels is None else labels == label_masks(truth, num_classes).numpy(),
    )


def predict_baselines(data: SceneData) -> dict[str, Prediction]:
    """What a threshold and the majority say of the test scenes; both know which classes are common in training."""
    common, label = find_common_classes(data)
    labels = np.full(len(data.test), label)
    nothing = np.zeros(data.test.masks.shape, np.uint8)
    return {
        THRESHOLD: judge_prediction(data, cut_by_threshold(data.test.images, common), None),
        MAJORITY: judge_prediction(data, nothing, labels),
    }


def describe_prediction(prediction: Prediction, network: Prediction, classes: tuple[str, ...]) -> dict[str, Any]:
    """Figures of a prediction with their intervals, by class too; `difference` is network − it, and its interval."""
    found: dict[str, Any] = {}
    if prediction.counts is not None:
        for metric, aggregate in MASK_METRICS.items():
            found[metric] = describe_figure(prediction.counts, network.counts, aggregate)
        found["classes"] = describe_classes(prediction.counts, classes)
    if prediction.right is not None:
        found["accuracy"] = describe_right(prediction.right, network.right)
    return found


def describe_classes(counts: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """IoU and Dice of each class that is seen, with intervals, from counts [N, K, 3]."""
    found = {}
    for number, name in enumerate(classes):
        own = counts[:, [number]]
        if own.any():
            found[name] = {
                metric: {
                    "value": float(by_class(own)[0]),
                    "interval": bootstrap_interval(own, lambda rows, measure=by_class: float(measure(rows)[0])),  # type: ignore[misc]
                }
                for metric, by_class in (("iou", iou_by_class), ("dice", dice_by_class))
            }
    return found


def headline(methods: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The figures that a run is told by."""
    found: dict[str, Any] = {"n": n}
    for metric, figure in methods[NETWORK].items():
        if metric != "classes":
            found[metric] = round(figure["value"], 4)
            found[f"{metric}_interval"] = [round(end, 4) for end in figure["interval"]]
    return found
