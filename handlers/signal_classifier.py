"""Serve a signal classifier: signals in, probabilities and labels out.

Options: `labels`. Program: float32 [N, L] → probabilities float32 [N, labels].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.device import Device
from handlers.ranking import rank_labels
from handlers.series import SeriesHandler


class SignalClassifierHandler(SeriesHandler):
    """Input `signal` FP32 [N, L], NaN where one is missing; outputs `probabilities`, `label`; parameter `top_k`."""

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels = np.array([label.encode() for label in self.options["labels"]], np.object_)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (probabilities,) = results
        return rank_labels(probabilities, self.labels, parameters.get("top_k"), requested)
