"""What commands share that ask for images: their options, and the files that the images go into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL.Image import Image

NumOption = Annotated[int, typer.Option("--n", help="images to generate", min=1)]
LabelOption = Annotated[str | None, typer.Option(help="class to draw, by name or number; drawn if absent")]
SeedOption = Annotated[int, typer.Option(help="seed of the first image; the next have the following seeds")]
GridOption = Annotated[Path | None, typer.Option(help="write all images into one picture (.png)", dir_okay=False)]
OutOption = Annotated[Path | None, typer.Option(help="write each image into this folder", file_okay=False)]
_GAP_PX = 2


def read_label(label: str | None) -> int | str | None:
    """Take a label of digits for a number, any other for a name."""
    return int(label) if label is not None and label.lstrip("-").isdigit() else label


def refuse_nowhere(grid: Path | None, out: Path | None) -> None:
    """Refuse a call whose images would go nowhere, before it is made."""
    if grid is None and out is None:
        raise typer.BadParameter("say where the images go: --grid FILE.png, --out FOLDER or both")


def name_files(images: Sequence[Path], out: Path | None, what: str) -> list[str]:
    """Name what is written to `out` as the images are named; refuse names that would meet there."""
    names = [path.stem for path in images]
    if out is not None and len(set(names)) < len(names):
        raise typer.BadParameter(f"{what}: give other names")
    return names


def write_images(
    images: list[Image], num_columns: int, grid: Path | None, out: Path | None, names: Sequence[str] = ()
) -> None:
    """Write images into one picture, into a folder (by their names, else numbered), or both, and say so."""
    if grid is not None:
        arrange_grid(images, num_columns).save(grid)
        typer.echo(f"{grid}: {len(images)} images")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names or [f"{index:04}" for index in range(len(images))], images, strict=True):
            image.save(out / f"{name}.png")
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
