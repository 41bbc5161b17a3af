"""Serve a forecaster: histories in, quantiles of the next steps out.

Program: float32 [N, L] → float32 [N, H, Q], one quantile for each output of the manifest, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.series import SeriesHandler


class ForecasterHandler(SeriesHandler):
    """Input `history` FP32 [N, L], NaN where a value is missing; parameter `horizon` asks for fewer steps."""

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (quantiles,) = results
        num_steps = parameters.get("horizon", quantiles.shape[1])
        columns = [np.ascontiguousarray(quantiles[:, :num_steps, level]) for level in range(quantiles.shape[2])]
        return super().encode(columns, parameters, requested)
