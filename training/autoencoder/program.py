"""The form in which an autoencoder is served.

Dimensions: N images, Z values of a code, H height, W width, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.autoencoder.network import Autoencoder
from training.images.pixels import quantize_images, scale_images

_ROWS = 500
_LEVELS_PER_UNIT = 127.5  # of 255 grey levels in the range of 2


class Program(nn.Module):
    """What is released: images uint8 [N, H, W, C] → what comes back of them, likewise; codes float32 [N, Z]; and the
    root mean square of what does not, float32 [N] in grey levels of 255.
    """

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images_NHWC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images = scale_images(images_NHWC)
        drawn, code = self.network(images)
        deviation = (drawn - images).square().mean((1, 2, 3)).sqrt() * _LEVELS_PER_UNIT
        return quantize_images(drawn), code, deviation


class Answer(NamedTuple):
    """What a program says of images: the fields are its outputs."""

    reconstruction: np.ndarray
    code: np.ndarray
    deviation: np.ndarray


@torch.no_grad()
def answer_images(network: Autoencoder, images_NHWC: Tensor) -> Answer:
    """Answer any number of images as the released program would."""
    program, device = Program(network), next(network.parameters()).device
    answers = [program(images.to(device)) for images in images_NHWC.split(_ROWS)]
    return Answer(*(torch.cat(parts).cpu().numpy() for parts in zip(*answers, strict=True)))


@torch.no_grad()
def decode_codes(network: Autoencoder, codes: np.ndarray) -> np.ndarray:
    """Draw images uint8 [N, H, W, C] of codes [N, Z]."""
    network.eval()
    device = next(network.parameters()).device
    return quantize_images(network.decoder(torch.from_numpy(codes).to(device))).cpu().numpy()
