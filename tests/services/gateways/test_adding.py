"""Sums of what several processes have counted."""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from services.gateway.metrics import Metrics
from services.gateway.statistics import Statistics
from services.gateways.adding import GAUGES, add_families, add_statistics, keep_counts


def collect(metrics):
    return list(metrics.registry.collect())


def read(families, name):
    return {tuple(one.labels.values()): one.value for family in families for one in family.samples if one.name == name}


def test_it_is_known_of_each_gauge_how_it_comes_together():
    gauges = {family.name for family in Metrics().registry.collect() if family.type == "gauge"}
    assert gauges <= GAUGES.keys()


def test_counters_and_histograms_are_summed():
    first, second = Metrics(), Metrics()
    for metrics, times in ((first, 2), (second, 3)):
        for _ in range(times):
            metrics.of("net", "1").count("grpc", "ok")
            metrics.of("net", "1").latency.observe(0.002)
    second.of("net", "1").count("grpc", "overloaded")
    second.of("net", "1").latency.observe(0.2, {"trace_id": "t"})
    added = list(add_families([collect(first), collect(second)]))
    assert read(added, "millrace_requests_total") == {
        ("net", "1", "grpc", "ok"): 5,
        ("net", "1", "grpc", "overloaded"): 1,
    }
    buckets = read(added, "millrace_request_seconds_bucket")
    assert (buckets["net", "1", "0.001"], buckets["net", "1", "0.002"], buckets["net", "1", "+Inf"]) == (0, 5, 6)
    exemplars = [one.exemplar for family in added for one in family.samples if one.exemplar]
    assert [exemplar.labels for exemplar in exemplars] == [{"trace_id": "t"}]


def test_gauges_come_together_by_their_meaning():
    first, second = Metrics(), Metrics()
    for metrics, ready, rows in ((first, 1, 5), (second, 0, 7)):
        model = metrics.of("net", "1")
        model.ready.set(ready)
        model.waiting_rows.set(rows)
        model.slots.set(2)
    added = list(add_families([collect(first), collect(second)]))
    names = ("millrace_model_ready", "millrace_waiting_rows", "millrace_slots")
    assert [read(added, name)["net", "1"] for name in names] == [0, 12, 2]


def test_what_only_one_process_knows_stays_as_it_is():
    family = GaugeMetricFamily("millrace_worker_load_seconds", "", labels=("model", "version"))
    family.add_metric(("net", "1"), 3.5)
    assert read(add_families([[family], []]), "millrace_worker_load_seconds") == {("net", "1"): 3.5}


def test_of_a_process_that_has_gone_counts_are_kept_while_their_version_is_there():
    counter = CounterMetricFamily("c", "", labels=("model", "version"))
    counter.add_metric(("net", "1"), 2)
    counter.add_metric(("net", "2"), 3)
    counter.add_metric(("", ""), 4)
    kept = keep_counts([counter, GaugeMetricFamily("g", "", value=1)], [("net", "2")])
    assert [family.name for family in kept] == ["c"]
    assert read(kept, "c_total") == {("net", "2"): 3, ("", ""): 4}


def test_statistics_are_added_by_version_and_size_of_batch():
    described = []
    for sizes, seconds in (((1, 4), 0.5), ((4,), 0.25)):
        statistics = Statistics()
        for size in sizes:
            statistics.count_success(size, seconds)
            statistics.count_call(size, 1, 0.0, 0.0, seconds, 0.0)
        described.append([statistics.describe("net", "1")])
    (added,) = add_statistics(described)
    assert (added["name"], added["version"], added["inference_count"], added["execution_count"]) == ("net", "1", 9, 3)
    assert added["inference_stats"]["success"] == {"count": 3, "ns": 1_250_000_000}
    by_size = {batch["batch_size"]: batch["compute_infer"] for batch in added["batch_stats"]}
    assert by_size == {1: {"count": 1, "ns": 500_000_000}, 4: {"count": 2, "ns": 750_000_000}}
    assert added["last_inference"] == max(one["last_inference"] for (one,) in described)
