"""Generator and discriminator in the form of DCGAN, with the options that came after it.

Source: Radford et al. 2016, https://arxiv.org/abs/1511.06434, section 3: strided convolutions instead of pooling, batch
normalization except at the generator's output and the discriminator's input, ReLU and tanh against LeakyReLU, no hidden
fully connected layers.
Dimensions: N images, Z latent values, C channels, H height, W width, K classes, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import ParametrizationList

from training.images.batch_deviation import BatchDeviation
from training.images.norms import ConditionalNorm, ImageNorm, UnconditionalNorm

Shape = tuple[int, int, int]
DiscriminatorNorm = Literal["batch", "layer", "spectral", "none"]

_INITIAL_DEVIATION = 0.02
_SMALLEST_START_PX, _LARGEST_START_PX = 3, 8


def start_size(widths: Sequence[int], shape: Shape) -> int:
    """Side in pixels of the map that is doubled once for each width until it covers the image; 4 in the paper's forms.

    Raises:
        ValueError: too few or too many widths for such images.
    """
    longer = max(shape[:2])
    start = -(-longer // 2 ** len(widths))
    if not _SMALLEST_START_PX <= start <= _LARGEST_START_PX:
        fitting = round(math.log2(longer / 4))
        raise ValueError(
            f"{len(widths)} widths would begin with {start}×{start} pixels for images of {shape[0]}×{shape[1]}, which "
            f"take from {_SMALLEST_START_PX} to {_LARGEST_START_PX}; give {fitting} widths, or set resolution"
        )
    return start


class Generator(nn.Module):
    """Latents float32 [N, Z], and labels int64 [N] if it has classes → images float32 [N, C, H, W] in [−1, 1].

    `widths` are the channels from the smallest map upwards; each stage doubles the side, and what exceeds the image is
    cut off.
    """

    def __init__(self, *, latent_size: int, widths: Sequence[int], shape: Shape, num_classes: int = 0) -> None:
        super().__init__()
        self.latent_size, self.num_classes, self.shape = latent_size, num_classes, shape
        height, width, channels = shape
        self.start = start_size(widths, shape)
        self.canvas = self.start * 2 ** len(widths)
        self.margins = (self.canvas - height) // 2, (self.canvas - width) // 2
        self.project = nn.Linear(latent_size, widths[0] * self.start**2, bias=False)
        self.norms = nn.ModuleList([_generator_norm(width, num_classes) for width in widths])
        self.activations = nn.ModuleList([nn.ReLU() for _ in widths])
        self.stages = nn.ModuleList(
            [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False) for a, b in pairwise(widths)]
        )
        self.draw = nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)
        initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.cut(torch.tanh(self.draw(self.compute_maps(latents, labels, len(self.stages))[-1]).float()))

    def compute_maps(self, latents: Tensor, labels: Tensor | None, num_stages: int) -> list[Tensor]:
        """Compute the smallest map [N, width, side, side] and those of the first stages."""
        x = self.project(latents).unflatten(1, (-1, self.start, self.start))
        maps = [self.activations[0](self.norms[0](x.contiguous(memory_format=torch.channels_last), labels))]
        for number, stage in enumerate(self.stages[:num_stages], 1):
            maps.append(self.activations[number](self.norms[number](stage(maps[-1]), labels)))
        return maps

    def cut(self, canvases: Tensor) -> Tensor:
        """Cut what exceeds the images off canvases [N, C, side, side]."""
        height, width, _ = self.shape
        top, left = self.margins
        return canvases[:, :, top : top + height, left : left + width]


class Discriminator(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1], and labels int64 [N] if it has classes → scores float32 [N].

    Real images score higher.

    With classes it is a projection discriminator: the score gains the product of the features with the label's
    embedding. Source: Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637, eq. 3. With `classifies` it also names
    the class of an image. Source: Odena et al. 2017, https://arxiv.org/abs/1610.09585, section 3. With other
    `num_outputs` the same network is an encoder: images → float32 [N, num_outputs]. With `sees_batch` its last stage
    is told how much neighbours in the batch differ.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        shape: Shape,
        norm: DiscriminatorNorm,
        num_classes: int = 0,
        num_outputs: int = 1,
        classifies: bool = False,
        sees_batch: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.num_classes = shape, num_classes
        self.mixes_images = norm == "batch" or sees_batch
        height, width, channels = shape
        start = start_size(widths, shape)
        excess_height, excess_width = start * 2 ** len(widths) - height, start * 2 ** len(widths) - width
        left, top = excess_width // 2, excess_height // 2
        self.padding = (left, excess_width - left, top, excess_height - top)
        self.batch_deviation = BatchDeviation() if sees_batch else None
        inputs = [channels, *widths[:-1]]
        inputs[-1] += sees_batch
        normalized = norm in ("batch", "layer")
        convs = [
            nn.Conv2d(a, b, 4, stride=2, padding=1, bias=not normalized or index == 0)
            for index, (a, b) in enumerate(zip(inputs, widths, strict=True))
        ]
        self.norms = nn.ModuleList(
            [_discriminator_norm(norm if index else "none", width) for index, width in enumerate(widths)]
        )
        self.activations = nn.ModuleList([nn.LeakyReLU(0.2) for _ in widths])
        head = nn.Linear(widths[-1] * start**2, num_outputs)
        embedding = nn.Embedding(num_classes, widths[-1]) if num_classes else None
        classifier = nn.Linear(widths[-1], num_classes) if classifies else None
        self.convs, self.head, self.embedding, self.classifier = nn.ModuleList(convs), head, embedding, classifier
        initialize(self)
        if norm == "none":
            initialize_alike(convs)
        elif norm == "spectral":
            normalize_spectrally(filter(None, (*convs, head, embedding, classifier)))

    def features(self, images: Tensor) -> list[Tensor]:
        """Compute the maps [N, width, side, side] of every stage."""
        maps = [self.pad(images)]
        for number in range(len(self.convs)):
            maps.append(self.apply_stage(number, maps[-1]))
        return maps[1:]

    def pad(self, images: Tensor) -> Tensor:
        """Enlarge images [N, C, H, W] to canvases whose side can be halved by every stage."""
        return F.pad(images, self.padding, mode="replicate") if any(self.padding) else images

    def apply_stage(self, number: int, x: Tensor) -> Tensor:
        """Compute the map of one stage from that before it."""
        if self.batch_deviation is not None and number == len(self.convs) - 1:
            x = self.batch_deviation(x)
        result: Tensor = self.activations[number](self.norms[number](self.convs[number](x)))
        return result

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.assess(images, labels)[0]

    def assess(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute scores, and logits float32 [N, K] if it classifies, which the labels do not enter."""
        last = self.features(images)[-1]
        scores = self.head(last.flatten(1)).float()
        if self.head.out_features == 1:  # torch leaves an axis of another size as it is, ONNX refuses it
            scores = scores.squeeze(1)
        if self.embedding is None:
            return scores, None
        assert labels is not None
        pooled = last.sum((2, 3))
        scores = scores + (self.embedding(labels) * pooled).float().sum(1)
        return scores, self.classifier(pooled).float() if self.classifier else None


def initialize(network: nn.Module) -> None:
    """Draw all weights from N(0, 0.02), and normalization gains from N(1, 0.02), as DCGAN does."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, std=_INITIAL_DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, _INITIAL_DEVIATION)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=_INITIAL_DEVIATION)


def initialize_alike(convs: Iterable[nn.Conv2d]) -> None:
    """Draw weights so that maps are about as large as the images: with N(0, 0.02) what nothing normalizes fades away.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852, eq. 15.
    """
    for conv in convs:
        nn.init.kaiming_normal_(conv.weight, a=0.2)


def normalize_spectrally(layers: Iterable[nn.Module]) -> None:
    """Hold the largest singular value of each layer's weights at 1.

    Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.
    """
    for layer in layers:
        spectral_norm(layer)


def hold_spectral_norms(network: nn.Module) -> None:
    """Leave the singular vectors of all weights as they are until the network is told to train again.

    Otherwise they follow the weights by a step of power iteration whenever these are used, and one for each change of
    the weights is enough. Source: Miyato et al. 2018, appendix A, algorithm 1.
    """
    for module in network.modules():
        if isinstance(module, ParametrizationList):
            module.eval()


def _generator_norm(width: int, num_classes: int) -> nn.Module:
    return ConditionalNorm(width, num_classes) if num_classes else UnconditionalNorm(width)


def _discriminator_norm(norm: str, width: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return ImageNorm(width) if norm == "layer" else nn.Identity()
