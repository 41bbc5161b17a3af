"""The form in which a classifier is served.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.classifier.compact import CompactNetwork
from training.engine.device import place
from training.images.normalization import Normalization


class Program(nn.Module):
    """What is released: images uint8 [N, H, W, C] → probabilities float32 [N, classes].

    Normalization, the network, the mean over both mirror images if asked for (side by side in one pass, because a
    quantized network may not be called twice), and the calibrated temperature are all inside.
    """

    temperature: Tensor

    def __init__(
        self, normalization: Normalization, network: nn.Module, *, test_flip: bool, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.normalization = normalization
        self.network = network.folded() if isinstance(network, CompactNetwork) else network
        self.test_flip = test_flip
        self.register_buffer("temperature", torch.tensor(temperature))
        self.eval()

    def logits(self, images_NHWC: Tensor) -> Tensor:
        """Compute logits [N, classes] before the temperature."""
        x = self.normalization(images_NHWC)
        if not self.test_flip:
            return self.network(x)
        both = self.network(torch.cat([x, x.flip(3)]))
        num_images = images_NHWC.shape[0]  # len() would fix their number while this is captured
        return (both[:num_images] + both[num_images:]) / 2

    def forward(self, images_NHWC: Tensor) -> Tensor:
        return (self.logits(images_NHWC) / self.temperature).softmax(1)


def predict_logits(program: Program, images_NHWC: Tensor, device: torch.device, batch_size: int = 500) -> Tensor:
    """Compute logits float32 [N, classes] on the CPU for any number of images, through the program as served."""
    program = place(program, device)
    with torch.no_grad():
        return torch.cat([program.logits(piece.to(device)).float().cpu() for piece in images_NHWC.split(batch_size)])
