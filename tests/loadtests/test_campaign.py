import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.campaign import Addresses, Campaign, estimate_campaign_s
from loadtests.presets import PRESETS, Preset
from loadtests.subject import find_variant, list_subjects
from model_store.store import UnknownReleaseError
from tests.services.client.open_inference_server import run_server

TINY = Preset(
    callers=(1, 2),
    rounds=1,
    warm_up_s=0.1,
    measure_s=0.5,
    rest_callers=(1,),
    first_probe=0.1,
    probes=2,
    probe_s=1.5,
    offline_s=0.5,
    streams=False,
)


def test_a_campaign_measures_every_variant_and_recommends_one(store, rest_url):
    steps = []
    with run_server() as server:
        campaign = Campaign(
            addresses=Addresses(grpc=server.url, http=rest_url, metrics=f"{rest_url}/metrics"),
            preset=TINY,
            bound_ms=500.0,
            processes=1,
            advance=lambda what, planned_s: steps.append((what, planned_s)),
        )
        results, scraped_by = campaign.measure(store.open("double", 1))
    assert scraped_by in ("embedded scraper", "Prometheus")
    assert [manifest.variant for manifest in results.served] == ["eager", "int8"]
    for version in ("1-eager", "1-int8"):
        assert [run.callers for run in results.select(version, "closed loop")] == [1, 2]
        assert len(results.select(version, "Server")) == 2
        assert len(results.select(version, "Offline")) == 1
    assert [run.callers for run in results.select("1-int8", "closed loop", "rest")] == [1]
    assert results.select("1-eager", "closed loop", "rest") == []
    assert (results.agreement.rows, results.agreement.largest_difference) == (3, 0.0)
    assert results.recommendation.version in ("1-eager", "1-int8")
    assert sum(planned_s for _, planned_s in steps) == pytest.approx(estimate_campaign_s(TINY, 2))


def test_the_rate_search_goes_up_where_the_bound_holds(store, rest_url):
    with run_server() as server:
        campaign = Campaign(
            addresses=Addresses(grpc=server.url, http=rest_url, metrics=f"{rest_url}/metrics"),
            preset=TINY,
            bound_ms=500.0,
            processes=1,
            advance=lambda what, planned_s: None,
        )
        subject = find_variant(store.open("double", 1), "int8")
        first, second = campaign._search_rate(subject, 400.0)
    assert first.rate == pytest.approx(40)
    assert second.rate == pytest.approx(46 if first.holds_bound else 28)


def test_the_demo_of_four_variants_is_planned_for_a_minute_and_a_half():
    assert estimate_campaign_s(PRESETS["demo"], 4) <= 100


def test_subjects_come_slowest_first_with_the_default_marked(store):
    subjects = list_subjects(store.open("double", 1))
    assert [(subject.name, subject.is_default) for subject in subjects] == [
        ("double 1-eager", False),
        ("double 1-int8", True),
    ]
    assert subjects[0].input_names == ("x",)


def test_an_unknown_variant_is_named(store):
    with pytest.raises(UnknownReleaseError, match="no variant 'bf16'"):
        find_variant(store.open("double", 1), "bf16")


def test_the_locustfile_calls_the_models_default_for_the_whole_run_time(store, keys, rest_url, tmp_path):
    locustfile = Path(__file__).parents[2] / "loadtests" / "generate" / "locustfile.py"
    # As on a slow machine: longer at work before the run than the run takes.
    slow = "import time\nend = time.perf_counter() + 1.2\nwhile time.perf_counter() < end:\n    pass\n"
    (tmp_path / "slow.py").write_text(slow)
    with run_server() as server:
        command = [sys.executable, "-m", "locust", "-f", f"{tmp_path}/slow.py,{locustfile}", "GrpcCaller", "RestCaller"]
        command += ["--headless", "-u", "2", "-r", "2", "-t", "1s", "--only-summary", "--exit-code-on-error", "1"]
        command += ["--model", "double", "--store", str(store.root), "--grpc-url", server.url, "--http-url", rest_url]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "double 1-int8" in done.stdout + done.stderr
    assert len(server.requests) > 10
    assert {request.model_version for request in server.requests} == {"1-int8"}
    assert "0(0.00%)" in done.stdout + done.stderr
