"""`loadtest watch`: the verdict of a load test on the traffic that a deployed system has anyway."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.judge.live import Live, judge_live
from loadtests.judge.load import MEANINGS
from loadtests.measure.prometheus import read_buckets, read_outcomes

console = Console()
NOTHING = 2


def watch(
    prometheus: Annotated[str, typer.Option(help="URL of the Prometheus server that scrapes the gateways")],
    bound_ms: Annotated[
        float, typer.Option("--bound", help="latency that requests are to stay within, in ms", min=0.1)
    ],
    model: Annotated[str, typer.Option(help="one model; none: every model that had traffic")] = "",
    version: Annotated[str, typer.Option(help="one version, as in 3-int8")] = "",
    namespace: Annotated[str, typer.Option(help="one namespace, where Prometheus has several")] = "",
    percentile: Annotated[float, typer.Option(help="share of the requests that stay within it, in %", min=50)] = 99.0,
    window_s: Annotated[float, typer.Option("--window", help="seconds to look back", min=10)] = 300.0,
) -> None:
    """Judge a deployed system by its live traffic. Example: loadtest watch --prometheus http://prom:9090 --bound 50

    Exit status 1 where a version does not hold the bound, or too few requests came to say; 2 where none came at all.
    """
    given = {"model": model, "version": version, "namespace": namespace}
    labels = ",".join(f'{name}="{value}"' for name, value in given.items() if value)
    seen = look(prometheus, labels, bound_ms=bound_ms, percentile=percentile, window_s=window_s)
    if not seen:
        typer.echo(f"loadtest: {prometheus} knows of no request{' with ' + labels if labels else ''}", err=True)
        raise typer.Exit(NOTHING)
    console.print(make_table(seen, bound_ms, percentile, window_s))
    raise typer.Exit(0 if all(live.holds for live in seen) else 1)


def look(url: str, labels: str, *, bound_ms: float, percentile: float, window_s: float) -> list[Live]:
    """Judge every version that had requests within the window, the busiest first.

    Raises:
        PrometheusError: no Prometheus server answers there.
    """
    outcomes = read_outcomes(url, labels, window_s)
    buckets = read_buckets(url, labels, window_s)
    seen = [
        judge_live(
            *key,
            outcomes=outcomes.get(key, {}),
            buckets=buckets.get(key, []),
            window_s=window_s,
            bound_ms=bound_ms,
            percentile=percentile,
        )
        for key in outcomes.keys() | buckets.keys()
    ]
    return sorted((live for live in seen if live.requests > 0), key=lambda live: -live.requests)


def make_table(seen: list[Live], bound_ms: float, percentile: float, window_s: float) -> Table:
    """Make the table that a person reads."""
    table = Table(
        *("version", "requests", "a second", f"p{percentile:g} ms", "over", "refused", "failed", "verdict"),
        title=f"p{percentile:g} within {bound_ms:g} ms over the last {window_s:g} s",
    )
    for live in seen:
        colour = "green" if live.holds else "yellow" if live.state == "undecided" else "red"
        table.add_row(
            *(f"{live.model} {live.version}", f"{live.requests:,.0f}", f"{live.per_s:,.1f}"),
            "beyond" if live.percentile_ms is None else f"{live.percentile_ms:,.1f}",
            *(f"{live.over:,.0f}", f"{live.refused:,.0f}", f"{live.failed:,.0f}"),
            f"[{colour}]{live.state}[/]: {MEANINGS[live.state]}",
        )
    return table
