"""Serve an anomaly detector: signals in; what their codes tell of them, and how unusual they are.

Options: `threshold` of the deviation in standard deviations of a signal.
Program: float32 [N, L] → the same, deviation float32 [N].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.series import SeriesHandler


class AnomalyDetectorHandler(SeriesHandler):
    """Input `signal` FP32 [N, L], NaN where a sample is missing.

    Outputs `reconstruction`, `deviation` and `unusual`. Parameter `threshold`: the deviation above which a signal is
    unusual.
    """

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        reconstruction, deviation = results
        threshold = parameters.get("threshold", self.options["threshold"])
        return super().encode([reconstruction, deviation, deviation > threshold], parameters, requested)
