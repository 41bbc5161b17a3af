"""`infer forecaster series.csv`."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.connecting import Connect, connecting
from services.client.forecasting import Forecast, forecast
from services.client.options import JsonOption, VersionOption
from services.client.series_files import SeriesArgument, read_columns


@connecting
def run(
    context: typer.Context,
    series: SeriesArgument = "-",
    horizon: Annotated[int | None, typer.Option(help="steps to forecast", min=1, show_default="model's")] = None,
    out: Annotated[Path | None, typer.Option(help="write the quantiles here (.csv)", dir_okay=False)] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Forecast series. Example: infer forecaster series.csv --horizon 12 --out forecast.csv"""
    columns = read_columns(series)
    model = str(context.info_name)
    with connect() as client:
        found = client.perform(forecast(columns, horizon=horizon, model=model, version=version))
    names = list(columns)
    if as_json:
        print(json.dumps([_describe(found, row, name) for row, name in enumerate(names)]))
    else:
        _print_table(model, found, names)
    if out is not None:
        _write_csv(out, found, names)
    if any(found.errors):
        raise typer.Exit(1)


def _list_steps(found: Forecast, row: int) -> list[list[float]]:
    """The quantiles of each step of a series, in the order of their levels."""
    if found.errors[row]:
        return []
    return [list(step) for step in zip(*(values[row].tolist() for values in found.quantiles.values()), strict=True)]


def _describe(found: Forecast, row: int, name: str) -> dict[str, object]:
    quantiles = {} if found.errors[row] else {level: values[row].tolist() for level, values in found.quantiles.items()}
    return {"series": name, "quantiles": quantiles, "version": found.version, "error": found.errors[row]}


def _print_table(model: str, found: Forecast, names: Sequence[str]) -> None:
    table = Table("series", "step", *found.quantiles, title=f"{model} {found.version}", title_justify="left")
    for row, name in enumerate(names):
        if found.errors[row]:
            table.add_row(escape(name), f"[red]{escape(found.errors[row])}[/red]")
        for step, values in enumerate(_list_steps(found, row)):
            table.add_row(escape(name) if step == 0 else "", str(step + 1), *(f"{value:.5g}" for value in values))
    Console().print(table)


def _write_csv(path: Path, found: Forecast, names: Sequence[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["series", "step", *found.quantiles])
        for row, name in enumerate(names):
            for step, values in enumerate(_list_steps(found, row)):
                writer.writerow([name, step + 1, *(f"{value:.7g}" for value in values)])
