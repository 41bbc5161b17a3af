"""The load test against the whole server: what it sends, and what it reads from the server's metrics."""

import re
import sys
from dataclasses import replace

import pytest

from loadtests import cli
from loadtests.presets import PRESETS, Preset
from loadtests.results import read_results

PRESET = Preset(
    callers=(1, 4),
    rounds=1,
    warm_up_s=0.3,
    least_s=0.5,
    most_s=0.5,
    wanted_error=0.05,
    rest_callers=(2,),
    search_s=2.0,
    least_probe_s=0.6,
    most_probe_s=1.0,
    resolution=1.5,
    confirm_s=1.0,
    offline_s=0.3,
    repeats_s=0.0,
    streams=False,
)


@pytest.fixture
def measure(released, served, tmp_path, monkeypatch):
    """Run `loadtest run` over some models; gives its results and its page."""

    def measure(*models, preset=PRESET):
        monkeypatch.setitem(PRESETS, "demo", preset)
        monkeypatch.setenv("MILLRACE_KEYS", str(released.keys))
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        doors = ["--grpc-url", served.grpc, "--http-url", f"http://{served.http}", "--metrics-url", served.metrics]
        arguments = ["run", *models, "--store", str(released.store), "--out", str(tmp_path), "--preset", "demo", *doors]
        monkeypatch.setattr(sys, "argv", ["loadtest", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        return read_results(tmp_path), (tmp_path / "index.html").read_text()

    return measure


def check(results):
    """What holds for every model that was measured."""
    assert all(not run.recording.errors for run in results.runs)
    assert all(run.recording.requests for run in results.runs)
    assert results.agreement.largest_difference == 0.0
    server_run = results.select("1-eager", "Server")[0]
    assert server_run.split is not None
    total_ms = server_run.split.queue_ms + server_run.split.compute_ms + server_run.split.transport_ms
    assert total_ms == pytest.approx(server_run.recording.latencies().mean_ms, rel=0.25)
    (offline,) = results.select("1-eager", "Offline")
    assert offline.recording.rows_per_request == results.manifests[0].max_rows


def test_two_classifiers_that_are_served_at_once_share_a_report(measure):
    results, page = measure("brightness", "shades")
    assert [model.index.model for model in results.models] == ["brightness", "shades"]
    assert {manifest.kind for model in results.models for manifest in model.served} == {"classifier"}
    for model, answer in zip(results.models, ("dark", "black"), strict=True):
        check(model)
        assert {run.kind for run in model.runs} == {"closed loop", "Server", "Offline"}
        assert [item.text for item in model.agreement.first.outputs if item.name == "label"] == [answer]
    assert re.findall(r'<h2 class="model" id="(\w+)">', page) == ["brightness", "shades"]
    assert page.index("<b>dark</b>") < page.index("<b>black</b>")


@pytest.mark.slow
def test_every_scenario_measures_a_model_of_plain_tensors(measure):
    results, _ = measure("scale", preset=replace(PRESET, streams=True))
    (model,) = results.models
    check(model)
    assert {run.kind for run in model.runs} == {"closed loop", "Server", "Offline", "SingleStream", "MultiStream"}
