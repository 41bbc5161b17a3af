import json
import re

import pytest
from rich.console import Console

from loadtests.judge.recommendation import find_held, find_peak_rows_per_s, recommend
from loadtests.judge.verdict import holds_bound, judge
from loadtests.measure.host import Host
from loadtests.measure.recording import Recorder
from loadtests.measure.time_split import Moment, TimeSplit
from loadtests.report import write_report
from loadtests.report.summary import print_summary
from loadtests.results import Agreement, ModelResults, Results, Run, read_results, write_results
from model_store.manifest import ReleaseIndex
from tests.loadtests.conftest import make_manifest

BOUND_MS = 50.0


def record(rate, latency_s, *, scheduled=False):
    recorder = Recorder(started=0.0, duration_s=10.0, num_windows=5)
    for index in range(int(10 * rate)):
        time_s = index / rate
        if scheduled:
            recorder.record_scheduled(time_s, time_s + 1e-4, time_s + latency_s)
        else:
            recorder.record(time_s, latency_s)
    return recorder.finish(duration_s=10.0, cpu_s=2.0)


def make_run(version, kind, rate, latency_s, callers=None):
    recording = record(rate, latency_s, scheduled=kind == "Server")
    is_server = kind == "Server"
    split = TimeSplit(
        queue_ms=1.0,
        compute_ms=4.0,
        transport_ms=1.0,
        rows_per_batch=3.0,
        moments=[Moment(offset_s=0.5, queue_ms=1.0, compute_ms=4.0)],
    )
    return Run(
        version=version,
        kind=kind,
        protocol="grpc",
        round=0,
        callers=callers,
        rate=rate if is_server else None,
        recording=recording,
        verdict=judge(recording),
        holds_bound=holds_bound(recording, BOUND_MS) if is_server else None,
        split=split,
    )


@pytest.fixture
def results():
    known = {"model": "classifier", "release": 3}
    manifests = [
        make_manifest("eager", speed=100.0, **known),
        make_manifest("int8", speed=500.0, **known),
        make_manifest("bf16", speed=300.0, passed=False, **known),
    ]
    index = ReleaseIndex(
        model="classifier",
        release=3,
        default="int8",
        archives={"eager": "0", "int8": "0"},
        manifests={"eager": "0", "int8": "0", "bf16": "0"},
        rejected={"bf16": "too much worse"},
        left_out={"fp16": "no GPU </script> here"},
        examples="0",
    )
    runs = [
        make_run("3-eager", "closed loop", 100, 0.010, callers=1),
        make_run("3-eager", "closed loop", 150, 0.026, callers=4),
        make_run("3-int8", "closed loop", 400, 0.0025, callers=1),
        make_run("3-int8", "closed loop", 600, 0.0066, callers=4),
        make_run("3-eager", "Server", 90, 0.080),
        make_run("3-int8", "Server", 360, 0.008),
        make_run("3-int8", "Server", 500, 0.020),
        make_run("3-int8", "Offline", 20, 0.1),
    ]
    model = ModelResults(
        index=index,
        manifests=manifests,
        agreement=Agreement(rows=8, largest_difference=0.0),
        runs=runs,
        recommendation=recommend(index, manifests, runs, BOUND_MS),
    )
    host = Host(
        cpu="a CPU",
        cores=2,
        cores_usable=2,
        flags=("AVX-512 VNNI",),
        memory_gib=8.0,
        system="Debian",
        python="3.11",
        packages={"torch": "2.13.0"},
        load_average=0.1,
    )
    return Results(
        name="run",
        created="2026-01-31T12:00:00+00:00",
        command="loadtest run",
        preset="demo",
        bound_ms=BOUND_MS,
        host=host,
        scraped_by="embedded scraper",
        models=[model],
    )


def test_the_highest_rate_within_the_bound_wins(results):
    model = results.models[0]
    assert find_held(model.runs, "3-int8").rate == 500
    assert find_held(model.runs, "3-eager") is None
    assert find_peak_rows_per_s(model.runs, "3-int8") == pytest.approx(600)
    advice = model.recommendation
    assert (advice.version, advice.headline) == ("3-int8", "Deploy classifier 3-int8")
    assert "held 500 requests/s" in advice.reasons[0]
    assert "p99 at 20.0 ms" in advice.reasons[0]
    assert "4.0× the eager variant" in advice.reasons[1]
    assert "against eager on the same rows -0.001" in advice.reasons[2]


def test_a_recommendation_that_nothing_holds_says_so(results):
    model = results.models[0]
    closed = [run for run in model.runs if run.kind == "closed loop"]
    advice = recommend(model.index, model.manifests, closed, BOUND_MS)
    assert advice.version == "3-int8"
    assert advice.headline == "Deploy classifier 3-int8: no variant held 50 ms, it came closest"
    assert advice.reasons[0].startswith("No variant was shown to hold 50 ms")


def test_an_invalid_run_is_a_caveat(results):
    model = results.models[0]
    runs = [
        run.model_copy(update={"verdict": run.verdict.model_copy(update={"valid": False, "reasons": ("errors: 1",)})})
        for run in model.runs
    ]
    caveats = recommend(model.index, model.manifests, runs, BOUND_MS).caveats
    assert "INVALID (errors: 1)" in caveats[0]
    assert any("0 of 8 runs are VALID" in caveat for caveat in caveats)


def test_results_survive_the_file(results, tmp_path):
    write_results(results, tmp_path)
    assert read_results(tmp_path) == results


def test_the_report_is_one_file_without_references_to_elsewhere(results, tmp_path):
    page = write_report(results, tmp_path).read_text()
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)=|url\(|@import""", markup)
    assert "Deploy classifier 3-int8" in markup
    assert "AVX-512 VNNI" in markup
    assert markup.count("VALID</span>") >= len(results.models[0].runs)
    assert "difference -0.001 is within 0.003" in markup
    assert "no GPU &lt;/script&gt; here" in markup


def test_every_chart_has_its_place_and_data(results, tmp_path):
    page = write_report(results, tmp_path).read_text()
    figures = json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)[1])
    names = ["curve", "percentiles", "split", "moments", "quality"]
    assert list(figures) == [f"classifier-{name}" for name in names]
    for identity, figure in figures.items():
        assert f'<div class="chart" id="{identity}">' in page
        assert figure["data"]
    curve = figures["classifier-curve"]["data"]
    assert [trace["name"] for trace in curve] == ["eager", "eager", "int8", "int8"]
    assert curve[2]["x"] == pytest.approx([400, 600])
    assert curve[2]["y"] == pytest.approx([2.5, 6.6], rel=1e-2)


def test_the_summary_fits_eighty_columns(results, capsys):
    print_summary(results, Console(width=80))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    row = next(line for line in out.splitlines() if "int8 *" in line)
    assert [cell.strip() for cell in row.split("│")[2:6]] == ["0.93", "600", "4.0", "500"]
    assert "bf16 refused by the gate" in out
    assert "Deploy classifier 3-int8" in out
