"""Prometheus metrics of the engine: its workers' memory, restarts and load times, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.torchserve.memory import SharesOfMemory
from services.torchserve.server import TorchServe

_LABELS = ("model", "version")


class EngineMetrics(Collector):
    """Collects from one supervised TorchServe."""

    def __init__(self, torchserve: TorchServe) -> None:
        self._torchserve = torchserve
        self._shares = SharesOfMemory()

    def collect(self) -> Iterator[Metric]:
        """Make the metrics of this moment."""
        memory = GaugeMetricFamily(
            "millrace_worker_resident_bytes",
            "A version's workers' share of the resident memory: a page that N processes map counts as an Nth (PSS)",
            labels=_LABELS,
        )
        load = GaugeMetricFamily(
            "millrace_worker_load_seconds", "From a version's launch to its loaded workers", labels=_LABELS
        )
        restarts = CounterMetricFamily(
            "millrace_worker_restarts", "Worker processes started beyond the first ones", labels=_LABELS
        )
        for variant in self._torchserve.variants:
            labels = (variant.model, variant.version)
            if self._torchserve.root is not None:  # else process ids mean others here
                workers = self._torchserve.ready_workers(variant)
                memory.add_metric(labels, self._shares.add_up(workers))
            restarts.add_metric(labels, self._torchserve.num_restarts(variant))
            seconds = self._torchserve.load_s(variant)
            if seconds is not None:
                load.add_metric(labels, seconds)
        yield from (memory, load, restarts)
        engine = CounterMetricFamily("millrace_engine_restarts", "Restarts of TorchServe as a whole")
        engine.add_metric((), self._torchserve.num_engine_restarts)
        yield engine
