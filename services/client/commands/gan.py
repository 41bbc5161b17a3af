"""`infer gan --n 64 --label 7 --grid out.png`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.options import VersionOption

if TYPE_CHECKING:
    from PIL.Image import Image

_GAP_PX = 2


@connecting
def run(
    context: typer.Context,
    n: Annotated[int, typer.Option("--n", help="images to generate", min=1)] = 1,
    label: Annotated[str | None, typer.Option(help="class to draw, by name or number; drawn if absent")] = None,
    seed: Annotated[int, typer.Option(help="seed of the first image; the next have the following seeds")] = 0,
    truncation: Annotated[float | None, typer.Option(help="bound of the latents, at least 0.1", min=0.1)] = None,
    grid: Annotated[Path | None, typer.Option(help="write all images into one picture (.png)", dir_okay=False)] = None,
    out: Annotated[Path | None, typer.Option(help="write each image into this folder", file_okay=False)] = None,
    from_seed: Annotated[int | None, typer.Option("--from", help="interpolate from this seed")] = None,
    to_seed: Annotated[int | None, typer.Option("--to", help="interpolate to this seed")] = None,
    steps: Annotated[int, typer.Option(help="images of an interpolation, both ends included", min=2)] = 8,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Generate images. Example: infer gan --n 64 --label 7 --grid out.png; or --from 1 --to 2 --grid way.png"""
    if grid is None and out is None:
        raise typer.BadParameter("say where the images go: --grid FILE.png, --out FOLDER or both")
    if (from_seed is None) != (to_seed is None):
        raise typer.BadParameter("an interpolation needs both --from and --to")
    model = str(context.info_name)
    wanted = int(label) if label is not None and label.lstrip("-").isdigit() else label
    with connect() as client:
        if from_seed is not None and to_seed is not None:
            images = client.interpolate(from_seed, to_seed, steps, label=wanted, model=model, version=version)
            columns = steps
        else:
            images = client.generate(n, label=wanted, seed=seed, truncation=truncation, model=model, version=version)
            columns = math.ceil(math.sqrt(n))
    if grid is not None:
        arrange_grid(images, columns).save(grid)
        typer.echo(f"{grid}: {len(images)} images")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            image.save(out / f"{index:04}.png")
        typer.echo(f"{out}: {len(images)} images")


def arrange_grid(images: list[Image], num_columns: int) -> Image:
    """Lay images of one size out in rows, with gaps."""
    from PIL import Image

    width, height = images[0].size
    num_rows = math.ceil(len(images) / num_columns)
    size = (num_columns * (width + _GAP_PX) + _GAP_PX, num_rows * (height + _GAP_PX) + _GAP_PX)
    grid = Image.new(images[0].mode, size, "grey")
    for index, image in enumerate(images):
        row, column = divmod(index, num_columns)
        grid.paste(image, (_GAP_PX + column * (width + _GAP_PX), _GAP_PX + row * (height + _GAP_PX)))
    return grid
