"""The result in a terminal: one table per model and the recommendation."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from loadtests.judge.recommendation import find_held, find_peak_rows_per_s
from loadtests.judge.verdict import bound_percentile
from loadtests.results import ModelResults, Results, count_valid


def print_summary(results: Results, console: Console) -> None:
    """Print the tables of all models."""
    for model in results.models:
        console.print(_make_table(model, results))
        for manifest in model.rejected:
            console.print(f"  [red]{manifest.variant} refused by the gate[/red]: {manifest.gate.why}", highlight=False)
        for variant, why in model.index.left_out.items():
            console.print(f"  {variant} not built: {why}", highlight=False)
        console.print(f"  gRPC and REST answered {model.agreement.rows} example rows alike", highlight=False)
        console.print(f"\n[bold]{model.recommendation.headline}[/bold]")
        for reason in model.recommendation.reasons:
            console.print(f"  {reason}", highlight=False)
        for caveat in model.recommendation.caveats:
            console.print(f"  [yellow]{caveat}[/yellow]", highlight=False)
        console.print()


def _make_table(model: ModelResults, results: Results) -> Table:
    valid, total = count_valid(model.runs)
    table = Table(
        title=f"{model.name}: {valid} of {total} runs VALID, bound {results.bound_ms:g} ms",
        title_justify="left",
        title_style="bold",
        caption=f"quality: {model.served[0].quality.metric}; peak: rows/s; held: requests/s within the bound; ms",
        caption_justify="left",
    )
    table.add_column("variant", no_wrap=True)
    for column in ("quality", "peak", "×", "held", "p50", "p90", "p99"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict")
    served = model.served
    reference = find_peak_rows_per_s(model.runs, served[0].version)
    for manifest in served:
        peak = find_peak_rows_per_s(model.runs, manifest.version)
        name = f"{manifest.variant} *" if manifest.variant == model.index.default else manifest.variant
        gain = f"{peak / reference:.1f}" if reference else ""
        quality = f"{manifest.quality.value:.4g}"
        table.add_row(name, quality, f"{peak:,.0f}", gain, *_describe_held(model, manifest.version))
    return table


def _describe_held(model: ModelResults, version: str) -> list[str]:
    runs = model.select(version, "Server")
    run = find_held(model.runs, version) or min(runs, key=lambda run: run.rate or 0.0, default=None)
    if run is None:
        return [""] * 5
    latencies = run.recording.latencies()
    supported = bound_percentile(run.recording)
    figures = [
        f"{latencies.find_percentile_ms(p):.1f}" if p <= supported and len(latencies) else "–" for p in (50, 90, 99)
    ]
    rate = f"{run.rate:,.0f}" if run.holds_bound else f"[yellow]< {run.rate:,.0f}[/yellow]"
    verdict = "VALID" if run.verdict.valid else f"INVALID: {run.verdict.reasons[0].partition(':')[0]}"
    return [rate, *figures, verdict]
