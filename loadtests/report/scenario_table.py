"""What became of a scenario, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from loadtests.judge.load import MEANINGS
from loadtests.scenario_run import Outcome


def make_table(title: str, outcomes: Sequence[Outcome]) -> Table:
    """One row a target."""
    table = Table(
        title=title, title_justify="left", caption="requests; latency from schedule, ms", caption_justify="left"
    )
    table.add_column("target", no_wrap=True)
    for column in ("offered", "in time", "refused", "failed", "p50", "p99", "worst"):
        table.add_column(column, justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("that is")
    for outcome in outcomes:
        load, recording = outcome.load, outcome.recording
        latencies = [recording.find_percentile_ms(percentile) for percentile in (50.0, 99.0)]
        cells = ["never" if latency_ms is None else f"{latency_ms:.1f}" for latency_ms in latencies]
        worst = f"{recording.latencies().max_ms:.1f}"
        counts = (load.in_time, load.refused, load.failed + load.expired) if load else ("–", "–", recording.num_errors)
        table.add_row(
            outcome.name,
            str(recording.num_offered),
            *map(str, counts),
            *cells,
            worst,
            name_state(outcome),
            why(outcome),
        )
    return table


def name_state(outcome: Outcome) -> str:
    """How the target bore it, and whether that may be believed."""
    state = outcome.load.state if outcome.load else f"{outcome.recording.rows_per_s:,.0f} rows/s"
    return f"{state}, {outcome.verdict.label}"


def why(outcome: Outcome) -> str:
    """Say why a run is INVALID, else what its state means."""
    reasons = "; ".join(f"{reason.kind}: {reason.text}" for reason in outcome.verdict.reasons)
    return reasons or (MEANINGS[outcome.load.state] if outcome.load else "")
