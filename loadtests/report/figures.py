"""The report's charts as Plotly's own JSON; colours of text and grid follow the page's theme and are added there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10
from statistics import median
from typing import Any

from loadtests.judge.recommendation import find_held, find_peak_rows_per_s
from loadtests.judge.verdict import bound_percentile
from loadtests.measure.histogram import LatencyHistogram
from loadtests.results import ModelResults, Run

Figure = dict[str, Any]

# Readable on white and on near-black, and apart for colour-blind readers; grey is for the reference.
PALETTE = ("#7d8794", "#2f7fd6", "#d9822b", "#1f9e77", "#9b5de5", "#d6457f", "#b59f00", "#17a2b8")
QUEUE, COMPUTE, TRANSPORT = "#d9822b", "#2f7fd6", "#9aa5b1"
HEIGHT_PX = 400
_TICKS_MS = [factor * 10.0**power for power in range(-2, 6) for factor in (1, 2, 5)]
LATENCY_TICKS = {"tickvals": _TICKS_MS, "ticktext": [f"{tick:,.10g}" for tick in _TICKS_MS]}


def assign_colours(model: ModelResults) -> dict[str, str]:
    """Give every served version a colour."""
    return {manifest.version: PALETTE[index % len(PALETTE)] for index, manifest in enumerate(model.served)}


def pick_open_loop(model: ModelResults, version: str) -> Run | None:
    """The open-loop run to show: the highest rate that held the bound, else the lowest that was tried."""
    runs = model.select(version, "Server")
    return find_held(runs, version) or min(runs, key=lambda run: run.rate or 0.0, default=None)


def draw_latency_throughput(model: ModelResults, bound_ms: float) -> Figure:
    """Latency against throughput over the levels of the closed-loop sweep; one line a variant and percentile."""
    traces: list[Figure] = []
    for version, colour in assign_colours(model).items():
        levels = _group_by_callers(model.select(version, "closed loop"))
        if not levels:
            continue
        x = [median(run.recording.rows_per_s for run in runs) for runs in levels.values()]
        valid = [all(run.verdict.valid for run in runs) for runs in levels.values()]
        text = [_describe_level(callers, runs) for callers, runs in levels.items()]
        for percentile, dash, shown in ((50.0, "solid", True), (90.0, "dot", False)):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": _short(version),
                    "legendgroup": version,
                    "showlegend": shown,
                    "x": x,
                    "y": [_median_percentile(runs, percentile) for runs in levels.values()],
                    "text": text,
                    "hovertemplate": f"<b>{_short(version)}</b> p{percentile:g} %{{y:.2f}} ms at %{{x:,.0f}} rows/s"
                    "<br>%{text}<extra></extra>",
                    "line": {"color": colour, "width": 2.5 if shown else 1.5, "dash": dash},
                    "marker": {
                        "size": 8 if shown else 6,
                        "symbol": ["circle" if ok else "circle-open" for ok in valid],
                    },
                }
            )
    layout = {
        "xaxis": {"title": {"text": "throughput, rows/s"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "latency, ms"}, "type": "log", **LATENCY_TICKS},
        "shapes": [_bound_line(bound_ms)],
        "annotations": [_bound_label(bound_ms)],
    }
    return _figure(traces, layout)


def draw_percentiles(model: ModelResults, bound_ms: float) -> Figure:
    """Latency over percentile, stretched towards 100 % as HdrHistogram plots it; corrected and uncorrected."""
    traces: list[Figure] = []
    furthest = 10.0
    for version, colour in assign_colours(model).items():
        run = pick_open_loop(model, version)
        if run is None:
            continue
        lines = (
            (run.recording.corrected, "from schedule", "solid"),
            (run.recording.uncorrected, "from sending", "dot"),
        )
        for encoded, name, dash in lines:
            points = LatencyHistogram(encoded or "").trace_percentiles() if encoded else []
            points = [(percentile, ms) for percentile, ms in points if percentile > 0]
            x = [100 / (100 - percentile) for percentile, _ in points]
            furthest = max(furthest, *x) if x else furthest
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{_short(version)}, {run.rate:,.0f}/s",
                    "legendgroup": version,
                    "showlegend": dash == "solid",
                    "x": x,
                    "y": [ms for _, ms in points],
                    "text": [f"p{percentile:.5g}" for percentile, _ in points],
                    "hovertemplate": f"<b>{_short(version)}</b> {name}: %{{text}} = %{{y:.2f}} ms<extra></extra>",
                    "line": {"color": colour, "width": 2.5 if dash == "solid" else 1.5, "dash": dash, "shape": "hv"},
                }
            )
    ticks = [(1 / (1 - p / 100), f"{p:g} %") for p in (50, 90, 99, 99.9, 99.99, 99.999)]
    ticks = [(1.0, "0 %"), *[tick for tick in ticks if tick[0] <= 3 * furthest]]
    layout = {
        "xaxis": {
            "title": {"text": "percentile"},
            "type": "log",
            "tickvals": [value for value, _ in ticks],
            "ticktext": [label for _, label in ticks],
        },
        "yaxis": {"title": {"text": "latency, ms"}, "type": "log", **LATENCY_TICKS},
        "shapes": [_bound_line(bound_ms)],
        "annotations": [_bound_label(bound_ms)],
    }
    return _figure(traces, layout)


def draw_time_split(model: ModelResults) -> Figure:
    """Mean time of a request in queue, compute and transport, one bar a variant, at its open-loop rate."""
    picked = [(manifest.version, pick_open_loop(model, manifest.version)) for manifest in reversed(model.served)]
    splits = [(version, run, run.split) for version, run in picked if run is not None and run.split is not None]
    names = [f"{_short(version)}, {run.rate:,.0f}/s" for version, run, _ in splits]
    pieces: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
        ("queue", QUEUE, lambda split: split.queue_ms),
        ("compute", COMPUTE, lambda split: split.compute_ms),
        ("transport", TRANSPORT, lambda split: split.transport_ms),
    )
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": names,
            "x": [value(split) for _, _, split in splits],
            "marker": {"color": colour},
            "hovertemplate": f"{name}: %{{x:.2f}} ms<extra>%{{y}}</extra>",
        }
        for name, colour, value in pieces
    ]
    layout = {
        "barmode": "stack",
        "bargap": 0.45,
        "xaxis": {"title": {"text": "mean, ms"}, "rangemode": "tozero"},
        "yaxis": {"automargin": True},
    }
    return _figure(traces, layout, height_px=130 + 50 * max(len(names), 1))


def draw_time_split_over_time(model: ModelResults) -> Figure:
    """Queue and compute second by second through each variant's open-loop run, one small chart a variant."""
    shown = [(manifest.version, pick_open_loop(model, manifest.version)) for manifest in model.served]
    splits = [(version, run.split) for version, run in shown if run is not None and run.split and run.split.moments]
    traces: list[Figure] = []
    layout: Figure = {"grid": {"rows": 1, "columns": max(len(splits), 1), "pattern": "independent"}, "annotations": []}
    for index, (version, split) in enumerate(splits, start=1):
        suffix = "" if index == 1 else str(index)
        offsets = [moment.offset_s for moment in split.moments]
        for name, colour, values in (
            ("compute", COMPUTE, [moment.compute_ms for moment in split.moments]),
            ("queue", QUEUE, [moment.queue_ms for moment in split.moments]),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "stackgroup": version,
                    "name": name,
                    "legendgroup": name,
                    "showlegend": index == 1,
                    "x": offsets,
                    "y": values,
                    "xaxis": f"x{suffix}",
                    "yaxis": f"y{suffix}",
                    "line": {"color": colour, "width": 1},
                    "hovertemplate": f"{name} %{{y:.2f}} ms at %{{x:.0f}} s<extra></extra>",
                }
            )
        layout[f"xaxis{suffix}"] = {"title": {"text": f"{_short(version)}, s"}, "rangemode": "tozero"}
        layout[f"yaxis{suffix}"] = {"rangemode": "tozero", "title": {"text": "mean, ms" if index == 1 else ""}}
    return _figure(traces, layout, height_px=280)


def draw_quality_speed(model: ModelResults) -> Figure:
    """Quality with its 95 % interval beside peak throughput; up and right is better."""
    traces = []
    for manifest in model.served:
        quality = manifest.quality
        colour = assign_colours(model)[manifest.version]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": manifest.variant,
                "showlegend": False,
                "x": [find_peak_rows_per_s(model.runs, manifest.version)],
                "y": [quality.value],
                "text": [manifest.variant],
                "textposition": "top center",
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [quality.interval[1] - quality.value],
                    "arrayminus": [quality.value - quality.interval[0]],
                    "color": colour,
                    "thickness": 1.5,
                    "width": 5,
                },
                "marker": {"color": colour, "size": 12},
                "hovertemplate": f"{quality.metric} %{{y:.4g}}, %{{x:,.0f}} rows/s<extra>{manifest.variant}</extra>",
            }
        )
    metric = model.served[0].quality.metric
    layout = {
        "xaxis": {"title": {"text": "peak throughput, rows/s"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": f"{metric}, 95 % interval"}, "automargin": True},
    }
    return _figure(traces, layout, height_px=340)


def _figure(traces: Sequence[Figure], layout: Figure, height_px: int = HEIGHT_PX) -> Figure:
    return {"data": list(traces), "layout": {"height": height_px, **layout}}


def _group_by_callers(runs: Sequence[Run]) -> dict[int, list[Run]]:
    levels: dict[int, list[Run]] = {}
    for run in runs:
        if run.recording.requests:
            levels.setdefault(run.callers or 0, []).append(run)
    return levels


def _describe_level(callers: int, runs: Sequence[Run]) -> str:
    supported = [f"p{bound_percentile(run.recording):g}" for run in runs]
    verdicts = " · ".join(dict.fromkeys(run.verdict.label for run in runs))
    return f"{callers} callers, {verdicts}, supports {supported[0]}"


def _median_percentile(runs: Sequence[Run], percentile: float) -> float:
    return median(run.recording.latencies().find_percentile_ms(percentile) for run in runs)


def _bound_line(bound_ms: float) -> Figure:
    line = {"width": 1.2, "dash": "dash", "color": "#c0392b"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": bound_ms, "y1": bound_ms, "line": line}


def _bound_label(bound_ms: float) -> Figure:
    return {
        "xref": "paper",
        "x": 1,
        "y": log10(bound_ms),
        "text": f"bound {bound_ms:g} ms",
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"color": "#c0392b", "size": 11},
    }


def _short(version: str) -> str:
    return version.partition("-")[2]
