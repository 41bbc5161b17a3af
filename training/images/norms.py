"""Normalization layers of generators and critics.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UnconditionalNorm(nn.BatchNorm2d):
    """Batch normalization that takes no labels, but is called as the conditional one is."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(x)


class ConditionalNorm(nn.Module):
    """Batch normalization whose gain and offset are embeddings of the label.

    Source: Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629; in generators Miyato and Koyama 2018, section 5.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain_excess = nn.Embedding(num_classes, channels)
        self.offset = nn.Embedding(num_classes, channels)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain = (1 + self.gain_excess(labels)).to(x.dtype)[:, :, None, None]
        return torch.addcmul(self.offset(labels).to(x.dtype)[:, :, None, None], self.norm(x), gain)


class ImageNorm(nn.Module):
    """Normalize each image over all its values, with a gain and an offset for each channel.

    A gradient penalty is about single images, so a critic may not mix them as batch normalization does.
    Source: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, section 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x.float(), (1, 2, 3), keepdim=True, correction=0)
        return ((x - mean) * torch.rsqrt(variance + 1e-5) * self.gain + self.offset).to(x.dtype)


class GuidedNorm(nn.Module):
    """Batch normalization whose gain and offset are linear in features of what is to be drawn, float32 [N, F].

    Source: de Vries et al. 2017, https://arxiv.org/abs/1707.00683, section 3.2.
    """

    def __init__(self, channels: int, num_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.guide = nn.Linear(num_features, 2 * channels)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        gain_excess, offset = self.guide(features)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * (1 + gain_excess) + offset
