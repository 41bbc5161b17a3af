"""Several tests on one page: a part for each model, a colour for each test, and the hosts that they ran on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from loadtests.judge.recommendation import find_held, find_peak_rows_per_s
from loadtests.report.charts import PALETTE, trace_levels
from loadtests.report.page import describe_variant, open_templates
from loadtests.report.svg import Bar, Line, draw_bars, draw_both, draw_lines, make_linear_axis, make_log_axis
from loadtests.results import ModelResults, Results, count_valid


class Entry(NamedTuple):
    """What one test found of a model."""

    test: Results
    model: ModelResults
    colour: str


def write_comparison(tests: Sequence[Results], path: Path) -> None:
    """Write the page of several tests, in one file that needs no network."""
    models: dict[str, list[Entry]] = {}
    for test, colour in zip(tests, cycle(PALETTE[1:]), strict=False):
        for model in test.models:
            models.setdefault(model.index.model, []).append(Entry(test, model, colour))
    page = (
        open_templates()
        .get_template("comparison.html.j2")
        .render(
            tests=list(zip(tests, cycle(PALETTE[1:]), strict=False)),
            models={name: _describe(parts) for name, parts in models.items()},
        )
    )
    path.write_text(page, encoding="utf-8")


def draw_rates(parts: Sequence[Entry]) -> Markup:
    """Requests a second held within each test's bound, one row a test and variant."""
    bars = []
    for test, model, colour in parts:
        for manifest in model.tested:
            run = find_held(model.runs, manifest.version)
            rate = (run.rate or 0.0) if run else 0.0
            figure = f"{rate:,.0f}/s" if run else "none shown"
            label = f"{test.name}, {manifest.variant}"
            bars.append(Bar(label=label, pieces=[(rate, colour, f"{label}: {figure}")], figure=figure))
    x = make_linear_axis("requests/s held within the bound", [bar.pieces[0][0] for bar in bars])
    return draw_both(lambda width_px: draw_bars(x, bars, width_px=width_px))


def draw_curves(parts: Sequence[Entry]) -> Markup | None:
    """Median latency against throughput of what each test recommends, or came closest."""
    lines: list[Line] = []
    for test, model, colour in parts:
        line = trace_levels(model, model.recommendation.version, 50.0, colour=colour, name=test.name, is_marked=True)
        if line.points:
            lines.append(line)
    if not lines:
        return None
    x = make_linear_axis("throughput, rows/s", [rate for line in lines for rate, _ in line.points])
    y = make_log_axis("latency, ms", [latency_ms for line in lines for _, latency_ms in line.points])
    return draw_both(lambda width_px: draw_lines(x, y, lines, width_px=width_px, rule=None))


def _describe(parts: Sequence[Entry]) -> dict[str, Any]:
    rows = []
    for test, model, colour in parts:
        reference = find_peak_rows_per_s(model.runs, model.served[0].version)
        variants = [describe_variant(model, manifest, reference) for manifest in model.tested]
        rows.append(
            {
                "test": test,
                "model": model,
                "colour": colour,
                "variants": variants,
                "valid": count_valid(model.runs),
                "best": next(row for row in variants if row["manifest"].version == model.recommendation.version),
            }
        )
    return {"parts": rows, "rates": draw_rates(parts), "curves": draw_curves(parts)}
