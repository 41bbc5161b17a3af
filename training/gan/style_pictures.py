"""Pictures of a style-based generator: images of two sources' styles, and of styles ever closer to the mean.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.gan.style import StyleGenerator
from training.images.grids import arrange_grid, save_picture
from training.images.pixels import quantize_images

MIXING, TRUNCATION = "style_mixing.png", "truncation.png"
_PLACE = 60
_NUM_ROWS, _NUM_COLUMNS = 5, 8
_CLOSENESS = (0.0, 0.25, 0.5, 0.75, 1.0)


@torch.no_grad()
def draw_mixing(generator: StyleGenerator, path: Path) -> None:
    """Coarse styles of the first column's images with fine styles of the first row's; classes go with the column."""
    random = generator_for(0, _PLACE)
    styles, sources = _draw_styles(generator, _NUM_ROWS + _NUM_COLUMNS, random)
    rows, columns = styles[:_NUM_ROWS], styles[_NUM_ROWS:]
    num_coarse = max(1, generator.num_layers // 2)
    lines = [torch.cat([torch.zeros_like(sources[:1]), sources[_NUM_ROWS:]])]
    for row, source in zip(rows, sources, strict=False):
        coarse = [row.expand(_NUM_COLUMNS, -1)] * num_coarse
        mixed = generator.synthesize([*coarse, *[columns] * (generator.num_layers - num_coarse)])
        lines.append(torch.cat([source[None], quantize_images(mixed).cpu()]))
    save_picture(arrange_grid(torch.cat(lines).numpy(), 1 + _NUM_COLUMNS), path, enlarge=3)


@torch.no_grad()
def draw_truncation(generator: StyleGenerator, path: Path) -> None:
    """An image a row, its style from the mean one on the left to its own on the right."""
    random = generator_for(0, _PLACE + 1)
    latents, labels = _draw_latents(generator, _NUM_COLUMNS, random)
    pictures = []
    for closeness in _CLOSENESS:
        drawn = generator(latents, labels, torch.full((_NUM_COLUMNS,), closeness, device=latents.device))
        pictures.append(quantize_images(drawn).cpu())
    images = torch.stack(pictures, 1).flatten(0, 1)
    save_picture(arrange_grid(images.numpy(), len(_CLOSENESS)), path, enlarge=3)


def _draw_latents(generator: StyleGenerator, count: int, random: torch.Generator) -> tuple[Tensor, Tensor | None]:
    device = generator.mean_styles.device
    latents = torch.randn(count, generator.latent_size, generator=random).to(device)
    return latents, torch.arange(count, device=device) % generator.num_classes if generator.num_classes else None


def _draw_styles(generator: StyleGenerator, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    styles = generator.map_styles(*_draw_latents(generator, count, random))
    return styles, quantize_images(generator.synthesize([styles] * generator.num_layers)).cpu()
