"""The same figures as a table for spreadsheets and as Markdown for pull requests."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from loadtests.judge.recommendation import find_peak_rows_per_s
from loadtests.report.percentiles import PERCENTILES
from loadtests.results import (
    ModelResults,
    Results,
    Run,
    count_valid,
    describe_release_speed,
    describe_repeats,
    find_worker_mb,
    pick_open_loop,
)

COLUMNS = (
    *("model", "version", "scenario", "protocol", "round", "callers", "rate_per_s", "rows_per_request", "seconds"),
    *("offered", "answered", "errors", "rows_per_s", "goodput_per_s", *(f"p{p:g}_ms" for p in PERCENTILES)),
    *("state", "verdict", "reasons", "generator_cores", "late_share", "others_cores", "repeats", "worker_mb"),
)


def make_csv(results: Results) -> str:
    """One line a run; a percentile is empty where failures reach it."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    for model in results.models:
        writer.writerows(_list_cells(model, run) for run in model.runs)
    return output.getvalue()


def make_markdown(results: Results) -> str:
    """The answer and one table a model."""
    parts = []
    for model in results.models:
        advice = model.recommendation
        valid, total = count_valid(model.runs)
        repeats = describe_repeats(model.runs)
        repeats = repeats and f", {repeats}"
        parts += [f"### {advice.headline}", "", *(f"{reason}  " for reason in advice.reasons), ""]
        parts += [f"> {caveat}  " for caveat in advice.caveats]
        quality = model.served[0].quality.metric
        parts += [
            "",
            f"{model.name}: {valid} of {total} runs VALID{repeats}; bound {model.bound.ms:g} ms ({model.bound.why})",
            "",
            f"| variant | {quality} | worker MB | peak rows/s | held requests/s | p50 ms | p99 ms | verdict |",
            "|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        parts += [_make_row(model, manifest.version) for manifest in model.tested]
        parts += ["", *(f"{one.variant} not load-tested: {describe_release_speed(one)}  " for one in model.untested)]
        parts += ["", "worker MB: the most that they held, pages that several processes share in parts (PSS)", ""]
    host = results.host
    parts.append(f"{host.cpu}, {host.cores_usable} cores; `{results.command}`; {results.created}")
    return "\n".join(parts) + "\n"


def make_comparison(tests: Sequence[Results]) -> str:
    """Several tests on one page, in Markdown: a table a model, with a line for each test and variant."""
    models = dict.fromkeys(model.index.model for test in tests for model in test.models)
    parts = ["# Load tests compared", ""]
    for name in models:
        parts += [
            f"## {name}",
            "",
            "| test | bound ms | runs VALID | variant | quality | worker MB | peak rows/s | held requests/s | p50 ms "
            "| p99 ms | |",
            "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        for test in tests:
            for model in test.models:
                if model.index.model == name:
                    valid, total = count_valid(model.runs)
                    head = f"| {test.name}, release {model.index.release} | {model.bound.ms:g} | {valid} of {total} "
                    parts += [head + _make_row(model, manifest.version) for manifest in model.tested]
        parts.append("")
    for test in tests:
        host = test.host
        flags = f" with {', '.join(host.flags)}" if host.flags else ""
        parts.append(f"- {test.name}: {host.cpu}, {host.cores_usable} cores{flags}; `{test.command}`; {test.created}")
    return "\n".join(parts) + "\n"


def _make_row(model: ModelResults, version: str) -> str:
    manifest = next(manifest for manifest in model.tested if manifest.version == version)
    name = f"**{manifest.variant}**" if manifest.variant == model.index.default else manifest.variant
    memory_mb = find_worker_mb(model.runs, version)
    memory = "" if memory_mb is None else f"{memory_mb:,.0f}"
    peak = f"{find_peak_rows_per_s(model.runs, version):,.0f}"
    head = f"| {name} | {manifest.quality.value:.4g} | {memory} | {peak} |"
    run = pick_open_loop(model, version)
    if run is None:
        return f"{head} | | | |"
    held = f"{run.rate:,.0f}" if run.holds_bound else f"not {run.rate:,.0f}"
    latencies = " | ".join(_format_ms(run, percentile) for percentile in (50.0, 99.0))
    return f"{head} {held} | {latencies} | {run.verdict.label} |"


def _format_ms(run: Run, percentile: float) -> str:
    latency_ms = run.recording.find_percentile_ms(percentile)
    return "never" if latency_ms is None else f"{latency_ms:.1f}"


def _list_cells(model: ModelResults, run: Run) -> list[object]:
    recording, load, around = run.recording, run.load, run.neighbours
    latencies = [recording.find_percentile_ms(percentile) for percentile in PERCENTILES]
    cells = [
        *(model.index.model, run.version, run.kind, run.protocol, run.round, run.callers, run.rate),
        *(recording.rows_per_request, round(recording.duration_s, 3), recording.num_offered, recording.requests),
        *(recording.num_errors, round(recording.rows_per_s, 2), load and round(load.goodput_per_s, 2)),
        *(None if latency_ms is None else round(latency_ms, 3) for latency_ms in latencies),
        *(load and load.state, run.verdict.label, "; ".join(reason.text for reason in run.verdict.reasons)),
        *(round(recording.cost.cpu_cores, 3), round(recording.cost.late_share, 4), around and round(around.cores, 2)),
        *(run.repeats, run.worker_bytes and round(run.worker_bytes / 1e6, 1)),
    ]
    return ["" if cell is None else cell for cell in cells]
