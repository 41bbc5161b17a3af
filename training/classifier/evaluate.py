"""How good a classifier is, and whether two of them differ.

Dimensions: N rows, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_Z95 = 1.959963984540054
_NUM_BINS = 15


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Give the 95 % score interval of a proportion. Source: Wilson 1927, JASA 22:209."""
    share = successes / count
    centre = share + _Z95**2 / (2 * count)
    spread = _Z95 * math.sqrt(share * (1 - share) / count + _Z95**2 / (4 * count**2))
    return (centre - spread) / (1 + _Z95**2 / count), (centre + spread) / (1 + _Z95**2 / count)


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


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same rows; `difference` and `interval` are in accuracy, second minus first."""

    only_first_right: int
    only_second_right: int
    n: int
    difference: float
    interval: tuple[float, float]
    p_value: float


def compare_paired(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """Test whether two classifiers differ, from bool [N] each: McNemar's exact test.

    The 95 % interval of the difference is Wald's with one pseudo-count in each discordant cell (Agresti and Min 2005,
    Statistics in Medicine 24:729), which keeps its coverage where the two hardly disagree.

    Raises:
        ValueError: the two do not describe the same rows.
    """
    if first_right.shape != second_right.shape:
        raise ValueError(f"paired rows are needed, got {len(first_right)} and {len(second_right)}")
    first, second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    n = len(first_right)
    b, c, total = first + 0.5, second + 0.5, n + 2
    centre = (c - b) / total
    spread = _Z95 * math.sqrt(b + c - (c - b) ** 2 / total) / total
    return McNemar(
        first, second, n, (second - first) / n, (centre - spread, centre + spread), _sign_test(first, second)
    )


def _sign_test(first: int, second: int) -> float:
    """Two-sided exact binomial test of equal odds."""
    flips, fewer = first + second, min(first, second)
    tail = torch.tensor(
        [math.lgamma(flips + 1) - math.lgamma(k + 1) - math.lgamma(flips - k + 1) for k in range(fewer + 1)]
    )
    return min(1.0, 2 * math.exp(float(tail.double().logsumexp(0)) - flips * math.log(2)))
