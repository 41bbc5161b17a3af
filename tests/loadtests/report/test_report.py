import base64
import csv
import gzip
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from PIL import Image
from rich.console import Console

from loadtests.judge.load import describe_load
from loadtests.judge.rate_search import Probe, RateSearch
from loadtests.judge.recommendation import find_held, find_peak_rows_per_s, recommend
from loadtests.judge.verdict import Reason, judge
from loadtests.measure.answer import show_answer
from loadtests.measure.host import Host
from loadtests.measure.neighbours import Neighbour, Neighbours
from loadtests.measure.time_split import TimeSplit
from loadtests.report import write_report
from loadtests.report.comparison_page import write_comparison
from loadtests.report.percentiles import PERCENTILES
from loadtests.report.picture import make_png_url
from loadtests.report.summary import print_summary
from loadtests.report.svg import draw_lines, make_linear_axis, make_log_axis
from loadtests.report.table import make_comparison, make_markdown
from loadtests.results import (
    Agreement,
    Bound,
    ModelResults,
    Results,
    Run,
    Search,
    find_worker_mb,
    read_results,
    write_results,
)
from model_store.manifest import ReleaseIndex
from tests.loadtests import synthetic
from tests.loadtests.conftest import make_manifest

BOUND_MS = 50.0
IMAGE = np.zeros((1, 4, 6, 1), np.uint8)
FIRST = show_answer(
    "3-int8", {"image": IMAGE}, {"probabilities": np.ones((1, 2)), "label": np.array([b"seven"], object)}
)
PROBES = [
    Probe(rate=rate, requests=500, over=1, seconds=2.0, outcome=outcome)
    for rate, outcome in ((500, "holds"), (700, "fails"))
]
SEARCH = RateSearch(bound_ms=BOUND_MS, held=500, failed=700, probes=PROBES)


def make_run(version, kind, rate, latency_s, callers=None):
    if kind == "Server":
        recording = synthetic.run(synthetic.serve_in(latency_s), rate, 10.0).recording
    else:
        num = max(1, round(rate * latency_s))
        recording = synthetic.run_closed(lambda time_s: num / rate, callers=num)
    return Run(
        version=version,
        kind=kind,
        protocol="grpc",
        round=0,
        callers=callers,
        rate=rate if kind == "Server" else None,
        recording=recording,
        verdict=judge(recording, bound_ms=BOUND_MS if kind == "Server" else None),
        load=describe_load(recording, BOUND_MS) if kind == "Server" else None,
        split=TimeSplit(queue_ms=1.0, compute_ms=4.0, transport_ms=1.0, rows_per_batch=3.0),
        neighbours=Neighbours(cores=0.5, stolen_cores=0.0, named=(Neighbour(name="compiler", cores=0.4),)),
        worker_bytes=150_000_000 + 1000 * rate,
    )


@pytest.fixture(scope="module")
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
        agreement=Agreement(first=FIRST, rows=8, largest_difference=0.0),
        bound=Bound(ms=BOUND_MS, why="as given"),
        searches=[Search(version="3-int8", found=SEARCH)],
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
        host=host,
        scraped_by="embedded scraper",
        models=[model],
    )


def make_invalid(run, kind="too noisy"):
    return run.model_copy(
        update={"verdict": run.verdict.model_copy(update={"reasons": (Reason(kind=kind, text="±30 %"),)})}
    )


def test_the_highest_rate_within_the_bound_wins(results):
    model = results.models[0]
    assert find_held(model.runs, "3-int8").rate == 500
    assert find_held(model.runs, "3-eager") is None
    assert find_peak_rows_per_s(model.runs, "3-int8") == pytest.approx(600, rel=0.01)
    advice = model.recommendation
    assert (advice.version, advice.standing, advice.headline) == ("3-int8", "shown", "Deploy classifier 3-int8")
    assert "held 500 requests/s" in advice.reasons[0]
    assert "p99 at 20.0 ms" in advice.reasons[0]
    assert "4.0× the eager variant" in advice.reasons[1]
    assert "against eager on the same rows -0.001" in advice.reasons[2]
    assert "During the test others kept 0.5 cores busy (compiler 0.4): a quiet machine gives other figures." in (
        advice.caveats
    )


def test_too_slow_and_too_noisy_are_different_answers(results):
    model = results.models[0]
    slow = [make_run("3-int8", "Server", 500, 0.08) if run.rate else run for run in model.runs]
    slow += [run for run in model.runs if run.rate == 90]
    advice = recommend(model.index, model.manifests, slow, BOUND_MS)
    assert (advice.standing, advice.headline) == (
        "too slow",
        "No variant of classifier holds 50 ms on this machine",
    )
    noisy = [make_invalid(run) for run in model.runs]
    advice = recommend(model.index, model.manifests, noisy, BOUND_MS)
    assert (advice.standing, advice.version) == ("too short or too noisy", "3-int8")
    assert advice.headline == "Too short or too noisy to say which variant of classifier to deploy"
    assert (
        "8 of 8 runs are INVALID (too noisy 8): no evidence; the order of the variants is provisional."
        in advice.caveats
    )


def test_results_survive_the_file(results, tmp_path):
    write_results(results, tmp_path)
    assert read_results(tmp_path) == results


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return write_report(results, tmp_path_factory.mktemp("report")).read_text()


def test_the_report_is_one_small_file_without_references_to_elsewhere(page, results):
    assert len(page) < 300_000
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)="(?!data:)|url\(|@import""", markup)
    assert "Deploy classifier 3-int8" in markup
    assert "AVX-512 VNNI" in markup
    assert markup.count("VALID</span>") >= len(results.models[0].runs)
    assert "difference -0.001 is within 0.003" in markup
    assert "no GPU &lt;/script&gt; here" in markup
    assert re.search(r"500 ✓</span>, <span[^>]*>700 ✗</span> a second: 500 held in the search, 700 was not", markup)


def test_a_searched_rate_that_loadgen_refuses_is_not_shown_as_held(results, tmp_path):
    model = results.models[0]
    refused = [make_run("3-int8", "Server", 500, 0.08), make_invalid(make_run("3-int8", "Server", 450, 0.02))]
    runs = [run for run in model.runs if run.rate is None] + refused
    advice = recommend(model.index, model.manifests, runs, BOUND_MS)
    model = model.model_copy(update={"runs": tuple(runs), "recommendation": advice})
    page = write_report(results.model_copy(update={"models": (model,)}), tmp_path).read_text()
    assert (
        "500 held in the search, 700 was not shown to. LoadGen's run at 500 did not hold it: it kept up with the "
        "arrivals, but took longer than the bound. LoadGen's run at 450 is INVALID: too noisy.</p>"
    ) in page
    assert "<small>not&nbsp;450</small>" in page


def test_a_variant_that_was_not_load_tested_stands_with_its_releases_figures(results, tmp_path, capsys):
    (model,) = results.models
    index = model.index.model_copy(update={"archives": {**model.index.archives, "onnx": "0"}})
    manifests = (*model.manifests, make_manifest("onnx", model="classifier", release=3, speed=250.0))
    advice = recommend(index, manifests, model.runs, BOUND_MS)
    model = model.model_copy(update={"index": index, "manifests": manifests, "recommendation": advice})
    more = results.model_copy(update={"models": (model,)})
    said = "not load-tested: 250 rows/s and 1 ms for one row on one thread, says its release"
    page = write_report(more, tmp_path).read_text()
    assert re.search(rf'</i>onnx</th>.*?<td colspan="{5 + len(PERCENTILES)}">{said}</td>', page, re.S)
    assert "onnx: 0 rows/s" not in page
    assert f"onnx {said}" in make_markdown(more)
    assert "| onnx |" not in make_markdown(more)
    print_summary(more, Console(width=200))
    assert f"onnx {said}" in capsys.readouterr().out
    assert "onnx was not load-tested; `--variants all` measures every variant." in advice.caveats
    assert advice.headline == "Deploy classifier 3-int8"


def test_two_models_share_a_report_that_begins_with_both(results, tmp_path):
    first = results.models[0]
    assert "<h2>Models</h2>" not in write_report(results, tmp_path).read_text()
    index = first.index.model_copy(update={"model": "fashion"})
    manifests = tuple(manifest.model_copy(update={"model": "fashion"}) for manifest in first.manifests)
    runs = tuple(run for run in first.runs if run.rate != 500)
    second = first.model_copy(
        update={
            "index": index,
            "manifests": manifests,
            "runs": runs,
            "recommendation": recommend(index, manifests, runs, BOUND_MS),
        }
    )
    page = write_report(results.model_copy(update={"models": (first, second)}), tmp_path).read_text()
    overview = page[page.index("<h2>Models</h2>") : page.index('<h2 class="model"')]
    rows = [re.sub(r"<[^>]+>", "|", row) for row in overview.split("<tr>")[2:]]
    cells = [[cell for cell in row.split("|") if cell.strip()] for row in rows]
    assert [row[:6] for row in cells] == [
        ["classifier, release 3", "tensor", "Deploy classifier 3-int8", "500", "600", "20"],
        ["fashion, release 3", "tensor", "Deploy fashion 3-int8", "360", "600", "8"],
    ]
    for name in ("classifier", "fashion"):
        assert page.count(f'href="#{name}"') == page.count(f'id="{name}"') == 1
    assert page.index('id="classifier"') < page.index("Deploy classifier", page.index('id="classifier"'))
    assert page.index("Deploy classifier", page.index('id="classifier"')) < page.index('id="fashion"')


def test_the_answer_and_its_picture_come_first(page):
    assert page.index("<b>seven</b>") < page.index("probabilities</figcaption>") < page.index("<h2>Variants")
    assert page.index("data:image/png;base64,") < page.index("<b>seven</b>")


def test_nothing_is_recommended_in_green_without_a_valid_run(results, tmp_path):
    model = results.models[0]
    runs = tuple(make_invalid(run) for run in model.runs)
    advice = recommend(model.index, model.manifests, runs, BOUND_MS)
    bad = model.model_copy(update={"runs": runs, "recommendation": advice})
    page = write_report(results.model_copy(update={"models": (bad,)}), tmp_path).read_text()
    assert 'class="advice open"' in page
    assert "No recommendation: too short or too noisy" in page
    assert "Deploy" not in page
    assert page.count("INVALID: too noisy 8.") == 1


def test_raw_data_can_be_taken_along(page, results):
    raw = re.search(r'href="data:application/gzip;base64,([^"]+)"', page)[1]
    assert Results.model_validate_json(gzip.decompress(base64.b64decode(raw))) == results
    table = base64.b64decode(re.search(r'href="data:text/csv;base64,([^"]+)"', page)[1]).decode()
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["scenario"] for row in rows[:4]] == ["closed loop"] * 4
    assert (rows[5]["rate_per_s"], rows[5]["state"], rows[5]["verdict"]) == ("360.0", "held", "VALID")
    assert float(rows[5]["p99_ms"]) == pytest.approx(8, rel=0.01)
    assert rows[5]["worker_mb"] == "150.4"


def test_memory_is_the_most_that_a_variants_workers_had_and_empty_where_nobody_measured_it(results, tmp_path):
    (model,) = results.models
    unknown = tuple(run.model_copy(update={"worker_bytes": None}) for run in model.runs)
    unmeasured = results.model_copy(update={"models": (model.model_copy(update={"runs": unknown}),)})
    assert find_worker_mb(model.runs, "3-int8") == pytest.approx(150.6)
    assert find_worker_mb(unknown, "3-int8") is None
    for test, figure in ((results, "151"), (unmeasured, "–")):
        page = write_report(test, tmp_path).read_text()
        write_comparison([test], tmp_path / "all.html")
        for text in (page, (tmp_path / "all.html").read_text()):
            assert re.search(rf'<td class="n">1</td>\s*<td class="n">{figure}</td>\s*<td class="n">600</td>', text)
    assert {row["worker_mb"] for row in csv.DictReader((tmp_path / "runs.csv").read_text().splitlines())} == {""}
    assert "| **int8** | 0.93 |  | 600 | 500 |" in make_markdown(unmeasured)


def test_several_tests_stand_on_one_page_by_model(results):
    (model,) = results.models
    index = model.index.model_copy(update={"model": "gan"})
    hosts = results.host.model_copy(update={"cpu": "another CPU", "cores_usable": 64})
    other = results.model_copy(update={"name": "other", "host": hosts, "models": (model,)})
    gan = results.model_copy(update={"name": "third", "models": (model.model_copy(update={"index": index}),)})
    page = make_comparison([results, other, gan])
    assert re.findall(r"^## (.*)$", page, re.M) == ["classifier", "gan"]
    first, second = page.split("## gan")
    held = "| 500 | 20.0 | 20.0 | VALID |"
    for name in ("run", "other"):
        assert f"| {name}, release 3 | 50 | 8 of 8 | **int8** | 0.93 | 151 | 600 {held}" in first
    assert f"| third, release 3 | 50 | 8 of 8 | **int8** | 0.93 | 151 | 600 {held}" in second
    assert "- other: another CPU, 64 cores with AVX-512 VNNI; `loadtest run`" in page


def test_the_page_of_several_tests_says_which_held_what_on_which_host(results, tmp_path):
    (model,) = results.models
    slow = model.model_copy(update={"runs": tuple(run for run in model.runs if run.kind != "Server")})
    other = results.model_copy(
        update={"name": "other", "host": results.host.model_copy(update={"cpu": "another CPU"}), "models": (slow,)}
    )
    path = tmp_path / "all.html"
    write_comparison([results, other], path)
    page = path.read_text()
    assert path.stat().st_size < 100_000
    assert set(re.findall(r"<title>((?:run|other), (?:int8|eager): [^<]+)</title>", page)) == {
        "run, int8: 500/s",
        "run, eager: none shown",
        "other, int8: none shown",
        "other, eager: none shown",
    }
    curves = re.findall(r"<title>((?:run|other), 4 callers: [^<]+)</title>", page)
    assert {curve.split(":")[0] for curve in curves} == {"run, 4 callers", "other, 4 callers"}
    assert len(re.findall(r">a CPU, 2 cores|>another CPU, 2 cores", page)) == 2
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_other_tools_can_read_what_was_measured(results, tmp_path):
    write_report(results, tmp_path)
    (model,) = results.models
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert {line.pop("model") for line in lines} == {model.index.model}
    assert [Run.model_validate(line) for line in lines] == list(model.runs)
    log = HistogramLogReader(str(tmp_path / "latencies.hlog"), HdrHistogram(1, 600_000_000, 3))
    read = [log.get_next_interval_histogram() for _ in model.runs]
    log.close()
    for run, histogram in zip(model.runs, read, strict=True):
        assert histogram.get_total_count() == run.recording.requests
        p99_ms = histogram.get_value_at_percentile(99) / 1e3
        assert p99_ms == pytest.approx(run.recording.latencies().find_percentile_ms(99))


def test_charts_are_drawn_for_wide_pages_and_for_narrow_ones(page):
    charts = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S)]
    assert [int(chart.get("width")) for chart in charts] == [760, 340] * 4 + [380, 340] * 4
    for chart in charts:
        width, height = map(float, chart.get("viewBox").split()[2:])
        for text in chart.iter("text"):
            assert 0 <= float(text.get("x", 0)) <= width
            assert 0 <= float(text.get("y", 0)) <= height
    circles = list(charts[0].iter("circle"))
    assert [circle[0].text.split(":")[0] for circle in circles] == [
        "eager, 1 callers",
        "eager, 4 callers",
        "int8, 1 callers",
        "int8, 4 callers",
    ]
    assert "600 rows/s, p50 6.6" in circles[3][0].text


def test_no_label_is_cut_at_the_edge():
    x, y = make_linear_axis("rows/s", [2000.0]), make_log_axis("ms", [10_000.0])
    drawn = ElementTree.fromstring(draw_lines(x, y, [], width_px=340, rule=None))
    texts = [text for text in drawn.iter("text") if text.get("x")]
    assert "2,000" in [text.text for text in texts]
    for text in texts:
        # A figure of the page's type is at most 7 px wide.
        before = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor")] * 7 * len(text.text)
        assert float(text.get("x")) - before >= 0
        assert float(text.get("x")) - before + 7 * len(text.text) <= 340


def test_labels_of_rows_do_not_overprint(page):
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S)[8:12]:
        labels = [text for text in ElementTree.fromstring(svg).iter("text") if text.get("class") == "label"]
        heights = [float(label.get("y")) for label in labels]
        assert len(heights) == 2
        assert heights[1] - heights[0] >= 30


def test_the_summary_fits_eighty_columns_and_begins_with_the_answer(results, capsys):
    print_summary(results, Console(width=80))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    row = next(line for line in out.splitlines() if "int8 *" in line)
    assert [cell.strip() for cell in row.split("│")[2:7]] == ["0.93", "151", "600", "4.0", "500"]
    assert out.splitlines()[0] == "  classifier 3-int8 answers label: seven"
    assert "bf16 refused by the gate" in out
    assert out.index("Deploy classifier 3-int8") < out.index("runs VALID")


def test_markdown_for_a_pull_request_has_the_answer_and_a_table(results):
    lines = make_markdown(results).splitlines()
    assert lines[0] == "### Deploy classifier 3-int8"
    assert "| **int8** | 0.93 | 151 | 600 | 500 | 20.0 | 20.0 | VALID |" in lines
    assert any(line.startswith("| eager | 0.93 | 150 | 150 | not 90 | 80.") for line in lines)


def test_a_picture_becomes_a_png():
    picture = show_answer("1", {"image": np.arange(24, dtype=np.uint8).reshape(1, 4, 6, 1)}, {}).inputs[0].picture
    data = base64.b64decode(make_png_url(picture).partition(",")[2])
    image = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(image, np.arange(24).reshape(4, 6))


def test_the_peak_is_the_best_of_any_run(results):
    (model,) = results.models
    full = make_run("3-int8", "Offline", 5000, 0.1)
    assert find_peak_rows_per_s([*model.runs, full], "3-int8") == full.recording.rows_per_s
