"""The last quarter of an hour of the gateway's own metrics, sampled so that no Prometheus is needed to see them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from prometheus_client.core import Metric

INTERVAL_S = 5.0
LENGTH_S = 900.0
SHARES = (0.5, 0.9, 0.99)
_SOURCES = {
    "millrace_requests": "requests",
    "millrace_redirected": "redirected",
    "millrace_request_seconds": "latency",
    "millrace_queue_seconds": "queue",
    "millrace_backend_seconds": "backend",
    "millrace_batch_rows": "batch",
}
# What is measured of each feature of a version's inputs.
_DRIFT = {
    "millrace_input_stability_index": "stability_index",
    "millrace_input_same_p_value": "p_value",
    "millrace_input_watched_rows": "num_rows",
}

# (model, version)
Version = tuple[str, str]
# (input, feature)
Feature = tuple[str, str]


class History:
    """Samples of what changed between two looks at the metrics; the oldest are forgotten."""

    def __init__(self) -> None:
        self._samples: deque[dict[str, Any]] = deque(maxlen=round(LENGTH_S / INTERVAL_S))
        self._num_taken = 0
        self._last: dict[str, dict[Version, dict[str, float]]] = {}
        self._last_s = 0.0

    def take_sample(self, families: Iterable[Metric]) -> None:
        """Look at all metrics of model versions; the first look is only what the next is compared with."""
        for _ in self.take_steps(families):
            pass

    def take_steps(self, families: Iterable[Metric]) -> Iterator[None]:
        """Take a sample in steps of a millisecond, between which callers can be answered."""
        now_s = time.monotonic()
        seen: dict[str, dict[Version, dict[str, float]]] = {name: {} for name in _SOURCES.values()}
        gauges: dict[Version, dict[str, float]] = {}
        drifts: dict[Version, dict[Feature, dict[str, float]]] = {}
        for family in families:
            if family.name in _SOURCES:
                seen[_SOURCES[family.name]] = _read(family)
            elif family.name in _DRIFT:
                _read_drift(family, drifts)
            elif family.type == "gauge":
                _read_gauge(family, gauges)
            yield
        if self._last:
            self._num_taken += 1
            sample = _Sample(self._last, seen, now_s - self._last_s)
            self._samples.append(
                {
                    "number": self._num_taken,
                    "time_s": round(time.time(), 1),
                    "versions": sample.describe(gauges, drifts),
                }
            )
        self._last, self._last_s = seen, now_s

    def after(self, number: int) -> list[dict[str, Any]]:
        """Samples newer than number `number`, oldest first; of a server that was started anew all."""
        if number > self._num_taken:
            number = 0
        return [sample for sample in self._samples if sample["number"] > number]


def _read(family: Metric) -> dict[Version, dict[str, float]]:
    """A metric's samples by model version; of a histogram `le=…`, `_sum` and `_count`, of requests by outcome.

    Of those that a faster version took over, by that version.
    """
    values: dict[Version, dict[str, float]] = {}
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue
        labels = sample.labels
        own = values.setdefault((labels.get("model", ""), labels.get("version", "")), {})
        if labels.get("protocol") == "self":
            continue
        key = labels.get("le") or labels.get("outcome") or labels.get("to") or sample.name.removeprefix(family.name)
        own[key] = own.get(key, 0.0) + sample.value
    return values


def _read_gauge(family: Metric, values: dict[Version, dict[str, float]]) -> None:
    """Note a gauge of model versions, also one of which this file has never heard."""
    for sample in family.samples:
        version = (sample.labels.get("model", ""), sample.labels.get("version", ""))
        if all(version) and len(sample.labels) == len(version):
            values.setdefault(version, {})[family.name] = sample.value


def _read_drift(family: Metric, drifts: dict[Version, dict[Feature, dict[str, float]]]) -> None:
    for sample in family.samples:
        labels = sample.labels
        features = drifts.setdefault((labels["model"], labels["version"]), {})
        features.setdefault((labels["input"], labels["feature"]), {})[_DRIFT[family.name]] = sample.value


def _find_worst(features: Mapping[Feature, Mapping[str, float]]) -> dict[str, Any] | None:
    """Describe the feature of a version's inputs that changed most; None where too few rows came, or nobody watches."""
    if not features:
        return None
    (name, feature), values = max(features.items(), key=lambda item: item[1]["stability_index"])
    return {"input": name, "feature": feature, **{key: float(f"{value:.4g}") for key, value in values.items()}}


class _Sample:
    """The difference between two looks at the counters."""

    def __init__(
        self,
        before: Mapping[str, Mapping[Version, Mapping[str, float]]],
        after: Mapping[str, Mapping[Version, Mapping[str, float]]],
        seconds: float,
    ) -> None:
        self._seconds = max(seconds, 1e-9)
        self._changes = {
            name: {
                version: {key: value - before[name].get(version, {}).get(key, 0.0) for key, value in values.items()}
                for version, values in versions.items()
            }
            for name, versions in after.items()
        }

    def describe(
        self,
        gauges: Mapping[Version, Mapping[str, float]],
        drifts: Mapping[Version, Mapping[Feature, Mapping[str, float]]],
    ) -> dict[str, dict[str, Any]]:
        return {
            f"{model} {version}".strip(): {
                **self._describe_version((model, version), gauges.get((model, version), {})),
                "drift": _find_worst(drifts.get((model, version), {})),
            }
            for model, version in self._changes["requests"].keys() | gauges.keys()
        }

    def _describe_version(self, version: Version, gauges: Mapping[str, float]) -> dict[str, Any]:
        outcomes = self._changes["requests"].get(version, {})
        total = sum(outcomes.values())
        batch = self._changes["batch"].get(version, {})
        described: dict[str, Any] = {
            "requests_per_s": round(total / self._seconds, 2),
            "errors_per_s": round((total - outcomes.get("ok", 0.0)) / self._seconds, 2),
            "rows_per_s": round(batch.get("_sum", 0.0) / self._seconds, 2),
            "batch_rows": _mean(batch),
            "redirected_per_s": {
                to: round(count / self._seconds, 2)
                for to, count in self._changes["redirected"].get(version, {}).items()
                if count
            },
            "gauges": {name: round(value, 4) for name, value in gauges.items() if math.isfinite(value)},
        }
        for name in ("latency", "queue", "backend"):
            times = self._changes[name].get(version, {})
            described[f"{name}_ms"] = [_to_ms(value) for value in find_quantiles(times, SHARES)]
        return described


def find_quantiles(buckets: Mapping[str, float], shares: Sequence[float]) -> list[float | None]:
    """Find quantiles in cumulative counts by upper bound, straight within a bucket as Prometheus does; None of nothing.

    >>> find_quantiles({"1.0": 50, "2.0": 100, "+Inf": 100}, [0.5, 0.75])
    [1.0, 1.5]
    """
    edges = sorted((float(key), count) for key, count in buckets.items() if key[0] in "+0123456789")
    if not edges or not edges[-1][1]:
        return [None] * len(shares)
    total = edges[-1][1]
    return [_find_quantile([(0.0, 0.0), *edges], share * total) for share in shares]


def _find_quantile(edges: Sequence[tuple[float, float]], rank: float) -> float:
    for (low, below), (high, until) in pairwise(edges):
        if until >= rank and until > below:
            return low if math.isinf(high) else low + (high - low) * (rank - below) / (until - below)
    return edges[-1][0]


def _mean(histogram: Mapping[str, float]) -> float | None:
    count = histogram.get("_count", 0.0)
    return round(histogram["_sum"] / count, 2) if count else None


def _to_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1e3 * seconds, 3)
