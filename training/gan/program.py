"""Images between the bytes that people see and the range that networks draw.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.gan.dcgan import Generator


def scale_images(images_NHWC: Tensor) -> Tensor:
    """Turn uint8 [N, H, W, C] into float32 [N, C, H, W] in [−1, 1]."""
    return images_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1


def quantize_images(images_NCHW: Tensor) -> Tensor:
    """Turn float32 [N, C, H, W] in [−1, 1] into uint8 [N, H, W, C]."""
    return ((images_NCHW + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class Program(nn.Module):
    """What is released: latents float32 [N, Z], and labels int64 [N] if it has classes → images uint8 [N, H, W, C]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        self.eval()

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return quantize_images(self.generator(latents, labels))


@torch.no_grad()
def draw_images(
    generator: Generator,
    latents: Tensor,
    labels: Tensor | None,
    device: torch.device,
    batch_size: int = 500,
) -> Tensor:
    """Generate any number of images, uint8 [N, H, W, C] on the CPU, as the released program would."""
    program = Program(generator)
    pieces = []
    for start in range(0, len(latents), batch_size):
        rows = slice(start, start + batch_size)
        classes = None if labels is None else labels[rows].to(device)
        pieces.append(program(latents[rows].to(device), classes).cpu())
    return torch.cat(pieces)
