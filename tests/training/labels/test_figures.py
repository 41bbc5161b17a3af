from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from training.labels.figures import (
    confusion_matrix,
    evaluate_predictions,
    fit_temperature,
    measure_reliability,
)
from training.labels.pictures import draw_confusion_matrix, draw_reliability


def test_confusion_matrix_has_true_classes_in_rows():
    matrix = confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_calibration_error_of_known_confidences():
    probabilities = np.array([[0.9, 0.1]] * 10)
    labels = np.array([0] * 6 + [1] * 4)
    reliability = measure_reliability(probabilities, labels)
    assert reliability.expected_error == pytest.approx(0.3)
    assert reliability.count.sum() == 10
    assert measure_reliability(np.array([[1.0, 0.0]]), np.array([0])).expected_error == 0.0


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 4.0])
def test_temperature_is_recovered(true_temperature):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial((logits / true_temperature).softmax(1), 1, generator=generator).flatten()
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.06)


def test_figures_of_a_small_evaluation_are_right_and_serializable():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0], [2.0, 0.0, 0.0]])
    figures = evaluate_predictions(logits, torch.tensor([0, 1, 0, 0]), 1.0, ("a", "b", "c"))
    assert figures["accuracy"] == 0.75
    low, high = figures["accuracy_interval"]
    assert (low, high) == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))
    assert figures["classes"]["a"] == {"precision": 1.0, "recall": pytest.approx(2 / 3), "n": 3}
    assert figures["classes"]["b"]["precision"] == 0.5
    assert figures["classes"]["c"] == {"precision": 0.0, "recall": 0.0, "n": 0}
    right = -math.log(math.e**2 / (math.e**2 + 2))
    assert figures["cross_entropy"] == pytest.approx(right + 0.25 * 2)
    json.dumps(figures, allow_nan=False)


def test_pictures_are_written(tmp_path):
    draw_confusion_matrix(np.array([[5, 1], [0, 0]]), ("a", "b"), tmp_path / "matrix.png")
    reliability = measure_reliability(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 1]))
    draw_reliability(reliability, reliability, tmp_path / "reliability.png")
    for name in ("matrix.png", "reliability.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
