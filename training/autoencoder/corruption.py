"""How images are spoilt that a denoising autoencoder is to bring back.

Source: Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders; 2010, section 3.3.
Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.autoencoder.recipe import Recipe

_WHITE = 255


def corrupt(images_NHWC: Tensor, recipe: Recipe, random: torch.Generator) -> Tensor:
    """Spoil images uint8 [N, H, W, C] as the recipe says; the same images where its level is 0.

    Gaussian noise is of each value, cut at black and white; whole pixels are black where they are masked, and black or
    white in equal parts with salt and pepper.
    """
    level = recipe.corruption_level
    if not level:
        return images_NHWC
    if recipe.corruption == "gaussian":
        noise = torch.randn(images_NHWC.shape, generator=random).to(images_NHWC.device)
        return (images_NHWC + level * _WHITE * noise).round().clamp(0, _WHITE).to(torch.uint8)
    drawn = torch.rand((*images_NHWC.shape[:3], 1), generator=random).to(images_NHWC.device)
    is_white = (drawn < level / 2) & (recipe.corruption == "salt-and-pepper")
    return torch.where(drawn < level, _WHITE * is_white.to(torch.uint8), images_NHWC)
