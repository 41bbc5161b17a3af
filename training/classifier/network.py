"""Which networks the classifier can be, and the form in which one is served.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from training.classifier.compact import CompactNetwork
from training.classifier.resnet import ResNet18
from training.classifier.transfer import PRETRAINED, PretrainedNetwork
from training.classifier.vgg import Vgg

NETWORKS = ("compact", "resnet18", "vgg11", "vgg16", *PRETRAINED)


class Architecture(Protocol):
    """The fields of a recipe that decide which network is built."""

    network: str
    widths: tuple[int, ...]
    depth: int
    whiten_kernel: int
    whiten_epochs: int
    attention: str
    dropout: float


def build_network(architecture: Architecture, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a network for images of a shape (height, width, channels), with random weights.

    Raises:
        ValueError: unknown network, or one that cannot take this shape.
    """
    height, width, channels = shape
    name = architecture.network
    if name == "compact":
        return CompactNetwork(
            channels=channels,
            num_classes=num_classes,
            widths=architecture.widths,
            depth=architecture.depth,
            kernel=architecture.whiten_kernel,
            whiten_epochs=architecture.whiten_epochs,
        )
    if name == "resnet18":
        return ResNet18(
            channels=channels, num_classes=num_classes, resolution=min(height, width), attention=architecture.attention
        )
    if name in ("vgg11", "vgg16"):
        return Vgg(layers=int(name[3:]), channels=channels, num_classes=num_classes, dropout=architecture.dropout)
    if name in PRETRAINED:
        return PretrainedNetwork(name, channels=channels, num_classes=num_classes)
    raise ValueError(f"unknown network {name!r}; use one of {', '.join(NETWORKS)}")


class Normalization(nn.Module):
    """Images uint8 [N, H, W, C] → float32 [N, C, H, W] with mean 0 and variance 1 over the training data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        """Take mean and standard deviation of each channel, in units of the 8-bit pixel."""
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1).float())
        self.register_buffer("scale", 1 / deviation.view(1, -1, 1, 1).float())

    @classmethod
    def of(cls, images_NHWC: Tensor) -> Normalization:
        """Measure it on training images."""
        pixels = images_NHWC[:10_000].flatten(0, 2).double()
        return cls(pixels.mean(0), pixels.std(0).clamp_min(1.0))

    def forward(self, images_NHWC: Tensor) -> Tensor:
        return (images_NHWC.permute(0, 3, 1, 2).float() - self.mean) * self.scale


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
    program = program.to(device).to(memory_format=torch.channels_last)
    with torch.no_grad():
        return torch.cat([program.logits(piece.to(device)).float().cpu() for piece in images_NHWC.split(batch_size)])
