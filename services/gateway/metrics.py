"""Prometheus metrics of the front door."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable
from importlib import metadata
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.process_collector import ProcessCollector

from services.gateway.statistics import Statistics

SECONDS = (
    *(0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_LABELS = ("model", "version")
# Label → distribution.
BUILT_OF = {"version": "millrace", "torch": "torch", "torchserve": "torchserve"}

Families = list[Metric]
Part = TypeVar("Part")
_PAUSE_S = 0.001


async def take_turns(parts: Iterable[Part]) -> AsyncIterator[Part]:
    """Go on with a part of some work at a time, and with calls between any two.

    There is a pause after each: a call that takes turns with all of them takes 10 ms longer.
    """
    for part in parts:
        yield part
        await asyncio.sleep(_PAUSE_S)


class OneThreadHistogram(Histogram):
    """A histogram that one thread fills and reads: without prometheus_client's locks, and its walk along the buckets.

    Two observations a call took a tenth of the core's time.
    """

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        if exemplar:
            super().observe(amount, exemplar)
            return
        self._sum._value += amount
        self._buckets[bisect_left(self._upper_bounds, amount)]._value += 1


class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge("millrace_build_info", "1; what runs here", BUILT_OF, registry=self.registry)
        build.labels(*map(_version_of, BUILT_OF.values())).set(1)
        self.requests = Counter(
            "millrace_requests", "Inference requests", (*_LABELS, "protocol", "outcome"), registry=self.registry
        )
        self.redirected = Counter(
            "millrace_redirected",
            "Requests that a faster version took over from an overloaded one",
            (*_LABELS, "to"),
            registry=self.registry,
        )
        self.cache_lookups = Counter(
            "millrace_cache_lookups",
            "Requests that the cache may answer, by whether it could",
            (*_LABELS, "outcome"),
            registry=self.registry,
        )
        self.cache_bytes = Gauge("millrace_cache_bytes", "Answers held in the cache", registry=self.registry)
        self.records = Counter(
            "millrace_records",
            "Requests chosen to be kept, by what became of them",
            ("outcome",),
            registry=self.registry,
        )
        self.latency = self._seconds("millrace_request_seconds", "From a request's arrival to its answer")
        self.queue_time = self._seconds("millrace_queue_seconds", "From a request's arrival to the batch that took it")
        self.backend_time = self._seconds("millrace_backend_seconds", "One packed call to a worker and back")
        self.batch_rows = OneThreadHistogram(
            "millrace_batch_rows", "Rows in one packed call", _LABELS, buckets=ROWS, registry=self.registry
        )
        sized = (*_LABELS, "rows")
        self.batches = Counter("millrace_batches", "Batches by rows, at most", sized, registry=self.registry)
        self.rows_by_size = Counter("millrace_batches_rows", "Rows of these batches", sized, registry=self.registry)
        self.seconds_by_size = Counter(
            "millrace_batches_seconds", "Seconds for which they kept a worker busy", sized, registry=self.registry
        )
        self.squares_by_size = Counter(
            "millrace_batches_squared_seconds", "Squares of these seconds", sized, registry=self.registry
        )
        self.waiting_rows = Gauge("millrace_waiting_rows", "Rows that wait for a slot", _LABELS, registry=self.registry)
        self.busy_slots = Gauge("millrace_busy_slots", "Packed calls under way", _LABELS, registry=self.registry)
        self.slots = Gauge(
            "millrace_slots", "Workers; a full batch may wait at each besides", _LABELS, registry=self.registry
        )
        self.ready = Gauge("millrace_model_ready", "1 while the model version answers", _LABELS, registry=self.registry)
        self.release_refused = Gauge(
            "millrace_release_refused",
            "1 while a release of the store may not serve; the repository index says why",
            _LABELS,
            registry=self.registry,
        )
        self.routing_refused = Gauge(
            "millrace_routing_refused", "1 while an older routing is in force than the file's", registry=self.registry
        )
        self.tasks = Gauge("millrace_tasks", "Tasks of the event loop", registry=self.registry)
        self.golden_mismatch = Gauge(
            "millrace_golden_mismatch",
            "1 while the model version computes something else than was released",
            _LABELS,
            registry=self.registry,
        )

        self.slow = Gauge(
            "millrace_model_slow",
            "1 while golden rows take far longer than they should, so that this server asks its edge for no calls",
            _LABELS,
            registry=self.registry,
        )
        self.first_token = self._seconds(
            "millrace_first_token_seconds", "From a stream's arrival to the first bit of its answer"
        )
        self.stream_tokens = Counter("millrace_stream_tokens", "Told in streams", _LABELS, registry=self.registry)
        self.streams = Gauge("millrace_streams", "Under way, waiting ones among them", _LABELS, registry=self.registry)

    def of(self, model: str, version: str) -> ModelMetrics:
        return ModelMetrics(self, model, version)

    async def collect(self) -> Families:
        """Collect all metrics as they are; calls go on between any two families."""
        return [family async for family in take_turns(self.registry.collect())]

    def forget(self, model: str, version: str) -> None:
        """Drop all series of a version that is gone."""
        labels = {"model": model, "version": version}
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase) and labels.keys() <= set(metric._labelnames):
                metric.remove_by_labels(labels)

    def count_refusal(self, protocol: str, outcome: str) -> None:
        """Count a request that reached no model: its words are a stranger's and no labels."""
        self.requests.labels("", "", protocol, outcome).inc()

    def _seconds(self, name: str, text: str) -> Histogram:
        return OneThreadHistogram(name, text, _LABELS, buckets=SECONDS, registry=self.registry)


def _version_of(distribution: str) -> str:
    """Version of an installed distribution; '' for one left out, as torch may be where onnxruntime runs everything."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


class ModelMetrics:
    """The metrics of one model version, looked up once because looking up labels costs more than counting."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        self._requests = metrics.requests
        self._redirected = metrics.redirected
        self._metrics = metrics
        self._by_size: dict[int, tuple[Counter, Counter, Counter, Counter]] = {}
        self._labels = (model, version)
        self._by_outcome: dict[tuple[str, str], Counter] = {}
        self.statistics = Statistics()
        self.latency = metrics.latency.labels(model, version)
        self.queue_time = metrics.queue_time.labels(model, version)
        self.backend_time = metrics.backend_time.labels(model, version)
        self.batch_rows = metrics.batch_rows.labels(model, version)
        self.waiting_rows = metrics.waiting_rows.labels(model, version)
        self.busy_slots = metrics.busy_slots.labels(model, version)
        self.slots = metrics.slots.labels(model, version)
        self.ready = metrics.ready.labels(model, version)
        self.golden_mismatch = metrics.golden_mismatch.labels(model, version)
        self.slow = metrics.slow.labels(model, version)

    def count(self, protocol: str, outcome: str) -> None:
        counter = self._by_outcome.get((protocol, outcome))
        if counter is None:
            counter = self._requests.labels(*self._labels, protocol, outcome)
            self._by_outcome[protocol, outcome] = counter
        counter.inc()

    def count_redirected(self, to: str) -> None:
        """Count a request that a faster version took over from this one."""
        self._redirected.labels(*self._labels, to).inc()

    def observe_batch(self, num_rows: int, seconds: float) -> None:
        """Count a batch that kept a worker busy for so long among those of about its size."""
        size = (num_rows - 1).bit_length()
        counters = self._by_size.get(size)
        if counters is None:
            all_ = self._metrics
            families = (all_.batches, all_.rows_by_size, all_.seconds_by_size, all_.squares_by_size)
            batches, rows, busy, squares = (family.labels(*self._labels, str(1 << size)) for family in families)
            counters = self._by_size[size] = (batches, rows, busy, squares)
        for counter, value in zip(counters, (1, num_rows, seconds, seconds * seconds), strict=True):
            counter.inc(value)
