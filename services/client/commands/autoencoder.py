"""`infer autoencoder a.png b.jpg --out images`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from services.client.connecting import Connect, connecting
from services.client.deviation_table import print_deviations
from services.client.image_files import name_files
from services.client.images import as_picture
from services.client.options import JsonOption, VersionOption
from services.client.reconstruction import Reconstruction, reconstruct


@connecting
def run(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="image files, any size", exists=True, dir_okay=False)],
    out: Annotated[
        Path | None, typer.Option(help="write what the code tells of each image (.png) here", file_okay=False)
    ] = None,
    codes: Annotated[Path | None, typer.Option(help="write all codes as an array (.npy)", dir_okay=False)] = None,
    threshold: Annotated[
        float | None, typer.Option(help="deviation in grey levels above which an image is unusual; the model's own")
    ] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say how unusual images are. Example: infer autoencoder a.png b.jpg --out images"""
    names = name_files(images, out, "what is written is named as the images")
    model = str(context.info_name)
    with connect() as client:
        found = client.perform(reconstruct(images, threshold=threshold, model=model, version=version))
    if as_json:
        print(json.dumps([_describe(path, each) for path, each in zip(images, found, strict=True)]))
    else:
        print_deviations(model, "image", [path.name for path in images], found, 1)
    if codes is not None:
        np.save(codes, np.stack([each.code for each in found]))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, each in zip(names, found, strict=True):
            if not each.error:
                as_picture(each.image).save(out / f"{name}.png")
    if any(each.error for each in found):
        raise typer.Exit(1)


def _describe(path: Path, found: Reconstruction) -> dict[str, object]:
    return {
        "image": str(path),
        "deviation": found.deviation,
        "unusual": found.is_unusual,
        "code": found.code.tolist(),
        "version": found.version,
        "error": found.error,
    }
