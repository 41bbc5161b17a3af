"""`infer gan --n 64 --label 7 --grid out.png`."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.image_files import (
    GridOption,
    LabelOption,
    NumOption,
    OutOption,
    SeedOption,
    read_label,
    refuse_nowhere,
    write_images,
)
from services.client.options import VersionOption


@connecting
def run(
    context: typer.Context,
    n: NumOption = 1,
    label: LabelOption = None,
    seed: SeedOption = 0,
    truncation: Annotated[float | None, typer.Option(help="bound of the latents, at least 0.1", min=0.1)] = None,
    closeness: Annotated[
        float | None, typer.Option(help="of 0 to 1, where the model has styles: less is more typical", min=0, max=1)
    ] = None,
    grid: GridOption = None,
    out: OutOption = None,
    from_seed: Annotated[int | None, typer.Option("--from", help="interpolate from this seed")] = None,
    to_seed: Annotated[int | None, typer.Option("--to", help="interpolate to this seed")] = None,
    steps: Annotated[int, typer.Option(help="images of an interpolation, both ends included", min=2)] = 8,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Generate images. Example: infer gan --n 64 --label 7 --grid out.png; or --from 1 --to 2 --grid way.png"""
    refuse_nowhere(grid, out)
    if (from_seed is None) != (to_seed is None):
        raise typer.BadParameter("an interpolation needs both --from and --to")
    model = str(context.info_name)
    wanted = read_label(label)
    with connect() as client:
        if from_seed is not None and to_seed is not None:
            images = client.interpolate(from_seed, to_seed, steps, label=wanted, model=model, version=version)
            columns = steps
        else:
            images = client.generate(
                n, label=wanted, seed=seed, truncation=truncation, closeness=closeness, model=model, version=version
            )
            columns = math.ceil(math.sqrt(n))
    write_images(images, columns, grid, out)
