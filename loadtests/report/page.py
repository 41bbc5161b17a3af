"""Write `index.html`: answer, charts and raw data in one file that needs no network."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from loadtests.judge.load import MEANINGS
from loadtests.judge.recommendation import count_reasons, find_held, find_peak_rows_per_s
from loadtests.measure.recording import Part
from loadtests.report import charts
from loadtests.report.frontier import draw_frontier, list_front, list_places
from loadtests.report.percentiles import PERCENTILES, list_supported
from loadtests.report.picture import make_png_url
from loadtests.report.records import list_runs, write_records
from loadtests.report.table import make_csv, make_markdown
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
from model_store.manifest import Manifest
from model_store.version import split_version


def write_report(results: Results, folder: Path) -> Path:
    """Write the report of a campaign into a folder.

    Beside the page: `report.md`, and the runs as `runs.csv`, `runs.jsonl` and `latencies.hlog`.
    """
    table = make_csv(results)
    page = (
        open_templates()
        .get_template("index.html.j2")
        .render(
            results=results,
            percentiles=PERCENTILES,
            models=[describe_model(model) for model in results.models],
            csv_url=_make_data_url("text/csv", table.encode()),
            raw_url=make_raw_url(results),
        )
    )
    (folder / "runs.csv").write_text(table, encoding="utf-8")
    write_records(list_runs(results), folder)
    (folder / "report.md").write_text(make_markdown(results), encoding="utf-8")
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def make_raw_url(results: Part) -> str:
    """All that was measured, as a file to download from within the page."""
    return _make_data_url("application/gzip", gzip.compress(results.model_dump_json().encode(), mtime=0))


def open_templates() -> Environment:
    """What all pages are made from."""
    environment = Environment(
        loader=PackageLoader("loadtests.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = format_number
    environment.filters["png"] = make_png_url
    return environment


def describe_model(model: ModelResults) -> dict[str, Any]:
    """What the template shows of one model."""
    reference = find_peak_rows_per_s(model.runs, model.served[0].version)
    colours = charts.assign_colours(model)
    variants = [describe_variant(model, manifest, reference) for manifest in model.served]
    places = list_places(model)
    return {
        "results": model,
        "variants": variants,
        "runs": [describe_run(model, run) for run in model.runs],
        "valid": count_valid(model.runs),
        "repeats": describe_repeats(model.runs),
        "invalid": count_reasons(model.runs).most_common(),
        "charts": charts.draw_charts(model),
        "places": places,
        "frontier": draw_frontier(places, model.served[0].quality.metric),
        "legend": [(manifest.variant, colours[manifest.version]) for manifest in model.tested],
        "best": next(row for row in variants if row["manifest"].version == model.recommendation.version),
    }


def describe_variant(model: ModelResults, manifest: Manifest, reference: float) -> dict[str, Any]:
    """One row of the table of variants."""
    peak = find_peak_rows_per_s(model.runs, manifest.version)
    run = pick_open_loop(model, manifest.version)
    return {
        "manifest": manifest,
        "colour": charts.assign_colours(model)[manifest.version],
        "is_default": manifest.variant == model.index.default,
        "is_tested": manifest in model.tested,
        "release_speed": describe_release_speed(manifest),
        "is_front": manifest.variant in list_front(model),
        "is_best": model.recommendation.standing == "shown" and manifest.version == model.recommendation.version,
        "worker_mb": find_worker_mb(model.runs, manifest.version),
        "peak": peak,
        "gain": peak / reference if reference else None,
        "held": find_held(model.runs, manifest.version),
        "run": run,
        "meaning": MEANINGS[run.load.state] if run and run.load else "",
        "latencies": list_supported(run.recording) if run else dict.fromkeys(PERCENTILES),
        "search": next((search.found for search in model.searches if search.version == manifest.version), None),
        "confirmations": [(run.rate, explain_run(run)) for run in model.select(manifest.version, "Server")],
    }


def explain_run(run: Run) -> str:
    """Say what LoadGen's run at a rate that a search had found showed."""
    if not run.verdict.valid:
        return f"is INVALID: {run.verdict.reasons[0].kind}"
    return "held it too" if run.holds_bound or run.load is None else f"did not hold it: it {MEANINGS[run.load.state]}"


def describe_run(model: ModelResults, run: Run) -> dict[str, Any]:
    """One row of the table of runs."""
    uncorrected = run.recording.model_copy(update={"corrected": None})
    return {
        "run": run,
        "variant": split_version(run.version)[1],
        "load": _name_load(run),
        "latencies": list_supported(run.recording),
        "uncorrected": list_supported(uncorrected) if run.rate else {},
        "colour": charts.assign_colours(model)[run.version],
    }


def _name_load(run: Run) -> str:
    if run.callers:
        return f"{run.callers} caller{'s' if run.callers > 1 else ''}"
    return f"{run.rate:,.0f}/s offered" if run.rate else ""


def format_number(value: float | None, digits: int = 3) -> str:
    """Format with a few significant digits and thousands separated; – for nothing."""
    if value is None:
        return "–"
    if value != 0 and abs(value) < 10 ** (digits - 1):
        return f"{value:.{digits}g}"
    return f"{value:,.0f}"


def _make_data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
