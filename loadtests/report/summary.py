"""The result in a terminal: one table per model and the recommendation."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from loadtests.judge.load import MEANINGS
from loadtests.judge.recommendation import find_peak_rows_per_s
from loadtests.report.picture import draw_in_terminal
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

STYLES = {"shown": "bold green", "too slow": "bold red", "too short or too noisy": "bold yellow"}


def print_summary(results: Results, console: Console) -> None:
    """Print the answer and the table of each model."""
    for model in results.models:
        advice = model.recommendation
        _print_answer(model, console)
        console.print(f"\n[{STYLES[advice.standing]}]{advice.headline}[/]", highlight=False)
        for reason in advice.reasons:
            console.print(f"  {reason}", highlight=False)
        for caveat in advice.caveats:
            console.print(f"  [yellow]{caveat}[/yellow]", highlight=False)
        console.print()
        console.print(_make_table(model))
        if model.alerts:
            console.print(f"  [yellow]alerts that fired: {', '.join(model.alerts)}[/yellow]", highlight=False)
        for manifest in model.untested:
            console.print(f"  {manifest.variant} not load-tested: {describe_release_speed(manifest)}", highlight=False)
        for manifest in model.rejected:
            console.print(f"  [red]{manifest.variant} refused by the gate[/red]: {manifest.gate.why}", highlight=False)
        for variant, why in model.index.left_out.items():
            console.print(f"  {variant} not built: {why}", highlight=False)
        console.print(f"  gRPC and REST answered {model.agreement.rows} example rows alike", highlight=False)
        console.print()


def _print_answer(model: ModelResults, console: Console) -> None:
    first = model.agreement.first
    for item in first.inputs:
        if item.picture is None:
            console.print(f"  {item.name}: {item.text}", highlight=False, markup=False)
        elif console.is_terminal:
            console.print(draw_in_terminal(item.picture))
    for item in first.outputs:
        if item.picture is not None and console.is_terminal:
            console.print(draw_in_terminal(item.picture))
        text = item.text or "a picture; the report shows it"
        console.print(
            f"  {model.index.model} {first.version} answers {item.name}: {text}", highlight=False, markup=False
        )


def _make_table(model: ModelResults) -> Table:
    valid, total = count_valid(model.runs)
    repeats = describe_repeats(model.runs)
    quality = model.served[0].quality
    table = Table(
        title=f"{model.name}: {valid} of {total} runs VALID{repeats and f' ({repeats})'}, bound {model.bound.ms:g} ms",
        title_justify="left",
        title_style="bold",
        caption=f"quality: {quality.metric}; MB: of its workers, shared pages in parts; peak: rows/s of any run; "
        "held: requests/s within the bound; latencies: ms",
        caption_justify="left",
    )
    table.add_column("variant", no_wrap=True)
    for column in ("quality", "MB", "peak", "×", "held", "p50", "p99"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("at that rate")
    reference = find_peak_rows_per_s(model.runs, model.served[0].version)
    for manifest in model.tested:
        peak = find_peak_rows_per_s(model.runs, manifest.version)
        name = f"{manifest.variant} *" if manifest.variant == model.index.default else manifest.variant
        gain = f"{peak / reference:.1f}" if reference else ""
        memory_mb = find_worker_mb(model.runs, manifest.version)
        memory = "" if memory_mb is None else f"{memory_mb:,.0f}"
        row = (name, f"{manifest.quality.value:.4g}", memory, f"{peak:,.0f}", gain)
        table.add_row(*row, *_describe_rate(model, manifest.version))
    return table


def _describe_rate(model: ModelResults, version: str) -> list[str]:
    run = pick_open_loop(model, version)
    if run is None:
        return [""] * 4
    rate = f"{run.rate:,.0f}" if run.holds_bound else f"[yellow]< {run.rate:,.0f}[/yellow]"
    return [rate, *(_format_percentile(run, p) for p in (50.0, 99.0)), _describe_standing(run)]


def _format_percentile(run: Run, percentile: float) -> str:
    latency_ms = run.recording.find_percentile_ms(percentile)
    return "never" if latency_ms is None else f"{latency_ms:.1f}"


def _describe_standing(run: Run) -> str:
    if not run.verdict.valid:
        return f"INVALID: {run.verdict.reasons[0].kind}"
    return MEANINGS[run.load.state] if run.load else ""
