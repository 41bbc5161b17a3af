"""What handlers of series of numbers share: gaps are filled, and rows that no network could take are refused.

Input: FP32 [N, L], the manifest's first, NaN where a value is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from model_store.series import fill_gaps

_LARGEST = 1e30  # the square of a deviation must be a float32 number
_MOST_MISSING = 0.5


class SeriesHandler(Handler):
    """Take series, missing values filled by straight lines; the program gets them in their own unit."""

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        name = self.input_names[0]
        series = inputs[name]
        if np.isfinite(series).all() and np.abs(series).max() <= _LARGEST:
            return Decoded([series])
        rows = np.zeros_like(series)
        row_errors = [_explain(values, name) for values in series]
        for row, error in enumerate(row_errors):
            if error is None:
                rows[row] = fill_gaps(series[row])
        return Decoded([rows], row_errors)


def _explain(values: np.ndarray, name: str) -> str | None:
    """Say why values [L] are no series; None if they are one."""
    missing = np.isnan(values)
    if missing.mean() > _MOST_MISSING:
        return f"{missing.sum()} of {len(values)} values are missing; half of them must be there"
    largest = np.abs(values[~missing]).max()
    if largest > _LARGEST:
        return f"the {name} holds {largest:g}; values go up to ±{_LARGEST:g}, give it in a larger unit"
    return None
