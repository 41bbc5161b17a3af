"""Metrics over time, whoever scraped them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WORKER_BYTES = "millrace_worker_resident_bytes"
ALERTS = "ALERTS"  # Prometheus's own series of alerts, where it has rules


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: `times` are seconds since the epoch, ascending."""

    name: str
    labels: dict[str, str]
    times: Sequence[float]
    values: Sequence[float]

    def increase(self, start: float, end: float) -> float:
        """How much a counter grew between two moments; a restart of the server counts from zero again."""
        grown = [0.0]
        for before, after in pairwise(self.values):
            grown.append(grown[-1] + (after - before if after >= before else after))
        return _interpolate(self.times, grown, end) - _interpolate(self.times, grown, start)


class Metrics:
    """All series of one scraped endpoint."""

    def __init__(self, series: Sequence[Series], source: str) -> None:
        self.series = series
        self.source = source

    def increase(self, name: str, start: float, end: float, **labels: str) -> float:
        """Sum of the increases of all series with this name and these labels."""
        return sum(series.increase(start, end) for series in self._find(name, labels))

    def find_largest(self, name: str, start: float, end: float, **labels: str) -> float | None:
        """The largest value of a gauge between two moments, summed over its series; None where it has none then."""
        found = [
            [value for time, value in zip(series.times, series.values, strict=True) if start <= time <= end]
            for series in self._find(name, labels)
        ]
        return sum(max(values) for values in found if values) or None

    def values_of(self, name: str, label: str, **labels: str) -> set[str]:
        """What one label is in the series with this name and these other labels."""
        return {series.labels[label] for series in self._find(name, labels)}

    def list_alerts(self, model: str) -> list[str]:
        """Name the alerts that fired for a model, or for no model in particular."""
        found = self._find(ALERTS, {"alertstate": "firing"})
        return sorted({each.labels["alertname"] for each in found if each.labels.get("model", model) == model})

    def has(self, name: str) -> bool:
        return any(series.name == name for series in self.series)

    def _find(self, name: str, labels: dict[str, str]) -> list[Series]:
        return [series for series in self.series if series.name == name and labels.items() <= series.labels.items()]


def _interpolate(times: Sequence[float], values: Sequence[float], time: float) -> float:
    index = bisect_right(times, time)
    if index == 0:
        return values[0]
    if index == len(times):
        return values[-1]
    share = (time - times[index - 1]) / (times[index] - times[index - 1])
    return values[index - 1] + share * (values[index] - values[index - 1])
