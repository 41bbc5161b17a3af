"""What became of a scenario, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from loadtests.judge.load import MEANINGS, Load, describe_load
from loadtests.judge.verdict import Verdict, judge
from loadtests.measure.recording import Part, Recording


class Outcome(Part):
    """One target of a scenario."""

    name: str
    recording: Recording
    load: Load
    verdict: Verdict


def judge_target(name: str, recording: Recording, bound_ms: float) -> Outcome:
    """Judge what one target did within a bound."""
    load, verdict = describe_load(recording, bound_ms), judge(recording, bound_ms=bound_ms)
    return Outcome(name=name, recording=recording, load=load, verdict=verdict)


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
        counts = (load.offered, load.in_time, load.refused, load.failed + load.expired)
        why = "; ".join(f"{reason.kind}: {reason.text}" for reason in outcome.verdict.reasons) or MEANINGS[load.state]
        worst = f"{recording.latencies().max_ms:.1f}"
        table.add_row(outcome.name, *map(str, counts), *cells, worst, f"{load.state}, {outcome.verdict.label}", why)
    return table
