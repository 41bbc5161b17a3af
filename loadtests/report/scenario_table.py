"""What became of a scenario: in one sentence, and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.judge.load import MEANINGS
from loadtests.scenario import Scenario
from loadtests.scenario_run import Outcome, ScenarioResults

COLUMNS = ("offered", "in time", "refused", "failed", "p50", "p99", "worst")
# What answered so needs no more evidence: errors are no noise.
SHOWN_BY_ANY = frozenset({"refusing", "failing"})


def find_headline(scenario: Scenario, outcomes: Sequence[Outcome]) -> str:
    """Say who held the bound, who did not, and of whom nothing is known."""
    if scenario.load.kind == "offline" and outcomes[0].is_good:
        return f"{outcomes[0].name} answered {outcomes[0].recording.rows_per_s:,.0f} rows/s"
    held = [outcome for outcome in outcomes if outcome.is_good]
    missed = [outcome for outcome in outcomes if outcome not in held and _is_shown(outcome)]
    unknown = [outcome for outcome in outcomes if outcome not in held and outcome not in missed]
    within = f"{scenario.bound_ms:g} ms"
    said = [f"{_join(held)} held {within}"] if held else []
    said += [f"{outcome.name} did not hold {within}: it {_mean(outcome)}" for outcome in missed]
    said += [f"nothing is shown of {outcome.name}: {_doubt(outcome)}" for outcome in unknown]
    text = "; ".join(said)
    return text[0].upper() + text[1:] if not held and not missed else text


def print_outcomes(console: Console, title: str, outcomes: Sequence[Outcome]) -> None:
    """Print one row a target, and below it what each row means; fits 80 columns."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("target")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(outcome.name, *_list_cells(outcome))
    console.print(table)
    for outcome in outcomes:
        console.print(f"{outcome.name}: {name_state(outcome)}: {why(outcome)}", highlight=False, markup=False)
    console.print("Counts are requests; latencies are ms, from when each was scheduled.", style="dim")


def make_markdown(results: ScenarioResults) -> str:
    """The answer, and the table, for a pull request."""
    scenario, host = results.scenario, results.host
    parts = [
        f"### {find_headline(scenario, results.outcomes)}",
        "",
        f"{scenario.name}: {scenario.load.kind} over {scenario.protocol}, bound {scenario.bound_ms:g} ms; requests; "
        "latency from schedule, ms",
        "",
        f"| target | {' | '.join(COLUMNS)} | state | that is |",
        f"|---|{'---:|' * len(COLUMNS)}---|---|",
    ]
    for outcome in results.outcomes:
        cells = (outcome.name, *_list_cells(outcome), name_state(outcome), why(outcome))
        parts.append(f"| {' | '.join(cells)} |")
    parts += ["", f"{host.cpu}, {host.cores_usable} cores; `{results.command}`; {results.created}"]
    return "\n".join(parts) + "\n"


def name_state(outcome: Outcome) -> str:
    """How the target bore it, and whether that may be believed."""
    state = outcome.load.state if outcome.load else f"{outcome.recording.rows_per_s:,.0f} rows/s"
    return f"{state}, {outcome.verdict.label}"


def why(outcome: Outcome) -> str:
    """Say why a run is INVALID, else what its state means."""
    reasons = "; ".join(f"{reason.kind}: {reason.text}" for reason in outcome.verdict.reasons)
    return reasons or _mean(outcome)


def _list_cells(outcome: Outcome) -> list[str]:
    load, recording = outcome.load, outcome.recording
    latencies = [recording.find_percentile_ms(percentile) for percentile in (50.0, 99.0)]
    counts = (load.in_time, load.refused, load.failed + load.expired) if load else ("–", "–", recording.num_errors)
    return [
        str(recording.num_offered),
        *map(str, counts),
        *("never" if latency_ms is None else f"{latency_ms:.1f}" for latency_ms in latencies),
        f"{recording.latencies().max_ms:.1f}",
    ]


def _is_shown(outcome: Outcome) -> bool:
    """Whether it is shown that a target did not hold the bound."""
    if outcome.load is None:
        return False
    state = outcome.load.state
    return state in SHOWN_BY_ANY or (outcome.verdict.valid and state in ("slow", "overloaded"))


def _doubt(outcome: Outcome) -> str:
    reasons = outcome.verdict.reasons
    return f"INVALID, {reasons[0].kind}" if reasons else _mean(outcome)


def _mean(outcome: Outcome) -> str:
    return MEANINGS[outcome.load.state] if outcome.load else ""


def _join(outcomes: Sequence[Outcome]) -> str:
    return " and ".join(outcome.name for outcome in outcomes)
