"""The percentiles that pages and tables show."""

from __future__ import annotations

from loadtests.judge.significance import find_supported_percentile
from loadtests.judge.verdict import MINIMUM_PERCENTILE
from loadtests.measure.recording import Recording

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def list_supported(recording: Recording) -> dict[float, float | None]:
    """List percentiles in ms; None where the run has too few requests for one, or failures reach it."""
    supported = find_supported_percentile(recording.num_offered) or MINIMUM_PERCENTILE
    return {p: recording.find_percentile_ms(p) if p <= supported else None for p in PERCENTILES}
