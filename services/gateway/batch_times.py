"""How long a version's batches take, by what was measured all along, and no further than sizes were seen.

An estimate that is too low lets in a few who will be late, and is mended by the larger batches that they make. One that
is too high refuses them, so that no larger batch is ever seen, and lasts. So the line is not drawn beyond the sizes it
was measured at: a few slow batches of one row once made 20 seconds of a batch of 64. Nor does a certificate say what a
further row takes for longer than it is among what counts: in virtual time one twice too slow let an eighth through.
"""

from __future__ import annotations

import math

# Each new batch counts this much, so that the estimate follows a change within some twenty batches.
FORGETTING = 0.05
# Sizes count as seen that far from their mean, in their standard deviations. An error of the slope, which is the noise
# of a batch ÷ that deviation ÷ the root of the batches that count, makes half of that noise there, and no more.
SEEN_DEVIATIONS = 2.0


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
        """Predict a batch's seconds, never less for more rows; 0 before the first one was measured."""
        if self._weight == 0:
            return 0.0
        mean_rows, mean_s = self._rows / self._weight, self._seconds / self._weight
        spread = self._rows_rows / self._weight - mean_rows**2
        if spread < 1e-6 * mean_rows**2:  # batches of one size, and rounding
            return mean_s
        slope = (self._rows_seconds / self._weight - mean_rows * mean_s) / spread
        slope = min(max(slope, 0.0), mean_s / mean_rows)
        seen = SEEN_DEVIATIONS * math.sqrt(spread)
        return mean_s + slope * min(max(num_rows - mean_rows, -seen), seen)
