"""Codes and reconstructions without a network: principal components of the training images.

Dimensions: N images, Z components, H height, W width, C channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_ROWS = 4096  # images at a time, so that their float copy stays small


class PrincipalComponents:
    """The linear code of so many values that loses least of the training images."""

    def __init__(self, images_NHWC: Tensor, num_components: int) -> None:
        """Find the components of training images uint8; at most as many as there are pixels."""
        self.shape = images_NHWC.shape[1:]
        self.mean = images_NHWC.flatten(1).double().mean(0)
        gram = torch.zeros(len(self.mean), len(self.mean), dtype=torch.float64)
        for piece in images_NHWC.split(_ROWS):
            centred = piece.flatten(1).double() - self.mean
            gram += centred.T @ centred
        _, vectors = torch.linalg.eigh(gram)
        self.axes = vectors.flip(1)[:, :num_components]

    def encode(self, images_NHWC: Tensor) -> np.ndarray:
        """Compute codes float64 [N, Z] of images uint8 [N, H, W, C]."""
        codes = [(piece.flatten(1).double() - self.mean) @ self.axes for piece in images_NHWC.split(_ROWS)]
        return torch.cat(codes).numpy()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Draw images uint8 [N, H, W, C] of codes [N, Z]."""
        pixels = torch.from_numpy(codes) @ self.axes.T + self.mean
        return pixels.round().clamp(0, 255).to(torch.uint8).view(-1, *self.shape).numpy()
