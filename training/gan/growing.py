"""Two players that begin with small images and grow, so that the whole is learned before its details.

A size counts doublings: 0 is the smallest image, 1 one of twice its side, and 0.25 the small one with a quarter of the
larger one faded in.
Source: Karras et al. 2018, Progressive growing of GANs, https://arxiv.org/abs/1710.10196, section 2; with the layers of
DCGAN's two networks, whose normalizations hold here what equalized rates and pixel norms do there.
Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.images.dcgan import Discriminator, Generator, initialize, normalize_spectrally


def find_size(step: int, num_steps: int, num_doublings: int) -> float:
    """Size at a step of growing to `num_doublings` in `num_steps`: half of each time it stays, then it fades in."""
    if step >= num_steps:
        return float(num_doublings)
    whole, share = divmod(step * num_doublings / num_steps, 1)
    return whole + max(0.0, 2 * share - 1)


class GrowingGenerator(Generator):
    """A generator that draws canvases of its present `size` while it trains, and else images of the shape it is for.

    Trained it is at its full size, the network that it was derived from.
    """

    def __init__(self, *, widths: tuple[int, ...], shape: tuple[int, int, int], **others: Any) -> None:
        super().__init__(widths=widths, shape=shape, **others)
        self.num_doublings = len(widths) - 1
        self.size = float(self.num_doublings)
        self.early_draws = nn.ModuleList(
            [nn.ConvTranspose2d(width, shape[2], 4, stride=2, padding=1) for width in widths[:-1]]
        )
        initialize(self.early_draws)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.size == self.num_doublings:
            return super().forward(latents, labels)
        small = self._draw_small(latents, labels)
        if self.training:
            return small
        return self.cut(F.interpolate(small, size=(self.canvas, self.canvas)))

    def _draw_small(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        level = math.ceil(self.size)
        maps = self.compute_maps(latents, labels, level)
        draws = [*self.early_draws, self.draw]
        image = torch.tanh(draws[level](maps[-1]).float())
        if level == self.size:
            return image
        smaller = torch.tanh(draws[level - 1](maps[-2]).float())
        return torch.lerp(_double(smaller), image, self.size - level + 1)


class GrowingDiscriminator(Discriminator):
    """A discriminator that takes canvases of its present `size`, and at its full size images as they are."""

    def __init__(self, *, widths: tuple[int, ...], shape: tuple[int, int, int], norm: Any, **others: Any) -> None:
        super().__init__(widths=widths, shape=shape, norm=norm, **others)
        self.num_doublings = len(widths) - 1
        self.size = float(self.num_doublings)
        self.late_convs = nn.ModuleList([nn.Conv2d(shape[2], width, 4, stride=2, padding=1) for width in widths[1:]])
        initialize(self.late_convs)
        if norm == "spectral":
            normalize_spectrally(self.late_convs)

    def shrink(self, images: Tensor) -> Tensor:
        """Bring images [N, C, H, W] to the present size, with the next smaller ones faded out as they are drawn."""
        if self.size == self.num_doublings:
            return images
        level = math.ceil(self.size)
        small = F.avg_pool2d(self.pad(images), 2 ** (self.num_doublings - level))
        if level == self.size:
            return small
        return torch.lerp(_double(F.avg_pool2d(small, 2)), small, self.size - level + 1)

    def features(self, images: Tensor) -> list[Tensor]:
        """Compute the maps [N, width, side, side] of every stage that the present size has."""
        if self.size == self.num_doublings:
            return super().features(images)
        level = math.ceil(self.size)
        first = self.num_doublings - level
        maps = [self._enter(images, first)]
        for stage in range(first + 1, len(self.convs)):
            x = self.apply_stage(stage, maps[-1])
            if stage == first + 1 and level != self.size:
                x = torch.lerp(self._enter(F.avg_pool2d(images, 2), stage), x, self.size - level + 1)
            maps.append(x)
        return maps

    def _enter(self, images: Tensor, stage: int) -> Tensor:
        conv = self.late_convs[stage - 1] if stage else self.convs[0]
        entered: Tensor = self.activations[stage](conv(images))
        return entered


def _double(images: Tensor) -> Tensor:
    return F.interpolate(images, scale_factor=2.0)
