"""The discriminator: whether an image is real, and whether it is a real one of its caption.

Source: both scores Xu et al. 2018, AttnGAN, eq. 5; wrong captions of real images as forgeries Reed et al. 2016,
https://arxiv.org/abs/1605.05396, algorithm 1.
Dimensions: N images, D features of a sentence, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.images.dcgan import Discriminator, Shape, start_size
from training.text_to_image.recipe import Recipe


class CaptionDiscriminator(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1] and sentences [N, D] → scores float32 [N] without and with them."""

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__()
        widths = recipe.discriminator_widths
        self.body = Discriminator(widths=widths, shape=shape, norm="spectral")
        self.join = spectral_norm(nn.Conv2d(widths[-1] + recipe.text_width, widths[-1], 3, padding=1))
        self.activation = nn.LeakyReLU(0.2)
        self.head = spectral_norm(nn.Linear(widths[-1] * start_size(widths, shape) ** 2, 1))

    def see(self, images: Tensor) -> Tensor:
        """The last maps [N, width, side, side], which both scores are about."""
        return self.body.features(images)[-1]

    def score_images(self, maps: Tensor) -> Tensor:
        """Score images alone, float32 [N]."""
        return self.body.head(maps.flatten(1)).squeeze(1)

    def score_pairs(self, maps: Tensor, sentences: Tensor) -> Tensor:
        """Score images as those of their captions, float32 [N]."""
        everywhere = sentences[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        joined = self.activation(self.join(torch.cat([maps, everywhere], 1)))
        return self.head(joined.flatten(1)).squeeze(1)
