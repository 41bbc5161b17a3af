"""`infer text_to_image "a red 3 left of a blue 7 on black" --n 8 --grid drawn.png`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.image_files import GridOption, OutOption, SeedOption, refuse_nowhere, write_images
from services.client.options import VersionOption
from services.client.text_drawing import draw_texts
from services.client.text_lines import read_texts


@connecting
def run(
    context: typer.Context,
    texts: Annotated[list[str] | None, typer.Argument(help="what to draw; lines of standard input if none")] = None,
    n: Annotated[int, typer.Option("--n", help="images of each text", min=1)] = 1,
    seed: SeedOption = 0,
    truncation: Annotated[float | None, typer.Option(help="bound of the latents, at least 0.1", min=0.1)] = None,
    grid: GridOption = None,
    out: OutOption = None,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Draw texts, a row for each. Example: infer text_to_image "a small red 3 on grey" --n 8 --grid a.png"""
    refuse_nowhere(grid, out)
    rows = read_texts(texts, "texts")
    model = str(context.info_name)
    with connect() as client:
        found = client.perform(draw_texts(rows, n, seed=seed, truncation=truncation, model=model, version=version))
    for each in found[::n]:
        if each.error:
            typer.echo(f"{each.text!r}: {each.error}", err=True)
    made = [each.image for each in found if not each.error]
    if made:
        write_images(made, n, grid, out)
    if len(made) < len(found):
        raise typer.Exit(1)
