"""The report of a scenario: what became of each target, and how it went through the time."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from markupsafe import Markup

from loadtests.measure.host import Host
from loadtests.measure.recording import Part, Recording
from loadtests.report.charts import PALETTE, find_window_s, list_middles, trace_latencies
from loadtests.report.page import open_templates
from loadtests.report.percentiles import PERCENTILES, list_supported
from loadtests.report.scenario_table import name_state, why
from loadtests.report.svg import Line, draw_both, draw_lines, make_linear_axis, make_log_axis
from loadtests.scenario import Scenario
from loadtests.scenario_run import Outcome


class ScenarioResults(Part):
    """`scenario.json`: what was asked for and what came of it, with the recordings of a campaign's runs."""

    name: str
    created: str
    command: str
    host: Host
    scenario: Scenario
    outcomes: tuple[Outcome, ...]


def write_scenario_report(results: ScenarioResults, folder: Path) -> Path:
    """Write `scenario.json` and the page `index.html` into a folder."""
    (folder / "scenario.json").write_text(results.model_dump_json(indent=1))
    recordings = [outcome.recording for outcome in results.outcomes]
    page = (
        open_templates()
        .get_template("scenario.html.j2")
        .render(
            results=results,
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
