"""`infer image_translator a.png b.jpg --out translated`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.image_files import GridOption, name_files, refuse_nowhere, write_images
from services.client.image_translation import translate_images
from services.client.options import VersionOption


@connecting
def run(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="image files, any size", exists=True, dir_okay=False)],
    out: Annotated[
        Path | None, typer.Option(help="write each translated image here, named as the file (.png)", file_okay=False)
    ] = None,
    grid: GridOption = None,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Translate images into another style. Example: infer image_translator a.png b.jpg --out translated"""
    refuse_nowhere(grid, out)
    names = name_files(images, out, "translated images are named as the given ones")
    with connect() as client:
        found = client.perform(translate_images(images, model=str(context.info_name), version=version))
    for path, each in zip(images, found, strict=True):
        if each.error:
            typer.echo(f"{path}: {each.error}", err=True)
    made = {name: each.image for name, each in zip(names, found, strict=True) if not each.error}
    if made:
        write_images(list(made.values()), math.ceil(math.sqrt(len(made))), grid, out, list(made))
    if len(made) < len(found):
        raise typer.Exit(1)
