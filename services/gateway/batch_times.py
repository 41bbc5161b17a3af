"""How long a version's batches take: measured all along where sizes are seen, as certified where they are not.

An estimate that is too low lets in a few who will be late, and is mended by the larger batches that they make. One that
is too high refuses them, so that no larger batch is ever seen, and lasts. So the measured line is not drawn beyond the
sizes that it was measured at: a few slow batches of one row once made 20 seconds of a batch of 64. Nor does the speed
at release say what a further row takes: ten times too slow, it let a tenth through of what could be answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Each new batch counts this much, so that the estimate follows a change within some twenty batches.
FORGETTING = 0.05
# Sizes count as seen that far from their mean, in their standard deviations. An error of the slope, which is the noise
# of a batch ÷ that deviation ÷ the root of the batches that count, makes half of that noise there, and no more.
SEEN_DEVIATIONS = 2.0


class BatchTimes:
    """Predict how long a batch takes: a straight line over rows through what was measured, the newest counting most.

    Source: recursive least squares with exponential forgetting, here by its five weighted sums.
    """

    def __init__(self, certified: Sequence[tuple[float, float]] = ()) -> None:
        """`certified` are pairs of rows and seconds: what the measuring begins with, and what a further row takes."""
        self._weight = self._rows = self._seconds = self._rows_rows = self._rows_seconds = 0.0
        self._row_s = 0.0
        for num_rows, seconds in certified:
            self.observe(num_rows, seconds)
        if len(certified) > 1:
            (few_rows, few_s), (many_rows, many_s) = min(certified), max(certified)
            self._row_s = max(0.0, (many_s - few_s) / (many_rows - few_rows))

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
        most_slope = mean_s / mean_rows  # a batch never gains by being cut
        spread = self._rows_rows / self._weight - mean_rows**2
        seen = slope = 0.0
        if spread > 1e-6 * mean_rows**2:  # else rounding has made it, of batches of one size
            seen = SEEN_DEVIATIONS * math.sqrt(spread)
            slope = (self._rows_seconds / self._weight - mean_rows * mean_s) / spread
        far = num_rows - mean_rows
        near = min(max(far, -seen), seen)
        slope, further_slope = (min(max(one, 0.0), most_slope) for one in (slope, self._row_s))
        return mean_s + slope * near + further_slope * (far - near)
