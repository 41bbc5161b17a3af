"""What an evaluation leaves in a run's folder.

Dimensions: N rows, K labels.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.engine.runs import write_json
from training.labels.figures import EVALUATION, PREDICTIONS, evaluate_predictions, measure_reliability
from training.labels.pictures import draw_confusion_matrix, draw_reliability


def record_evaluation(
    run: Path,
    logits: Tensor,
    labels: Tensor,
    temperature: float,
    names: tuple[str, ...],
    dataset: str,
    *,
    pictures: bool = True,
    **further: Any,
) -> dict[str, Any]:
    """Write figures, pictures if wanted, and the predictions that `--compare` needs; return the headline figures.

    `logits` float32 [N, K] and `labels` int64 [N] are those of the test rows; `further` figures are written beside.
    """
    figures = {"dataset": dataset} | evaluate_predictions(logits, labels, temperature, names) | further
    write_json(run / EVALUATION, figures)
    np.savez_compressed(run / PREDICTIONS, logits=logits.numpy(), labels=labels.numpy())
    if pictures and importlib.util.find_spec("matplotlib") is not None:
        draw_all(run, logits, labels.numpy(), temperature, np.array(figures["confusion_matrix"]), names)
    return {name: figures[name] for name in ("accuracy", "accuracy_interval", "n", "ece", "temperature")}


def draw_all(
    run: Path, logits: Tensor, labels: np.ndarray, temperature: float, matrix: np.ndarray, names: tuple[str, ...]
) -> None:
    """Draw every picture into the run's folder."""
    draw_confusion_matrix(matrix, names, run / "confusion_matrix.png")
    before = measure_reliability(logits.softmax(1).numpy(), labels)
    after = measure_reliability((logits / temperature).softmax(1).numpy(), labels)
    draw_reliability(before, after, run / "reliability.png")
