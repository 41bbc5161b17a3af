"""`infer signal_classifier signals.csv`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.label_table import print_labels
from services.client.options import JsonOption, VersionOption
from services.client.series_files import SeriesArgument, read_columns
from services.client.signal_classification import classify_signals


@connecting
def run(
    context: typer.Context,
    signals: SeriesArgument = "-",
    top: Annotated[int, typer.Option(help="labels to show for each signal", min=1)] = 1,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Classify signals. Example: infer signal_classifier signals.csv --top 3"""
    columns = read_columns(signals)
    model = str(context.info_name)
    with connect() as client:
        results = client.perform(classify_signals(columns, top=top, model=model, version=version))
    if as_json:
        print(json.dumps([{"signal": name, **asdict(found)} for name, found in zip(columns, results, strict=True)]))
    else:
        print_labels(model, "signal", list(columns), results)
    if any(result.error for result in results):
        raise typer.Exit(1)
