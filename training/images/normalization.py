"""From 8-bit pixels to what a network takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MEASURED_IMAGES = 10_000


class Normalization(nn.Module):
    """Images uint8 [N, H, W, C] → float32 [N, C, H, W] with mean 0 and variance 1 over the training data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        """Take mean and standard deviation of each channel, in units of the 8-bit pixel."""
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1).float())
        self.register_buffer("scale", 1 / deviation.view(1, -1, 1, 1).float())

    @classmethod
    def of(cls, images_NHWC: Tensor) -> Normalization:
        """Measure it on training images."""
        pixels = images_NHWC[:_MEASURED_IMAGES].flatten(0, 2).double()
        return cls(pixels.mean(0), pixels.std(0).clamp_min(1.0))

    def forward(self, images_NHWC: Tensor) -> Tensor:
        return (images_NHWC.permute(0, 3, 1, 2).to(torch.float32) - self.mean) * self.scale
