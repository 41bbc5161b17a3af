"""The load test against the whole server: what it sends, and what it reads from the server's metrics."""

import pytest

from loadtests.campaign import Addresses, Campaign
from loadtests.presets import Preset
from model_store.signing import Keyring
from model_store.store import Store

PRESET = Preset(
    callers=(1, 4),
    rounds=1,
    warm_up_s=0.3,
    least_s=0.8,
    most_s=0.8,
    rest_callers=(2,),
    search_s=3.0,
    least_probe_s=0.8,
    most_probe_s=1.5,
    resolution=1.5,
    confirm_s=1.5,
    offline_s=0.5,
    streams=True,
)


@pytest.mark.parametrize("model", ["brightness", pytest.param("scale", marks=pytest.mark.slow)])
def test_measures_any_model_of_the_store(released, served, model):
    campaign = Campaign(
        addresses=Addresses(grpc=served.grpc, http=f"http://{served.http}", metrics=served.metrics),
        preset=PRESET,
        processes=1,
        advance=lambda what, planned_s: None,
    )
    results, _ = campaign.measure(Store(released.store, Keyring(released.keys)).open(model, 1))
    assert all(not run.recording.errors for run in results.runs)
    assert all(run.recording.requests for run in results.runs)
    assert results.agreement.largest_difference == 0.0
    assert {run.kind for run in results.runs} == {"closed loop", "Server", "Offline", "SingleStream", "MultiStream"}
    server_run = results.select("1-eager", "Server")[0]
    assert server_run.split is not None
    total_ms = server_run.split.queue_ms + server_run.split.compute_ms + server_run.split.transport_ms
    assert total_ms == pytest.approx(server_run.recording.latencies().mean_ms, rel=0.25)
    (offline,) = results.select("1-eager", "Offline")
    assert offline.recording.rows_per_request == results.manifests[0].max_rows
