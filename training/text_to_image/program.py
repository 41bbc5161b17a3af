"""What is released: latents and captions in, images as people see them out.

Dimensions: N images, Z latent values, S pieces, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.images.pixels import quantize_images
from training.text_to_image.network import Generator

_PIECE = 250


class Program(nn.Module):
    """Latents float32 [N, Z] and pieces int64 [N, S] → images uint8 [N, H, W, C]."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, latents: Tensor, pieces: Tensor) -> Tensor:
        return quantize_images(self.network(latents, pieces))


@torch.no_grad()
def draw_images(network: Generator, latents: Tensor, pieces: Tensor) -> Tensor:
    """Draw any number of images as the released program would; uint8 [N, H, W, C] on the CPU."""
    was_training, device = network.training, network.project.weight.device
    program = Program(network)
    pairs = zip(latents.split(_PIECE), pieces.split(_PIECE), strict=True)
    drawn = torch.cat([program(one.to(device), other.to(device)).cpu() for one, other in pairs])
    network.train(was_training)
    return drawn
