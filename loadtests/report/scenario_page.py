"""The report of a scenario: what became of each target, and how it went through the time."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from markupsafe import Markup

from loadtests.measure.recording import Recording
from loadtests.report.charts import PALETTE, find_window_s, list_middles, trace_latencies
from loadtests.report.page import make_raw_url, open_templates
from loadtests.report.percentiles import PERCENTILES, list_supported
from loadtests.report.records import list_targets, write_records
from loadtests.report.scenario_table import find_headline, make_markdown, name_state, why
from loadtests.report.svg import Line, draw_both, draw_lines, make_linear_axis, make_log_axis
from loadtests.scenario_run import ScenarioResults


def write_scenario_report(results: ScenarioResults, folder: Path) -> Path:
    """Write the page `index.html` into a folder, and beside it what a campaign's report has there.

    That is all of it as `scenario.json`, `report.md`, and the targets as `runs.jsonl` and `latencies.hlog`.
    """
    (folder / "scenario.json").write_text(results.model_dump_json(indent=1))
    (folder / "report.md").write_text(make_markdown(results), encoding="utf-8")
    write_records(list_targets(results), folder)
    recordings = [outcome.recording for outcome in results.outcomes]
    page = (
        open_templates()
        .get_template("scenario.html.j2")
        .render(
            results=results,
            headline=find_headline(results.scenario, results.outcomes),
            is_good=all(outcome.is_good for outcome in results.outcomes),
            raw_url=make_raw_url(results),
            percentiles=PERCENTILES,
            targets=[
                {
                    "outcome": outcome,
                    "colour": colour,
                    "state": name_state(outcome),
                    "why": why(outcome),
                    "latencies": list_supported(outcome.recording),
                }
                for outcome, colour in zip(results.outcomes, cycle(PALETTE), strict=False)
            ],
            latencies=draw_latencies(recordings, results.scenario.bound_ms),
            rates=draw_rates(recordings),
        )
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def draw_latencies(recordings: list[Recording], bound_ms: float) -> Markup | None:
    """Mean and worst latency of each target, window by window."""
    lines: list[Line] = []
    for recording, colour in zip(recordings, cycle(PALETTE), strict=False):
        lines += trace_latencies(recording, colour)
    points = [point for line in lines for point in line.points]
    if not points:
        return None
    x = make_linear_axis("seconds into the scenario", [x for x, _ in points])
    y = make_log_axis("latency, ms", [bound_ms, *(y for _, y in points)])
    rule = (bound_ms, f"bound {bound_ms:g} ms")
    return draw_both(lambda width_px: draw_lines(x, y, lines, width_px=width_px, rule=rule))


def draw_rates(recordings: list[Recording]) -> Markup | None:
    """Requests a second that came due (dotted) and that were answered, window by window."""
    lines: list[Line] = []
    for recording, colour in zip(recordings, cycle(PALETTE), strict=False):
        middles, length_s = list_middles(recording), find_window_s(recording)
        lines.append(
            Line(
                points=[(at_s, w.requests / length_s) for at_s, w in zip(middles, recording.windows, strict=True)],
                colour=colour,
            )
        )
        if recording.arrivals_s is not None:
            due = [(at_s, w.scheduled / length_s) for at_s, w in zip(middles, recording.windows, strict=True)]
            lines.append(Line(points=due, colour=colour, is_dotted=True))
    points = [point for line in lines for point in line.points]
    if not points:
        return None
    x = make_linear_axis("seconds into the scenario", [x for x, _ in points])
    y = make_linear_axis("requests a second", [y for _, y in points])
    return draw_both(lambda width_px: draw_lines(x, y, lines, width_px=width_px, rule=None))
