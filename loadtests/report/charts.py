"""Which charts the report shows of a model, and from what."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from loadtests.judge.recommendation import find_peak_rows_per_s
from loadtests.measure.histogram import LatencyHistogram
from loadtests.measure.recording import Recording
from loadtests.report.svg import (
    Axis,
    Bar,
    Interval,
    Line,
    draw_bars,
    draw_both,
    draw_intervals,
    draw_lines,
    make_linear_axis,
    make_log_axis,
)
from loadtests.results import ModelResults, Run, pick_open_loop
from model_store.version import split_version

# Readable on white and on near-black, and apart for colour-blind readers; grey is for the reference.
PALETTE = ("#7d8794", "#2f7fd6", "#d9822b", "#1f9e77", "#9b5de5", "#d6457f", "#b59f00", "#17a2b8")
QUEUE, COMPUTE, TRANSPORT = "#d9822b", "#2f7fd6", "#9aa5b1"
_PERCENTILE_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def assign_colours(model: ModelResults) -> dict[str, str]:
    """Give every served version a colour."""
    return {manifest.version: PALETTE[index % len(PALETTE)] for index, manifest in enumerate(model.served)}


def draw_charts(model: ModelResults) -> dict[str, Markup]:
    """Draw what the runs of a model give, by name."""
    drawn = {
        "curve": draw_latency_throughput(model),
        "percentiles": draw_percentiles(model),
        "timeline": draw_timeline(model),
        "split": draw_time_split(model),
        "quality": draw_quality(model),
        "speed": draw_speed(model),
    }
    return {name: chart for name, chart in drawn.items() if chart is not None}


def draw_latency_throughput(model: ModelResults) -> Markup | None:
    """Latency against throughput over the levels of the closed-loop sweep; one line a variant and percentile."""
    lines = [
        line
        for version, colour in assign_colours(model).items()
        for percentile in (50.0, 90.0)
        if (
            line := trace_levels(
                model, version, percentile, colour=colour, name=_short(version), is_marked=percentile == 50.0
            )
        ).points
    ]
    if not lines:
        return None
    x = make_linear_axis("throughput, rows/s", [px for line in lines for px, _ in line.points])
    y = make_log_axis("latency, ms", [py for line in lines for _, py in line.points])
    return _draw(x, y, lines, model)


def trace_levels(
    model: ModelResults, version: str, percentile: float, *, colour: str, name: str, is_marked: bool
) -> Line:
    """A percentile over the rows a second of a version's closed-loop levels; dotted where no levels are marked."""
    levels = _group_by_callers(model.select(version, "closed loop"))
    rows_per_s = [median(run.recording.rows_per_s for run in runs) for runs in levels.values()]
    latencies_ms = [_median_percentile_ms(runs, percentile) for runs in levels.values()]
    titles = [
        f"{name}, {callers} callers: {rate:,.0f} rows/s, p{percentile:g} {latency_ms:.2f} ms"
        for callers, rate, latency_ms in zip(levels, rows_per_s, latencies_ms, strict=True)
    ]
    return Line(
        points=list(zip(rows_per_s, latencies_ms, strict=True)),
        colour=colour,
        is_dotted=not is_marked,
        marks=[all(run.verdict.valid for run in runs) for runs in levels.values()] if is_marked else (),
        titles=titles if is_marked else (),
    )


def draw_percentiles(model: ModelResults) -> Markup | None:
    """Latency over percentile, stretched towards 100 % as HdrHistogram plots it; corrected and uncorrected."""
    lines: list[Line] = []
    for version, colour in assign_colours(model).items():
        run = pick_open_loop(model, version)
        for encoded in (run.recording.corrected, run.recording.uncorrected) if run else ():
            points = LatencyHistogram(encoded or "").trace_percentiles() if encoded else []
            places = [(100 / (100 - percentile), ms) for percentile, ms in points]
            if places:
                is_second = run is not None and encoded == run.recording.uncorrected
                lines.append(Line(points=places, colour=colour, is_dotted=is_second))
    if not lines:
        return None
    furthest = max(px for line in lines for px, _ in line.points)
    ticks = tuple((100 / (100 - p), f"{p:g} %") for p in _PERCENTILE_TICKS if 100 / (100 - p) <= 1.2 * furthest)
    x = Axis(title="percentile", low=1.0, high=max(furthest, 10.0), ticks=ticks, is_log=True)
    y = make_log_axis("latency, ms", [model.bound.ms, *(py for line in lines for _, py in line.points)])
    return _draw(x, y, lines, model)


def draw_timeline(model: ModelResults) -> Markup | None:
    """Mean and worst latency through each variant's open-loop run, window by window."""
    lines: list[Line] = []
    for version, colour in assign_colours(model).items():
        run = pick_open_loop(model, version)
        if run is not None:
            lines += trace_latencies(run.recording, colour, f"{_short(version)}: ")
    if not lines:
        return None
    x = make_linear_axis("seconds into the run", [px for line in lines for px, _ in line.points])
    y = make_log_axis("latency, ms", [model.bound.ms, *(py for line in lines for _, py in line.points)])
    return _draw(x, y, lines, model)


def trace_latencies(recording: Recording, colour: str, name: str = "") -> list[Line]:
    """Mean and worst latency (dotted) of the windows in which something was answered; `name` begins their titles."""
    windows = zip(list_middles(recording), recording.windows, strict=True)
    answered = [(at_s, window) for at_s, window in windows if window.requests]
    if not answered:
        return []
    titles = [f"{name}mean {w.mean_ms:.1f} ms, worst {w.max_ms:.1f} ms, {w.waiting} waiting" for _, w in answered]
    means = [(at_s, window.mean_ms) for at_s, window in answered]
    worst = [(at_s, window.max_ms) for at_s, window in answered]
    return [
        Line(points=means, colour=colour, marks=[True] * len(means), titles=titles),
        Line(points=worst, colour=colour, is_dotted=True),
    ]


def list_middles(recording: Recording) -> list[float]:
    """Seconds from a run's start to the middle of each window."""
    length_s = find_window_s(recording)
    return [(index + 0.5) * length_s for index in range(len(recording.windows))]


def find_window_s(recording: Recording) -> float:
    """Seconds of each window."""
    return (recording.arrivals_s or recording.duration_s) / len(recording.windows)


def draw_time_split(model: ModelResults) -> Markup | None:
    """Mean time of a request in queue, compute and transport, one bar a variant, at its open-loop rate."""
    picked = [(manifest.version, pick_open_loop(model, manifest.version)) for manifest in model.served]
    bars = []
    for version, run in picked:
        if run is None or run.split is None:
            continue
        split = run.split
        pieces = (
            ("queue", split.queue_ms, QUEUE),
            ("compute", split.compute_ms, COMPUTE),
            ("transport", split.transport_ms, TRANSPORT),
        )
        bars.append(
            Bar(
                label=f"{_short(version)} at {run.rate:,.0f}/s",
                pieces=[(size, colour, f"{name} {size:.2f} ms") for name, size, colour in pieces],
                figure=" + ".join(f"{size:.1f}" for _, size, _ in pieces) + " ms",
            )
        )
    if not bars:
        return None
    x = make_linear_axis("mean, ms", [sum(size for size, _, _ in bar.pieces) for bar in bars])
    return draw_both(lambda width_px: draw_bars(x, bars, width_px=width_px))


def draw_quality(model: ModelResults) -> Markup:
    """Quality with its 95 % interval, one row a variant."""
    colours = assign_colours(model)
    rows = [
        Interval(
            label=manifest.variant,
            value=manifest.quality.value,
            low=manifest.quality.interval[0],
            high=manifest.quality.interval[1],
            colour=colours[manifest.version],
            figure=f"{manifest.quality.value:.4g}",
        )
        for manifest in model.served
    ]
    ends = [end for row in rows for end in (row.low, row.high)]
    x = make_linear_axis(f"{model.served[0].quality.metric}, 95 % interval", ends, from_zero=False, num_ticks=4)
    return draw_both(lambda width_px: draw_intervals(x, rows, width_px=width_px // 2 if width_px > 400 else width_px))


def draw_speed(model: ModelResults) -> Markup:
    """Peak throughput, one row a variant, beside the quality."""
    colours = assign_colours(model)
    bars = []
    for manifest in model.tested:
        peak = find_peak_rows_per_s(model.runs, manifest.version)
        piece = (peak, colours[manifest.version], f"{manifest.variant}: {peak:,.0f} rows/s")
        bars.append(Bar(label=manifest.variant, pieces=[piece], figure=f"{peak:,.0f} rows/s"))
    x = make_linear_axis("peak throughput, rows/s", [bar.pieces[0][0] for bar in bars], num_ticks=4)
    return draw_both(lambda width_px: draw_bars(x, bars, width_px=width_px // 2 if width_px > 400 else width_px))


def _draw(x: Axis, y: Axis, lines: Sequence[Line], model: ModelResults) -> Markup:
    rule = (model.bound.ms, f"bound {model.bound.ms:g} ms")

    return draw_both(lambda width_px: draw_lines(x, y, lines, width_px=width_px, rule=rule))


def _group_by_callers(runs: Sequence[Run]) -> dict[int, list[Run]]:
    levels: dict[int, list[Run]] = {}
    for run in runs:
        if run.recording.requests:
            levels.setdefault(run.callers or 0, []).append(run)
    return levels


def _median_percentile_ms(runs: Sequence[Run], percentile: float) -> float:
    return median(run.recording.latencies().find_percentile_ms(percentile) for run in runs)


def _short(version: str) -> str:
    return split_version(version)[1]
