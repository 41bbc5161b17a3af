"""`infer text_classifier "the room was far from clean"`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.label_table import print_labels
from services.client.options import JsonOption, VersionOption
from services.client.text_classification import classify_texts
from services.client.text_lines import read_texts


@connecting
def run(
    context: typer.Context,
    texts: Annotated[list[str] | None, typer.Argument(help="texts; lines of standard input if none")] = None,
    top: Annotated[int, typer.Option(help="labels to show for each text", min=1)] = 1,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Classify texts. Example: infer text_classifier "the room was far from clean" --top 3"""
    rows = read_texts(texts, "texts")
    model = str(context.info_name)
    with connect() as client:
        results = client.perform(classify_texts(rows, top=top, model=model, version=version))
    if as_json:
        print(json.dumps([{"text": row, **asdict(result)} for row, result in zip(rows, results, strict=True)]))
    else:
        print_labels(model, "text", rows, results)
    if any(result.error for result in results):
        raise typer.Exit(1)
