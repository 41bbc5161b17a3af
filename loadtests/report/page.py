"""Write `index.html`: template, charts and Plotly itself in one file that needs no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from loadtests.judge.recommendation import find_held, find_peak_rows_per_s
from loadtests.judge.verdict import bound_percentile
from loadtests.report import figures
from loadtests.results import ModelResults, Results, Run, count_valid
from model_store.manifest import Manifest

SHOWN_PERCENTILES = (50.0, 90.0, 99.0)


def write_report(results: Results, folder: Path) -> Path:
    """Write the report of a campaign into a folder."""
    environment = Environment(
        loader=PackageLoader("loadtests.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = format_number
    models = [describe_model(model, results.bound_ms) for model in results.models]
    page = environment.get_template("index.html.j2").render(
        results=results,
        models=models,
        figures=Markup(
            _to_script(json.dumps({key: figure for model in models for key, figure in model["figures"].items()}))
        ),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def describe_model(model: ModelResults, bound_ms: float) -> dict[str, Any]:
    """What the template shows of one model."""
    reference = find_peak_rows_per_s(model.runs, model.served[0].version)
    name = model.index.model
    drawn = {
        "curve": figures.draw_latency_throughput(model, bound_ms),
        "percentiles": figures.draw_percentiles(model, bound_ms),
        "split": figures.draw_time_split(model),
        "moments": figures.draw_time_split_over_time(model),
        "quality": figures.draw_quality_speed(model),
    }
    drawn = {key: figure for key, figure in drawn.items() if figure["data"]}
    return {
        "results": model,
        "variants": [describe_variant(model, manifest, reference) for manifest in model.served],
        "runs": [describe_run(model, run) for run in model.runs],
        "valid": count_valid(model.runs),
        "figures": {f"{name}-{key}": figure for key, figure in drawn.items()},
        "charts": {key: f"{name}-{key}" for key in drawn},
        "best": next(m for m in model.served if m.version == model.recommendation.version),
    }


def describe_variant(model: ModelResults, manifest: Manifest, reference: float) -> dict[str, Any]:
    """One row of the table of variants."""
    peak = find_peak_rows_per_s(model.runs, manifest.version)
    run = figures.pick_open_loop(model, manifest.version)
    offline = model.select(manifest.version, "Offline")
    return {
        "manifest": manifest,
        "colour": figures.assign_colours(model)[manifest.version],
        "is_default": manifest.variant == model.index.default,
        "is_best": manifest.version == model.recommendation.version,
        "peak": peak,
        "gain": peak / reference if reference else None,
        "offline": offline[0].recording.rows_per_s if offline else None,
        "held": find_held(model.runs, manifest.version),
        "run": run,
        "latencies": _list_percentiles(run) if run else [None] * len(SHOWN_PERCENTILES),
    }


def describe_run(model: ModelResults, run: Run) -> dict[str, Any]:
    """One row of the table of runs."""
    load = f"{run.callers} callers" if run.callers else f"{run.rate:,.0f}/s offered" if run.rate else ""
    uncorrected = run.recording.model_copy(update={"corrected": None})
    return {
        "run": run,
        "variant": run.version.partition("-")[2],
        "load": load,
        "latencies": _list_percentiles(run),
        "uncorrected": _list_percentiles(run.model_copy(update={"recording": uncorrected})) if run.rate else [],
        "colour": figures.assign_colours(model)[run.version],
    }


def _list_percentiles(run: Run) -> list[float | None]:
    """Percentiles in ms; None where the run has too few requests for one."""
    latencies = run.recording.latencies()
    if not len(latencies):
        return [None] * len(SHOWN_PERCENTILES)
    supported = bound_percentile(run.recording)
    return [latencies.find_percentile_ms(p) if p <= supported else None for p in SHOWN_PERCENTILES]


def format_number(value: float | None, digits: int = 3) -> str:
    """Format with a few significant digits and thousands separated; – for nothing."""
    if value is None:
        return "–"
    if value != 0 and abs(value) < 10 ** (digits - 1):
        return f"{value:.{digits}g}"
    return f"{value:,.0f}"


def _to_script(text: str) -> str:
    # The only sequence that could end the script element early.
    return text.replace("</", "<\\/")
