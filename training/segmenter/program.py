"""The form in which a segmenter is served.

Dimensions: N images, H height, W width, C channels, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.segmenter.network import Segmenter

_ROWS = 250


class Program(nn.Module):
    """What is released: images uint8 [N, H, W, C] → mask uint8 [N, H, W], perhaps probabilities of labels [N, K]."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images_NHWC: Tensor) -> tuple[Tensor, ...]:
        answer = self.network(images_NHWC)
        mask = answer.mask.argmax(1).to(torch.uint8)
        return (mask,) if answer.label is None else (mask, answer.label.softmax(1))


@torch.no_grad()
def predict(network: Segmenter, images_NHWC: Tensor) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Masks uint8 [N, H, W] and labels int64 [N] of any number of images; None for a task that is not learned."""
    network.eval()
    device = network.normalization.mean.device
    masks, labels = [], []
    for images in images_NHWC.split(_ROWS):
        answer = network(images.to(device))
        if answer.mask is not None:
            masks.append(answer.mask.argmax(1).to(torch.uint8).cpu().numpy())
        if answer.label is not None:
            labels.append(answer.label.argmax(1).cpu().numpy())
    return np.concatenate(masks) if masks else None, np.concatenate(labels) if labels else None
