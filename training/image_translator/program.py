"""The form in which a translator is served.

Dimensions: N images, H height, W width, C channels of sources, D channels of targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.image_translator.network import Translator
from training.images.pixels import quantize_images, scale_images

_ROWS = 250


class Program(nn.Module):
    """What is released: images uint8 [N, H, W, C] → images uint8 [N, H, W, D]."""

    def __init__(self, network: Translator) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images_NHWC: Tensor) -> Tensor:
        return quantize_images(self.network(scale_images(images_NHWC)))


@torch.no_grad()
def translate(network: Translator, images_NHWC: Tensor) -> Tensor:
    """Translate any number of images as the released program would; uint8 [N, H, W, D] on the CPU."""
    was_training = network.training
    program, device = Program(network), network.draw.weight.device
    answers = torch.cat([program(images.to(device)).cpu() for images in images_NHWC.split(_ROWS)])
    network.train(was_training)
    return answers
