"""Latencies in an HdrHistogram: every value within 0.1 %, from 1 µs to 10 minutes."""

from __future__ import annotations

from hdrh.histogram import HdrHistogram

_HIGHEST_US = 600_000_000
_DIGITS = 3


class LatencyHistogram:
    """Latencies of one run; keeps no single request."""

    def __init__(self, encoded: str = "") -> None:
        """Start empty, or from what `encode` returned."""
        self._values_us = HdrHistogram(1, _HIGHEST_US, _DIGITS)
        if encoded:
            self._values_us.decode_and_add(encoded.encode())

    def record(self, latency_s: float) -> None:
        self._values_us.record_value(min(max(round(latency_s * 1e6), 1), _HIGHEST_US))

    def add(self, other: LatencyHistogram) -> None:
        self._values_us.add(other._values_us)

    def encode(self) -> str:
        """The histogram as HdrHistogram's own text form (compressed, base64)."""
        text: str = self._values_us.encode().decode()
        return text

    def __len__(self) -> int:
        return int(self._values_us.total_count)

    @property
    def mean_ms(self) -> float:
        return self._values_us.get_mean_value() / 1e3 if len(self) else 0.0

    @property
    def max_ms(self) -> float:
        return self._values_us.get_max_value() / 1e3 if len(self) else 0.0

    def find_percentile_ms(self, percentile: float) -> float:
        """The latency that `percentile` % of the requests did not exceed."""
        return float(self._values_us.get_value_at_percentile(percentile)) / 1e3

    def find_slowest_ms(self, num_discarded: int) -> float:
        """The latency of the slowest request but `num_discarded`."""
        return self.find_percentile_ms(100 * (len(self) - num_discarded) / len(self))

    def count_above(self, bound_ms: float) -> int:
        """Requests that took longer than a bound."""
        # The counts themselves: the library's iterator takes a quarter of a second for one histogram.
        last = self._values_us.get_counts_array_index(int(bound_ms * 1e3))
        return sum(self._values_us.counts[last + 1 :])

    def trace_percentiles(self) -> list[tuple[float, float]]:
        """Points (percentile, ms) for a percentile plot: dense towards 100 %, which itself is left out."""
        return [
            (item.percentile_level_iterated_to, item.value_iterated_to / 1e3)
            for item in self._values_us.get_percentile_iterator(5)
            if item.percentile_level_iterated_to < 100
        ]
