"""What is released of a generator: latents in, images as people see them out.

Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from training.images.dcgan import Generator
from training.images.drawing import Drawing
from training.images.pixels import quantize_images

_BATCH_SIZE = 500


class Program(nn.Module):
    """What is released: latents float32 [N, Z], and labels int64 [N] if it has classes → images uint8 [N, H, W, C]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        self.eval()

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return quantize_images(self.generator(latents, labels))


def make_drawing(generator: Generator, device: torch.device) -> Drawing:
    """Draw any number of images as the released program would."""
    return Drawing(partial(_draw_images, generator, device), generator.latent_size, generator.num_classes > 0)


@torch.no_grad()
def _draw_images(generator: Generator, device: torch.device, latents: Tensor, labels: Tensor | None) -> Tensor:
    program = Program(generator)
    pieces = []
    for start in range(0, len(latents), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        classes = None if labels is None else labels[rows].to(device)
        pieces.append(program(latents[rows].to(device), classes).cpu())
    return torch.cat(pieces)
