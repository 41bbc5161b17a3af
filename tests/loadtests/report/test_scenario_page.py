"""What a scenario's page, and the files beside it, say."""

import base64
import gzip
import io
import json
import re

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from rich.console import Console

from loadtests.generate.plan import Traffic
from loadtests.measure.host import describe_host
from loadtests.report.scenario_page import draw_rates, write_scenario_report
from loadtests.report.scenario_table import find_headline, print_outcomes
from loadtests.scenario import Scenario
from loadtests.scenario_run import Outcome, ScenarioResults, judge_target
from tests.loadtests import synthetic

FAST, SLOW = synthetic.serve_in(0.01), synthetic.serve_in(0.1)
STALLING = synthetic.serve_with_stalls(0.01, every_s=10, stall_s=1)


def run_against(folder, servers, *, length_s=30.0, kind="soak"):
    """Results of a scenario whose targets a, b, … are synthetic servers."""
    names = "abcdef"[: len(servers)]
    load = {"kind": kind, "seconds": length_s} | ({} if kind == "offline" else {"rate": 100})
    targets = [{"model": name} for name in names]
    scenario = Scenario.model_validate({"name": "lunch, long", "bound_ms": 50, "targets": targets, "load": load})
    traffics = [
        Traffic(url="far:1", model=name, version="1-int8", examples_path=folder, input_names=("x",)) for name in names
    ]
    outcomes = tuple(
        judge_target(scenario, traffic, synthetic.run(server, 100, length_s).recording)
        for traffic, server in zip(traffics, servers, strict=True)
    )
    return ScenarioResults(
        name="run", created="2026-01-01", command="loadtest", host=describe_host(), scenario=scenario, outcomes=outcomes
    )


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ((FAST, FAST), "a 1-int8 and b 1-int8 held 50 ms"),
        (
            (SLOW, FAST),
            "b 1-int8 held 50 ms; a 1-int8 did not hold 50 ms: it kept up with the arrivals, but took longer than the "
            "bound",
        ),
        (
            (synthetic.serve_with_errors(0.01, share=0.05), synthetic.refuse_above(50, 0.01)),
            "a 1-int8 did not hold 50 ms: it answered with errors; "
            "b 1-int8 did not hold 50 ms: it turned requests away",
        ),
    ],
)
def test_the_answer_names_who_held_the_bound_and_who_did_not(tmp_path, servers, said):
    results = run_against(tmp_path, servers)
    assert find_headline(results.scenario, results.outcomes) == said


def test_what_proves_nothing_is_said_to(tmp_path):
    results = run_against(tmp_path, (FAST,), length_s=0.3)
    (reason, *_) = results.outcomes[0].verdict.reasons
    said = find_headline(results.scenario, results.outcomes)
    assert said == f"Nothing is shown of a 1-int8: INVALID, {reason.kind}"


def test_a_run_without_a_bound_is_answered_by_its_throughput(tmp_path):
    results = run_against(tmp_path, (FAST,), kind="offline")
    (outcome,) = results.outcomes
    said = find_headline(results.scenario, results.outcomes)
    assert said == f"a 1-int8 answered {outcome.recording.rows_per_s:,.0f} rows/s"


def test_the_answer_comes_first_on_the_page_and_in_a_pull_request(tmp_path):
    page = write_scenario_report(run_against(tmp_path, (FAST, SLOW)), tmp_path).read_text()
    assert page.index("b 1-int8 did not hold 50 ms") < page.index("What became of it")
    markdown = (tmp_path / "report.md").read_text()
    assert markdown.startswith("### a 1-int8 held 50 ms; b 1-int8 did not hold 50 ms")
    row = r"\| b 1-int8 \| \d+ \| 0 \| 0 \| 0 \| 100\.\d \| 100\.\d \| 100\.\d \| slow, VALID \|"
    assert re.search(row, markdown)


def test_the_table_fits_eighty_columns_with_its_reasons_below(tmp_path):
    results = run_against(tmp_path, (FAST, SLOW))
    output = io.StringIO()
    print_outcomes(Console(file=output, width=80), "lunch", results.outcomes)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = (line for line in lines if line.split()[:2] == ["a", "1-int8"])
    offered = str(results.outcomes[0].recording.num_offered)
    assert row.split()[2:6] == [offered, offered, "0", "0"]
    assert "b 1-int8: slow, VALID: kept up with the arrivals, but took longer than the bound" in lines


def test_other_tools_can_read_a_scenario_as_they_read_a_campaign(tmp_path):
    results = run_against(tmp_path, (FAST, STALLING))
    page = write_scenario_report(results, tmp_path).read_text()
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert tuple(Outcome.model_validate(line) for line in lines) == results.outcomes
    assert [(line["model"], line["version"], line["kind"], line["protocol"]) for line in lines] == [
        ("a", "1-int8", "soak", "grpc"),
        ("b", "1-int8", "soak", "grpc"),
    ]
    log = HistogramLogReader(str(tmp_path / "latencies.hlog"), HdrHistogram(1, 600_000_000, 3))
    read = [log.get_next_interval_histogram() for _ in results.outcomes]
    log.close()
    assert [histogram.get_total_count() for histogram in read] == [each.recording.requests for each in results.outcomes]
    assert [histogram.get_value_at_percentile(99) / 1e3 for histogram in read] == pytest.approx(
        [outcome.recording.find_percentile_ms(99) for outcome in results.outcomes]
    )
    assert "Tag=b/1-int8/grpc/soak/lunch-long," in (tmp_path / "latencies.hlog").read_text()
    (raw,) = re.findall(r'href="data:application/gzip;base64,([^"]+)"', page)
    assert ScenarioResults.model_validate_json(gzip.decompress(base64.b64decode(raw))) == results


def test_what_came_due_is_drawn_also_where_nothing_was_answered():
    recording = synthetic.run(FAST, 100).recording
    unanswered = recording.model_copy(update={"corrected": None})  # as recordings of failed requests are
    assert draw_rates([unanswered]) == draw_rates([recording])
    assert draw_rates([recording.model_copy(update={"arrivals_s": None})]) != draw_rates([recording])
