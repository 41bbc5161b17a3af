"""`infer classifier a.png b.jpg --top 3`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.label_table import print_labels
from services.client.options import JsonOption, VersionOption


@connecting
def run(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="image files, any size", exists=True, dir_okay=False)],
    top: Annotated[int, typer.Option(help="labels to show for each image", min=1)] = 1,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Classify images. Example: infer classifier a.png b.jpg --top 3"""
    with connect() as client:
        results = client.classify(images, top=top, model=str(context.info_name), version=version)
    if as_json:
        print(
            json.dumps([{"image": str(path), **asdict(result)} for path, result in zip(images, results, strict=True)])
        )
    else:
        print_labels(str(context.info_name), "image", [path.name for path in images], results)
    if any(result.error for result in results):
        raise typer.Exit(1)
