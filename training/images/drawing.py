"""What draws images, as those see it who judge them: whatever the network, latents and labels in, images out.

Dimensions: N images, Z latent values, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.images.splits import ImageData, Split


@dataclass(frozen=True)
class Drawing:
    """`draw` turns latents float32 [N, Z] of N(0, 1), and labels int64 [N] if it is conditional, into images uint8
    [N, H, W, C], all on the CPU.
    """

    draw: Callable[[Tensor, Tensor | None], Tensor]
    latent_size: int
    conditional: bool

    def __call__(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Draw an image for each latent; labels are for those who look at them where it is not conditional."""
        return self.draw(latents, labels if self.conditional else None)

    def sample(self, data: ImageData, count: int, random: torch.Generator) -> Split:
        """Draw images with labels that are as frequent as among the training images."""
        latents = torch.randn(count, self.latent_size, generator=random)
        labels = data.train.labels[torch.randint(len(data.train), (count,), generator=random)]
        return Split(self(latents, labels), labels)
