"""What is released of a generator: latents in, images as people see them out.

Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from training.gan.network import AnyGenerator
from training.gan.style import StyleGenerator
from training.images.drawing import Drawing
from training.images.pixels import quantize_images

_BATCH_SIZE = 500


class Program(nn.Module):
    """What is released: latents float32 [N, Z], and labels int64 [N] if it has classes → images uint8 [N, H, W, C]."""

    def __init__(self, generator: AnyGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.eval()

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return quantize_images(self.generator(latents, labels))


class StyledProgram(nn.Module):
    """What is released of a style-based generator: beside latents it takes `closeness` float32 [N] to own styles."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.eval()

    def forward(self, latents: Tensor, closeness: Tensor, labels: Tensor | None = None) -> Tensor:
        return quantize_images(self.generator(latents, labels, closeness))


def make_drawing(generator: AnyGenerator, device: torch.device) -> Drawing:
    """Draw any number of images as the released program would."""
    return Drawing(partial(_draw_images, generator, device), generator.latent_size, generator.num_classes > 0)


@torch.no_grad()
def _draw_images(generator: AnyGenerator, device: torch.device, latents: Tensor, labels: Tensor | None) -> Tensor:
    program = Program(generator)
    pieces = []
    for start in range(0, len(latents), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        classes = None if labels is None else labels[rows].to(device)
        pieces.append(program(latents[rows].to(device), classes).cpu())
    return torch.cat(pieces)
