import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from loadtests.addresses import Addresses
from loadtests.bound import round_up
from loadtests.campaign import Campaign
from loadtests.judge.rate_search import RateSearch
from loadtests.presets import PRESETS, Preset, estimate_campaign_s, fit_preset
from loadtests.results import describe_repeats
from loadtests.subject import choose_subjects, find_variant, list_subjects
from model_store.release import UnknownReleaseError
from model_store.signing import Keyring
from model_store.store import Store
from tests import builders
from tests.loadtests import synthetic
from tests.services.client.open_inference_server import run_server

TINY = Preset(
    callers=(1, 4),
    rounds=1,
    warm_up_s=0.1,
    least_s=0.3,
    most_s=0.3,
    wanted_error=0.05,
    rest_callers=(1,),
    search_s=1.5,
    least_probe_s=0.5,
    most_probe_s=1.0,
    resolution=1.5,
    confirm_s=1.0,
    offline_s=0.3,
    streams=False,
    repeats_s=0.0,
)


def make_campaign(server, rest_url, *, preset=TINY, advance=lambda what, planned_s: None):
    addresses = Addresses(grpc=server.url, http=rest_url, metrics=f"{rest_url}/metrics")
    return Campaign(addresses=addresses, preset=preset, processes=1, advance=advance)


def test_a_campaign_measures_every_variant_and_recommends_one(store, rest_url):
    steps = []
    with run_server() as server:
        campaign = make_campaign(server, rest_url, advance=lambda what, planned_s: steps.append((what, planned_s)))
        results, scraped_by = campaign.measure(store.open("double", 1), end_s=monotonic())
    assert scraped_by in ("embedded scraper", "Prometheus")
    assert [manifest.variant for manifest in results.served] == ["eager", "int8"]
    assert [search.version for search in results.searches] == ["1-eager", "1-int8"]
    for version in ("1-eager", "1-int8"):
        assert [run.callers for run in results.select(version, "closed loop")] == [1, 4]
        confirmed = results.select(version, "Server")
        assert 1 <= len(confirmed) <= 3
        assert all(run.load.offered > 10 and run.neighbours is not None for run in confirmed)
        assert len(results.select(version, "Offline")) == 1
    assert [run.callers for run in results.select("1-int8", "closed loop", "rest")] == [1]
    assert results.select("1-eager", "closed loop", "rest") == []
    assert (results.agreement.rows, results.agreement.largest_difference) == (3, 0.0)
    assert results.agreement.first.outputs[0].name == "y"
    (service_ms,) = (
        run.recording.find_percentile_ms(50) for run in results.select("1-eager", "closed loop") if run.callers == 1
    )
    assert 8 * service_ms <= results.bound.ms <= 16 * service_ms + 1
    assert "8 times the" in results.bound.why
    assert "one caller of double 1-eager" in results.bound.why
    assert results.recommendation.version in ("1-eager", "1-int8")
    assert sum(planned_s for _, planned_s in steps) == pytest.approx(estimate_campaign_s(TINY, 2))


@pytest.mark.parametrize(
    ("value", "figure"), [(0.3, 0.3), (0.9, 1), (4.1, 5), (5, 5), (38, 50), (51, 70), (101, 150), (1001, 1500)]
)
def test_a_bound_is_a_round_figure(value, figure):
    assert round_up(value) == pytest.approx(figure)


def test_the_demo_of_five_variants_is_planned_for_less_than_four_minutes():
    assert estimate_campaign_s(PRESETS["demo"], 5) <= 240


def test_four_models_of_two_or_three_variants_are_planned_for_a_minute_each():
    assert sum(estimate_campaign_s(PRESETS["brief"], number) for number in (2, 3, 3, 2)) <= 240


def test_subjects_come_slowest_first_with_the_default_marked(store):
    subjects = list_subjects(store.open("double", 1))
    assert [(subject.name, subject.is_default) for subject in subjects] == [
        ("double 1-eager", False),
        ("double 1-int8", True),
    ]
    assert subjects[0].input_names == ("x",)


def test_the_reference_and_the_default_are_chosen_with_what_is_named_or_on_the_front(tmp_path, keys):
    size = {"size_bytes": 500_000}
    variants = {"eager": {}, "compiled": {}, "onnx": size, "onnx-int8": size, "bf16": {}}
    release = builders.publish_release(
        Store(tmp_path / "front", Keyring(keys)), "net", variants, default="onnx", rejected={"bf16": "too inaccurate"}
    )

    def choose(*words):
        return {subject.manifest.variant for subject in choose_subjects(release, words)}

    assert choose() == {"eager", "onnx"}
    assert choose("compiled") == {"eager", "compiled", "onnx"}
    assert choose("front") == {"eager", "onnx", "onnx-int8"}
    assert choose("all") == {"eager", "compiled", "onnx", "onnx-int8"}
    with pytest.raises(UnknownReleaseError, match="no variant 'bf16': too inaccurate; it has onnx, compiled, eager"):
        choose("front", "bf16")


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


def test_what_did_not_settle_is_made_again_in_the_end_and_counted(store, rest_url, monkeypatch):
    asked = []

    def run(plan):
        asked.append((plan.scenario, plan.measure_s))
        growing = sum(scenario == "Offline" for scenario, _ in asked) == 1
        return synthetic.run_closed(lambda time_s: 0.01 * (1 + time_s / 10 * growing))

    steady, wild = (
        synthetic.run_closed(latency) for latency in (lambda time_s: 0.01, lambda time_s: 0.01 + time_s / 1e3)
    )
    swept = []

    def sweep(plan, processes):
        swept.append(plan.callers)
        return [wild if len(swept) in (1, 4) and callers == 4 else steady for callers in plan.callers]

    found = RateSearch(bound_ms=80.0, held=100.0, failed=None, probes=())
    monkeypatch.setattr("loadtests.campaign.run_open_loop", run)
    monkeypatch.setattr("loadtests.campaign.run_closed_loop", sweep)
    monkeypatch.setattr("loadtests.campaign.run_rate_search", lambda plan: found)
    with run_server() as server:
        campaign = make_campaign(server, rest_url, preset=replace(TINY, repeats_s=600.0))
        results, _ = campaign.measure(store.open("double", 1), end_s=monotonic())
    assert [measure_s for scenario, measure_s in asked if scenario == "Offline"] == [0.3, 0.3, 0.3]
    (offline,) = results.select("1-eager", "Offline")
    assert (offline.verdict.valid, offline.repeats) == (True, 1)
    # Twice, until it settled; what had settled is left alone.
    assert swept == [(1, 4), (1, 4), (1,), (4,), (4,)]
    assert [(run.callers, run.verdict.valid, run.repeats) for run in results.select("1-eager", "closed loop")] == [
        (1, True, 0),
        (4, True, 2),
    ]
    assert describe_repeats(results.runs) == "after 3 that did not settle and were made again"


# 1,001 requests show p99 with three of them over it, 662 with one, 97 show p90 with three.
@pytest.mark.parametrize(("rate", "length_s"), [(400, 5.0), (100, 10.01), (60, 12.5), (40, 5.0), (12, 8.08), (6, 12.5)])
def test_a_confirmation_lasts_until_the_highest_percentile_in_reach_can_be_shown(
    store, rest_url, monkeypatch, rate, length_s
):
    asked = []

    def run(plan):
        asked.append(plan.measure_s)
        return synthetic.run(synthetic.serve_in(0.01), rate, 10.0).recording

    steady = synthetic.run_closed(lambda time_s: 0.01)
    found = RateSearch(bound_ms=200.0, held=rate, failed=None, probes=())
    monkeypatch.setattr("loadtests.campaign.run_open_loop", run)
    monkeypatch.setattr("loadtests.campaign.run_closed_loop", lambda plan, processes: [steady for _ in plan.callers])
    monkeypatch.setattr("loadtests.campaign.run_rate_search", lambda plan: found)
    with run_server() as server:
        campaign = replace(
            make_campaign(server, rest_url, preset=replace(TINY, confirm_s=5.0, offline_s=0.0)), bound_ms=200.0
        )
        results, _ = campaign.measure(store.open("double", 1), end_s=monotonic())
    assert asked[0] == pytest.approx(length_s, rel=0.02)
    assert results.select("1-eager", "Offline") == []


def test_a_rate_that_a_slower_host_falls_behind_at_is_confirmed_by_what_it_answers(store, rest_url, monkeypatch):
    def run(plan):
        return synthetic.run(synthetic.serve_one_by_one(70.0), plan.rate, 10.0).recording

    steady = synthetic.run_closed(lambda time_s: 0.01)
    found = RateSearch(bound_ms=200.0, held=100.0, failed=None, probes=())
    monkeypatch.setattr("loadtests.campaign.run_open_loop", run)
    monkeypatch.setattr("loadtests.campaign.run_closed_loop", lambda plan, processes: [steady for _ in plan.callers])
    monkeypatch.setattr("loadtests.campaign.run_rate_search", lambda plan: found)
    with run_server() as server:
        campaign = replace(make_campaign(server, rest_url), bound_ms=200.0)
        results, _ = campaign.measure(store.open("double", 1), end_s=monotonic())
    behind, *_, held = results.select("1-eager", "Server")
    assert (behind.rate, behind.load.state, held.load.state) == (100.0, "overloaded", "held")
    assert 0.8 * 70 < held.rate < 0.95 * 70


def test_a_preset_is_shortened_as_little_as_a_budget_asks_for():
    demo, brief, four = PRESETS["demo"], PRESETS["brief"], (5, 5, 4, 3)
    fitted = fit_preset(demo, four, 600)
    assert sum(estimate_campaign_s(fitted, number) for number in four) == pytest.approx(600, rel=0.01)
    kept = [(one.search_s, one.confirm_s, one.repeats_s) for one in (brief, fitted, demo)]
    shares = [(own - least) / (most - least) for least, own, most in zip(*kept, strict=True)]
    assert 0 < shares[0] < 1
    assert shares == pytest.approx([shares[0]] * 3)
    assert (fitted.warm_up_s, fitted.callers, fitted.offline_s) == (demo.warm_up_s, demo.callers, demo.offline_s)
    assert fit_preset(demo, (5,), 480) == demo
    assert TINY.shorten(0.0) == TINY
    with pytest.raises(ValueError, match=r"2\.0 minutes are too few for 17 variants: at least 8\.0"):
        fit_preset(demo, four, 120)
