"""A network that names the things on a composed scene, without knowing its caption.

Dimensions: N images, H height, W width, C channels, K classes, L colours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.images.dcgan import Shape
from training.images.pixels import scale_images
from training.text_to_image.captioned import NUM_PLACES
from training.text_to_image.image_encoder import ImageEncoder
from training.text_to_image.recipe import Recipe

_PIECE = 500


class Reader(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1] → logits of classes [N, 2, K+1] and colours [N, 2, L+1] as one reads."""

    def __init__(self, recipe: Recipe, shape: Shape, num_classes: int, num_colours: int) -> None:
        super().__init__()
        self.sizes = (num_classes + 1, num_colours + 1)
        self.network = ImageEncoder(recipe, shape, NUM_PLACES * sum(self.sizes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        classes, colours = self.network(images).unflatten(1, (NUM_PLACES, -1)).split(self.sizes, 2)
        return classes, colours

    def measure_loss(self, images: Tensor, things: Tensor) -> Tensor:
        """Cross-entropy of both properties of both things int64 [N, 2, 2]."""
        losses = [
            F.cross_entropy(logits.flatten(0, 1), truth.flatten())
            for logits, truth in zip(self(images), things.unbind(2), strict=True)
        ]
        return sum(losses[1:], start=losses[0])


@torch.no_grad()
def name_things(reader: Reader, images_NHWC: Tensor) -> Tensor:
    """Class and colour of both things on images uint8 [N, H, W, C], int64 [N, 2, 2] on the CPU."""
    device = next(reader.parameters()).device
    named = [
        torch.stack([logits.argmax(2) for logits in reader(scale_images(piece.to(device)))], 2).cpu()
        for piece in images_NHWC.split(_PIECE)
    ]
    return torch.cat(named)
