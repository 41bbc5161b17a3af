"""`infer anomaly_detector signals.csv`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from services.client.anomaly_detection import Detection, detect_anomalies
from services.client.connecting import Connect, connecting
from services.client.deviation_table import print_deviations
from services.client.options import JsonOption, VersionOption
from services.client.series_files import SeriesArgument, read_columns


@connecting
def run(
    context: typer.Context,
    signals: SeriesArgument = "-",
    threshold: Annotated[
        float | None, typer.Option(help="deviation above which a signal is unusual; the model's own")
    ] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say how unusual signals are. Example: infer anomaly_detector signals.csv"""
    columns = read_columns(signals)
    model = str(context.info_name)
    with connect() as client:
        found = client.perform(detect_anomalies(columns, threshold=threshold, model=model, version=version))
    if as_json:
        print(json.dumps([_describe(name, each) for name, each in zip(columns, found, strict=True)]))
    else:
        print_deviations(model, "signal", list(columns), found, 2)
    if any(each.error for each in found):
        raise typer.Exit(1)


def _describe(name: str, found: Detection) -> dict[str, object]:
    return {
        "signal": name,
        "deviation": found.deviation,
        "unusual": found.is_unusual,
        "reconstruction": [] if found.error else found.reconstruction.tolist(),
        "version": found.version,
        "error": found.error,
    }
