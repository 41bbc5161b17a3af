"""`infer signal_denoiser signals.csv`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from services.client.connecting import Connect, connecting
from services.client.options import JsonOption, VersionOption
from services.client.series_files import SeriesArgument, read_columns
from services.client.signal_denoising import CleanSignals, denoise_signals


@connecting
def run(
    context: typer.Context,
    signals: SeriesArgument = "-",
    out: Annotated[
        Path | None, typer.Option(help="write the clean signals here (.csv)", dir_okay=False, show_default="stdout")
    ] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take wander, hum and noise off signals. Example: infer signal_denoiser signals.csv --out clean.csv"""
    columns = read_columns(signals)
    with connect() as client:
        found = client.perform(denoise_signals(columns, model=str(context.info_name), version=version))
    names = list(columns)
    if as_json:
        print(json.dumps([_describe(found, row, name) for row, name in enumerate(names)]))
    elif out is None:
        _write_csv(sys.stdout, found, names)
    if out is not None:
        with out.open("w", newline="") as file:
            _write_csv(file, found, names)
    for name, error in zip(names, found.errors, strict=True):
        if error:
            print(f"{name}: {error}", file=sys.stderr)
    if any(found.errors):
        raise typer.Exit(1)


def _describe(found: CleanSignals, row: int, name: str) -> dict[str, object]:
    clean = [] if found.errors[row] else found.values[row].tolist()
    return {"signal": name, "clean": clean, "version": found.version, "error": found.errors[row]}


def _write_csv(file: TextIO, found: CleanSignals, names: Sequence[str]) -> None:
    """A column for each signal that was cleaned."""
    good = [row for row, error in enumerate(found.errors) if not error]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([names[row] for row in good])
    writer.writerows([f"{value:.7g}" for value in samples] for samples in found.values[good].T)
