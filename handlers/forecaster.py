"""Serve a forecaster: histories in, quantiles of the next steps out.

Program: float32 [N, L] → float32 [N, H, Q], one quantile for each output of the manifest, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from model_store.series import fill_gaps

_LARGEST = 1e30  # the square of a deviation must be a float32 number
_MOST_MISSING = 0.5


class ForecasterHandler(Handler):
    """Input `history` FP32 [N, L], NaN where a value is missing; parameter `horizon` asks for fewer steps."""

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        histories = inputs["history"]
        if np.isfinite(histories).all() and np.abs(histories).max() <= _LARGEST:
            return Decoded([histories])
        rows = np.zeros_like(histories)
        row_errors = [_explain(history) for history in histories]
        for row, error in enumerate(row_errors):
            if error is None:
                rows[row] = fill_gaps(histories[row])
        return Decoded([rows], row_errors)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (quantiles,) = results
        num_steps = parameters.get("horizon", quantiles.shape[1])
        columns = [np.ascontiguousarray(quantiles[:, :num_steps, level]) for level in range(quantiles.shape[2])]
        return super().encode(columns, parameters, requested)


def _explain(history: np.ndarray) -> str | None:
    """Say why a history [L] cannot be forecast; None if it can."""
    missing = np.isnan(history)
    if missing.mean() > _MOST_MISSING:
        return f"{missing.sum()} of {len(history)} values are missing; half of them must be there"
    largest = np.abs(history[~missing]).max()
    if largest > _LARGEST:
        return f"the history holds {largest:g}; values go up to ±{_LARGEST:g}, give it in a larger unit"
    return None
