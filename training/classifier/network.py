"""Which networks the classifier can be, and the form in which one is served.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.classifier.compact import CompactNetwork
from training.classifier.normalization import Normalization
from training.classifier.recipe import Recipe
from training.classifier.resnet import ResNet18
from training.classifier.transfer import PRETRAINED, PretrainedNetwork
from training.classifier.vgg import Vgg
from training.engine.device import place

NETWORKS = ("compact", "resnet18", "vgg11", "vgg16", *PRETRAINED)


def build_network(recipe: Recipe, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a network for images of a shape (height, width, channels), with random weights.

    Raises:
        ValueError: unknown network, or one that cannot take this shape.
    """
    height, width, channels = shape
    name = recipe.network
    if name == "compact":
        return CompactNetwork(
            channels=channels,
            num_classes=num_classes,
            widths=recipe.widths,
            depth=recipe.depth,
            kernel=recipe.whiten_kernel,
            whiten_epochs=recipe.whiten_epochs,
        )
    if name == "resnet18":
        return ResNet18(
            channels=channels, num_classes=num_classes, resolution=min(height, width), attention=recipe.attention
        )
    if name in ("vgg11", "vgg16"):
        return Vgg(layers=int(name[3:]), channels=channels, num_classes=num_classes, dropout=recipe.dropout)
    if name in PRETRAINED:
        return PretrainedNetwork(name, channels=channels, num_classes=num_classes, frozen_epochs=recipe.frozen_epochs)
    raise ValueError(f"unknown network {name!r}; use one of {', '.join(NETWORKS)}")


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
        return (both[: len(images_NHWC)] + both[len(images_NHWC) :]) / 2

    def forward(self, images_NHWC: Tensor) -> Tensor:
        return (self.logits(images_NHWC) / self.temperature).softmax(1)


def predict_logits(program: Program, images_NHWC: Tensor, device: torch.device, batch_size: int = 500) -> Tensor:
    """Compute logits float32 [N, classes] on the CPU for any number of images, through the program as served."""
    program = place(program, device)
    with torch.no_grad():
        return torch.cat([program.logits(piece.to(device)).float().cpu() for piece in images_NHWC.split(batch_size)])
