"""From measured speed to requests, replicas and targets."""

from dataclasses import replace

import pytest

from k8s.capacity import MIB, Capacity, estimate_capacity, find_capacity
from k8s.sizing import Demand, size_node
from model_store.certificate import Setup
from model_store.manifest import Manifest
from model_store.signing import Keyring
from model_store.store import Store
from tests import builders
from tests.k8s.fields import make_fields

CAPACITY = Capacity(rows_per_s=1000, target_rows_per_s=600, threads=2, worker_bytes=500 * MIB, max_rows=32)
SLOW = Capacity(rows_per_s=3, target_rows_per_s=2, threads=1, worker_bytes=MIB, max_rows=1)


def size(capacity=CAPACITY, workers=2, **demand):
    return size_node(capacity, Demand(**demand), workers=workers, java_heap_mib=1024)


def test_replicas_hold_the_demand_at_the_target_load():
    assert size(rows_per_s=6000).replicas == 5  # a pod gives 2,000 rows/s, of which 60 % are planned with
    assert size(rows_per_s=6001).replicas == 6
    assert size(rows_per_s=1).replicas == 2


def test_requests_count_gateway_engine_and_workers():
    sizing = size()
    assert sizing.cpu_millicores == 5000
    # (128 gateway + 192 Java + 1024 heap + 2 × 500) × 1.25 = 2930 MiB, in steps of 256
    assert sizing.memory_mib == 3072


def test_requests_follow_what_a_whole_pod_was_measured_to_hold():
    heavy = size(replace(CAPACITY, beside_bytes=2000 * MIB))
    # (2000 + 2 × 500) × 1.25 = 3750 MiB
    assert heavy.memory_mib == 3840
    # 400 + 2 × 500 were measured before the heap was full: 128 + 192 + 1024 + 2 × 500 = 2344 MiB
    assert size(replace(CAPACITY, beside_bytes=400 * MIB)).memory_mib == 2560


def test_a_start_may_take_some_times_as_long_as_measured():
    assert size().startup_timeout_s is None
    assert size(replace(CAPACITY, startup_s=60.5)).startup_timeout_s == 272


def test_scaling_targets_follow_speed_and_the_wait_that_is_allowed():
    sizing = size(wait_s=0.1)
    assert sizing.target_rows_per_s == 1200
    assert sizing.target_waiting_rows == 100
    assert size(SLOW, wait_s=0.05).target_waiting_rows == 1


def test_more_than_the_most_replicas_is_refused_with_the_number():
    with pytest.raises(ValueError, match=r"need 50 replicas of 2,000 rows/s at 60% load, more than the 10 allowed"):
        size(rows_per_s=60_000)


@pytest.mark.parametrize("wrong", [{"rows_per_s": -1}, {"wait_s": 0}, {"min_replicas": 3, "max_replicas": 2}])
def test_demand_is_checked(wrong):
    with pytest.raises(ValueError, match="demand"):
        Demand(**wrong)


def test_a_manifest_is_a_careful_estimate_of_what_is_served():
    fields = make_fields("seq2seq", 1, "int8", "cpu", "") | {"size_bytes": 100 * MIB}
    capacity = estimate_capacity(Manifest.model_validate(fields))
    assert (capacity.rows_per_s, capacity.threads, capacity.max_rows) == (pytest.approx(0.7 * 212.4), 1, 32)
    assert capacity.worker_bytes == 1004 * MIB


def test_a_worker_without_torch_is_small():
    fields = make_fields("seq2seq", 1, "int8", "cpu", "") | {"size_bytes": 10 * MIB}
    fields["programs"] = {"main": "programs/main/main.onnx"}
    assert estimate_capacity(Manifest.model_validate(fields)).worker_bytes == 158 * MIB


def test_a_certificate_takes_the_estimates_place_and_the_slowest_host_counts(tmp_path):
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    release = builders.publish_release(store, "net", max_rows=32)
    assert find_capacity(release, "int8") == estimate_capacity(release.manifests["int8"])
    two_workers = Setup(workers=2, threads=3)
    for cores, saturated, held in ((8, 3000.0, 2900.0), (2, 2000.0, 500.0)):
        store.certify(
            builders.make_certificate(
                release,
                host=builders.make_host_class(cores=cores),
                setup=two_workers,
                saturated_rows_per_s=saturated,
                rows_per_s=held,
                worker_bytes=300 * MIB,
                node_bytes=800 * MIB,
            )
        )
    release = store.open("net", 1)
    assert find_capacity(release, "int8") == Capacity(
        rows_per_s=1000,
        target_rows_per_s=250,
        threads=3,
        worker_bytes=300 * MIB,
        max_rows=32,
        beside_bytes=200 * MIB,
        startup_s=3,
    )
    assert find_capacity(release, "eager") == estimate_capacity(release.manifests["eager"])
    sizing = size(find_capacity(release, "int8"), workers=2, rows_per_s=1400)
    assert (sizing.replicas, sizing.target_rows_per_s, sizing.cpu_millicores) == (3, 500, 7000)


def test_the_host_class_that_was_named_decides(tmp_path):
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    release = builders.publish_release(store, "net", max_rows=32)
    hosts = {rate: builders.make_host_class(cores=cores) for rate, cores in ((900.0, 2), (3000.0, 8))}
    for rate, host in hosts.items():
        store.certify(builders.make_certificate(release, host=host, saturated_rows_per_s=rate, rows_per_s=rate))
    release = store.open("net", 1)
    for rate, host in hosts.items():
        assert find_capacity(release, "int8", host.id).rows_per_s == rate
    with pytest.raises(
        ValueError, match=rf"no certificate of the host class 'moon'; it has .*{hosts[900.0].id} \(2 cores"
    ):
        find_capacity(release, "int8", "moon")
