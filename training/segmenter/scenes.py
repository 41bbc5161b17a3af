"""Images with the class of each of their pixels.

Dimensions: N images, H height, W width, C channels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

VOID = 255  # a pixel of which nobody says what it is: neither learned nor counted


@dataclass(frozen=True)
class Scenes:
    """Images uint8 [N, H, W, C] and masks uint8 [N, H, W]: class numbers, 0 is the background, 255 is not counted."""

    images: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.masks)

    def take(self, rows: Tensor) -> Scenes:
        """Pick rows, in their order."""
        return Scenes(self.images[rows], self.masks[rows])


def label_masks(masks: Tensor, num_classes: int) -> Tensor:
    """The class of each whole image, int64 [N]: that of most pixels beside the background, which has the empty ones."""
    counts = torch.stack([(masks == number).flatten(1).sum(1) for number in range(1, num_classes)], 1)
    return torch.where(counts.amax(1) > 0, counts.argmax(1) + 1, 0)
