"""Live inputs against released ones."""

import asyncio
import math

import numpy as np
import pytest
from scipy import stats

from model_store.tensors import encode_raw
from services.catalogue import Catalogue
from services.gateway import drift
from services.gateway.core import Gateway
from services.gateway.drift import BLOCK_ROWS, LEAST_ROWS, DriftMonitor, stability_index, two_sample_p
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from tests.services.gateway.conftest import make_manifest, make_variant
from training.release.input_statistics import describe_inputs

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 2)).astype(np.float32)
TEXT = np.array([b"a" * size for size in RNG.integers(1, 8, 2000)], np.object_)


@pytest.fixture(scope="module")
def manifest():
    return make_manifest(input_features=describe_inputs({"x": X, "text": TEXT}))


def send(monitor, rows, name="x", datatype="FP32"):
    for array in np.split(rows, len(rows)):
        tensor = NamedTensor(name, datatype, array.shape, encode_raw(array))
        monitor.take(InferRequest("double", "", "", [tensor]), 1)


def by_feature(monitor):
    return {(found.input, found.feature): found for found in monitor.compare()}


def test_the_same_inputs_show_no_drift(manifest):
    monitor = DriftMonitor(manifest, 1)
    send(monitor, np.random.default_rng(5).normal(size=(1000, 2)).astype(np.float32))
    found = by_feature(monitor)
    assert found.keys() == {("x", "value 0"), ("x", "value 1")}
    assert all(one.stability_index < 0.05 and one.p_value > 0.05 and one.num_rows == 1000 for one in found.values())


def test_a_shift_of_one_value_shows_in_that_one_alone(manifest):
    monitor = DriftMonitor(manifest, 1)
    send(monitor, np.random.default_rng(6).normal((0, 1), size=(500, 2)).astype(np.float32))
    found = by_feature(monitor)
    assert found["x", "value 1"].stability_index > 0.25
    assert found["x", "value 1"].p_value < 1e-6
    assert found["x", "value 0"].stability_index < 0.1
    assert found["x", "value 0"].p_value > 0.01


def test_longer_texts_show(manifest):
    monitor = DriftMonitor(manifest, 1)
    send(monitor, np.array([b"aaaaaaa"] * LEAST_ROWS, np.object_), "text", "BYTES")
    found = by_feature(monitor)
    assert found["text", "size"].stability_index > 1
    assert found["text", "letters"].p_value == 1


def test_little_says_nothing_and_old_rows_are_forgotten(manifest):
    monitor = DriftMonitor(manifest, 1)
    shifted = X[: BLOCK_ROWS + 10] + 5
    send(monitor, shifted[: LEAST_ROWS - 1])
    assert monitor.compare() == []
    send(monitor, shifted)
    assert by_feature(monitor)["x", "value 0"].stability_index > 1
    send(monitor, np.random.default_rng(7).normal(size=(2 * BLOCK_ROWS, 2)).astype(np.float32))
    assert by_feature(monitor)["x", "value 0"].stability_index < 0.05


def test_p_values_are_those_of_the_exact_test_where_bins_lose_nothing():
    first, second = [30, 40, 30], [25, 30, 45]
    exact = stats.ks_2samp(np.repeat(range(3), first), np.repeat(range(3), second), method="asymp").pvalue
    assert two_sample_p(first, second) == pytest.approx(exact, rel=0.25)
    assert two_sample_p(first, first) == 1
    assert two_sample_p([100, 0], [0, 100]) < 1e-30


def test_the_test_keeps_its_level_and_the_stability_index_its_size():
    rng = np.random.default_rng(8)
    draws = rng.multinomial(500, [1 / 32] * 32, size=(400, 2)).tolist()
    alarms = sum(two_sample_p(one, other) < 0.05 for one, other in draws)
    assert alarms <= stats.binom.ppf(0.999, len(draws), 0.05)
    assert stability_index([50, 50], [50, 50]) == 0
    assert stability_index([80_000, 20_000], [20_000, 80_000]) == pytest.approx(1.2 * math.log(4), rel=1e-3)


async def test_live_rows_are_sampled_by_time_and_shown_as_metrics(manifest, backend, tmp_path, monkeypatch):
    gateway = Gateway(Catalogue([make_variant(manifest, tmp_path)]), backend, GatewaySettings())
    (model,) = gateway._models.values()
    taken = []
    monkeypatch.setattr(model.drift, "take", lambda request, num_rows: taken.append(num_rows))
    rows = [NamedTensor("x", "FP32", (2, 2), np.ones((2, 2), np.float32).tobytes())]
    await asyncio.gather(*(gateway.infer(InferRequest("double", "", "", rows)) for _ in range(5)))
    assert taken == [2]  # the next is not due
    model.drift.due_s = 0
    await gateway.infer(InferRequest("double", "", "", rows, protocol="self"))
    assert taken == [2]
    monkeypatch.undo()
    send(model.drift, X[:LEAST_ROWS] + 3)
    labels = {"model": "double", "version": "3-eager", "input": "x", "feature": "value 1"}
    assert gateway.metrics.registry.get_sample_value("millrace_input_stability_index", labels) > 0.25
    assert gateway.metrics.registry.get_sample_value("millrace_input_same_p_value", labels) < 0.01
    assert gateway.metrics.registry.get_sample_value("millrace_input_watched_rows", labels) == LEAST_ROWS


def test_watching_costs_a_bounded_share_of_time(manifest, monkeypatch):
    ticks = iter([100.0, 100.5])  # half a second for a row
    monkeypatch.setattr(drift, "monotonic", lambda: next(ticks))
    monitor = DriftMonitor(manifest, 10)
    send(monitor, X[:1])
    assert monitor.due_s == pytest.approx(100.5 + 500)


def test_old_manifests_and_zero_rows_have_no_monitor(manifest):
    assert drift.make_monitor(make_manifest(), 10) is None
    assert drift.make_monitor(manifest, 0) is None
