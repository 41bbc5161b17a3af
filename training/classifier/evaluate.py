"""How good a classifier is on its test images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from training.images.splits import ImageData
from training.labels.record import record_evaluation


def evaluate_run(run: Path, logits: Tensor, data: ImageData, temperature: float) -> dict[str, Any]:
    """Record what the logits float32 [N, K] of the test images are worth; return the headline figures."""
    return record_evaluation(run, logits, data.test.labels, temperature, data.labels, f"{data.name} test")
