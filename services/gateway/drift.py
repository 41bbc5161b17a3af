"""Do live inputs still look like those the model was made for? Compared feature by feature with the manifest's.

Rows are sampled by time, and the next one is taken the later the longer the last one took: watching costs at most a
thousandth of the time, whatever the rows' size.
"""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from time import monotonic
from typing import NamedTuple

import numpy as np
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from model_store.input_features import measure_features
from model_store.manifest import Manifest
from model_store.measured import InputFeature
from model_store.tensors import decode_raw
from services.gateway.tensors import InferRequest, NamedTensor, split_rows

# Compared are between one and two blocks of rows, the newest; nothing is said of fewer than the least.
BLOCK_ROWS = 1000
LEAST_ROWS = 200
# Stability indices above it are much, where the p-value says that it is not by chance; see stability_index.
MUCH = 0.25
UNLIKELY = 0.01
_MOST_SHARE = 1e-3
# The population stability index is for few groups: each adds to what it is by chance.
_NUM_GROUPS = 8


class Drift(NamedTuple):
    """How far a feature of live rows is from the released one."""

    input: str
    feature: str
    stability_index: float
    p_value: float
    num_rows: int


class FeatureWindow:
    """Counts of the newest rows in the bins of one feature."""

    def __init__(self, feature: InputFeature) -> None:
        self.input, self.feature = feature.input, feature.feature
        self._edges = feature.edges
        self._released = feature.counts
        self._counts = [0] * len(feature.counts)
        self._before = [0] * len(feature.counts)
        self._num_rows = 0

    def add(self, value: float) -> None:
        if self._num_rows == BLOCK_ROWS:
            self._before, self._counts, self._num_rows = self._counts, [0] * len(self._counts), 0
        self._counts[bisect_left(self._edges, value)] += 1
        self._num_rows += 1

    def compare(self) -> Drift | None:
        """Compare what came with what was released; None while too little came."""
        live = [new + old for new, old in zip(self._counts, self._before, strict=True)]
        num_rows = sum(live)
        if num_rows < LEAST_ROWS:
            return None
        index = stability_index(_group(self._released), _group(live))
        return Drift(self.input, self.feature, index, two_sample_p(self._released, live), num_rows)


class DriftMonitor:
    """Watch the inputs of one model version."""

    def __init__(self, manifest: Manifest, rows_per_s: float) -> None:
        self.due_s = 0.0  # when the next row is taken
        self._period_s = 1 / rows_per_s
        self._windows = [FeatureWindow(feature) for feature in manifest.input_features if sum(feature.counts)]

    def take_later(self, request: InferRequest, num_rows: int) -> None:
        """Take a row of a valid request once this turn of the event loop is over."""
        self.due_s = math.inf
        asyncio.get_running_loop().call_soon(self.take, request, num_rows)

    def take(self, request: InferRequest, num_rows: int) -> None:
        """Look at one row of a valid request, any of them."""
        started_s = monotonic()
        row = random.randrange(num_rows)
        try:
            for tensor in request.inputs:
                self._add(tensor, row)
        finally:
            ended_s = monotonic()
            self.due_s = ended_s + max(self._period_s, (ended_s - started_s) / _MOST_SHARE)

    def compare(self) -> list[Drift]:
        """Compare each feature of which enough rows came; p-values are corrected for their number (Bonferroni)."""
        found = [drift for window in self._windows if (drift := window.compare()) is not None]
        return [drift._replace(p_value=min(1.0, len(found) * drift.p_value)) for drift in found]

    def _add(self, tensor: NamedTensor, row: int) -> None:
        windows = [window for window in self._windows if window.input == tensor.name]
        features = measure_features(_read_row(tensor, row)) if windows else {}
        for window in windows:
            if window.feature in features:
                window.add(float(features[window.feature][0]))


class DriftMetrics(Collector):
    """What all monitors say, compared when somebody asks."""

    def __init__(self, list_monitors: Callable[[], Iterable[tuple[str, str, DriftMonitor]]]) -> None:
        """Monitors come with model and version."""
        self._list_monitors = list_monitors

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = ("model", "version", "input", "feature")
        index = GaugeMetricFamily(
            "millrace_input_stability_index",
            f"Population stability index of live against released inputs; above {MUCH:g} they are others",
            labels=labels,
        )
        p_value = GaugeMetricFamily(
            "millrace_input_same_p_value",
            "Of the Kolmogorov-Smirnov test that live and released inputs are the same, corrected for all features",
            labels=labels,
        )
        num_rows = GaugeMetricFamily("millrace_input_watched_rows", "Live rows that were compared", labels=labels)
        for model, version, monitor in self._list_monitors():
            for drift in monitor.compare():
                values = (model, version, drift.input, drift.feature)
                index.add_metric(values, drift.stability_index)
                p_value.add_metric(values, drift.p_value)
                num_rows.add_metric(values, drift.num_rows)
        return index, p_value, num_rows


def make_monitor(manifest: Manifest, rows_per_s: float) -> DriftMonitor | None:
    """Make a version's monitor; None where nobody wants one, or its release is from before inputs were described."""
    return DriftMonitor(manifest, rows_per_s) if rows_per_s and manifest.input_features else None


def stability_index(expected: Sequence[int], found: Sequence[int]) -> float:
    """Population stability index of two samples by their counts in the same groups; half a row more in each group.

    Source: Yurdakul, Statistical Properties of Population Stability Index (2018); 0.1 is some change, 0.25 much.
    """
    half = 0.5
    totals = [sum(counts) + half * len(counts) for counts in (expected, found)]
    shares = [
        [(count + half) / total for count in counts] for counts, total in zip((expected, found), totals, strict=True)
    ]
    return sum((live - known) * math.log(live / known) for known, live in zip(*shares, strict=True))


def two_sample_p(first: Sequence[int], second: Sequence[int]) -> float:
    """P-value of the two-sample Kolmogorov-Smirnov test, by counts in the same bins, which only makes it cautious.

    Source: Stephens, J. R. Stat. Soc. B 32 (1970), for the distribution at a finite number of rows.
    """
    n, m = sum(first), sum(second)
    pairs = zip(accumulate(first), accumulate(second), strict=True)
    distance = max(abs(one / n - other / m) for one, other in pairs)
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.3:  # where the series converges slowly, to 1
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 21))))


def _group(counts: Sequence[int]) -> list[int]:
    """Join neighbouring bins, but not the outer ones, which are for values that no released row had."""
    inner = counts[1:-1]
    bounds = [round(place * len(inner) / _NUM_GROUPS) for place in range(_NUM_GROUPS + 1)]
    groups = [sum(inner[low:high]) for low, high in pairwise(bounds) if high > low]
    return [counts[0], *groups, counts[-1]]


def _read_row(tensor: NamedTensor, row: int) -> np.ndarray:
    counts = (row, 1, tensor.shape[0] - row - 1)
    one = split_rows(tensor, counts)[1]
    return decode_raw(one.data, one.datatype, one.shape)
