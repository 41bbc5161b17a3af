"""What the metrics say of the process itself, and that counting cheaply counts the same."""

from importlib import metadata

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from services.gateway.metrics import Metrics, OneThreadHistogram


def test_an_installation_without_torch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("services.gateway.metrics.metadata.version", version)
    labels = {"torch": "", "torchserve": real("torchserve"), "version": real("millrace")}
    assert Metrics().registry.get_sample_value("millrace_build_info", labels) == 1


def test_batches_are_counted_by_size_with_what_mean_and_spread_need():
    metrics = Metrics()
    model = metrics.of("net", "1-int8")
    for num_rows, seconds in ((5, 0.25), (8, 0.75), (1, 0.5)):
        model.observe_batch(num_rows, seconds)

    def value(name, rows):
        labels = {"model": "net", "version": "1-int8", "rows": rows}
        return metrics.registry.get_sample_value(f"millrace_batches{name}_total", labels)

    assert [value(name, "8") for name in ("", "_rows", "_seconds", "_squared_seconds")] == [2, 13, 1.0, 0.625]
    assert [value(name, "1") for name in ("", "_rows", "_seconds", "_squared_seconds")] == [1, 1, 0.5, 0.25]
    assert value("", "4") is None


def test_histograms_hold_what_prometheus_own_would() -> None:
    values = (0.0, 0.5, 0.50001, 1.0, 2.0, 99.0, 1e-9)
    registry = CollectorRegistry()
    kinds = {"ours": OneThreadHistogram, "theirs": Histogram}
    for name, kind in kinds.items():
        histogram = kind(name, "text", ("model",), buckets=(0.5, 1.0, 2.0), registry=registry).labels("m")
        for value in values:
            histogram.observe(value)
    lines = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    ours = [line for line in lines if "ours" in line]
    assert ours == [line.replace("theirs", "ours") for line in lines if "theirs" in line]
    assert 'ours_bucket{le="0.5",model="m"} 3.0' in ours
