"""How long batches take, learned while they are answered."""

from __future__ import annotations

# Each new batch counts this much, so that the estimate follows a change within some twenty batches.
FORGETTING = 0.05


class BatchTimes:
    """Predict how long a batch takes: a straight line over rows through what was measured, the newest counting most.

    Source: recursive least squares with exponential forgetting, here by its five weighted sums.
    """

    def __init__(self) -> None:
        self._weight = self._rows = self._seconds = self._rows_rows = self._rows_seconds = 0.0

    def observe(self, num_rows: float, seconds: float) -> None:
        keep = 1 - FORGETTING
        self._weight = keep * self._weight + 1
        self._rows = keep * self._rows + num_rows
        self._seconds = keep * self._seconds + seconds
        self._rows_rows = keep * self._rows_rows + num_rows * num_rows
        self._rows_seconds = keep * self._rows_seconds + num_rows * seconds

    def predict(self, num_rows: int) -> float:
        """Predict a batch's seconds; 0 before the first one was measured."""
        if self._weight == 0:
            return 0.0
        mean_rows, mean_s = self._rows / self._weight, self._seconds / self._weight
        spread = self._rows_rows / self._weight - mean_rows**2
        if spread < 1e-6 * mean_rows**2:  # batches of one size only: nothing is known yet of larger ones
            return mean_s
        slope = (self._rows_seconds / self._weight - mean_rows * mean_s) / spread
        slope = min(max(slope, 0.0), mean_s / mean_rows)
        return mean_s + slope * (num_rows - mean_rows)
