"""How far predictions of waits can be trusted: by what they are lengthened so that few answers come later than said.

A mean is missed by every second answer, and what is computed too late was computed for nothing: at 1.5 times a
version's capacity half of it went that way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# This share of the answers may come later than was predicted.
LATE_SHARE = 0.1
# A batch of which all comes later lengthens the next predictions by a fifth; one in time shortens them by 2 %.
_STEP = 0.2
_SHORTEST, _LONGEST = 1.0, 4.0


class Promises:
    """The factor for predictions, which follows how they turn out. Source: Robbins and Monro 1951, for a quantile."""

    def __init__(self) -> None:
        self.factor = _SHORTEST

    def observe(self, waits: Sequence[tuple[float, float]]) -> None:
        """Learn from a batch: pairs of what was promised and what it took, in seconds; infinite for what never came.

        A batch of requests that found an idle worker, and were promised nothing, is one in time: promises that are too
        long let no others pass, and would last.
        """
        late_share = sum([took_s > promised_s for promised_s, took_s in waits]) / max(1, len(waits))
        factor = self.factor * math.exp(_STEP * (late_share - LATE_SHARE))
        self.factor = min(max(factor, _SHORTEST), _LONGEST)
