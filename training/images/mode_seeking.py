"""Keep a generator that is told what to draw from drawing only one image of it.

Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor

_TINY = 1e-5


def penalize_likeness(images: Tensor, others: Tensor, latents: Tensor, other_latents: Tensor) -> Tensor:
    """How little images [N, C, H, W] of one condition differ for how far apart their latents [N, Z] are, on average.

    Source: Mao et al. 2019, Mode Seeking GANs, https://arxiv.org/abs/1903.05628, equations 3 and 5.
    """
    apart = (images - others).abs().mean() / (latents - other_latents).abs().mean()
    return 1 / (apart + _TINY)
