"""`infer diffusion --n 16 --label 7 --steps 20 --grid out.png`."""

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
    steps: Annotated[int | None, typer.Option(help="steps from noise to image", min=1)] = None,
    guidance: Annotated[float | None, typer.Option(help="how far towards its class; 1: not", min=0)] = None,
    sampler: Annotated[str | None, typer.Option(help="dpm-solver++ or ddim")] = None,
    grid: GridOption = None,
    out: OutOption = None,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Generate images. Example: infer diffusion --n 16 --label 7 --steps 20 --guidance 2 --grid out.png"""
    refuse_nowhere(grid, out)
    with connect() as client:
        images = client.generate(
            n,
            label=read_label(label),
            seed=seed,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            model=str(context.info_name),
            version=version,
        )
    write_images(images, math.ceil(math.sqrt(n)), grid, out)
