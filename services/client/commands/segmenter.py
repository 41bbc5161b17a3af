"""`infer segmenter a.png b.jpg --out masks`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.connecting import Connect, connecting
from services.client.image_files import name_files
from services.client.options import JsonOption, VersionOption
from services.client.segmentation import Segmentation, segment

if TYPE_CHECKING:
    import numpy as np

# Of the classes by their numbers, over and over; the background is black.
_PALETTE = (
    *((0, 0, 0), (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)),
)


@connecting
def run(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="image files, any size", exists=True, dir_okay=False)],
    out: Annotated[
        Path | None, typer.Option(help="write a mask (.png, a colour for each class) for each here", file_okay=False)
    ] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what covers images. Example: infer segmenter a.png b.jpg --out masks"""
    names = name_files(images, out, "masks are named as their images")
    model = str(context.info_name)
    with connect() as client:
        found = client.perform(segment(images, model=model, version=version))
    if as_json:
        print(json.dumps([_describe(path, each) for path, each in zip(images, found, strict=True)]))
    else:
        _print_table(model, [path.name for path in images], found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, each in zip(names, found, strict=True):
            if not each.error:
                write_mask(each.mask, out / f"{name}.png")
    if any(each.error for each in found):
        raise typer.Exit(1)


def write_mask(mask: np.ndarray, path: Path) -> None:
    """Write a mask uint8 [H, W] as PNG whose palette indices are the classes' numbers."""
    from PIL import Image

    picture = Image.fromarray(mask)
    colours = [_PALETTE[0], *(_PALETTE[1 + number % (len(_PALETTE) - 1)] for number in range(255))]
    picture.putpalette([level for colour in colours for level in colour])
    picture.save(path)


def _describe(path: Path, found: Segmentation) -> dict[str, object]:
    return {
        "image": str(path),
        "label": found.label,
        "areas": found.areas,
        "version": found.version,
        "error": found.error,
    }


def _print_table(model: str, names: Sequence[str], found: Sequence[Segmentation]) -> None:
    table = Table("image", "label", "covered by", title=f"{model} {found[0].version}", title_justify="left")
    for name, each in zip(names, found, strict=True):
        if each.error:
            table.add_row(escape(name), f"[red]{escape(each.error)}[/red]")
            continue
        covering = sorted(((area, name) for name, area in each.areas.items() if area), reverse=True)
        shares = ", ".join(f"{covered} {area:.1%}" for area, covered in covering)
        table.add_row(escape(name), escape(each.label), escape(shares))
    Console().print(table)
