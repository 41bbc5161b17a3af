"""How good answers by label are: accuracy, errors by class, and calibration.

Dimensions: N rows, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from training.release.statistics import wilson_interval

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.npz"
_NUM_BINS = 15


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count int64 [K, K]: rows are true classes, columns predicted ones."""
    return np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width; empty bins have count 0."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def expected_error(self) -> float:
        """ECE: |accuracy − confidence| averaged over rows. Source: Guo et al. 2017, arXiv:1706.04599, eq. 3."""
        return float((np.abs(self.accuracy - self.confidence) * self.count).sum() / self.count.sum())


def measure_reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Bin the top-1 confidences of probabilities [N, K]."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * _NUM_BINS).astype(int), _NUM_BINS - 1)
    count = np.bincount(bins, minlength=_NUM_BINS)
    total = np.maximum(count, 1)
    return Reliability(
        np.bincount(bins, confidence, _NUM_BINS) / total, np.bincount(bins, right, _NUM_BINS) / total, count
    )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature that minimizes cross-entropy of logits [N, K] on validation data, between 0.05 and 20.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2. Cross-entropy is convex in the
    inverse temperature, hence a golden-section search on its logarithm finds the one minimum.
    """
    low, high = math.log(0.05), math.log(20.0)
    ratio = (math.sqrt(5) - 1) / 2

    def cost(log_temperature: float) -> float:
        return float(F.cross_entropy(logits.double() / math.exp(log_temperature), labels))

    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def evaluate_predictions(logits: Tensor, labels: Tensor, temperature: float, names: tuple[str, ...]) -> dict:
    """Describe test logits float32 [N, K] in figures, ready for JSON."""
    probabilities = (logits.double() / temperature).softmax(1).numpy()
    truth = labels.numpy()
    predicted = probabilities.argmax(1)
    matrix = confusion_matrix(predicted, truth, len(names))
    right = int(matrix.trace())
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(matrix.diagonal() / matrix.sum(0))
        recall = np.nan_to_num(matrix.diagonal() / matrix.sum(1))
    return {
        "accuracy": right / len(truth),
        "accuracy_interval": list(wilson_interval(right, len(truth))),
        "n": len(truth),
        "cross_entropy": float(F.cross_entropy(logits.double() / temperature, labels)),
        "ece": measure_reliability(probabilities, truth).expected_error,
        "ece_uncalibrated": measure_reliability(logits.double().softmax(1).numpy(), truth).expected_error,
        "temperature": temperature,
        "classes": {
            name: {"precision": float(precision[k]), "recall": float(recall[k]), "n": int(matrix[k].sum())}
            for k, name in enumerate(names)
        },
        "confusion_matrix": matrix.tolist(),
    }
